"""The published schema of report.json: it is what the records say, it takes what is written and refuses the rest."""

import json
import math

import jsonschema
import pytest
from report_factory import comparison

from firmware_tools import schema
from firmware_tools.results import Channels, EngineInfo, Matrix, Pair, PairOp, Threshold


def read(**changes: object) -> dict:
    return json.loads(comparison(**changes).to_json())


@pytest.fixture(scope="module")
def validator() -> jsonschema.Draft202012Validator:
    shipped = json.loads(schema.FILE.read_text())
    jsonschema.Draft202012Validator.check_schema(shipped)
    return jsonschema.Draft202012Validator(shipped)


def test_the_shipped_file_is_what_the_records_say():
    assert schema.FILE.read_text() == schema.text(), "run `python -m firmware_tools.schema > report.schema.json`"


def test_what_is_written_is_valid(validator):
    validator.validate(read())
    validator.validate(read(faulty_op=1))
    info = EngineInfo("engine", "host", "built-in", "ab")
    pair = Pair(0, 1, (PairOp(0, "conv", 1.0, 0, math.inf),), 1, None, None, 0, math.inf, 1.0)
    full = comparison(
        matrix=Matrix((info, info), (pair,)),
        thresholds=(
            Threshold("run", "verdict", "== PASS", "PASS", True),
            Threshold("op 0", "ssim", ">= 1", math.nan, False),
        ),
    )
    import dataclasses

    channels = Channels((1.0,), (0,), (0.3,), (math.inf,))
    full = dataclasses.replace(full, ops=tuple(dataclasses.replace(op, channels=channels) for op in full.ops))
    validator.validate(json.loads(full.to_json()))


@pytest.mark.parametrize(
    ("place", "value"),
    [
        (("format",), 2),
        (("verdict",), "FINE"),
        (("ops", 0, "verdict"), "GOOD"),
        (("ops", 0, "sqnr_db"), "infinite"),
        (("ops", 0, "max_lsb"), 1.5),
        (("engines", 0, "kernels"), None),
        (("confusion",), {"host": [[1, "2"]]}),
    ],
)
def test_what_is_not_written_is_refused(validator, place, value):
    report = read()
    inside = report
    for key in place[:-1]:
        inside = inside[key]
    inside[place[-1]] = value
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(report)
    del inside[place[-1]]
    with pytest.raises(jsonschema.ValidationError):
        validator.validate(report)
