"""Boards are data: one TOML file each, named after the board. A board of one's own is a path to such a file.

A file says what the board's data sheet says: core, clock, every memory region with its reserved parts (a boot loader,
a radio stack), where execution begins, and how the board is talked to.
"""

import dataclasses
import itertools
import tomllib
from importlib import resources
from pathlib import Path
from typing import Any

from firmware_tools.boards.cores import CORES, Core
from tfviz.errors import InputError


@dataclasses.dataclass(frozen=True)
class Reserved:
    """Bytes of a region that are not ours: `origin` is an address, `length` in bytes, `why` names the owner."""

    origin: int
    length: int
    why: str


@dataclasses.dataclass(frozen=True)
class Region:
    """One bank of memory at its own address; the first of its `kind` is the one used.

    `kind` is `"flash"` (code, and constants unless there is a region for them), `"ram"`, or `"constants"` (where the
    data bus sees the flash at an address of its own).
    """

    name: str
    kind: str
    origin: int
    length: int
    reserved: tuple[Reserved, ...] = ()

    @property
    def end(self) -> int:
        """First address behind the region."""
        return self.origin + self.length

    @property
    def usable(self) -> tuple[int, int]:
        """Origin and length of the largest part that nobody else has reserved.

        >>> Region("flash", "flash", 0, 0x1000, (Reserved(0, 0x100, "boot loader"),)).usable
        (256, 3840)
        """
        edges = [self.origin]
        for part in sorted(self.reserved, key=lambda part: part.origin):
            edges += [part.origin, part.origin + part.length]
        edges.append(self.end)
        gaps = [(start, end - start) for start, end in zip(edges[::2], edges[1::2], strict=True)]
        return max(gaps, key=lambda gap: gap[1])


@dataclasses.dataclass(frozen=True)
class Board:
    """A board as its data sheet describes it.

    `stack` is how many bytes of RAM are set aside for the stack. `port` names the folder under firmware/ports that
    knows the chip's own serial port, None where there is none yet; `port_options` are the port's macros. `usb` are the
    ids (vendor:product) that its serial port has on USB, `dtr` and `rts` how these lines stand while the firmware runs,
    `reset` the line whose pulse resets the board: `"dtr"`, `"rts"` or `"none"`.
    """

    name: str
    title: str
    chip: str
    core: Core
    clock_hz: int
    regions: tuple[Region, ...]
    entry: str
    link: str
    data_sheet: str
    stack: int = 4096
    port: str | None = None
    port_options: tuple[str, ...] = ()
    usb: tuple[str, ...] = ()
    dtr: bool = True
    rts: bool = True
    reset: str = "none"

    @property
    def flash(self) -> Region:
        """The flash bank that firmware is put into."""
        return self._first("flash")

    @property
    def ram(self) -> Region:
        """The RAM bank that data, arena and stack are put into."""
        return self._first("ram")

    @property
    def constants(self) -> Region:
        """The bank that constants are put into."""
        return self._first("constants") if any(region.kind == "constants" for region in self.regions) else self.flash

    def _first(self, kind: str) -> Region:
        return next(region for region in self.regions if region.kind == kind)


def names() -> tuple[str, ...]:
    """Names of the built-in boards.

    >>> "nano33ble" in names()
    True
    """
    files = resources.files(__name__).iterdir()
    return tuple(sorted(file.name.removesuffix(".toml") for file in files if file.name.endswith(".toml")))


def load(name: str) -> Board:
    """The built-in board `name`, or the board that a `.toml` file describes.

    >>> board = load("nano33ble")
    >>> board.chip, board.core.name, board.ram.length
    ('nRF52840', 'cortex-m4f', 262144)

    Raises:
        InputError: there is no such board, or its file is not a board.
    """
    if name.endswith(".toml"):
        path = Path(name)
        if not path.is_file():
            raise InputError(f"There is no board file {path}.")
        return _parse(path.stem, path.read_text(encoding="utf-8"))
    if name not in names():
        raise InputError(f"There is no board {name!r}; there are {', '.join(names())}, or give a .toml file.")
    return _parse(name, (resources.files(__name__) / f"{name}.toml").read_text(encoding="utf-8"))


def _parse(name: str, text: str) -> Board:
    try:
        board = _board(name, tomllib.loads(text))
    except tomllib.TOMLDecodeError as error:
        raise InputError(f"The board file {name}.toml is not TOML: {error}.") from error
    except KeyError as error:
        raise InputError(f"The board file {name}.toml lacks {error.args[0]!r}.") from error
    except (TypeError, AttributeError, ValueError) as error:
        raise InputError(f"The board file {name}.toml does not describe a board: {error}.") from error
    _check(board)
    return board


def _board(name: str, data: dict[str, Any]) -> Board:
    core = CORES.get(data["core"])
    if core is None:
        raise InputError(f"The board file {name}.toml names core {data['core']!r}; there are {', '.join(CORES)}.")
    return Board(
        name=name,
        title=str(data["title"]),
        chip=str(data["chip"]),
        core=core,
        clock_hz=int(data["clock_hz"]),
        regions=tuple(_region(region) for region in data["memory"]),
        entry=str(data["entry"]),
        link=str(data["link"]),
        data_sheet=str(data["data_sheet"]),
        stack=int(data.get("stack", 4096)),
        usb=tuple(str(pair).lower() for pair in data.get("usb", ())),
        dtr=bool(data.get("dtr", True)),
        rts=bool(data.get("rts", True)),
        reset=str(data.get("reset", "none")),
        port=None if data.get("port") is None else str(data["port"]),
        port_options=tuple(str(option) for option in data.get("port_options", ())),
    )


def _region(data: dict[str, Any]) -> Region:
    reserved = (Reserved(part["origin"], part["length"], part["why"]) for part in data.get("reserved", ()))
    return Region(data["name"], data["kind"], data["origin"], data["length"], tuple(reserved))


def _check(board: Board) -> None:
    for kind in ("flash", "ram"):
        if not any(region.kind == kind for region in board.regions):
            raise InputError(f"The board file {board.name}.toml has no memory of kind {kind!r}.")
    ordered = sorted(board.regions, key=lambda region: region.origin)
    for one, other in itertools.pairwise(ordered):
        if one.end > other.origin:
            raise InputError(f"In board file {board.name}.toml, memory {one.name} and {other.name} overlap.")
    for region in board.regions:
        for part in region.reserved:
            if part.origin < region.origin or part.origin + part.length > region.end:
                raise InputError(f"In board file {board.name}.toml, {part.why!r} lies outside memory {region.name}.")
