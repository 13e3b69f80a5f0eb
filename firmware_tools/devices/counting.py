"""Instructions per op, counted exactly while Unicorn runs: blocks executed times instructions in them.

The callback is a small C function, compiled once by the same compiler as the firmware and loaded by ctypes; where it
cannot be compiled a Python function does the same, about ten times slower. Instructions that an IT block skips count,
as in QEMU. CRC, link and polling are outside the windows.
"""

import ctypes
import functools
import hashlib
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import unicorn
from unicorn import arm_const, riscv_const
from unicorn.unicorn_py3.unicorn import UcError, uclib

from firmware_tools.build import user_cache, zig

log = logging.getLogger(__name__)

_SOURCE = Path(__file__).with_name("counting.c")
_BLOCK_CALLBACK = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_uint64, ctypes.c_uint32, ctypes.c_void_p)


class _State(ctypes.Structure):
    """The twin of `counter` in counting.c."""

    _fields_ = (
        ("code", ctypes.c_void_p),
        ("lengths", ctypes.c_void_p),
        ("sizes", ctypes.c_void_p),
        ("code_start", ctypes.c_uint64),
        ("code_bytes", ctypes.c_uint64),
        ("opens_at", ctypes.c_uint64),
        ("budget", ctypes.c_uint64),
        ("read_register", ctypes.c_void_p),
        ("stop", ctypes.c_void_p),
        ("return_register", ctypes.c_int32),
        ("is_riscv", ctypes.c_int32),
        ("instructions", ctypes.c_uint64),
        ("armed", ctypes.c_uint64),
        ("closes_at", ctypes.c_uint64),
        ("exhausted", ctypes.c_uint64),
    )


Cost = Callable[[bytes], int]


class Counter:
    """Hooks an emulator's blocks; `opens_at` is the address of the function that calls an op.

    With `cost`, a block counts for what that says of its bytes instead of for its instructions, and Python counts.
    """

    def __init__(
        self,
        emulator: Any,
        code_start: int,
        code: bytes,
        opens_at: int,
        *,
        native: bool = True,
        cost: Cost | None = None,
    ) -> None:
        riscv = emulator._arch == unicorn.UC_ARCH_RISCV
        self._code = ctypes.create_string_buffer(code, len(code))
        halves = len(code) // 2 + 1
        self._tables = ((ctypes.c_uint16 * halves)(), (ctypes.c_uint32 * halves)())
        self._state = _State(
            code=ctypes.addressof(self._code),
            lengths=ctypes.addressof(self._tables[0]),
            sizes=ctypes.addressof(self._tables[1]),
            code_start=code_start,
            code_bytes=len(code),
            opens_at=opens_at,
            read_register=ctypes.cast(uclib.uc_reg_read, ctypes.c_void_p).value,
            stop=ctypes.cast(uclib.uc_emu_stop, ctypes.c_void_p).value,
            return_register=riscv_const.UC_RISCV_REG_RA if riscv else arm_const.UC_ARM_REG_LR,
            is_riscv=riscv,
        )
        self._lengths: dict[tuple[int, int], int] = {}
        self._cost = cost or functools.partial(count_instructions, riscv=riscv)
        callback = _library() if native and cost is None else None
        if callback is None:
            emulator.hook_add(unicorn.UC_HOOK_BLOCK, self._python_block)
        else:
            self._hook(emulator, callback)

    def allow(self, blocks: int) -> None:
        """Let the emulator execute so many blocks before it is stopped."""
        self._state.budget = blocks
        self._state.exhausted = 0

    @property
    def exhausted(self) -> bool:
        """Whether the emulator was stopped because its blocks were used up."""
        return bool(self._state.exhausted)

    def take(self) -> int:
        """Instructions counted in ops since the last call."""
        counted = int(self._state.instructions)
        self._state.instructions = 0
        return counted

    def forget(self) -> None:
        """Drop an open window: the core was reset."""
        self._state.armed = self._state.closes_at = 0
        self._state.instructions = 0

    def _hook(self, emulator: Any, callback: Any) -> None:
        handle = ctypes.c_size_t()
        status = uclib.uc_hook_add(
            emulator._uch,
            ctypes.cast(ctypes.byref(handle), ctypes.POINTER(ctypes.c_size_t)),
            unicorn.UC_HOOK_BLOCK,
            ctypes.cast(callback, ctypes.c_void_p),
            ctypes.cast(ctypes.byref(self._state), ctypes.c_void_p),
            ctypes.c_uint64(1),
            ctypes.c_uint64(0),
        )
        if status != unicorn.UC_ERR_OK:
            raise UcError(status)

    def _python_block(self, emulator: Any, address: int, size: int, _: object) -> None:
        state = self._state
        if state.budget == 0:
            state.exhausted = 1
            emulator.emu_stop()
            return
        state.budget -= 1
        if state.closes_at == 0:
            if not state.armed:
                state.armed = address == state.opens_at
                return
            state.armed = 0
            state.closes_at = emulator.reg_read(state.return_register) & ~1
        if address == state.closes_at:
            state.closes_at = 0
        else:
            state.instructions += self._block_instructions(address, size)

    def _block_instructions(self, address: int, size: int) -> int:
        key = (address, size)
        if key not in self._lengths:
            start = address - self._state.code_start
            self._lengths[key] = self._cost(self._code.raw[start : start + size])
        return self._lengths[key]


def count_instructions(code: bytes, *, riscv: bool = False) -> int:
    """Number of instructions in Thumb (or compressed RISC-V) code, by their 16/32-bit prefixes.

    >>> count_instructions(bytes.fromhex("0120 7047 4ff00000"))
    3
    """
    count = at = 0
    while at < len(code):
        wide = (code[at] & 3) == 3 if riscv else code[at + 1] >> 3 >= 0x1D
        at += 4 if wide else 2
        count += 1
    return count


@functools.cache
def _library() -> Any | None:
    """The compiled callback, or None where it cannot be had."""
    key = hashlib.sha256(_SOURCE.read_bytes() + zig.version().encode()).hexdigest()[:16]
    suffix = {"win32": "dll", "darwin": "dylib"}.get(sys.platform, "so")
    library = user_cache() / f"counting-{key}.{suffix}"
    try:
        if not library.exists():
            arguments = ["-shared", "-fPIC", "-O2", "-std=c99", "-fno-sanitize=undefined", str(_SOURCE)]
            zig.compile_and_link(arguments, library, what="the instruction counter")
        return ctypes.CDLL(str(library)).count_block
    except (OSError, ValueError) as error:
        log.warning("Instructions are counted by Python, which is slow: %s", error)
        return None
