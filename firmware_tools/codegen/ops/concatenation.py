"""CONCATENATION along any axis: bytes are copied as they are."""

import math

import numpy as np

from firmware_tools.codegen.moves import itemsize
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array


@lowers("CONCATENATION")
def concatenation(node: Node) -> Lowered:
    """One copy for each input."""
    output = node.output
    rank = len(output.shape)
    axis = node.option("axis", 0)
    node.require(-rank <= axis < rank, f"joins along axis {axis} of a tensor of rank {rank}")
    axis %= rank
    node.require(node.option("fused_activation_function", "NONE") == "NONE", "has a fused activation")
    sources = [node.input(position) for position in range(len(node.op.inputs))]
    size = itemsize(node, output, *sources)
    for source in sources:
        node.require(
            np.array_equal(source.scale, output.scale) and np.array_equal(source.zero_point, output.zero_point),
            f"joins '{source.name}' with a scale or zero point that is not the output's; TensorFlow Lite Micro takes "
            "equal ones only: convert again",
        )
        node.require(
            len(source.shape) == rank and all(source.shape[i] == output.shape[i] for i in range(rank) if i != axis),
            f"joins {list(source.shape)} into {list(output.shape)} along axis {axis}",
        )
    node.require(sum(source.shape[axis] for source in sources) == output.shape[axis], "joins pieces that do not add up")
    inner = math.prod(output.shape[axis + 1 :]) * size
    offset = 0
    calls = []
    for position, source in enumerate(sources):
        shape = {
            "rows": math.prod(output.shape[:axis]),
            "bytes": source.shape[axis] * inner,
            "step": output.shape[axis] * inner,
            "offset": offset,
        }
        constants: dict[str, Array] = {}
        if source.is_constant:
            constants = {f"input_{position}": np.frombuffer(np.asarray(source.data).tobytes(), np.int8)}
        argument = f"input_{position}" if source.is_constant else position
        calls.append(Call("nn_copy", "copy", "copy", "nn_copy_shape", shape, (argument,), constants))
        offset += source.shape[axis] * inner
    return Lowered(tuple(calls))
