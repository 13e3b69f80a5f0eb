"""Read of an ELF file what an emulator and a size report need: segments, sections, symbols. 32 and 64 bit."""

import dataclasses
import os
import struct
from bisect import bisect_right
from functools import cached_property
from pathlib import Path

from tfviz.errors import InputError

_ALLOCATED = 2
_NOBITS = 8
_SYMBOL_TABLE = 2
_LOAD = 1


@dataclasses.dataclass(frozen=True)
class Section:
    """A section that occupies memory; `stored` says whether its bytes are in the image (.bss is not)."""

    name: str
    address: int
    bytes: int
    stored: bool


@dataclasses.dataclass(frozen=True)
class Segment:
    """Bytes of the image and the address in flash at which they are stored."""

    address: int
    data: bytes


@dataclasses.dataclass(frozen=True)
class Symbol:
    """A named address; `bytes` is 0 for labels."""

    name: str
    address: int
    bytes: int


@dataclasses.dataclass(frozen=True)
class Elf:
    """What was read of an ELF file."""

    entry: int
    sections: tuple[Section, ...]
    segments: tuple[Segment, ...]
    symbols: tuple[Symbol, ...]

    @cached_property
    def _ordered(self) -> list[Symbol]:
        return sorted((symbol for symbol in self.symbols if symbol.bytes), key=lambda symbol: symbol.address)

    def symbol(self, name: str) -> Symbol:
        """The symbol `name`; KeyError where there is none."""
        for symbol in self.symbols:
            if symbol.name == name:
                return symbol
        raise KeyError(name)

    def nearest(self, address: int) -> str:
        """`"name+0x12"` of the last function or object at or before `address`, or `"no symbol"` within 64 KB of it."""
        found = bisect_right([symbol.address for symbol in self._ordered], address)
        if found == 0:
            return "no symbol"
        symbol = self._ordered[found - 1]
        offset = address - symbol.address
        if offset >= symbol.bytes + 0x10000:
            return "no symbol"
        return f"{symbol.name}+{offset:#x}" if offset else symbol.name

    def function(self, address: int) -> str | None:
        """The function (or object) that covers `address`; None where none does."""
        for symbol in self.symbols:
            if symbol.address <= address < symbol.address + symbol.bytes:
                return symbol.name
        return None


def read(path: str | os.PathLike[str]) -> Elf:
    """Read an ELF file.

    Raises:
        InputError: the file is missing, or is not a little-endian ELF.
    """
    try:
        data = Path(path).read_bytes()
        return _parse(data)
    except (OSError, struct.error, IndexError, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a little-endian ELF file: {error}.") from error


@dataclasses.dataclass(frozen=True)
class _Layout:
    """Where the two classes of ELF differ."""

    header: str
    section: str
    segment: str
    symbol: str
    narrow: bool


_LAYOUTS = {
    1: _Layout("<HHIIIIIHHHHHH", "<IIIIIIIIII", "<IIIIIIII", "<IIIBBH", True),
    2: _Layout("<HHIQQQIHHHHHH", "<IIQQQQIIQQ", "<IIQQQQQQ", "<IBBHQQ", False),
}


def _parse(data: bytes) -> Elf:
    if data[:4] != b"\x7fELF" or data[5] != 1 or data[4] not in _LAYOUTS:
        raise InputError("The file is not a little-endian ELF file.")
    layout = _LAYOUTS[data[4]]
    header = struct.unpack_from(layout.header, data, 16)
    machine, entry, segments_at, sections_at = header[1], header[3], header[4], header[5]
    segment_size, segment_count, section_size, section_count, names_in = header[8:13]
    raw = [struct.unpack_from(layout.section, data, sections_at + i * section_size) for i in range(section_count)]
    names = raw[names_in]
    sections = tuple(
        Section(_text(data, names[4] + row[0]), row[3], row[5], row[1] != _NOBITS)
        for row in raw
        if row[2] & _ALLOCATED and row[5]
    )
    rows = [struct.unpack_from(layout.segment, data, segments_at + i * segment_size) for i in range(segment_count)]
    thumb = machine == 40
    return Elf(
        entry=entry,
        sections=sections,
        segments=tuple(_segment(data, row, layout) for row in rows if row[0] == _LOAD),
        symbols=tuple(
            symbol for row in raw if row[1] == _SYMBOL_TABLE for symbol in _symbols(data, raw, row, layout, thumb)
        ),
    )


def _segment(data: bytes, row: tuple[int, ...], layout: _Layout) -> Segment:
    offset, physical, size = (row[1], row[3], row[4]) if layout.narrow else (row[2], row[4], row[5])
    return Segment(physical, data[offset : offset + size])


def _symbols(
    data: bytes, raw: list[tuple[int, ...]], table: tuple[int, ...], layout: _Layout, thumb: bool
) -> list[Symbol]:
    names = raw[table[6]][4]
    symbols = []
    for row in struct.iter_unpack(layout.symbol, data[table[4] : table[4] + table[5]]):
        name, address, size, kind = (
            (row[0], row[1], row[2], row[3] & 15) if layout.narrow else (row[0], row[4], row[5], row[1] & 15)
        )
        text = _text(data, names + name)
        if kind <= 2 and text and not text.startswith(("$", ".L")):  # marks of the assembler, not names
            symbols.append(Symbol(text, address & ~1 if thumb and kind == 2 else address, size))
    return symbols


def _text(data: bytes, at: int) -> str:
    return data[at : data.index(b"\0", at)].decode(errors="replace")
