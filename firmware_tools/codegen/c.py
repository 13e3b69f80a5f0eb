"""Words and numbers as C: nothing that comes from a model reaches the compiler unescaped."""

import re
import zlib
from collections.abc import Iterable

import numpy as np

from firmware_tools.graph import Array

_PLAIN = re.compile(r"[^A-Za-z0-9 _./:;,()\[\]@%+=<>-]")
_C_TYPES = {"int8": "int8_t", "uint8": "uint8_t", "int16": "int16_t", "uint16": "uint16_t", "int32": "int32_t",
            "uint32": "uint32_t", "int64": "int64_t", "float32": "float"}  # fmt: skip


def comment(text: str, *, limit: int = 80) -> str:
    r"""A model's word for use inside a C comment: what could end the comment or continue the line becomes `_`.

    >>> comment("evil */ system() \\ ??/")
    'evil _/ system() _ __/'
    """
    plain = _PLAIN.sub("_", text).replace("*/", "_/").replace("//", "/_")
    return plain if len(plain) <= limit else plain[: limit - 3] + "..."


def identifier(text: str) -> str:
    """A C identifier made of a model's word.

    >>> identifier("9 lives/äh")
    'm_9_lives__h'
    """
    plain = re.sub(r"[^A-Za-z0-9_]", "_", text)[:60]
    return plain if plain[:1].isalpha() else f"m_{plain}"


def values(array: Array) -> Iterable[str]:
    """Every element as a C literal."""
    if array.dtype.kind == "f":
        for value in array.ravel():
            yield float32_literal(float(value))
        return
    for value in array.ravel().tolist():
        yield "INT32_MIN" if value == -(2**31) else str(value)


def float32_literal(value: float) -> str:
    """A float32 in the shortest decimal form that gives it back.

    >>> float32_literal(0.1), float32_literal(3)
    ('0.1f', '3.0f')
    """
    text = str(np.float32(value))
    return f"{text}f" if any(mark in text for mark in ".en") else f"{text}.0f"


def rows(literals: Iterable[str], *, width: int = 116) -> str:
    """Literals as the inside of an initialiser, in lines of at most `width` characters."""
    lines: list[str] = []
    line: list[str] = []
    length = 4
    for literal in literals:
        if line and length + len(literal) + 2 > width:
            lines.append("    " + ", ".join(line) + ",")
            line, length = [], 4
        line.append(literal)
        length += len(literal) + 2
    if line:
        lines.append("    " + ", ".join(line))
    return "\n".join(lines)


def array(name: str, data: Array) -> str:
    """Definition of a constant array."""
    kind = _C_TYPES[data.dtype.name]
    return f"static const {kind} {name}[{data.size}] = {{\n{rows(values(data))}\n}};\n"


def little_endian(data: Array) -> bytes:
    """The array's bytes as every supported core stores them."""
    return np.ascontiguousarray(data, data.dtype.newbyteorder("<")).tobytes()


def digest(blocks: Iterable[bytes]) -> int:
    """CRC-32 (zlib's, Ethernet's) over the blocks one after the other."""
    crc = 0
    for block in blocks:
        crc = zlib.crc32(block, crc)
    return crc
