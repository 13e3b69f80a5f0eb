"""Engines by their name on the command line: `KIND:FILE`, one line of a table each.

    keras:MODEL             the float Keras model (.keras, .h5, module:function)
    tflm:F.tflite           TensorFlow Lite Micro on this computer, the exact reference
    litert:F.tflite         LiteRT with its reference kernels
    litert-xnnpack:F.tflite LiteRT as it comes
    emulator:BOARD:F.tflite the firmware for a board on an emulated core
    qemu:MACHINE:F.tflite   the same on a machine of QEMU's (mps2-an386, mps2-an500, netduinoplus2)
    host:F.tflite           the same C, compiled for this computer
    serial:URL              a board on a serial line (any pyserial URL); the model comes from `model`
    trace:F.npz             a recorded trace

Nothing heavy is imported before an engine is opened.
"""

import dataclasses
import difflib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np

from firmware_tools.graph import GraphTensor
from tfviz.errors import InputError
from tfviz.trace import Array, Closing, Engine, Step, Tensor, Trace

KINDS = ("keras", "tflm", "litert", "litert-xnnpack", "emulator", "qemu", "host", "serial", "trace")
SHAPE = "KIND:FILE, such as tflm:model.tflite, emulator:nano33ble:model.tflite or keras:model.keras"


@dataclasses.dataclass(frozen=True)
class Spec:
    """A parsed engine name: `file` is None for `serial`, `board` (or machine) None for all but the emulators."""

    kind: str
    file: str | None
    board: str | None = None
    url: str | None = None

    @property
    def is_tflite(self) -> bool:
        """Whether `file` is a `.tflite`."""
        return self.kind in ("tflm", "litert", "litert-xnnpack", "emulator", "qemu", "host")


def parse(text: str) -> Spec:
    r"""Take an engine's name apart. Drive letters and `module:function` keep their colon.

    >>> parse("emulator:nano33ble:C:\\models\\dog.tflite")
    Spec(kind='emulator', file='C:\\models\\dog.tflite', board='nano33ble', url=None)
    >>> parse("keras:zoo:dog_cnn").file
    'zoo:dog_cnn'

    Raises:
        InputError: an unknown kind (with near names), or nothing after the colon.
    """
    kind, colon, rest = text.partition(":")
    if kind not in KINDS:
        near = difflib.get_close_matches(kind, KINDS, n=1)
        hint = f" Did you mean {near[0]}?" if near else _file_hint(text)
        raise InputError(f"There is no engine {kind!r}; an engine is {SHAPE}. Kinds: {', '.join(KINDS)}.{hint}")
    if not colon or not rest:
        raise InputError(f"The engine {text!r} names no file; expected {SHAPE}.")
    if kind == "serial":
        return Spec(kind, None, url=rest)
    if kind not in ("emulator", "qemu"):
        return Spec(kind, rest)
    board, colon, file = rest.partition(":")
    if not (board and colon and file):
        place = "board" if kind == "emulator" else "machine"
        raise InputError(f"The engine {text!r} lacks a {place} or a file; expected {kind}:{place.upper()}:FILE.")
    return Spec(kind, file, board=board)


def _file_hint(text: str) -> str:
    if text.endswith((".tflite", ".keras", ".h5", ".npz")):
        kind = {".tflite": "tflm", ".npz": "trace"}.get(Path(text).suffix, "keras")
        return f" Did you mean {kind}:{text}?"
    return ""


def open_engine(spec: str, *, model: str | os.PathLike[str] | None = None, **options: Any) -> Engine:
    """Open an engine by its name; close it after use (it is a context manager).

    Args:
        spec: as above.
        model: the `.tflite` that a `serial:` device is expected to run.
        **options: passed on to a device (`emulator`, `qemu`, `host`, `serial`).

    Raises:
        InputError: an unknown engine or board, a missing or damaged file, an op that the engine does not have, a model
            that does not fit the board.
        LinkError: no device answers.
    """
    wanted = parse(spec)
    if wanted.kind == "serial":
        if model is None:
            raise InputError(f"{spec} needs the model that the board is to run; name a .tflite with --model.")
        from firmware_tools.devices.serial import SerialDevice

        return SerialDevice(str(wanted.url), model, **options)
    assert wanted.file is not None
    file = wanted.file
    if wanted.kind == "trace":
        return TraceEngine(file)
    if wanted.kind == "keras":
        from firmware_tools.reference import KerasEngine

        return KerasEngine(file)
    check_file(file)
    if wanted.kind == "emulator":
        from firmware_tools.devices.emulator import EmulatedBoard

        return EmulatedBoard(str(wanted.board), file, **options)
    if wanted.kind == "qemu":
        from firmware_tools.devices.qemu import QemuBoard

        return QemuBoard(str(wanted.board), file, **options)
    if wanted.kind == "host":
        from firmware_tools.devices.host import HostDevice

        return HostDevice(file, **options)
    return _desktop(wanted.kind, file)


def open_crew(spec: str, jobs: int | None, **options: Any) -> list[Engine]:
    """More engines like `spec` to run images beside it: `jobs` in all, None for one a processor core, at most 4.

    Only what is slow and alone in its thread is worth it: an emulated board.

    Raises:
        InputError: fewer than one job.
    """
    if jobs is not None and jobs < 1:
        raise InputError(f"At least one job has to run; {jobs} were asked for.")
    if parse(spec).kind != "emulator":
        return []
    count = min(os.cpu_count() or 1, 4) if jobs is None else jobs
    return [open_engine(spec, **options) for _ in range(count - 1)]


def check_file(file: str | os.PathLike[str]) -> None:
    """Refuse a model file that is not there, with near names.

    Raises:
        InputError: there is no such file.
    """
    path = Path(file)
    if path.is_file():
        return
    if path.is_dir():
        raise InputError(f"{path} is a folder; a .tflite file is expected.")
    beside = [other.name for other in path.parent.glob("*.tflite")] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1, cutoff=0.5)
    raise InputError(f"There is no file {path}." + (f" Did you mean {path.with_name(near[0])}?" if near else ""))


def _desktop(kind: str, file: str) -> Engine:
    from firmware_tools import reference

    if kind == "tflm":
        return reference.tflm(file) if reference.has_tflm() else StandIn(file)
    return reference.litert(file) if kind == "litert" else reference.litert_xnnpack(file)


class StandIn(Closing):
    """Our own engine on this computer in TensorFlow Lite Micro's place, where that has no wheel; `kernels` says so."""

    name = "tflm"

    def __init__(self, file: str) -> None:
        from firmware_tools.devices.host import HostDevice

        self._device = HostDevice(file)
        self.graph = self._device.graph
        self.fingerprint = self._device.fingerprint
        self.kernels = (
            f"{self._device.kernels}, in place of TensorFlow Lite Micro, which has no wheel for this platform"
        )

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        """Run one input, as `tfviz.trace.Engine.run` says."""
        trace = self._device.run(inputs, reference=reference, forced=forced, read=read)
        # What the stand-in costs on this computer says nothing of a microcontroller.
        steps = tuple(dataclasses.replace(step, instructions=None, cycles=None) for step in trace.steps)
        return dataclasses.replace(trace, engine=self.name, kernels=self.kernels, steps=steps)

    def close(self) -> None:
        """End the process."""
        self._device.close()


class TraceEngine(Closing):
    """A recorded trace as an engine: it answers for the one input that it was recorded with.

    Attributes:
        trace: what was recorded.
    """

    def __init__(self, file: str | os.PathLike[str]) -> None:
        self.trace = Trace.load(file)
        self.file = Path(file)
        self.name = f"trace:{self.trace.engine}"
        self.kernels = self.trace.kernels
        self.fingerprint = self.trace.fingerprint

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        """The trace, if it is of these inputs.

        Raises:
            InputError: it was recorded with another input, or `forced` is asked of it.
        """
        del reference
        if forced and not self.trace.forced:
            raise InputError(f"{self.file.name} is a recorded trace; it cannot be given other inputs.")
        for tensor in self.trace.inputs:
            given = inputs.get(tensor.name)
            if given is None or not np.array_equal(np.asarray(given), tensor.values):
                raise InputError(
                    f"{self.file.name} was recorded with another input; compare it on that image alone (--limit 1)."
                )
        steps: tuple[Step, ...] = self.trace.steps if read else ()
        return dataclasses.replace(self.trace, engine=self.name, steps=steps)

    def close(self) -> None:
        """Nothing is held open."""


def input_tensors(engine: Engine) -> tuple[GraphTensor, ...] | None:
    """The inputs of an engine that runs a `.tflite` (or recorded one); None of the float Keras model."""
    graph = getattr(engine, "graph", None)
    if graph is not None:
        return tuple(graph.tensors[index] for index in graph.inputs)
    if isinstance(engine, TraceEngine):
        return tuple(_described(tensor) for tensor in engine.trace.inputs)
    return None


def _described(tensor: Tensor) -> GraphTensor:
    count = 0 if tensor.scale is None else 1
    return GraphTensor(
        index=-1,
        name=tensor.name,
        shape=tensor.values.shape,
        dtype=tensor.values.dtype.name,
        scale=np.full(count, tensor.scale or 0, np.float32),
        zero_point=np.full(count, tensor.zero_point, np.int64),
        quantized_dimension=0,
        data=None,
    )
