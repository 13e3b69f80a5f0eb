"""From a graph to firmware: generated C, shared kernels, link and port, compiled for a board and measured.

What does not fit is refused with the two numbers, before anything is compiled where they are known by then.
"""

import dataclasses
import hashlib
import os
import re
import sys
from collections.abc import Mapping, Sequence
from importlib import metadata
from pathlib import Path
from types import ModuleType

from firmware_tools import boards
from firmware_tools.boards import Board
from firmware_tools.build import elf, gcc, zig
from firmware_tools.build.script import linker_script
from firmware_tools.graph import Graph
from tfviz.errors import InputError
from tfviz.files import write_text

ENGINE = "built-in C99 kernels"
"""Name of the kernel set that the generated code runs on; a device answers it at HELLO, with its version."""

EMULATED = "emulated"
"""The port of a serial port that no chip has and the emulator knows: every board's, where no other is asked for."""

LINK = ("about.c", "capture.c", "crc32.c", "frame.c", "memory.c", "reply.c", "serve.c", "server.c")
_BARE = (
    "-ffreestanding",
    "-ffunction-sections",
    "-fdata-sections",
    "-fno-unwind-tables",
    "-fno-asynchronous-unwind-tables",
    "-fno-stack-protector",
    "-static",
    "-Wl,--gc-sections",
    "-Wl,-e,reset",  # Zig does not take the entry from the linker script
)
_OVERFLOW = re.compile(r"region '(\w+)': overflowed by (\d+) bytes")
COMPILERS = {"zig": zig, "gcc": gcc}
"""What firmware can be compiled with: modules with `target`, `version` and `compile_and_link`."""

SPEED = "speed"
"""An optimisation level of our own: O2, and weights widened in flash."""
_OPTIMIZE = ("O0", "O1", "O2", "O3", "Os", "Oz", SPEED)


@dataclasses.dataclass(frozen=True)
class Build:
    """Firmware for a board and how much of the board's memory it takes, in bytes.

    `flash_bytes` and `ram_bytes` are used (RAM with the stack's share), `flash_total` and `ram_total` are what the
    board leaves us. `sections` gives each section's size. `digest` is what the device answers at HELLO.
    """

    board: Board
    elf: Path
    map: Path
    compiler: str
    sections: Mapping[str, int]
    flash_bytes: int
    ram_bytes: int
    flash_total: int
    ram_total: int
    arena_bytes: int
    stack_bytes: int
    digest: int

    @property
    def flash_free(self) -> int:
        """Flash left, in bytes."""
        return self.flash_total - self.flash_bytes

    @property
    def ram_free(self) -> int:
        """RAM left, in bytes."""
        return self.ram_total - self.ram_bytes


def build(
    graph: Graph,
    board: str | Board,
    out: str | os.PathLike[str],
    *,
    optimize: str = "O2",
    port: str = EMULATED,
    keep_input: bool = False,
    compiler: str = "zig",
) -> Build:
    """Build firmware that runs `graph` on `board` and speaks the link's protocol; sources, ELF and map go to `out`.

    `port` is a folder of firmware/ports: `"emulated"`, or `board.port` for the chip's own serial port. With
    `keep_input` the model's inputs keep their memory to the end of a run, so that a second run of the same input need
    not send it again; that may take a larger arena. `optimize` is the compiler's level, or `"speed"`: O2
    with the weights of convolutions and dense layers widened to int16 in flash, so that the inner loops need not do it.
    `compiler` is `"zig"`, which pip brings, or `"gcc"`, an installed arm-none-eabi-gcc; both give the same results.

    Raises:
        InputError: no such board or compiler, an op that the engine lacks, or a model that does not fit: with the two
            numbers.
    """
    from firmware_tools import codegen, memory

    board = boards.load(board) if isinstance(board, str) else board
    plan = memory.plan(graph, keep_input=keep_input)
    _refuse_what_cannot_fit(graph, board, plan.arena_bytes)
    sources = codegen.generate(graph, plan, wide_weights=optimize == SPEED)
    _refuse_overflow(graph.name, board, "flash", sources.constant_bytes, "its constants alone need")
    return compile_firmware(
        sources.files,
        sources.kernels,
        board,
        out,
        arena_bytes=plan.arena_bytes,
        digest=sources.digest,
        outputs=_most_outputs(graph),
        name=graph.name,
        optimize=optimize,
        port=port,
        compiler=compiler,
    )


def build_host(graph: Graph, out: str | os.PathLike[str], *, optimize: str = "O2", keep_input: bool = False) -> Path:
    """Build the same sources for this computer: a program that speaks the protocol on standard input and output.

    Raises:
        InputError: an op that the engine lacks, or a compiler that fails.
    """
    from firmware_tools import codegen

    sources = codegen.generate(graph, keep_input=keep_input, wide_weights=optimize == SPEED)
    return compile_host(sources.files, sources.kernels, out, outputs=_most_outputs(graph), optimize=optimize)


def compile_firmware(
    files: Mapping[str, str],
    kernels: Sequence[str],
    board: Board,
    out: str | os.PathLike[str],
    *,
    arena_bytes: int = 0,
    digest: int = 0,
    outputs: int = 8,
    name: str = "the model",
    optimize: str = "O2",
    port: str = EMULATED,
    flags: Sequence[str] = (),
    compiler: str = "zig",
) -> Build:
    """Compile generated `files` with the `kernels` for `board`: what `build` does when the C is there.

    `flags` go to the compiler as they are.
    """
    if compiler not in COMPILERS:
        raise InputError(f"There is no compiler {compiler!r}; there are {', '.join(COMPILERS)}.")
    tool = COMPILERS[compiler]
    folder = Path(out)
    script = folder / "link.ld"
    start = zig.FIRMWARE / "ports" / ("start_arm.c" if board.core.architecture == "arm" else "start_riscv.c")
    port_file = zig.FIRMWARE / "ports" / port / "port.c"
    arguments = [
        *tool.target(board.core),
        *_BARE,
        f"-I{zig.FIRMWARE / 'ports' / 'freestanding'}",
        f"-Wl,-T,{script}",
        *_common(folder, files, kernels, outputs, optimize, board.name),
        *(f"-D{option}" for option in board.port_options if port == board.port),
        *flags,
        str(start),
        str(port_file),
    ]
    write_text(script, linker_script(board))
    target = folder / "firmware.elf"
    try:
        _compile_once(arguments, files, target, what=f"the firmware for {board.name}", tool=tool)
    except zig.CompileError as error:
        _explain_overflow(error, board, name)
        write_text(folder / "build.log", error.output)
        raise
    return _measure(board, target, arena_bytes=arena_bytes, digest=digest, compiler=tool.version())


def compile_host(
    files: Mapping[str, str],
    kernels: Sequence[str],
    out: str | os.PathLike[str],
    *,
    outputs: int = 8,
    optimize: str = "O2",
    flags: Sequence[str] = (),
) -> Path:
    """Compile generated `files` with the `kernels` for this computer; `flags` go to the compiler as they are."""
    folder = Path(out)
    program = folder / ("firmware.exe" if sys.platform == "win32" else "firmware")
    port = zig.FIRMWARE / "ports" / "posix" / "port.c"
    arguments = [*_common(folder, files, kernels, outputs, optimize, "host"), *flags, str(port)]
    _compile_once(arguments, files, program, what="the firmware for this computer")
    return program


def port_of(board: Board, *, real: bool) -> str:
    """The port to build for `board`: the emulator's, or with `real` the one that its own chip has.

    Raises:
        InputError: nobody has written a port for this chip.
    """
    if not real:
        return EMULATED
    if board.port is None:
        have = [name for name in boards.names() if boards.load(name).port]
        raise InputError(
            f"There is no port for the serial port of {board.name} ({board.chip}) yet; there is one for "
            f"{', '.join(have)}. firmware-tools export makes an Arduino library, or plain C for any board."
        )
    return board.port


def cache_folder(graph: Graph, target: str) -> Path:
    """Where builds go that nobody gave a folder for: one for each model and target, in the user's cache."""
    return user_cache() / f"{graph.fingerprint[:16]}-{target}"


def user_cache() -> Path:
    """The user's cache folder for this package, where the operating system wants it."""
    if sys.platform == "win32":
        base = Path(os.environ.get("LOCALAPPDATA", Path.home() / "AppData" / "Local"))
    elif sys.platform == "darwin":
        base = Path.home() / "Library" / "Caches"
    else:
        base = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache")
    return base / "firmware-tools"


def _common(
    folder: Path, files: Mapping[str, str], kernels: Sequence[str], outputs: int, optimize: str, target: str
) -> list[str]:
    if optimize not in _OPTIMIZE:
        raise InputError(f"There is no optimisation level {optimize!r}; there are {', '.join(_OPTIMIZE)}.")
    for name, text in files.items():
        write_text(folder / name, text)
    return [
        *zig.COMMON,
        f"-{'O2' if optimize == SPEED else optimize}",
        # The same bytes wherever it is built: no path of this computer, not even in what a debugger reads.
        f"-ffile-prefix-map={folder}=.",
        f"-ffile-prefix-map={zig.FIRMWARE}=firmware",
        f"-I{folder}",
        f"-I{zig.FIRMWARE}",
        f"-I{zig.FIRMWARE / 'nn'}",
        f"-DLINK_OUTPUTS={outputs}",
        f'-DLINK_ENGINE="{ENGINE} {metadata.version("tfviz")}"',
        f'-DLINK_BUILD="{target}"',
        *(str(folder / name) for name in files if name.endswith(".c")),
        *(str(zig.FIRMWARE / "nn" / name) for name in kernels),
        *(str(zig.FIRMWARE / "link" / name) for name in LINK),
    ]


def _compile_once(
    arguments: Sequence[str], files: Mapping[str, str], target: Path, *, what: str, tool: ModuleType = zig
) -> None:
    """Compile unless `target` is already what these arguments and sources give."""
    stamp = target.with_name(f"{target.name}.stamp")
    wanted = _identity([tool.version(), *arguments], files)
    if target.exists() and stamp.exists() and stamp.read_text() == wanted:
        return
    stamp.unlink(missing_ok=True)
    tool.compile_and_link(arguments, target, what=what)
    write_text(stamp, wanted)


def _identity(arguments: Sequence[str], files: Mapping[str, str]) -> str:
    hashed = hashlib.sha256("\0".join([*arguments, *files.values()]).encode())
    for path in sorted(zig.FIRMWARE.rglob("*.[ch]")):
        hashed.update(path.read_bytes())
    for argument in arguments:
        if argument.startswith("-Wl,-T,"):
            hashed.update(Path(argument.removeprefix("-Wl,-T,")).read_bytes())
    return hashed.hexdigest()


def _measure(board: Board, target: Path, *, arena_bytes: int, digest: int, compiler: str) -> Build:
    image = elf.read(target)
    ram_origin, ram_total = board.ram.usable
    in_ram = [s for s in image.sections if ram_origin <= s.address < ram_origin + ram_total]
    stored = [s for s in image.sections if s.stored]
    listing = target.with_suffix(".map")
    write_text(listing, _map(image))
    return Build(
        board=board,
        elf=target,
        map=listing,
        compiler=compiler,
        sections={s.name: s.bytes for s in image.sections},
        flash_bytes=sum(s.bytes for s in stored),
        ram_bytes=sum(s.bytes for s in in_ram),
        flash_total=board.flash.usable[1],
        ram_total=ram_total,
        arena_bytes=arena_bytes,
        stack_bytes=board.stack,
        digest=digest,
    )


def _map(image: elf.Elf) -> str:
    """Address, size and name of all sections and of all symbols that have a size, in the order of memory."""
    lines = [f"{s.address:08x} {s.bytes:8d} section {s.name}" for s in image.sections]
    symbols = sorted((s for s in image.symbols if s.bytes), key=lambda s: s.address)
    return "\n".join([*lines, "", *(f"{s.address:08x} {s.bytes:8d} {s.name}" for s in symbols), ""])


def _most_outputs(graph: Graph) -> int:
    return max(len(op.outputs) for op in graph.ops)


def _refuse_what_cannot_fit(graph: Graph, board: Board, arena_bytes: int) -> None:
    _refuse_overflow(graph.name, board, "ram", arena_bytes + board.stack, "its arena and the stack need")


def _refuse_overflow(name: str, board: Board, kind: str, needed: int, what: str) -> None:
    region = board.flash if kind == "flash" else board.ram
    if needed > region.usable[1]:
        raise InputError(
            f"{name} does not fit {board.name}: {what} {needed:,} bytes of {region.name}, "
            f"and the board leaves {region.usable[1]:,}. Take a smaller model or a larger board."
        )


def _explain_overflow(error: zig.CompileError, board: Board, name: str) -> None:
    """Raise the sentence with the two numbers where the linker's complaint is that the image is too large."""
    for kind in ("flash", "ram"):
        over = [int(count) for region, count in _OVERFLOW.findall(error.output) if region == kind]
        if over:
            region = board.flash if kind == "flash" else board.ram
            _refuse_overflow(name, board, kind, region.usable[1] + max(over), "its firmware needs")
