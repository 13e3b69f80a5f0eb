"""ARG_MAX and ARG_MIN: where along an axis the largest or smallest value stands first."""

import math

from firmware_tools.codegen.registry import Call, Lowered, Node, lowers

_SUFFIX = {"int8": "", "float32": "_float"}


@lowers("ARG_MAX", "ARG_MIN")
def arg_max(node: Node) -> Lowered:
    """The answer is int32."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    node.require(source.dtype in _SUFFIX, f"works on {source.dtype}; the engine takes int8 and float32")
    suffix = _SUFFIX[source.dtype]
    node.require(output.dtype == "int32", f"answers in {output.dtype}; take output_type=int32")
    rank = len(source.shape)
    axis = int(node.constant(1, "int32").ravel()[0])
    node.require(-rank <= axis < rank, f"looks along axis {axis} of a tensor of rank {rank}")
    axis %= rank
    outer, inner = math.prod(source.shape[:axis]), math.prod(source.shape[axis + 1 :])
    node.require(outer * inner == output.elements, f"turns {list(source.shape)} into {list(output.shape)}")
    shape = {"outer": outer, "depth": source.shape[axis], "inner": inner}
    return Lowered(
        (Call(f"nn_{node.op.name.lower()}{suffix}", f"arg_max{suffix}", "arg_max", "nn_arg_max_shape", shape),)
    )
