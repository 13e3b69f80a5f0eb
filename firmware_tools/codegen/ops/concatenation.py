"""CONCATENATION along any axis: bytes are copied as they are, as TensorFlow Lite Micro does, whatever their scales."""

import math

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
    node.int8(output, *sources)
    for source in sources:
        node.require(
            len(source.shape) == rank and all(source.shape[i] == output.shape[i] for i in range(rank) if i != axis),
            f"joins {list(source.shape)} into {list(output.shape)} along axis {axis}",
        )
    node.require(sum(source.shape[axis] for source in sources) == output.shape[axis], "joins pieces that do not add up")
    inner = math.prod(output.shape[axis + 1 :])
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
            constants = {f"input_{position}": node.constant(position, "int8")}
        argument = f"input_{position}" if source.is_constant else position
        calls.append(Call("nn_copy", "copy", "copy", "nn_copy_shape", shape, (argument,), constants))
        offset += source.shape[axis] * inner
    return Lowered(tuple(calls))
