"""A comparison in continuous integration: thresholds, JUnit XML, GitHub's annotations, the matrix, exit codes."""

import dataclasses
import json
import math
import re
import xml.etree.ElementTree as ET
from pathlib import Path
from types import SimpleNamespace

import jsonschema
import numpy as np
import pytest
from chain import keras_file, pictures, tflite_file
from report_factory import comparison

from firmware_tools import _ci, _compare, cli, schema, thresholds
from firmware_tools._compare import compare_all
from firmware_tools._matrix import Pairs, Seat
from firmware_tools.engines import open_engine
from firmware_tools.pictures import expectation
from firmware_tools.results import EngineInfo
from tfviz import console
from tfviz.errors import InputError, LinkError
from tfviz.trace import Step, Tensor, Trace


def firmware_tools(*arguments: object) -> int:
    with pytest.raises(SystemExit) as stop:
        console.run(cli.app, [str(argument) for argument in arguments])
    assert isinstance(stop.value.code, int)
    return stop.value.code


def demands(folder: Path, text: str) -> thresholds.Demands:
    path = folder / "limits.toml"
    path.write_text(text)
    return thresholds.load(path)


def test_thresholds_are_of_the_run_of_every_layer_and_of_one(tmp_path):
    found = comparison()  # sqnr_db is 40, 37, 34, 31
    wanted = demands(
        tmp_path,
        '[run]\ntop1_agreement = ">= 0.99"\nfloat_top1_agreement = ">= 0.99"\nverdict = "== PASS"\n'
        '[layers]\nsqnr_db = ">= 35"\n[layer.conv_1]\nsqnr_db = ">= 30"\n[layer.3]\nmax_lsb = "<= 0"\n',
    )
    judged = thresholds.check(found, wanted)
    assert [(t.scope, t.metric, t.met) for t in judged] == [
        ("run", "top1_agreement", True),
        ("run", "float_top1_agreement", False),
        ("run", "verdict", True),
        ("op 0", "sqnr_db", True),
        ("op 1", "sqnr_db", True),
        ("op 3", "sqnr_db", False),
        ("op 2", "sqnr_db", True),
        ("op 3", "max_lsb", True),
    ]
    assert thresholds.sentence(judged[1]) == "run: float_top1_agreement is 0.975, demanded is >= 0.99"


def test_what_was_not_measured_and_nan_do_not_meet_a_demand(tmp_path):
    found = comparison()
    wanted = demands(tmp_path, '[run]\ntop5_agreement = ">= 0"\n[layers]\nssim = ">= -1"\nsqnr_db = ">= -1e9"\n')
    broken = dataclasses.replace(found, ops=(dataclasses.replace(found.ops[0], sqnr_db=math.nan), *found.ops[1:]))
    judged = thresholds.check(broken, wanted)
    assert [(t.scope, t.value is None, t.met) for t in judged[:2]] == [("run", True, False), ("layers", True, False)]
    assert [t.met for t in judged[2:]] == [False, True, True, True]
    exact = dataclasses.replace(found, ops=tuple(dataclasses.replace(op, sqnr_db=math.inf) for op in found.ops))
    assert all(t.met for t in thresholds.check(exact, demands(tmp_path, '[layers]\nsqnr_db = ">= 300"\n')))


@pytest.mark.parametrize(
    ("text", "sentence"),
    [
        ("[run]\nsqnr = '>= 1'", "no metric"),
        ("[layers]\nsqnr_dB = '>= 1'", "Did you mean sqnr_db?"),
        ("[layers]\nsqnr_db = 20", "is no bound"),
        ("[layers]\nsqnr_db = '> 20'", "is no bound"),
        ("[layers]\nsqnr_db = '>= nan'", "holds no number"),
        ("[run]\nverdict = '>= PASS'", '"== PASS"'),
        ("[ops]\nsqnr_db = '>= 1'", r"\[ops\]"),
        ("", "it has nothing"),
        ("layers = 3", "is no table"),
        ("[layer]\nconv = 3", "is no table"),
        ("not toml", "is not TOML"),
    ],
)
def test_a_thresholds_file_that_means_nothing_is_refused(text, sentence, tmp_path):
    with pytest.raises(InputError, match=sentence):
        demands(tmp_path, text)


def test_thresholds_of_a_layer_that_is_not_there(tmp_path):
    with pytest.raises(InputError, match=r"'conv_2', which the model does not have\. Did you mean conv"):
        thresholds.check(comparison(), demands(tmp_path, '[layer.conv_2]\nsqnr_db = ">= 1"'))


def test_junit_has_a_case_for_each_layer_and_escapes_names():
    found = comparison(faulty_op=1)
    odd = dataclasses.replace(found.ops[0], keras_layer='a<b>&"c"\x00\x1b]]>\n')
    found = dataclasses.replace(found, ops=(odd, *found.ops[1:]))
    text = _ci.junit([found, LinkError("The board <went> silent.")], ["host", "serial:/dev/ttyACM0"])
    root = ET.fromstring(text)
    assert (root.get("tests"), root.get("failures"), root.get("errors")) == ("6", "2", "1")
    suite, broken = root
    assert [case.find("failure") is not None for case in suite] == [False, False, True, True, False]
    assert suite[1].get("name") == 'op 0 CONV_2D a<b>&"c"\ufffd\ufffd]]>\n'
    assert suite[2].find("failure").get("message").startswith("DIVERGED: 2 LSB apart at most, 2 of its own")
    assert broken[0].find("error").get("message") == "The board <went> silent."


def test_annotations_name_what_fails_in_one_line_each():
    found = comparison(faulty_op=2)
    lines = _ci.annotations([found, LinkError("100 %\nsilent")], ["host", "serial:x"])
    assert lines[0].startswith("::error title=host%3A op 2 (conv_1)::DIVERGED")
    assert lines[-1] == "::error title=serial%3Ax%3A the link failed::100 %25%0Asilent"
    assert len(lines) == 2
    assert _ci.annotations([comparison()], ["host"])[0].startswith("::notice title=host%3A PASS::4 of 4 layers")


def test_the_matrix_has_every_pair_and_agrees_with_the_comparisons():
    names = ["litert", "litert-xnnpack"]
    with (
        open_engine(f"tflm:{tflite_file()}") as reference,
        open_engine(f"litert:{tflite_file()}") as slow,
        open_engine(f"litert-xnnpack:{tflite_file()}") as fast,
        open_engine(f"keras:{keras_file()}") as real,
    ):
        found = compare_all(
            reference, [[slow], [fast]], pictures(20), float_engine=real,
            expected=expectation([tflite_file()], (1, 16, 16, 3)), matrix=True,
        )  # fmt: skip
        by_keras = compare_all(
            real, [[slow], [fast]], pictures(20), expected=expectation([tflite_file()], (1, 16, 16, 3)), matrix=True
        )
    matrix = found[0].matrix
    assert found[1].matrix is matrix
    assert [info.name for info in matrix.engines] == ["tflm", *names, "keras"]
    pairs = {(pair.first, pair.second): pair for pair in matrix.pairs}
    assert set(pairs) == {(0, 1), (0, 2), (0, 3), (1, 2), (1, 3), (2, 3)}
    for place, result in enumerate(found):
        pair = pairs[0, place + 1]
        assert [op.max_lsb for op in pair.ops] == [op.max_lsb for op in result.ops]
        assert [op.exact_share for op in pair.ops] == [op.exact_share for op in result.ops]
        assert (pair.exact_ops, pair.top1_agreement) == (result.exact_ops, result.top1_agreement)
        assert pair.first_divergent == result.first_divergent
        # Both directions of the same error: against float the layer is the signal, in the matrix the first engine is.
        real_pair = pairs[place + 1, 3]
        assert [op.name for op in real_pair.ops] == [op.keras_layer for op in result.ops]
        assert [op.sqnr_db for op in real_pair.ops] == pytest.approx([op.sqnr_db for op in result.ops], abs=0.5)
        assert real_pair.max_lsb is None
    turned = {(pair.first, pair.second): pair for pair in by_keras[0].matrix.pairs}
    assert [op.sqnr_db for op in turned[0, 2].ops] == pytest.approx([op.sqnr_db for op in by_keras[1].ops])
    assert turned[1, 2].exact_ops == pairs[1, 2].exact_ops
    assert len(turned) == 3


def test_an_engine_that_dies_loses_its_pairs_and_the_others_keep_theirs():
    seats = []
    for number in range(3):
        tensor = Tensor("t", np.full((1, 4), number, np.int8), 1.0, 0)
        trace = Trace("e", "k", "f", (), (Step(0, "ADD", "t", (tensor,)),), (tensor,))
        seats.append(Seat(EngineInfo("engine", f"e{number}", "k", "f"), [trace], {}))
    pairs = Pairs()
    pairs.add(seats)
    pairs.add([seats[0], dataclasses.replace(seats[1], traces=None), seats[2]])
    found = pairs.result()
    assert [info.name for info in found.engines] == ["e0", "e1", "e2"]
    assert [(pair.first, pair.second, pair.max_lsb) for pair in found.pairs] == [(0, 2, 2)]


def test_large_models_run_in_smaller_batches():
    class Large:
        graph = SimpleNamespace(tensors=[SimpleNamespace(elements=30_000_000, is_constant=False)] * 2)

    class Small:
        graph = SimpleNamespace(tensors=[SimpleNamespace(elements=1000, is_constant=False)])

    assert _compare._batch_size([Small()]) == _compare.BATCH
    assert _compare._batch_size([Small(), Large()]) == 4
    assert _compare._batch_size([Large()] * 9) == 1


def test_the_command_says_the_matrix_writes_junit_and_leaves_by_the_thresholds(tmp_path, capsys, monkeypatch):
    data = tmp_path / "x.npz"
    np.savez(data, x=pictures(12), y=np.zeros(12, np.int64))
    limits, report, xml = tmp_path / "limits.toml", tmp_path / "r.json", tmp_path / "r.xml"
    limits.write_text('[layers]\nmax_lsb = "<= 40"\n')
    call = ("compare", f"tflm:{tflite_file()}", f"litert-xnnpack:{tflite_file()}", "--data", data)
    monkeypatch.setenv("GITHUB_ACTIONS", "true")
    assert firmware_tools(*call) == 1  # the kernels round differently
    assert "::error title=litert-xnnpack%3A op" in capsys.readouterr().out
    assert firmware_tools(*call, "--thresholds", limits, "--junit", xml, "--json", report, "--matrix") == 0
    out = capsys.readouterr().out
    assert re.search(r"thresholds: 6 of 6 met", out)
    assert "every pair in a free run" in out
    assert ET.parse(xml).getroot().get("failures") == "0"
    read = json.loads(report.read_text())
    jsonschema.validate(read, schema.schema())
    assert (read["verdict"], len(read["thresholds"]), len(read["matrix"]["pairs"])) == ("FAIL", 6, 1)
    limits.write_text('[run]\nexact_ops = "== 6"\n')
    assert firmware_tools(*call, "--thresholds", limits, "--no-github") == 1
    out = capsys.readouterr().out
    assert "missed: run: exact_ops is" in out
    assert "::" not in out
    limits.write_text("[layers]\nnothing = 1")
    assert firmware_tools(*call, "--thresholds", limits) == 2
    assert firmware_tools(*call, f"litert:{tflite_file()}") == 1
    assert "every pair in a free run" in capsys.readouterr().out
