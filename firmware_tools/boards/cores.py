"""The processor cores that boards name: how the compiler and the emulator call them."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Core:
    """One core.

    `target` and `cpu` are Zig's (with the FPU named, or the compiler uses another); `architecture` is `"arm"` or
    `"riscv"`; `model` is the name of Unicorn's constant for it.
    """

    name: str
    architecture: str
    target: str
    cpu: str
    model: str


_HARD = "thumb-freestanding-eabihf"
_SOFT = "thumb-freestanding-eabi"

CORES = {
    core.name: core
    for core in (
        Core("cortex-m0plus", "arm", _SOFT, "cortex_m0plus", "UC_CPU_ARM_CORTEX_M0"),
        Core("cortex-m3", "arm", _SOFT, "cortex_m3", "UC_CPU_ARM_CORTEX_M3"),
        Core("cortex-m4f", "arm", _HARD, "cortex_m4+vfp4d16sp", "UC_CPU_ARM_CORTEX_M4"),
        Core("cortex-m7f", "arm", _HARD, "cortex_m7+fp_armv8d16sp", "UC_CPU_ARM_CORTEX_M7"),
        Core("cortex-m33f", "arm", _HARD, "cortex_m33+fp_armv8d16sp", "UC_CPU_ARM_CORTEX_M33"),
        Core("rv32imc", "riscv", "riscv32-freestanding", "generic_rv32+m+c", "UC_CPU_RISCV32_BASE32"),
    )
}
"""All cores by name. Unicorn has no M0+: its M0 runs the same instructions."""
