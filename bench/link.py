"""What the link costs: line time of validating all layers, share of payload, inferences a second, for real models.

    python bench/link.py MODEL.tflite [MODEL.tflite ...] [--board nano33ble] [--machine mps2-an386]

Line time is bytes times ten bits at 115200 baud, without the host's and the device's own time. `exact` is a run whose
layers all equal the reference's (digests alone), `read` one in which every tensor is sent; both without the input,
whose time stands in a column of its own. A machine of QEMU's is measured where it is installed. Exits with 1 where
reading uses less than 95 % of the line for payload, on models whose tensors fill a frame (1 KB) on average.
"""

import argparse
import sys
import time

import numpy as np

from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatedBoard
from firmware_tools.devices.host import HostDevice
from firmware_tools.devices.qemu import QemuBoard, find_program
from tfviz.errors import InputError
from tfviz.trace import Array

BAUD = 115_200
MIN_PAYLOAD = 0.95


def random_input(device: Device) -> dict[str, Array]:
    """Integers (or, for a float model, numbers from 0 to 1) of the model's shape, from a fixed seed."""
    source = np.random.default_rng(0)
    inputs = {}
    for index in device.graph.inputs:
        tensor = device.graph.tensors[index]
        kind = np.dtype(tensor.dtype)
        if kind.kind == "f":
            inputs[tensor.name] = source.random(tensor.shape).astype(kind)
        else:
            limits = np.iinfo(kind)
            inputs[tensor.name] = source.integers(limits.min, limits.max + 1, tensor.shape).astype(kind)
    return inputs


def has_qemu() -> bool:
    """Whether QEMU is installed."""
    try:
        find_program()
    except InputError:
        return False
    return True


def seconds(line_bytes: int) -> float:
    """Time that so many bytes take on the line."""
    return 10 * line_bytes / BAUD


def measure(device: Device, runs: int = 5) -> float:
    """Print one line of the table; the share of payload when every tensor is read (1 where tensors are tiny)."""
    inputs = random_input(device)
    size = sum(values.nbytes for values in inputs.values())
    trace = device.run(inputs)
    read = device.last_line_bytes
    device.run(inputs, reference=trace)
    exact = device.last_line_bytes
    tensors = sum(tensor.values.nbytes for step in trace.steps for tensor in step.outputs)
    payload = tensors / (read - exact)
    began = time.perf_counter()
    for _ in range(runs):
        device.run(inputs, reference=trace)
    rate = runs / (time.perf_counter() - began)
    print(
        f"{device.graph.name:28s} {device.name:20s} {seconds(size):7.3f} {seconds(exact - size):7.3f} "
        f"{seconds(read - size):8.2f} {payload:8.1%} {rate:8.1f}"
    )
    return payload if tensors >= 1024 * len(trace.steps) else 1.0


def main() -> int:
    """Measure every model on the emulated board and as a process."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="+")
    parser.add_argument("--board", default="nano33ble")
    parser.add_argument("--machine", default="mps2-an386", help="of QEMU")
    arguments = parser.parse_args()
    print(f"{'model':28s} {'device':20s} {'input s':>7s} {'exact s':>7s} {'read s':>8s} {'payload':>8s} {'runs/s':>8s}")
    shares = []
    for model in arguments.models:
        with EmulatedBoard(arguments.board, model) as board:
            shares.append(measure(board))
        with HostDevice(model) as host:
            shares.append(measure(host))
        if has_qemu():
            with QemuBoard(arguments.machine, model) as machine:
                shares.append(measure(machine))
    return 0 if min(shares) >= MIN_PAYLOAD else 1


if __name__ == "__main__":
    sys.exit(main())
