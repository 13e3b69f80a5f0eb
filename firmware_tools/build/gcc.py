"""GCC for Arm's embedded cores, where it is asked for and installed: `arm-none-eabi-gcc`, called as a program.

It links no C library: the three functions of it that the firmware uses are in `ports/freestanding/string.c`.
"""

import shutil
import subprocess
from collections.abc import Sequence
from pathlib import Path

from firmware_tools.boards.cores import Core
from firmware_tools.build import zig
from tfviz.errors import InputError

PROGRAM = "arm-none-eabi-gcc"

_HARD = "-mfloat-abi=hard"
_CORES = {
    "cortex-m0plus": ("-mcpu=cortex-m0plus",),
    "cortex-m3": ("-mcpu=cortex-m3",),
    "cortex-m4f": ("-mcpu=cortex-m4", _HARD, "-mfpu=fpv4-sp-d16"),
    "cortex-m7f": ("-mcpu=cortex-m7", _HARD, "-mfpu=fpv5-sp-d16"),
    "cortex-m33f": ("-mcpu=cortex-m33", _HARD, "-mfpu=fpv5-sp-d16"),
}


def target(core: Core) -> list[str]:
    """What tells the compiler of `core`, and of the library that it lacks.

    Raises:
        InputError: the core is none of Arm's.
    """
    if core.name not in _CORES:
        raise InputError(f"{PROGRAM} does not compile for {core.name}; build with --compiler zig.")
    # Or a loop in memcpy would be recognised as memcpy.
    own = ["-fno-tree-loop-distribute-patterns", str(zig.FIRMWARE / "ports" / "freestanding" / "string.c")]
    return ["-mthumb", *_CORES[core.name], "-nostdlib", *own]


def version() -> str:
    """Version of the installed compiler, `"arm-none-eabi-gcc 12.2.1"`."""
    if shutil.which(PROGRAM) is None:
        return f"no {PROGRAM}"
    said = subprocess.run([PROGRAM, "-dumpfullversion"], capture_output=True, text=True, check=False)
    return f"{PROGRAM} {said.stdout.strip()}"


def compile_and_link(arguments: Sequence[str], output: Path, *, what: str) -> None:
    """Compile and link C in one call; the output file appears whole or not at all.

    Raises:
        CompileError: the compiler is missing, or refuses; one sentence with its first error.
    """
    if shutil.which(PROGRAM) is None:
        raise zig.CompileError(f"{PROGRAM} is not installed (Debian: gcc-arm-none-eabi); or build with zig.", "")
    zig.run([PROGRAM, *arguments, "-lgcc"], output, what=what)
