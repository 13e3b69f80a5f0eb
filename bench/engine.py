"""The built-in engine beside TensorFlow Lite Micro: exactness, memory, flash and instructions on MLPerf Tiny's models.

Reads the models from the folder of real models and photographs (`$TFVIZ_TEST_DATA`, else `../shared/data`). The figures
of TFLM and CMSIS-NN were measured on an emulated Cortex-M4 in QEMU, one tick an instruction; ours are counted by the
emulator. Ends with 1 where an op is not exact or an arena is larger than TFLM's.
"""

import dataclasses
import os
import sys
import tempfile
from pathlib import Path

import numpy as np

from firmware_tools import graph as graphs
from firmware_tools import reference
from firmware_tools.devices.emulator import EmulatedBoard
from tfviz.console import quiet_tensorflow

DATA = Path(os.environ.get("TFVIZ_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "mlperf_tiny"
BOARD = "nano33ble"
INPUTS = 5


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


def measure(name: str, peer: Peer, folder: Path) -> bool:
    """Print one row; whether it is as it must be."""
    path = DATA / peer.file
    graph = graphs.load(path)
    (index,) = graph.inputs
    tensor = graph.tensors[index]
    random = np.random.default_rng(0)
    differing: set[int] = set()
    with reference.tflm(path) as tflm, EmulatedBoard(BOARD, path, folder=folder / path.stem) as board:
        for _ in range(INPUTS):
            inputs = {tensor.name: random.integers(-128, 128, tensor.shape).astype(np.int8)}
            wanted, got = tflm.run(inputs), board.run(inputs)
            pairs = zip(wanted.steps, got.steps, strict=True)
            differing |= {left.index for left, right in pairs if left.output.crc32 != right.output.crc32}
        instructions = sum(step.instructions or 0 for step in got.steps) / 1e6
        build = board.build
    exact = len(graph.ops) - len(differing)
    print(
        f"{name:18} {exact:2d} of {len(graph.ops):2d} ops exact"
        f"   arena {build.arena_bytes:7,d} B (TFLM {peer.arena:7,d})"
        f"   {instructions:7.3f} M instructions ({instructions / peer.instructions:.2f} of CMSIS-NN)"
        f"   flash {build.flash_bytes:7,d} B   against {tflm.kernels}"
    )
    return not differing and build.arena_bytes <= peer.arena


def main() -> int:
    if not DATA.is_dir():
        print(f"The real models are not here ({DATA}); set TFVIZ_TEST_DATA.")
        return 0
    print(f"emulated {BOARD}, -O2, {INPUTS} random inputs each")
    with tempfile.TemporaryDirectory() as folder, quiet_tensorflow():
        good = [measure(name, peer, Path(folder)) for name, peer in PEERS.items()]
    return 0 if all(good) else 1


if __name__ == "__main__":
    sys.exit(main())
