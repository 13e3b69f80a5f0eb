"""SPLIT, SPLIT_V, UNPACK and PACK: one tensor as several along an axis, and back."""

import dataclasses
import math

import numpy as np

from firmware_tools.codegen.moves import Loop, itemsize, move
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array


def _axis(node: Node, axis: int, rank: int) -> int:
    node.require(-rank <= axis < rank, f"works along axis {axis} of a tensor of rank {rank}")
    return axis % rank


def _pieces(node: Node, position: int, axis: int, sizes: list[int]) -> Lowered:
    """Input `position` cut into pieces of `sizes` along `axis`, one for each output."""
    source = node.input(position)
    node.activation_inputs(position)
    outputs = [node.graph.tensors[index] for index in node.op.outputs]
    size = itemsize(node, source, *outputs)
    outer, inner = math.prod(source.shape[:axis]), math.prod(source.shape[axis + 1 :])
    node.require(
        len(sizes) == len(outputs)
        and min(sizes) > 0
        and sum(sizes) == source.shape[axis]
        and all(piece * outer * inner == tensor.elements for piece, tensor in zip(sizes, outputs, strict=True)),
        f"cuts {list(source.shape)} along axis {axis} into {sizes}, where it has {len(outputs)} outputs",
    )
    calls = []
    first = 0
    for number, piece in enumerate(sizes):
        loops = [Loop(outer, source.shape[axis] * inner, piece * inner), Loop(piece * inner, 1, 1)]
        calls.append(move(node, position, loops, itemsize=size, input_offset=first * inner, output=number))
        first += piece
    return Lowered(tuple(calls))


@lowers("SPLIT")
def split(node: Node) -> Lowered:
    """Equal pieces; the axis comes before the tensor."""
    source, count = node.input(1), len(node.op.outputs)
    axis = _axis(node, int(node.constant(0, "int32").ravel()[0]), len(source.shape))
    return _pieces(node, 1, axis, [source.shape[axis] // count] * count)


@lowers("SPLIT_V")
def split_v(node: Node) -> Lowered:
    """Pieces of given sizes, one of which may be -1: what remains."""
    source = node.input(0)
    sizes = [int(size) for size in node.constant(1, "int32").ravel()]
    axis = _axis(node, int(node.constant(2, "int32").ravel()[0]), len(source.shape))
    if sizes.count(-1) == 1:
        sizes[sizes.index(-1)] = source.shape[axis] - sum(sizes) - 1
    return _pieces(node, 0, axis, sizes)


@lowers("UNPACK")
def unpack(node: Node) -> Lowered:
    """One output for each index of the axis, which vanishes."""
    source = node.input(0)
    axis = _axis(node, node.option("axis", 0), len(source.shape))
    count = len(node.op.outputs)
    node.require(count == source.shape[axis], f"takes {source.shape[axis]} slices apart into {count} outputs")
    return _pieces(node, 0, axis, [1] * count)


@lowers("PACK")
def pack(node: Node) -> Lowered:
    """A new axis, along which the inputs lie; some may be constants."""
    output = node.output
    axis = _axis(node, node.option("axis", 0), len(output.shape))
    sources = [node.input(position) for position in range(len(node.op.inputs))]
    size = itemsize(node, output, *sources)
    outer, inner = math.prod(output.shape[:axis]), math.prod(output.shape[axis + 1 :])
    node.require(
        len(sources) == output.shape[axis] and all(source.elements == outer * inner for source in sources),
        f"packs {len(sources)} tensors into {list(output.shape)} along axis {axis}",
    )
    calls: list[Call] = []
    for position, source in enumerate(sources):
        loops = [Loop(outer, inner, len(sources) * inner), Loop(inner, 1, 1)]
        constants: dict[str, Array] = {}
        if source.is_constant:
            constants = {f"input_{position}": np.frombuffer(np.asarray(source.data).tobytes(), np.uint8)}
        argument = f"input_{position}" if source.is_constant else position
        call = move(node, argument, loops, itemsize=size, output_offset=position * inner)
        calls.append(dataclasses.replace(call, constants=constants))
    return Lowered(tuple(calls))
