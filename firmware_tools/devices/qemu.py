"""A second, independent emulator for those who have it: QEMU's own machines, each with its own serial port.

The same sources as every board's, with the port of the machine's real UART, so that here a complete image runs:
start-up, memory map, registers of the serial port and of the timer. `netduinoplus2` is an STM32F405, and its image is
the one that goes into the chip.
"""

import contextlib
import dataclasses
import os
import shutil
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Mapping
from functools import partial

from firmware_tools import boards, build
from firmware_tools.boards import Board
from firmware_tools.build import Build, zig
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import pinned
from firmware_tools.link.patience import DEFAULT_TIMING, Timing
from tfviz.errors import InputError, LinkError
from tfviz.trace import Array, Step, Trace

PROGRAM = "qemu-system-arm"
START_SECONDS = 20.0
"""How long QEMU may take to start and connect."""
WRITE_SECONDS = 30.0
"""How long the machine may leave bytes lying before it counts as hung."""

_INSTRUCTION_NS = 64
"""QEMU counts an instruction as 2^6 ns of the machine's time (`-icount shift=6`), so that its timers count them."""


@dataclasses.dataclass(frozen=True)
class MachineType:
    """A machine of QEMU's: `port` is its folder of firmware/ports, `timer_hz` how fast its timer runs in QEMU."""

    port: str
    timer_hz: int


MACHINES: Mapping[str, MachineType] = {
    "mps2-an386": MachineType("mps2", 25_000_000),
    "mps2-an500": MachineType("mps2", 25_000_000),
    "netduinoplus2": MachineType("stm32f4", 1_000_000_000),  # QEMU's, whatever the chip's clock is
}
"""The machines by QEMU's names."""


def machine_board(machine: str) -> Board:
    """Memory map and core of a machine.

    >>> machine_board("netduinoplus2").chip
    'STM32F405RG'

    Raises:
        InputError: there is no such machine.
    """
    if machine not in MACHINES:
        raise InputError(f"There is no QEMU machine {machine!r} here; there are {', '.join(MACHINES)}.")
    return boards.load(str(zig.FIRMWARE / "ports" / MACHINES[machine].port / f"{machine}.toml"))


def find_program() -> str:
    """Path of QEMU.

    Raises:
        InputError: it is not installed.
    """
    found = shutil.which(PROGRAM)
    if found is None:
        raise InputError(
            f"{PROGRAM} is not installed (Debian: apt install qemu-system-arm, macOS: brew install qemu); "
            "emulator:BOARD:FILE needs no such program."
        )
    return found


# Runs a program, passes its exit code on, and ends it when standard input closes: when its owner goes, however it goes.
_KEEPER = """
import os, subprocess, sys, threading
child = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL)
def watch():
    sys.stdin.buffer.read()
    child.kill()
threading.Thread(target=watch, daemon=True).start()
os._exit(child.wait() & 255)
"""


class QemuTransport:
    """The serial port of a machine that QEMU emulates, over a TCP connection that QEMU makes to us.

    We listen and QEMU calls, so that no byte can be sent before somebody hears it, and no port has to be guessed.
    """

    def __init__(self, machine: str, image: str | os.PathLike[str]) -> None:
        self.name = f"qemu:{machine}"
        with socket.create_server(("127.0.0.1", 0), backlog=1) as listener:
            port = listener.getsockname()[1]
            self._process = _start(machine, image, port)
            self._said: list[str] = []
            self._listening = threading.Thread(target=self._keep_words, daemon=True)
            self._listening.start()
            try:
                self._socket = self._accept(listener)
            except BaseException:
                self._end()
                raise
        self._socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def _accept(self, listener: socket.socket) -> socket.socket:
        deadline = time.monotonic() + START_SECONDS
        listener.settimeout(0.1)
        while time.monotonic() < deadline:
            with contextlib.suppress(TimeoutError):
                return listener.accept()[0]
            if self._process.poll() is not None:
                raise LinkError(f"{self.name}: QEMU does not start: {self._words()}.")
        raise LinkError(f"{self.name}: QEMU did not connect its serial port in {START_SECONDS:.0f} s.")

    def write(self, data: bytes) -> None:
        """Send all of `data` to the machine."""
        self._socket.settimeout(WRITE_SECONDS)
        try:
            self._socket.sendall(data)
        except TimeoutError:
            raise LinkError(f"{self.name}: the firmware took nothing for {WRITE_SECONDS:.0f} s.") from None
        except OSError as error:
            raise LinkError(f"{self.name}: {self._gone()}.") from error

    def read(self, timeout: float) -> bytes:
        """What the machine has sent, waiting up to `timeout` seconds; `b""` when it sent nothing."""
        self._socket.settimeout(max(timeout, 0.001))
        try:
            data = self._socket.recv(65536)
        except TimeoutError:
            return b""
        except OSError as error:
            raise LinkError(f"{self.name}: {self._gone()}.") from error
        if not data:
            raise LinkError(f"{self.name}: {self._gone()}.")
        return data

    def _keep_words(self) -> None:
        assert self._process.stderr is not None
        for line in self._process.stderr:
            self._said = [*self._said[-20:], line.strip()]

    def _words(self) -> str:
        self._listening.join(timeout=1)
        return next((line for line in self._said if line), "it says nothing").removesuffix(".")

    def _gone(self) -> str:
        with contextlib.suppress(subprocess.TimeoutExpired):
            return f"QEMU ended with exit code {self._process.wait(timeout=1)}: {self._words()}"
        return "QEMU closed the serial port"

    def close(self) -> None:
        """End QEMU."""
        self._socket.close()
        self._end()

    def _end(self) -> None:
        if self._process.stdin is not None:
            self._process.stdin.close()  # the keeper's signal
        try:
            self._process.wait(timeout=5)
        except subprocess.TimeoutExpired:
            self._process.kill()
            self._process.wait()
        self._listening.join(timeout=1)
        if self._process.stderr is not None:
            self._process.stderr.close()


def _start(machine: str, image: str | os.PathLike[str], port: int) -> "subprocess.Popen[str]":
    quiet = ["-display", "none", "-monitor", "none", "-parallel", "none", "-audiodev", "none,id=none"]
    command = [find_program(), "-M", machine, *quiet, "-icount", f"shift={_INSTRUCTION_NS.bit_length() - 1}"]
    command += ["-serial", f"tcp:127.0.0.1:{port},nodelay=on", "-kernel", os.fspath(image)]
    pipe = subprocess.PIPE
    return subprocess.Popen(
        [sys.executable, "-I", "-S", "-c", _KEEPER, *command],
        stdin=pipe,
        stdout=subprocess.DEVNULL,
        stderr=pipe,
        text=True,
        errors="replace",
    )


class QemuBoard(Device):
    """`model` compiled for one of QEMU's machines and executed there.

    A step's `instructions` are what QEMU's timer counted, with those between the two readings of the timer: 24 to 29
    more than the op's own, and more yet where an interrupt came in between.

    Args:
        machine: one of `MACHINES`.
        model: the `.tflite` file.
        folder: where sources, ELF and map are kept; default: the user's cache.
        optimize: the compiler's level.
        keep_input: pin the inputs' memory, so that a second run of the same input does not send it again.
        fault: what is wrong with the line (`bad_line.parse`), for trying what happens then.

    Attributes:
        build: the `Build` that runs.

    Raises:
        InputError: no such machine, no QEMU, or a model that does not fit.
        LinkError: QEMU does not start.
    """

    def __init__(
        self,
        machine: str,
        model: str | os.PathLike[str],
        *,
        folder: str | os.PathLike[str] | None = None,
        optimize: str = "O2",
        keep_input: bool = False,
        fault: str | None = None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        from firmware_tools import graph

        board = machine_board(machine)
        find_program()
        loaded = graph.load(model)
        target = f"{machine}-{optimize}{'-kept' * keep_input}"
        place = build.cache_folder(loaded, target) if folder is None else folder
        self._timer_hz = MACHINES[machine].timer_hz
        self.build: Build = build.build(
            loaded, board, place, optimize=optimize, keep_input=keep_input, port=MACHINES[machine].port
        )
        line = QemuTransport(machine, self.build.elf)
        super().__init__(line, loaded, digest=self.build.digest, timing=timing, fault=fault)
        self.notes += pinned(loaded, keep_input)

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        """Run one input, as `tfviz.trace.Engine.run` says."""
        trace = super().run(inputs, reference=reference, forced=forced, read=read)
        return dataclasses.replace(trace, steps=tuple(map(partial(_counted, timer_hz=self._timer_hz), trace.steps)))


def _counted(step: Step, *, timer_hz: int) -> Step:
    """The step with instructions in place of ticks of the machine's timer."""
    if step.cycles is None:
        return step
    instructions = round(step.cycles * 1e9 / timer_hz / _INSTRUCTION_NS)
    return dataclasses.replace(step, cycles=None, instructions=instructions)
