"""What the link costs at 115200 baud: share of payload, line time of validating, frames a second, on real models.

    python bench/link.py                                # MLPerf Tiny's four models
    python bench/link.py MODEL.tflite [--board pico] [--machine netduinoplus2]

Two tables. The first is of a simulated line, which carries one byte in ten bits' time and makes both ends wait for it;
behind it stands the model as a process of this computer:

- `input`: the line's time for the input itself; what follows is without it;
- `exact`: the line's time for a run whose layers all equal the reference's, digests alone; its limit is 6.25 ms an op,
  0.1 s for ResNet8's 16. `by the clock` is the same with all waiting of both ends;
- `read`: a run in which every tensor is sent, by the clock;
- `payload`: the tensors' share of what the line could have carried meanwhile, by the clock; its limit is 95 %, for
  models whose tensors fill a frame (1 KB) on average.

The second is of frames (images validated in every layer, all exact) a second: without a line, by the computer's own
time, for the emulated board, the process and QEMU's machine; and `at 115200`, what the line lets through at most.

Reads the models from the folder of real models (`$TFVIZ_TEST_DATA`, else `../shared/data`). Ends with 1 where a limit
is missed.
"""

import argparse
import dataclasses
import os
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np

from firmware_tools import build, graph
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatedBoard
from firmware_tools.devices.host import HostDevice, PipeTransport
from firmware_tools.devices.qemu import QemuBoard, find_program
from firmware_tools.link import Timing, Transport
from tfviz.errors import InputError
from tfviz.trace import Array

DATA = Path(os.environ.get("TFVIZ_TEST_DATA", Path(__file__).parents[2] / "shared" / "data")) / "mlperf_tiny"
MODELS = ("pretrainedResnet_quant", "vww_96_int8", "kws_ref_model", "ad01_int8")
BAUD = 115_200
BYTES_PER_SECOND = BAUD / 10  # start bit, eight bits, stop bit
MIN_PAYLOAD = 0.95
MAX_EXACT_PER_OP = 0.1 / 16


class PacedLine:
    """`inner`, at the pace of a serial line: a byte is there when its ten bits are over.

    Attributes:
        busy: seconds in which the line has carried something.
    """

    def __init__(self, inner: Transport) -> None:
        self.name = inner.name
        self._inner = inner
        self.busy = 0.0
        self._until = 0.0  # when the line is free; only one end speaks at a time

    def write(self, data: bytes) -> None:
        """Send; the other end has it when the last bit is over."""
        self._carry(data)
        self._inner.write(data)

    def read(self, timeout: float) -> bytes:
        """What has arrived, when it has."""
        data = self._inner.read(timeout)
        self._carry(data)
        return data

    def close(self) -> None:
        """Close the line."""
        self._inner.close()

    def _carry(self, data: bytes) -> None:
        """Wait until the line has carried `data` behind what was on it."""
        taken = len(data) / BYTES_PER_SECOND
        self.busy += taken
        self._until = max(self._until, time.perf_counter()) + taken
        time.sleep(max(0.0, self._until - time.perf_counter()))


@dataclasses.dataclass(frozen=True)
class LineCosts:
    """Seconds of the line (`input`, `exact`) and of the clock (`waited`, `read`); whether they keep to the limits."""

    input: float
    exact: float
    waited: float
    read: float
    payload: float
    ops: int
    fills_frames: bool

    @property
    def missed(self) -> list[str]:
        """What does not keep to its limit."""
        found = []
        if self.exact > MAX_EXACT_PER_OP * self.ops:
            found.append(f"exact {self.exact:.3f} s, at most {MAX_EXACT_PER_OP * self.ops:.3f} s")
        if self.fills_frames and self.payload < MIN_PAYLOAD:
            found.append(f"payload {self.payload:.1%}, at least {MIN_PAYLOAD:.0%}")
        return found


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


def line_costs(model: Path, folder: Path) -> LineCosts:
    """Measured by the clock on the simulated line."""
    loaded = graph.load(model)
    line = PacedLine(PipeTransport(build.build_host(loaded, folder)))
    with Device(line, loaded, timing=Timing(bytes_per_second=BYTES_PER_SECOND)) as device:
        inputs = random_input(device)
        size = sum(values.nbytes for values in inputs.values()) / BYTES_PER_SECOND
        began = time.perf_counter()
        trace = device.run(inputs)
        read = time.perf_counter() - began - size
        waited = np.inf
        for _ in range(3):  # the least: other programs may have had the processor meanwhile
            began, busy = time.perf_counter(), line.busy
            device.run(inputs, reference=trace)
            waited, exact = min(waited, time.perf_counter() - began - size), line.busy - busy - size
    tensors = sum(tensor.values.nbytes for step in trace.steps for tensor in step.outputs)
    share = tensors / BYTES_PER_SECOND / (read - waited)
    return LineCosts(size, exact, waited, read, share, len(trace.steps), tensors >= 1024 * len(trace.steps))


def frames_a_second(device: Device, runs: int = 5) -> tuple[float, float]:
    """Images validated a second without a line, and as many as a line at 115200 baud lets through."""
    inputs = random_input(device)
    trace = device.run(inputs)
    began = time.perf_counter()
    for _ in range(runs):
        device.run(inputs, reference=trace)
    return runs / (time.perf_counter() - began), BYTES_PER_SECOND / device.last_line_bytes


def openers(arguments: argparse.Namespace) -> list[Callable[[Path], Device]]:
    """The devices to measure; a machine of QEMU's where that is installed."""
    found: list[Callable[[Path], Device]] = [lambda model: EmulatedBoard(arguments.board, model), HostDevice]
    try:
        find_program()
    except InputError as error:
        print(error)
        return found
    return [*found, lambda model: QemuBoard(arguments.machine, model)]


def main() -> int:
    """Measure every model; 1 where a limit is missed."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("models", nargs="*", type=Path, help="default: MLPerf Tiny's")
    parser.add_argument("--board", default="nano33ble")
    parser.add_argument("--machine", default="mps2-an386", help="of QEMU")
    arguments = parser.parse_args()
    models = arguments.models or [DATA / f"{name}.tflite" for name in MODELS]
    missed = []
    columns = ("model", "ops", "input s", "exact s", "limit s", "by the clock s", "read s", "payload")
    print(f"| {' | '.join(columns)} |\n|---{'|---:' * (len(columns) - 1)}|")
    for model in models:
        with tempfile.TemporaryDirectory() as folder:
            costs = line_costs(model, Path(folder))
        missed += [f"{model.stem}: {what}" for what in costs.missed]
        numbers = (costs.input, costs.exact, MAX_EXACT_PER_OP * costs.ops, costs.waited)
        shown = " | ".join(f"{number:.3f}" for number in numbers)
        print(f"| {model.stem} | {costs.ops} | {shown} | {costs.read:.2f} | {costs.payload:.1%} |")
    print("\n| model | device | frames/s | at 115200 |\n|---|---|---:|---:|")
    for model in models:
        for opened in openers(arguments):
            with opened(model) as device:
                own, line = frames_a_second(device)
                print(f"| {model.stem} | {device.name} | {own:.1f} | {line:.2f} |")
    for what in missed:
        print(f"MISSED: {what}")
    return 1 if missed else 0


if __name__ == "__main__":
    sys.exit(main())
