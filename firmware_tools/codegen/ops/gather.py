"""GATHER: rows of a tensor in the order that a tensor of positions says."""

import math

import numpy as np

from firmware_tools.codegen.moves import itemsize
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array


@lowers("GATHER")
def gather(node: Node) -> Lowered:
    """Positions may be constants or computed; computed ones are held within the axis."""
    source, positions, output = node.input(0), node.input(1), node.output
    size = itemsize(node, source, output)
    node.require(positions.dtype == "int32", f"has positions of type {positions.dtype}, expected int32")
    rank = len(source.shape)
    axis, batch_dims = node.option("axis", 0), node.option("batch_dims", 0)
    axis += rank if axis < 0 else 0
    batch_dims += len(positions.shape) if batch_dims < 0 else 0
    node.require(
        0 <= batch_dims <= axis < rank
        and batch_dims <= len(positions.shape)
        and source.shape[:batch_dims] == positions.shape[:batch_dims]
        and output.shape == source.shape[:axis] + positions.shape[batch_dims:] + source.shape[axis + 1 :],
        f"takes {list(positions.shape)} positions along axis {axis} of {list(source.shape)} into {list(output.shape)}",
    )
    shape = {
        "batches": math.prod(source.shape[:batch_dims]),
        "outer": math.prod(source.shape[batch_dims:axis]),
        "positions": math.prod(positions.shape[batch_dims:]),
        "limit": source.shape[axis],
        "bytes": math.prod(source.shape[axis + 1 :]) * size,
    }
    arguments: list[int | str] = [0, 1]
    constants: dict[str, Array] = {}
    if source.is_constant:
        constants["rows"] = np.frombuffer(np.asarray(source.data).tobytes(), np.uint8)
        arguments[0] = "rows"
    if positions.is_constant:
        constants["positions"] = node.constant(1, "int32")
        arguments[1] = "positions"
        node.require(
            bool(((constants["positions"] >= 0) & (constants["positions"] < shape["limit"])).all()),
            f"has a position outside of its axis of {shape['limit']}",
        )
    return Lowered((Call("nn_gather", "gather", "move", "nn_gather_shape", shape, tuple(arguments), constants),))
