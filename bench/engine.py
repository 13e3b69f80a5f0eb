"""The built-in engine beside TensorFlow Lite Micro, on MLPerf Tiny's models: exactness, memory, flash, speed.

    python bench/engine.py [--ops]      # --ops: every op's instructions, cycles and both for a multiplication

Reads the models from the folder of real models and photographs (`$TFVIZ_TEST_DATA`, else `../shared/data`). The
figures of TFLM and CMSIS-NN were measured on a Cortex-M4 in QEMU, one tick an instruction; ours are counted by the
emulator of a board with a Cortex-M4, in three builds: `O2` and `Os` with the weights as int8 in flash, and `speed`,
which widens them. Cycles are estimated (bench/cortex_m4.py). Ends with 1 where an op is not exact or a limit is missed:

- instructions of an inference: at most 0.7 of those of TFLM with CMSIS-NN, and at most 0.5 for `speed`;
- flash without the model's constants, start-up, link and kernels together: 18.3 KB at O2, 15.6 KB at Os, a fifth of
  what a TFLM application with CMSIS-NN takes;
- the arena: at most TFLM's.
"""

import dataclasses
import os
import sys
import tempfile
from pathlib import Path

import cortex_m4
import numpy as np

from firmware_tools import boards, codegen, memory, reference
from firmware_tools import graph as graphs
from firmware_tools.build import Build, elf
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatedBoard, EmulatorTransport
from firmware_tools.devices.machine import Machine
from firmware_tools.graph import Graph
from tfviz.console import quiet_tensorflow
from tfviz.trace import Array, Trace

DATA = Path(os.environ.get("TFVIZ_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "mlperf_tiny"
BOARD = "nano33ble"
INPUTS = 5
SHARE = {"O2": 0.7, "Os": 0.7, "speed": 0.5}
CODE = {"O2": 18.3 * 1024, "Os": 15.6 * 1024, "speed": 18.3 * 1024}


@dataclasses.dataclass(frozen=True)
class Peer:
    """TFLM's arena in bytes, and the instructions of one inference with CMSIS-NN, in millions."""

    file: str
    arena: int
    instructions: float


PEERS = {
    "ResNet8 (ic)": Peer("pretrainedResnet_quant.tflite", 54_340, 29.87),
    "DS-CNN (kws)": Peer("kws_ref_model.tflite", 22_772, 7.70),
    "MobileNetV1 (vww)": Peer("vww_96_int8.tflite", 100_660, 24.10),
    "autoencoder (ad)": Peer("ad01_int8.tflite", 2_260, 0.584),
}


class CycleBoard(Device):
    """What was built, once more, with cycles counted in place of instructions."""

    def __init__(self, built: Build, graph: Graph) -> None:
        self.machine = Machine(boards.load(BOARD), elf.read(built.elf), cost=cortex_m4.cycles)
        super().__init__(EmulatorTransport(self.machine, blocks=10**9), graph, digest=built.digest)

    def take_instructions(self) -> int:
        return self.machine.take_instructions()


def random_inputs(graph: Graph) -> list[dict[str, Array]]:
    (index,) = graph.inputs
    tensor = graph.tensors[index]
    random = np.random.default_rng(0)
    return [{tensor.name: random.integers(-128, 128, tensor.shape).astype(np.int8)} for _ in range(INPUTS)]


def differing(wanted: Trace, got: Trace) -> set[int]:
    pairs = zip(wanted.steps, got.steps, strict=True)
    return {left.index for left, right in pairs if left.output.crc32 != right.output.crc32}


def costs(trace: Trace) -> list[int]:
    return [step.instructions or 0 for step in trace.steps]


def measure(name: str, peer: Peer, level: str, folder: Path, *, ops: bool) -> bool:
    """Print one row (and its ops); whether it is as it must be."""
    path = DATA / peer.file
    graph = graphs.load(path)
    inputs = random_inputs(graph)
    with (
        reference.tflm(path) as tflm,
        EmulatedBoard(BOARD, path, folder=folder / f"{path.stem}-{level}", optimize=level) as board,
    ):
        traces = [board.run(one) for one in inputs]
        wrong = set().union(*(differing(tflm.run(one), got) for one, got in zip(inputs, traces, strict=True)))
        built, stack = board.build, board.machine.stack_used()
        with CycleBoard(built, graph) as clock:
            cycles = costs(clock.run(inputs[-1]))
    instructions = costs(traces[-1])
    share = sum(instructions) / 1e6 / peer.instructions
    constants = codegen.generate(graph, wide_weights=level == "speed").constant_bytes
    code = built.flash_bytes - constants
    print(
        f"{name:18} {level:6} {len(graph.ops) - len(wrong):2d}/{len(graph.ops):2d} exact"
        f"  {sum(instructions) / 1e6:7.3f} M instructions, {share:.2f} of CMSIS-NN, "
        f"{sum(instructions) / graph.macs:.2f} a MAC; {sum(cycles) / 1e6:7.3f} M cycles, "
        f"{sum(cycles) / graph.macs:.2f} a MAC"
        f"\n{'':25} arena {built.arena_bytes:,} B (lower bound {memory.plan(graph).lower_bound:,}, "
        f"TFLM {peer.arena:,}), stack {stack:,} of {built.stack_bytes:,} B; "
        f"flash {code:,} B + constants {constants:,} B: "
        + ", ".join(f"{section} {count:,}" for section, count in built.sections.items())
    )
    if ops:
        for op, ticks, clocks in zip(graph.ops, instructions, cycles, strict=True):
            macs = graph.op_macs(op)
            per_mac = f"{ticks / macs:5.2f} {clocks / macs:5.2f} a MAC" if macs else ""
            print(f"{'':25} {op.index:2d} {op.name:18} {ticks:10,d} instructions {clocks:10,d} cycles  {per_mac}")
    return not wrong and built.arena_bytes <= peer.arena and round(share, 2) <= SHARE[level] and code <= CODE[level]


def main() -> int:
    if not DATA.is_dir():
        print(f"The real models are not here ({DATA}); set TFVIZ_TEST_DATA.")
        return 0
    print(f"emulated {BOARD}, {INPUTS} random inputs each, against TensorFlow Lite Micro's reference kernels")
    with tempfile.TemporaryDirectory() as folder, quiet_tensorflow():
        missed = [
            f"{name} {level}"
            for name, peer in PEERS.items()
            for level in SHARE
            if not measure(name, peer, level, Path(folder), ops="--ops" in sys.argv[1:])
        ]
    print(f"missed: {', '.join(missed)}" if missed else "all limits are met")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
