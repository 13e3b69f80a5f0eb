"""A board's core and memory in Unicorn: its own regions and nothing else, so that a stray access is a fault.

The port's UART stands at an address that no chip has. The machine runs only while it has something to do: it stops when
the firmware asks whether bytes wait and none do.
"""

import logging
from typing import Any

import unicorn
from unicorn import arm_const, riscv_const
from unicorn.unicorn_py3.unicorn import Uc, UcError

from firmware_tools.boards import Board, Region
from firmware_tools.build.elf import Elf
from firmware_tools.devices.counting import Cost, Counter
from tfviz.errors import InputError, LinkError

log = logging.getLogger(__name__)

UART = 0xF0000000
SYSTEM_CONTROL = 0xE000E000
_PAGE = 0x1000
_WAITING, _DATA, _SEND_FROM, _SEND_COUNT, _RECEIVE_TO, _RECEIVE_COUNT = range(0, 24, 4)
_INVALID = unicorn.UC_HOOK_MEM_INVALID
_ACCESS = {
    unicorn.UC_MEM_READ_UNMAPPED: "read",
    unicorn.UC_MEM_WRITE_UNMAPPED: "wrote",
    unicorn.UC_MEM_FETCH_UNMAPPED: "executed",
    unicorn.UC_MEM_READ_PROT: "read",
    unicorn.UC_MEM_WRITE_PROT: "wrote",
    unicorn.UC_MEM_FETCH_PROT: "executed",
}


_PAINT = b"\xa5"


class FaultError(LinkError):
    """The firmware did what its core or memory does not allow. `address` is None where it was not a memory access."""

    def __init__(self, sentence: str, pc: int, address: int | None) -> None:
        super().__init__(sentence)
        self.pc = pc
        self.address = address


class Machine:
    """One emulated core with its memory; several live side by side in a process."""

    def __init__(self, board: Board, elf: Elf, *, native: bool = True, cost: Cost | None = None) -> None:
        self.board = board
        self._elf = elf
        self._arm = board.core.architecture == "arm"
        self._inbox = bytearray()
        self._outbox = bytearray()
        self._registers = {_SEND_FROM: 0, _RECEIVE_TO: 0, _RECEIVE_COUNT: 0}
        self._access: tuple[str, int, int] | None = None
        self._fault: FaultError | None = None
        self._emulator = _core(board)
        self._map()
        self._emulator.hook_add(_INVALID, self._invalid)
        start, code = _code(board, elf)
        self._counter = Counter(self._emulator, start, code, elf.symbol("nn_execute").address, native=native, cost=cost)
        self.reset()

    def reset(self) -> None:
        """What the chip does at reset; RAM then holds what nobody should rely on."""
        for region in self.board.regions:
            if region.kind == "ram":
                self._emulator.mem_write(region.origin, _PAINT * region.length)
        for segment in self._elf.segments:
            if segment.data:
                self._emulator.mem_write(segment.address, segment.data)
        self._inbox.clear()
        self._outbox.clear()
        self._counter.forget()
        self._fault = None
        if self._arm:
            stack, entry = (int.from_bytes(self._emulator.mem_read(at, 4), "little") for at in self._vectors())
            self._emulator.reg_write(arm_const.UC_ARM_REG_SP, stack)
            self._pc = entry
        else:
            self._pc = self._elf.entry

    def send(self, data: bytes) -> None:
        """Put bytes on the line to the firmware."""
        self._inbox += data

    def receive(self, blocks: int) -> bytes:
        """Run until the firmware waits for more bytes; return what it sent.

        Raises:
            FaultError: it broke a rule of its core or memory; the sentence names function and address.
            LinkError: it executed `blocks` blocks and still did not come to rest.
        """
        if self._fault is not None:
            raise self._fault  # a faulted core stays where it is until reset
        self._access = None
        self._counter.allow(blocks)
        try:
            self._emulator.emu_start(self._pc, 0xFFFFFFFF)
        except UcError as error:
            self._fault = self._describe(error)
            raise self._fault from error
        pc = self._register(arm_const.UC_ARM_REG_PC, riscv_const.UC_RISCV_REG_PC)
        self._pc = pc | 1 if self._arm else pc  # bit 0 keeps the core in Thumb state
        if self._counter.exhausted:
            raise LinkError(
                f"emulator:{self.board.name}: the firmware did not come to rest in {blocks:,} blocks of instructions; "
                f"it is in {self._elf.nearest(pc)}."
            )
        sent = bytes(self._outbox)
        self._outbox.clear()
        return sent

    def take_instructions(self) -> int:
        """Instructions that ops executed since the last call."""
        return self._counter.take()

    def stack_used(self) -> int:
        """Most bytes of the stack in use at any time since reset: those that are no longer as RAM was painted."""
        section = next(section for section in self._elf.sections if section.name == ".stack")
        return len(self.memory(section.address, section.bytes).lstrip(_PAINT))

    def memory(self, address: int, count: int) -> bytes:
        """Bytes of the board's memory, for tests and diagnosis; not a part of the link."""
        return bytes(self._emulator.mem_read(address, count))

    def close(self) -> None:
        """Free the emulator's memory."""
        self._emulator = None

    def _vectors(self) -> tuple[int, int]:
        origin = next(section.address for section in self._elf.sections if section.name == ".vectors")
        return origin, origin + 4

    def _map(self) -> None:
        rights = {
            "flash": unicorn.UC_PROT_READ | unicorn.UC_PROT_EXEC,
            "ram": unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE,
            "constants": unicorn.UC_PROT_READ,
        }
        for region in self.board.regions:
            self._emulator.mem_map(region.origin, region.length, rights[region.kind])
        if self._arm:
            self._emulator.mem_map(SYSTEM_CONTROL, _PAGE, unicorn.UC_PROT_READ | unicorn.UC_PROT_WRITE)
        self._emulator.mmio_map(UART, _PAGE, self._uart_read, None, self._uart_write, None)

    def _uart_read(self, emulator: Any, offset: int, _size: int, _user: object) -> int:
        if offset == _WAITING:
            if not self._inbox:
                emulator.emu_stop()  # only here: the load is executed again when there is something to say
            return len(self._inbox)
        if offset == _DATA and self._inbox:
            return self._inbox.pop(0)
        return self._registers.get(offset, 0)

    def _uart_write(self, emulator: Any, offset: int, _size: int, value: int, _user: object) -> None:
        if offset == _DATA:
            self._outbox.append(value & 0xFF)
        elif offset == _SEND_COUNT:
            self._outbox += emulator.mem_read(self._registers[_SEND_FROM], value)
        elif offset == _RECEIVE_COUNT:
            block = bytes(self._inbox[:value])
            del self._inbox[:value]
            emulator.mem_write(self._registers[_RECEIVE_TO], block)
            self._registers[_RECEIVE_COUNT] = len(block)
        else:
            self._registers[offset] = value

    def _invalid(self, _emulator: Any, access: int, address: int, size: int, _value: int, _user: object) -> bool:
        self._access = (_ACCESS.get(access, "touched"), address, size)
        return False

    def _describe(self, error: Exception) -> FaultError:
        name = f"emulator:{self.board.name}"
        pc = self._register(arm_const.UC_ARM_REG_PC, riscv_const.UC_RISCV_REG_PC)
        if self._access is None and self._region(pc) is None:
            self._access = ("executed", pc, 2)  # some cores report a fetch from nowhere only as an exception
        if self._access is None:
            return FaultError(
                f"{name}: the core faulted in {self._elf.nearest(pc)} (pc {pc:#010x}): {error}.", pc, None
            )
        verb, address, size = self._access
        where = f"in {self._elf.nearest(pc)} (pc {pc:#010x})"
        if verb == "executed":
            caller = self._register(arm_const.UC_ARM_REG_LR, riscv_const.UC_RISCV_REG_RA) & ~1
            where = f"called from {self._elf.nearest(caller)} (pc {caller:#010x})"
        count = f"{size} byte{'s' * (size != 1)}"
        return FaultError(
            f"{name}: the firmware {verb} {count} at {address:#010x} ({self._place(address)}) {where}.", pc, address
        )

    def _register(self, arm: int, riscv: int) -> int:
        return int(self._emulator.reg_read(arm if self._arm else riscv))

    def _region(self, address: int) -> Region | None:
        return next((region for region in self.board.regions if region.origin <= address < region.end), None)

    def _place(self, address: int) -> str:
        region = self._region(address)
        place = "outside all memory" if region is None else region.name
        nearest = self._elf.nearest(address)
        return f"{place}, {nearest}" if self._elf.function(address) else f"{place}, nearest symbol {nearest}"


def _core(board: Board) -> Any:
    if board.core.architecture == "riscv":
        emulator = Uc(unicorn.UC_ARCH_RISCV, unicorn.UC_MODE_RISCV32)
        wanted = getattr(riscv_const, board.core.model)
    else:
        # Not UC_MODE_MCLASS: it replaces whatever model is set by a Cortex-M33.
        emulator = Uc(unicorn.UC_ARCH_ARM, unicorn.UC_MODE_THUMB)
        wanted = getattr(arm_const, board.core.model)
    emulator.ctl_set_cpu_model(wanted)
    if emulator.ctl_get_cpu_model() != wanted:
        raise InputError(f"The emulator does not run as {board.core.name}; its version is not one that can.")
    return emulator


def _code(board: Board, elf: Elf) -> tuple[int, bytes]:
    """Address and bytes of the flash region as far as the image fills it."""
    segments = [s for s in elf.segments if board.flash.origin <= s.address < board.flash.end and s.data]
    start = min(s.address for s in segments)
    code = bytearray(max(s.address + len(s.data) for s in segments) - start)
    for segment in segments:
        code[segment.address - start : segment.address - start + len(segment.data)] = segment.data
    return start, bytes(code)
