"""The default device: firmware for a real board, executed by Unicorn in this process on the board's memory map.

Engine, model, memory map and core are the board's; the port (a UART that no chip has) is not.
"""

import os

from firmware_tools import boards, build
from firmware_tools.boards import Board
from firmware_tools.build import Build, elf
from firmware_tools.devices.device import Device
from firmware_tools.devices.machine import FaultError, Machine
from firmware_tools.graph import Graph
from firmware_tools.link.patience import DEFAULT_TIMING, Timing

__all__ = ["EmulatedBoard", "EmulatorTransport", "FaultError"]

BLOCKS = 100_000_000
"""Blocks of instructions that firmware may execute before it must rest, beside what its model needs: seconds."""


class EmulatorTransport:
    """The line to an emulated board: never loses a byte, and knows when nothing will come."""

    def __init__(self, machine: Machine, *, blocks: int = BLOCKS) -> None:
        self.name = f"emulator:{machine.board.name}"
        self.machine = machine
        self._blocks = blocks

    def write(self, data: bytes) -> None:
        """Put bytes on the line to the firmware."""
        self.machine.send(data)

    def read(self, timeout: float) -> bytes:  # noqa: ARG002  (the firmware runs until it rests; nobody waits)
        """Run the firmware until it waits for more; what it sent."""
        return self.machine.receive(self._blocks)

    def close(self) -> None:
        """Free the emulator."""
        self.machine.close()


class EmulatedBoard(Device):
    """`model` compiled for `board` and executed by an emulated core.

    Args:
        board: a board's name, or a `Board`.
        model: the `.tflite` file.
        folder: where sources, ELF and map are kept; default: the user's cache.
        optimize: the compiler's level.
        keep_input: pin the inputs' memory, so that a second run of the same input does not send it again.
        compiler: `"zig"`, or `"gcc"` for an installed arm-none-eabi-gcc.
        fault: what is wrong with the line (`bad_line.parse`), for trying what happens then.

    Attributes:
        build: the `Build` that runs, with what it takes of flash and RAM.

    Raises:
        InputError: no such board, or a model that does not fit it.
    """

    def __init__(
        self,
        board: str | Board,
        model: str | os.PathLike[str],
        *,
        folder: str | os.PathLike[str] | None = None,
        optimize: str = "O2",
        keep_input: bool = False,
        compiler: str = "zig",
        fault: str | None = None,
        timing: Timing = DEFAULT_TIMING,
    ) -> None:
        from firmware_tools import graph

        loaded = graph.load(model)
        board = boards.load(board) if isinstance(board, str) else board
        target = f"{board.name}-{optimize}{'-kept' * keep_input}{'-gcc' * (compiler == 'gcc')}"
        place = build.cache_folder(loaded, target) if folder is None else folder
        self.build: Build = build.build(
            loaded, board, place, optimize=optimize, keep_input=keep_input, compiler=compiler
        )
        self.machine = Machine(board, elf.read(self.build.elf))
        line = EmulatorTransport(self.machine, blocks=BLOCKS + _generous(loaded))
        super().__init__(line, loaded, digest=self.build.digest, timing=timing, fault=fault)
        self.notes += pinned(loaded, keep_input)

    def take_instructions(self) -> int | None:
        """Instructions that ops executed since the last call, exactly."""
        return self.machine.take_instructions()


def pinned(graph: Graph, keep_input: bool) -> tuple[str, ...]:
    """A sentence about the RAM that a pinned input costs; none where nothing is pinned."""
    from firmware_tools import memory

    if not keep_input:
        return ()
    kept, plain = (memory.plan(graph, keep_input=keep).arena_bytes for keep in (True, False))
    return (f"The pinned input takes {kept - plain:,} B of RAM more: the arena is {kept:,} B instead of {plain:,} B.",)


def _generous(graph: Graph) -> int:
    """More blocks of instructions than any kernel takes for one inference: a loop without an end is still found."""
    values = sum(graph.tensors[index].elements for op in graph.ops for index in op.outputs)
    return 50 * graph.macs + 2_000 * values
