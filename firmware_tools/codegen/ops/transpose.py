"""TRANSPOSE: axis i of the output is axis `permutation[i]` of the input."""

from firmware_tools.codegen.moves import Loop, dense, itemsize, move
from firmware_tools.codegen.registry import Lowered, Node, lowers


@lowers("TRANSPOSE")
def transpose(node: Node) -> Lowered:
    """Bytes are copied as they are, whatever the scales."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    size = itemsize(node, source, output)
    order = [int(axis) for axis in node.constant(1, "int32").ravel()]
    rank = len(source.shape)
    node.require(
        sorted(axis % rank if -rank <= axis < rank else -1 for axis in order) == list(range(rank)),
        f"permutes the axes of {list(source.shape)} by {order}",
    )
    order = [axis % rank for axis in order]
    node.require(
        output.shape == tuple(source.shape[axis] for axis in order),
        f"turns {list(source.shape)} into {list(output.shape)} by the permutation {order}",
    )
    steps = dense(source.shape)
    loops = [
        Loop(count, steps[axis], step)
        for count, axis, step in zip(output.shape, order, dense(output.shape), strict=True)
    ]
    return Lowered((move(node, 0, loops, itemsize=size),))
