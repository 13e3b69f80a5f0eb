"""The JSON Schema of `report.json`, made of the records that are written; `report.schema.json` beside this is its text.

    python -m firmware_tools.schema > firmware_tools/report.schema.json

writes it anew after a record has changed; a test holds the two against each other.
"""

import dataclasses
import json
import sys
import types
import typing
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from typing import Any

import numpy as np

from firmware_tools.results import JSON_FORMAT, Comparison

DIALECT = "https://json-schema.org/draft/2020-12/schema"
FILE = Path(__file__).with_name("report.schema.json")
_NUMBER = {"anyOf": [{"type": "number"}, {"enum": ["inf", "-inf", "nan"]}]}
_SIMPLE: Mapping[Any, dict[str, Any]] = {
    int: {"type": "integer"},
    str: {"type": "string"},
    bool: {"type": "boolean"},
    float: _NUMBER,
    type(None): {"type": "null"},
}


def schema() -> dict[str, Any]:
    """The schema (draft 2020-12). Every field is required; a reader lets pass what a later version adds.

    >>> schema()["$defs"]["Verdict"]["enum"][:2]
    ['EXACT', 'INHERITED']
    """
    records: dict[str, Any] = {}
    run = _record(Comparison, records)
    run["properties"] = {"format": {"const": JSON_FORMAT}, **run["properties"]}
    run["required"] = ["format", *run["required"]]
    return {
        "$schema": DIALECT,
        "$id": f"urn:firmware-tools:report:{JSON_FORMAT}",
        "title": "report.json of firmware-tools",
        **run,
        "$defs": records,
    }


def text() -> str:
    """The schema as it is shipped."""
    return json.dumps(schema(), indent=2) + "\n"


def _record(kind: type, records: dict[str, Any]) -> dict[str, Any]:
    hints = typing.get_type_hints(kind)
    fields = [field.name for field in dataclasses.fields(kind) if field.name != "samples"]
    return {
        "type": "object",
        "properties": {name: _of(hints[name], records) for name in fields},
        "required": fields,
    }


def _of(hint: Any, records: dict[str, Any]) -> dict[str, Any]:
    """What a field's type becomes; records and enumerations are named once."""
    if hint in _SIMPLE:
        return dict(_SIMPLE[hint])
    origin, parts = typing.get_origin(hint), typing.get_args(hint)
    if origin in (typing.Union, types.UnionType):
        return {"anyOf": [_of(part, records) for part in parts]}
    if origin is tuple:
        return {"type": "array", "items": _of(parts[0], records)}
    if origin is np.ndarray:  # only the confusion is one
        return {"type": "array", "items": {"type": "array", "items": {"type": "integer"}}}
    if origin is not None and issubclass(origin, Mapping):
        return {"type": "object", "additionalProperties": _of(parts[1], records)}
    if hint.__name__ not in records:
        records[hint.__name__] = {}
        records[hint.__name__] = (
            {"enum": [member.value for member in hint]} if issubclass(hint, StrEnum) else _record(hint, records)
        )
    return {"$ref": f"#/$defs/{hint.__name__}"}


if __name__ == "__main__":
    sys.stdout.write(text())
