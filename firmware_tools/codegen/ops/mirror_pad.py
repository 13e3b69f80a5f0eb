"""MIRROR_PAD: a margin that repeats the image backwards."""

import numpy as np

from firmware_tools.codegen.moves import dense, itemsize
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array

MAX_SIZE = 2**20
"""Of an axis whose places are tabulated."""


def pick(node: Node, places: list[Array], size: int) -> Lowered:
    """A call of `nn_pick`: along axis i the output shows the input's indices `places[i]`; up to four axes."""
    steps = dense(node.input(0).shape)
    offsets = [places[axis].astype(np.int64) * steps[axis] * size for axis in range(len(places))]
    run = size
    if len(offsets) > 1 and np.array_equal(places[-1], np.arange(node.input(0).shape[-1])):
        run *= len(offsets.pop())
    node.require(len(offsets) <= 4, "has more than four axes")
    offsets = [np.zeros(1, np.int64)] * (4 - len(offsets)) + offsets
    shape = {**{f"size_{i}": len(table) for i, table in enumerate(offsets)}, "bytes": run}
    table = np.concatenate(offsets).astype(np.int32)
    return Lowered((Call("nn_pick", "pick", "move", "nn_pick_shape", shape, (0, "offsets"), {"offsets": table}),))


@lowers("MIRROR_PAD")
def mirror_pad(node: Node) -> Lowered:
    """REFLECT leaves the edge itself out, SYMMETRIC repeats it."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    size = itemsize(node, source, output)
    rank = len(source.shape)
    margins = node.constant(1, "int64" if node.input(1).dtype == "int64" else "int32")
    node.require(
        max((0, *source.shape, *output.shape)) <= MAX_SIZE, f"pads {list(source.shape)}, too large to tabulate"
    )
    node.require(
        0 < rank <= 4 and margins.size == 2 * rank and len(output.shape) == rank,
        f"pads {list(source.shape)} by a table of {margins.size} numbers",
    )
    skipped = 1 if node.option("mode", "REFLECT") == "REFLECT" else 0
    places = []
    for axis, (before, after) in enumerate(margins.reshape(rank, 2).tolist()):
        total = source.shape[axis]
        node.require(
            0 <= before <= total - skipped
            and 0 <= after <= total - skipped
            and output.shape[axis] == before + total + after,
            f"pads {list(source.shape)} by {margins.reshape(rank, 2).tolist()} to {list(output.shape)}",
        )
        inside = np.arange(total)
        head, tail = inside[skipped : skipped + before][::-1], inside[::-1][skipped : skipped + after]
        places.append(np.concatenate([head, inside, tail]))
    return pick(node, places, size)
