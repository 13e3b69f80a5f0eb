"""Ground floor: a `.tflite` file as a typed, frozen `Graph` that has been validated before anybody uses it.

A `.tflite` is a flatbuffer: a corrupt or hostile one may hold any offset, count or shape. Everything is checked here,
in time and memory bounded by the file's size, so that no interpreter, planner or generator ever sees a bad one. Every
refusal is an `InputError` of one sentence (see `_tflite.py`). Which ops the built-in engine can run is not asked here.
"""

import dataclasses
import hashlib
import math
import os
from collections.abc import Mapping
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError

Array = npt.NDArray[Any]

# Types whose elements are whole bytes, little endian.
DTYPES: dict[str, np.dtype[Any]] = {
    "float32": np.dtype("<f4"),
    "float16": np.dtype("<f2"),
    "float64": np.dtype("<f8"),
    "int8": np.dtype("i1"),
    "uint8": np.dtype("u1"),
    "int16": np.dtype("<i2"),
    "uint16": np.dtype("<u2"),
    "int32": np.dtype("<i4"),
    "uint32": np.dtype("<u4"),
    "int64": np.dtype("<i8"),
    "uint64": np.dtype("<u8"),
    "bool": np.dtype("?"),
}

# Ops that give their input's bytes another shape and do nothing else.
RENAMES = frozenset({"RESHAPE", "SQUEEZE", "EXPAND_DIMS"})


@dataclasses.dataclass(frozen=True, eq=False)
class GraphTensor:
    """One tensor: `real = scale * (value - zero_point)`, per tensor or along `quantized_dimension`.

    `scale` (float32) and `zero_point` (int64) are arrays of equal length, empty where the tensor is not quantised.
    `data` holds a constant's values in `shape` (read-only; those of int4 one a byte, as int8), None for an activation.
    """

    index: int
    name: str
    shape: tuple[int, ...]
    dtype: str
    scale: Array
    zero_point: Array
    quantized_dimension: int
    data: Array | None

    @property
    def elements(self) -> int:
        """Number of values; 1 for a scalar."""
        return math.prod(self.shape)

    @property
    def bytes(self) -> int:
        """Size in memory, in bytes; two values of a constant of int4 share one.

        Raises:
            InputError: the type has no byte size of its own (int4 of an activation, string, ...).
        """
        if self.dtype == "int4" and self.is_constant:
            return -(-self.elements // 2)
        if self.dtype not in DTYPES:
            raise InputError(f"Tensor '{self.name}' is of type {self.dtype}, which has no whole-byte elements.")
        return self.elements * DTYPES[self.dtype].itemsize

    @property
    def is_constant(self) -> bool:
        """Whether its values are stored in the file."""
        return self.data is not None


@dataclasses.dataclass(frozen=True, eq=False)
class Op:
    """One op: `name` is the BUILTIN name (`CONV_2D`; `CUSTOM:Name` for a custom one), `layer` where it came from.

    `inputs` and `outputs` are tensor indices; -1 stands for an optional input that is left out. `options` are the
    builtin options by their schema names in snake case, enumerations (padding, activation) as their names.
    """

    index: int
    name: str
    layer: str
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    options: Mapping[str, Any]
    version: int = 1
    code: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Graph:
    """A validated model: ops in execution order, every op reading only what exists by then."""

    ops: tuple[Op, ...]
    tensors: tuple[GraphTensor, ...]
    inputs: tuple[int, ...]
    outputs: tuple[int, ...]
    bytes: bytes = dataclasses.field(repr=False)
    name: str = "model"

    @cached_property
    def fingerprint(self) -> str:
        """SHA-256 of the file, hexadecimal."""
        return hashlib.sha256(self.bytes).hexdigest()

    @cached_property
    def macs(self) -> int:
        """Multiply-accumulates of one inference, all ops together."""
        return sum(self.op_macs(op) for op in self.ops)

    def op_macs(self, op: Op) -> int:
        """Multiply-accumulates of one op: outputs times taps for convolutions and dense layers, 0 for the rest."""
        if op.name not in ("CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED", "TRANSPOSE_CONV"):
            return 0
        if len(op.inputs) < 2 or op.inputs[1] < 0:
            return 0
        output, weights = self.tensors[op.outputs[0]], self.tensors[op.inputs[1]]
        if op.name == "FULLY_CONNECTED":
            return output.elements * weights.shape[-1] if weights.shape else 0
        if len(weights.shape) != 4:
            return 0
        if op.name == "TRANSPOSE_CONV":
            return self.tensors[op.inputs[-1]].elements * math.prod(weights.shape[:3])
        taps = weights.shape[1] * weights.shape[2]
        return output.elements * taps * (weights.shape[3] if op.name == "CONV_2D" else 1)


def load(source: str | os.PathLike[str] | bytes) -> Graph:
    """Read and validate a `.tflite` file, or its bytes.

    Raises:
        InputError: there is no such file, it is not a `.tflite`, or what it says is not consistent.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        data, label, name = bytes(source), "The model", "model"
    else:
        path = Path(source)
        try:
            data = path.read_bytes()
        except OSError as error:
            raise InputError(f"Cannot read the model {path}: {error.strerror or error}.") from error
        label, name = path.name, path.stem
    from firmware_tools import _tflite

    return _tflite.read(data, label, name)


def layer_name(tensor_name: str) -> str:
    """The layer that a tensor's name tells of: the last of the fused names, without model root and TensorFlow op.

    >>> layer_name("functional_1/activation/Relu;functional_1/dense/BiasAdd")
    'dense'
    >>> layer_name("sequential/block/conv/Conv2D1")
    'block/conv'
    >>> layer_name("Identity")
    'Identity'
    """
    parts = tensor_name.split(";")[-1].split("/")
    while len(parts) > 1 and (parts[-1][:1].isupper() or parts[-1].startswith("resource")):
        parts.pop()
    if len(parts) > 1 and parts[-1] == "depthwise":
        parts.pop()
    return "/".join(parts[1:] if len(parts) > 1 else parts)
