"""How an op of the graph becomes a call of a C kernel: the table of all ops that the built-in engine knows.

Each op is one small function in `firmware_tools/codegen/ops/`, registered under its BUILTIN name. It checks that the
op is one that the kernel computes exactly (shapes included, since the kernel trusts them) and returns a `Lowered`: the
kernel's call, its shape as int32 fields, its constants, the scratch memory it wants. What it does not accept it refuses
with `Refusal`, saying what to do instead.
"""

import dataclasses
from collections.abc import Callable, Mapping
from functools import cache
from typing import Any

import numpy as np

from firmware_tools.graph import RENAMES, Array, Graph, GraphTensor, Op

# The op table counts an op's constants in 8 bits.
MAX_BLOCKS = 255


class Refusal(Exception):  # noqa: N818 - not an error of the program: the answer "this op is outside"
    """An op that the built-in engine does not run: why, and what to do instead."""


@dataclasses.dataclass(frozen=True, eq=False)
class Call:
    """One call of a kernel: `function(&shape, arguments..., [scratch,] output)`.

    Attributes:
        function: the C function.
        source: stem of the file under firmware/nn that defines it.
        header: stem of the header that declares it and its shape struct.
        shape_type: the shape struct's name.
        shape: the struct's fields, all int32, in the struct's order.
        arguments: what is passed between shape and output: a position in `op.inputs` for an activation, or the name of
            a constant.
        constants: name -> array.
        scratch: whether the op's working memory is passed, after the arguments.
        helpers: stems of further files that the kernel calls.
        output: position in `op.outputs` of the tensor that it writes.
    """

    function: str
    source: str
    header: str
    shape_type: str
    shape: Mapping[str, int]
    arguments: tuple[int | str, ...] = (0,)
    constants: Mapping[str, Array] = dataclasses.field(default_factory=dict)
    scratch: bool = False
    helpers: tuple[str, ...] = ()
    output: int = 0


@dataclasses.dataclass(frozen=True, eq=False)
class Lowered:
    """One op as calls of kernels; no call at all for an op that only renames its input's bytes.

    Attributes:
        calls: usually one.
        scratch: bytes of working memory, planned in the arena for the time of this op.
        in_place: positions in `op.inputs` of tensors over which the output may be written, byte for byte.
    """

    calls: tuple[Call, ...] = ()
    scratch: int = 0
    in_place: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Node:
    """An op together with its graph, with the questions that every lowering asks.

    `activations` is the integer type that `int8` asks for: ops of 16 bits take over the questions of those of 8. `wide`
    asks for int8 weights widened to int16 in flash, which the inner loop need not do then.
    """

    graph: Graph
    op: Op
    activations: str = "int8"
    wide: bool = False

    def input(self, position: int) -> GraphTensor:
        """The tensor at an input position; refuses where there is none."""
        if position >= len(self.op.inputs) or self.op.inputs[position] < 0:
            raise Refusal(f"has no input {position}; the file is damaged, convert it again")
        return self.graph.tensors[self.op.inputs[position]]

    def optional(self, position: int) -> GraphTensor | None:
        """The tensor at an input position, None where it is left out."""
        if position >= len(self.op.inputs) or self.op.inputs[position] < 0:
            return None
        return self.graph.tensors[self.op.inputs[position]]

    @property
    def output(self) -> GraphTensor:
        """The first output."""
        return self.graph.tensors[self.op.outputs[0]]

    def option(self, name: str, default: Any) -> Any:
        """A builtin option, or its schema default."""
        return self.op.options.get(name, default)

    def activation(self, tensor: GraphTensor) -> tuple[int, int]:
        """The int8 range of the op's fused activation."""
        from firmware_tools.codegen.numerics import activation_range

        kind = self.option("fused_activation_function", "NONE")
        if kind not in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"):
            raise Refusal(f"has the fused activation {kind}; make the activation a layer of its own")
        return activation_range(kind, tensor)

    def require(self, condition: bool, reason: str) -> None:
        """Refuse the op with `reason` unless `condition` holds."""
        if not condition:
            raise Refusal(reason)

    def int8(self, *tensors: GraphTensor) -> None:
        """Refuse tensors that are not integer activations of the type asked for, with one scale."""
        for tensor in tensors:
            self.require(
                tensor.dtype == self.activations,
                f"works on {tensor.dtype} ('{tensor.name}'); convert with full integer quantisation (--mode int8)",
            )
            self.require(
                len(tensor.scale) == 1, f"has the tensor '{tensor.name}' with {len(tensor.scale)} scales, not 1"
            )

    def int16(self, *tensors: GraphTensor) -> None:
        """Refuse tensors that are not int16 activations with one scale and a zero point of 0."""
        for tensor in tensors:
            self.require(
                tensor.dtype == "int16" and len(tensor.scale) == 1 and int(tensor.zero_point[0]) == 0,
                f"has the tensor '{tensor.name}' of type {tensor.dtype} beside int16 ones, or with a zero point that "
                "is not 0; convert with --mode int16x8",
            )

    def float32(self, *tensors: GraphTensor) -> None:
        """Refuse tensors that are not float32."""
        for tensor in tensors:
            self.require(
                tensor.dtype == "float32",
                f"has the tensor '{tensor.name}' of type {tensor.dtype} beside float32 ones; convert with "
                "--mode float32, or --mode int8",
            )

    def activation_inputs(self, *positions: int) -> None:
        """Refuse constants where the kernel takes activations."""
        for position in positions:
            tensor = self.input(position)
            self.require(
                not tensor.is_constant,
                f"takes the constant '{tensor.name}' as input {position}, where the engine expects an activation",
            )

    def constant(self, position: int, dtype: str) -> Array:
        """A constant input's values; refuses an activation or another type."""
        tensor = self.input(position)
        self.require(
            tensor.data is not None and tensor.dtype == dtype,
            f"takes '{tensor.name}' as input {position}, where the engine expects a constant of type {dtype}",
        )
        return np.asarray(tensor.data)


Lowering = Callable[[Node], Lowered]
_LOWERINGS: dict[str, Lowering] = {}
_OF_TYPE: dict[tuple[str, str], Lowering] = {}


def lowers(*names: str, dtype: str | None = None) -> Callable[[Lowering], Lowering]:
    """Register a function as the lowering of the ops `names`; with `dtype` only where their first output is of it."""

    def register(function: Lowering) -> Lowering:
        for name in names:
            if dtype is None:
                _LOWERINGS[name] = function
            else:
                _OF_TYPE[name, dtype] = function
        return function

    return register


@cache
def _import_ops() -> None:
    from firmware_tools.codegen import ops

    ops.load()


def known_ops() -> tuple[str, ...]:
    """BUILTIN names of all ops that the built-in engine runs, in alphabetical order."""
    _import_ops()
    return tuple(sorted(_LOWERINGS))


def ops_of(dtype: str) -> tuple[str, ...]:
    """BUILTIN names of the ops with a lowering of their own for outputs of this type, in alphabetical order.

    >>> "CONV_2D" in ops_of("float32"), "ARG_MAX" in ops_of("int16")
    (True, False)
    """
    _import_ops()
    return tuple(sorted(name for name, known in _OF_TYPE if known == dtype))


_ADVICE = {
    "TILE": "TensorFlow Lite Micro lacks it too: take keras.layers.Resizing instead of UpSampling2D",
    "UNIDIRECTIONAL_SEQUENCE_LSTM": "replace the recurrent layer by convolutions",
    "GELU": "take relu or hard_swish as the activation",
    "POW": "take another activation or normalisation",
    "RSQRT": "take BatchNormalization, which is folded into the convolution",
    "SQUARED_DIFFERENCE": "take BatchNormalization, which is folded into the convolution",
}


def lower(graph: Graph, op: Op, *, wide: bool = False) -> Lowered:
    """The kernel call of one op; a copy from flash where its output is known beforehand.

    Raises:
        Refusal: the engine does not run this op, or not with these options.
    """
    from firmware_tools.codegen.fold import folded

    _import_ops()
    known = folded(graph)
    value = known.tensors[op.outputs[0]].data
    if value is not None and not (op.name in RENAMES and not graph.tensors[op.inputs[0]].is_constant):
        return _copied(value)
    dtype = graph.tensors[op.outputs[0]].dtype
    lowering = _OF_TYPE.get((op.name, dtype), _LOWERINGS.get(op.name))
    if lowering is None:
        advice = "convert without TensorFlow's own ops" if op.name.startswith("CUSTOM") else "replace the layer"
        raise Refusal(f"is not among the {len(_LOWERINGS)} ops of the built-in engine; {_ADVICE.get(op.name, advice)}")
    graph, known = (_in_bytes(given, op) for given in (graph, known))
    try:
        lowered = lowering(Node(known, op, wide=wide))
    except Refusal:
        # A kernel that takes no constant there may take the copy in the arena.
        lowered = lowering(Node(graph, op, wide=wide))
    blocks = sum(1 + len(call.constants) for call in lowered.calls)
    if blocks > MAX_BLOCKS:
        raise Refusal(f"takes {blocks} tables of constants, at most {MAX_BLOCKS} are possible; do it in several steps")
    return lowered


# Where TensorFlow Lite Micro unpacks weights of four bits, which it does beside int8 activations only.
_FOUR_BITS = frozenset({"CONV_2D", "DEPTHWISE_CONV_2D", "FULLY_CONNECTED"})


def _in_bytes(graph: Graph, op: Op) -> Graph:
    """The graph with the op's int4 weights as the int8 that their kernels read: same numbers, scales and sums."""
    if op.name not in _FOUR_BITS or len(op.inputs) < 2 or op.inputs[1] < 0:
        return graph
    weights = graph.tensors[op.inputs[1]]
    if weights.dtype != "int4" or not weights.is_constant or graph.tensors[op.outputs[0]].dtype != "int8":
        return graph
    if op.name == "FULLY_CONNECTED" and len(weights.scale) > 1:
        raise Refusal(
            "has int4 weights with a scale for each unit, which TensorFlow Lite Micro refuses too; convert with one "
            "scale for all, or with int8 weights"
        )
    tensors = list(graph.tensors)
    tensors[weights.index] = dataclasses.replace(weights, dtype="int8")
    return dataclasses.replace(graph, tensors=tuple(tensors))


def _copied(value: Array) -> Lowered:
    data = np.frombuffer(np.ascontiguousarray(value).tobytes(), np.int8)
    shape = {"rows": 1, "bytes": data.size, "step": data.size, "offset": 0}
    return Lowered((Call("nn_copy", "copy", "copy", "nn_copy_shape", shape, ("value",), {"value": data}),))
