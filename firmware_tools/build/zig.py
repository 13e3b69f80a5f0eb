"""The C compiler that pip installs: Zig's, called as a program."""

import logging
import os
import subprocess
import sys
from collections.abc import Sequence
from importlib import metadata, resources, util
from pathlib import Path

from firmware_tools.boards.cores import Core
from tfviz.errors import InputError

log = logging.getLogger(__name__)

FIRMWARE = Path(str(resources.files("firmware_tools"))) / "firmware"
"""The C sources that come with the package."""

# The loops that are worth it are unrolled by hand; the others would take a quarter of the code. Without -g1 Zig strips
# the symbols at -Os, by which functions are found in a fault's address.
_PLAIN = ("-fno-sanitize=undefined", "-fomit-frame-pointer", "-fno-unroll-loops", "-g1")
COMMON = ("-std=c99", "-Wall", "-Wextra", *_PLAIN)


class CompileError(InputError):
    """The compiler refused. `output` is all that it said."""

    def __init__(self, sentence: str, output: str) -> None:
        super().__init__(sentence)
        self.output = output


def version() -> str:
    """Version of the installed compiler, `"zig 0.17.0"`."""
    try:
        return f"zig {metadata.version('ziglang')}"
    except metadata.PackageNotFoundError:
        return "no zig"


def target(core: Core) -> list[str]:
    """What tells the compiler of `core`."""
    return [f"--target={core.target}", f"-mcpu={core.cpu}"]


def compile_and_link(arguments: Sequence[str], output: Path, *, what: str) -> None:
    """Compile and link C in one call; the output file appears whole or not at all.

    Raises:
        CompileError: the compiler is missing, or refuses; one sentence with its first error.
    """
    if util.find_spec("ziglang") is None:
        raise CompileError("No C compiler: pip install ziglang, or this package with [firmware].", "")
    run([sys.executable, "-m", "ziglang", "cc", *arguments], output, what=what)


def run(command: Sequence[str], output: Path, *, what: str) -> None:
    """Run a compiler's `command`; what it writes becomes `output` whole or not at all.

    Raises:
        CompileError: it refuses; one sentence with its first error.
    """
    output.parent.mkdir(parents=True, exist_ok=True)
    partial = output.with_name(f".{os.getpid()}-{output.name}")
    command = [*command, "-o", str(partial)]
    log.debug("%s", " ".join(command))
    try:
        result = subprocess.run(command, capture_output=True, text=True, errors="replace", check=False)
        if result.returncode:
            said = result.stderr + result.stdout
            raise CompileError(f"Compiling {what} failed: {_first_error(said)}", said)
        partial.replace(output)
    finally:
        partial.unlink(missing_ok=True)


def _first_error(said: str) -> str:
    lines = [line.strip() for line in said.splitlines() if line.strip()]
    return next((line for line in lines if "error" in line), lines[0] if lines else "the compiler said nothing")
