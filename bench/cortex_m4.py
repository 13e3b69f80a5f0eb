"""Cycles of a block of instructions on a Cortex-M4, by the table of its reference manual.

Costs are those of Arm's Cortex-M4 Technical Reference Manual (DDI 0439B, table 3-1), for memory without wait states:
one cycle, but for

- loads and stores: 2, and 1 where the instruction before is one too (their address and data phases overlap);
- LDRD, STRD, LDM, STM, PUSH, POP: 1 and one a register; P more where PC is among them;
- MLA and MLS: 2; SDIV and UDIV: 2 to 12, counted as 7;
- branches: 1 and P to refill the pipeline, which is 1 to 3, counted as 2. A conditional branch at the end of a block is
  counted as taken where it goes back, and as not taken where it goes on: which of the two it was is not counted.

An estimate: real flash has wait states, and caches that hide some.
"""

import functools

import capstone

REFILL, DIVISION = 2, 7


@functools.cache
def _decoder() -> capstone.Cs:
    return capstone.Cs(capstone.CS_ARCH_ARM, capstone.CS_MODE_THUMB | capstone.CS_MODE_MCLASS)


def cycles(code: bytes) -> int:
    """Cycles of one pass through `code`, a block of Thumb instructions at any address.

    >>> cycles(bytes.fromhex("0020 0120"))  # movs r0, #0; movs r0, #1
    2
    >>> cycles(bytes.fromhex("0868 4968"))  # ldr r0, [r1]; ldr r1, [r1, #4]
    3
    """
    total, after_memory = 0, False
    for _, _, name, operands in _decoder().disasm_lite(code, 0):
        word = name.split(".")[0]
        memory = word.startswith(("ldr", "str")) and not word.startswith(("ldrd", "strd"))
        total += _cost(word, operands, pipelined=memory and after_memory)
        after_memory = memory
    return total


def _cost(name: str, operands: str, *, pipelined: bool) -> int:
    jumps = "pc" in operands.split(", ")[0] or ("pc" in operands and name.startswith(("pop", "ldm")))
    if name.startswith(("ldrd", "strd")):
        return 3
    if name.startswith(("ldm", "stm", "push", "pop", "vldm", "vstm", "vpush", "vpop")):
        return 1 + operands.count(",") + ("{" in operands and operands.startswith("{")) + REFILL * jumps
    if name.startswith(("ldr", "str")):
        return (1 if pipelined else 2) + REFILL * jumps
    if name.startswith(("mla", "mls")):
        return 2
    if name.startswith(("sdiv", "udiv")):
        return DIVISION
    if name in ("b", "bl", "blx", "bx", "tbb", "tbh"):
        return 1 + REFILL
    if name.startswith(("cbz", "cbnz")):
        return 1
    if name.startswith("b") and operands.startswith("#"):  # a conditional branch: addresses here begin at 0
        return 1 + REFILL * (int(operands[1:], 0) > 2**31)
    return 1
