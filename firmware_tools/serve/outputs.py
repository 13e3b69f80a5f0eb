"""Makes chosen tensors of a `.tflite` its outputs, so that a runtime keeps them.

To preserve all tensors is not enough: tflite-runtime 2.14 then still lets an ADD write over its input. Tensors that are
outputs are left alone, by delegates too.
"""

import struct
from collections.abc import Sequence

_MODEL_SUBGRAPHS = 2
_SUBGRAPH_OUTPUTS = 2
"""Positions of fields in the tables Model and SubGraph of TensorFlow Lite's schema."""


def outputs_of(data: bytes) -> list[int]:
    """The model's outputs, as tensor indices.

    Raises:
        ValueError: the file is damaged.
    """
    place = _outputs_field(data)
    start = place + _u32(data, place)
    return list(struct.unpack_from(f"<{_u32(data, start)}i", data, start + 4))


def with_outputs(data: bytes, outputs: Sequence[int]) -> bytes:
    """The file with these tensors as its outputs: another list at its end, and the old list's reference to it.

    Raises:
        ValueError: the file is damaged.
    """
    place = _outputs_field(data)
    padded = data + b"\0" * (-len(data) % 4)
    vector = struct.pack(f"<I{len(outputs)}i", len(outputs), *outputs)
    return padded[:place] + struct.pack("<I", len(padded) - place) + padded[place + 4 :] + vector


def _outputs_field(data: bytes) -> int:
    """Where the first sub-graph refers to its list of outputs."""
    try:
        subgraphs = _field(data, _u32(data, 0), _MODEL_SUBGRAPHS)
        first = subgraphs + _u32(data, subgraphs) + 4
        return _field(data, first + _u32(data, first), _SUBGRAPH_OUTPUTS)
    except struct.error as error:
        raise ValueError(f"a damaged .tflite file: {error}") from error


def _field(data: bytes, table: int, number: int) -> int:
    """Where a table keeps its field: its list of places stands at a signed distance before it."""
    places = table - struct.unpack_from("<i", data, table)[0]
    size = struct.unpack_from("<H", data, places)[0]
    offset = struct.unpack_from("<H", data, places + 4 + 2 * number)[0] if size > 4 + 2 * number else 0
    if places < 0 or offset == 0:
        raise ValueError("a damaged .tflite file: it has no sub-graph with outputs")
    return int(table + offset)


def _u32(data: bytes, at: int) -> int:
    return int(struct.unpack_from("<I", data, at)[0])
