"""Firmware with a fault planted in it, and input pipelines with one: what the diagnosis is tried on.

The generated C is patched before it is compiled, or the built image's bytes in flash, or the arena plan; pipelines are
written here in plain NumPy and OpenCV, apart from what the hypotheses use.
"""

import dataclasses
import functools
import re
import tempfile
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from plain_kernels import Stored, with_plain_kernels

from firmware_tools import boards, build, codegen, graph, memory
from firmware_tools.build import elf
from firmware_tools.convert import convert
from firmware_tools.devices.device import Device
from firmware_tools.devices.emulator import EmulatorTransport
from firmware_tools.devices.host import PipeTransport
from firmware_tools.devices.machine import Machine
from firmware_tools.graph import Graph
from firmware_tools.link import Transport
from firmware_tools.quantize import model_input
from tfviz.preprocess import Preprocess
from tfviz.trace import Array, Engine, Trace

PREPROCESS = Preprocess(size=(20, 20), scale=1 / 255, mean=(0.45,), std=(0.225,))
GREY = Preprocess(size=(20, 20), scale=1 / 255, mean=(0.45,), std=(0.225,), colour="grey")


@functools.cache
def folder() -> Path:
    """A folder that lives as long as the process."""
    made = tempfile.TemporaryDirectory(prefix="planted-")
    _kept.append(made)
    return Path(made.name)


_kept: list[tempfile.TemporaryDirectory[str]] = []


@functools.cache
def model(seed: int = 1, channels: int = 3) -> Path:
    """A small residual net, int8: two convolutions, ADD, depthwise convolution, average and max pool, dense, softmax.

    Six channels and ten columns, neither a multiple of four; the stride of the first convolution makes its padding
    uneven; calibrated on pictures of less contrast than it is tried on, so that its outputs do saturate.
    """
    import keras

    keras.utils.set_random_seed(seed)
    layers = keras.layers
    image = keras.Input((20, 20, channels), name="image")
    first = layers.Conv2D(6, 3, strides=2, padding="same", activation="relu", name="first")(image)
    second = layers.Conv2D(6, 3, padding="same", name="second")(first)
    x = layers.Add(name="add")([first, second])
    x = layers.DepthwiseConv2D(3, padding="same", activation="relu", name="deep")(x)
    x = layers.AveragePooling2D(2, name="mean")(x)
    x = layers.MaxPooling2D(2, strides=1, name="largest")(x)
    x = layers.Dense(10, name="head")(layers.Flatten(name="flat")(x))
    net = keras.Model(image, layers.Softmax(name="softmax")(x), name="planted")
    chance = np.random.default_rng(seed)
    for layer in net.layers:
        values = [chance.normal(0, 0.4, w.shape) for w in layer.get_weights()]
        values = [v * np.geomspace(0.5, 2, v.shape[-1]) for v in values]  # channels of different range
        layer.set_weights(values)
    calibration = chance.integers(60, 190, (24, 20, 20, channels)).astype(np.uint8)
    preprocess = PREPROCESS if channels == 3 else GREY
    path = folder() / f"planted{seed}-{channels}.tflite"
    convert(net, calibration, out=path, calibration=24, preprocess=preprocess)
    path.write_bytes(_with_relu(path.read_bytes(), 1))
    return path


def _with_relu(data: bytes, op: int) -> bytes:
    """The model with a ReLU fused into an op whose range was measured without one, as quantisation-aware training may.

    After calibration a ReLU's zero point is -128, where a lost ReLU cannot be seen.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated

    schema: Any = schema_py_generated
    made = schema.ModelT.InitFromObj(schema.Model.GetRootAs(data, 0))
    made.subgraphs[0].operators[op].builtinOptions.fusedActivationFunction = schema.ActivationFunctionType.RELU
    builder = flatbuffers.Builder(len(data))
    builder.Finish(made.Pack(builder), b"TFL3")
    return bytes(builder.Output())


@functools.cache
def loaded(seed: int = 1, channels: int = 3) -> Graph:
    """Its graph."""
    return graph.load(model(seed, channels))


def pictures(count: int = 3, size: tuple[int, int] = (20, 20), seed: int = 5) -> Array:
    """uint8 (count, H, W, 3): coarse coloured blobs with noise, as little symmetric as a photograph."""
    chance = np.random.default_rng(seed)
    coarse = chance.integers(0, 256, (count, 5, 5, 3)).astype(np.float64)
    rows, columns = (np.arange(n) * 5 // n for n in size)
    fine = coarse[:, rows][:, :, columns] + chance.normal(0, 30, (count, *size, 3))
    return np.clip(fine, 0, 255).astype(np.uint8)


# ---- firmware

Patches = Sequence[tuple[str, str, str]]
"""(file, what stands there, what is put in its place); `model.c` is the generated file."""


def device(
    name: str,
    made: Graph,
    *,
    patches: Patches = (),
    plan: memory.Plan | None = None,
    plain: bool = False,
    defines: Sequence[str] = (),
    stored: Stored | None = None,
    numbers: Mapping[str, int] | None = None,
    board: str | None = None,
) -> Device:
    """A model's C with a fault, as a device: the host build, or the firmware of an emulated `board`.

    With `plain` its ops are those of `plain_kernels`, whose faults are macros (`defines`), changed constants (`stored`)
    and changed numbers (`numbers`).
    """
    sources = codegen.generate(made, plan)
    files = {**sources.files}
    if plain:
        files["model.c"] = with_plain_kernels(files["model.c"], made, sources.plan, stored or {}, numbers or {})
    for file, old, new in patches:
        changed = re.sub(old, new, files[file], flags=re.DOTALL)
        assert changed != files[file], f"{old} is not in {file}"
        files[file] = changed
    flags = (
        "-Wno-unused",
        "-Wno-unused-parameter",
        "-Wno-incompatible-pointer-types",
        *(f"-D{one}" for one in defines),
    )
    place = folder() / "".join(c if c.isalnum() else "-" for c in f"{name}-{board}")
    line: Transport
    if board is None:
        line = PipeTransport(build.compile_host(files, sources.kernels, place, flags=flags, optimize="O1"))
    else:
        built = build.compile_firmware(files, sources.kernels, boards.load(board), place, flags=flags)
        line = EmulatorTransport(Machine(boards.load(board), elf.read(built.elf)))
    return Device(line, made, allow_other_model=True)


def flash_bit(made: Graph, symbol_bytes: bytes, position: int, bit: int) -> Device:
    """The emulated board with one bit of its flash turned: found by the constant's bytes in the built image."""
    board = boards.load("nano33ble")
    built = build.build(made, board, folder() / "emulated")
    machine = Machine(board, elf.read(built.elf))
    segment = next(s for s in elf.read(built.elf).segments if s.data and symbol_bytes in s.data)
    address = segment.address + segment.data.index(symbol_bytes) + position
    byte = machine.memory(address, 1)[0] ^ (1 << bit)
    machine._emulator.mem_write(address, bytes([byte]))
    return Device(EmulatorTransport(machine), made, allow_other_model=True)


def overlapped(made: Graph, tensor: int, other: int, shared: int) -> memory.Plan:
    """A plan in which the last `shared` bytes of `other` are the first of `tensor`."""
    plan = memory.plan(made)
    offsets = dict(plan.offsets)
    place = -(-plan.arena_bytes // 16) * 16
    offsets[other] = place
    offsets[tensor] = place + made.tensors[other].bytes - shared
    size = offsets[tensor] + made.tensors[tensor].bytes + 16
    return dataclasses.replace(plan, offsets=offsets, arena_bytes=size)


# ---- input pipelines


class Misfed:
    """An engine behind a pipeline with a fault: pictures become its input by `wrong`, whatever it is given.

    With `visible` its traces tell the input that it really got, as CAPTURE does.
    """

    def __init__(self, inner: Engine, frames: Array, wrong: Callable[[Array], Array], preprocess: Preprocess) -> None:
        self.inner, self.name = inner, "pipeline"
        self.kernels, self.fingerprint, self.graph = inner.kernels, inner.fingerprint, inner.graph  # type: ignore[attr-defined]
        self.tensor = self.graph.tensors[self.graph.inputs[0]]
        self.wrong = {}
        for frame in frames:
            right = model_input(frame[None], self.tensor, preprocess=preprocess)
            self.wrong[right.tobytes()] = np.ascontiguousarray(wrong(frame)).reshape(self.tensor.shape)

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        values = inputs[self.tensor.name]
        fed = self.wrong.get(values.tobytes(), values)
        trace = self.inner.run({self.tensor.name: fed}, reference=reference, forced=forced, read=read)
        return dataclasses.replace(trace, inputs=(dataclasses.replace(trace.inputs[0], values=values),))

    def close(self) -> None:
        self.inner.close()

    def __enter__(self) -> "Misfed":
        return self

    def __exit__(self, *error: object) -> None:
        self.close()


def integers(real: Array, made: Graph, *, scale: float | None = None, zero_point: int | None = None) -> Array:
    """`saturate(rint(x / scale) + zero_point)`."""
    tensor = made.tensors[made.inputs[0]]
    own = float(tensor.scale[0]), int(tensor.zero_point[0])
    q = np.asarray(real, np.float32) / np.float32(own[0] if scale is None else scale)
    q = np.sign(q) * np.floor(np.abs(q) + 0.5) + (own[1] if zero_point is None else zero_point)
    return np.clip(q, -128, 127).astype(np.int8)


def normalised(picture: Array) -> Array:
    """As `PREPROCESS` says, in plain NumPy."""
    x = np.asarray(picture, np.float32) * np.float32(1 / 255)
    return np.asarray((x - np.float32(0.45)) / np.float32(0.225), np.float32)
