"""L2_NORMALIZATION: `x / sqrt(sum of x^2)` over the last axis, in fixed point."""

from firmware_tools.codegen.numerics import scale_of, zero_point_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers

MAX_DEPTH = 2**15
"""The sum of so many squares, each at most 255^2, stays within 32 bits."""


@lowers("L2_NORMALIZATION")
def l2_normalization(node: Node) -> Lowered:
    """The input's scale falls out of the quotient."""
    source, output = node.input(0), node.output
    node.int8(source, output)
    node.activation_inputs(0)
    node.require(source.shape == output.shape and 0 < len(source.shape) <= 4, "changes the shape")
    node.require(
        scale_of(output) == 1 / 128 and zero_point_of(output) == 0,
        f"has an output of scale {scale_of(output):g} and zero point {zero_point_of(output)}, expected 1/128 and 0",
    )
    node.require(node.option("fused_activation_function", "NONE") == "NONE", "has a fused activation")
    depth = source.shape[-1]
    node.require(depth <= MAX_DEPTH, f"adds {depth} squares, at most {MAX_DEPTH} fit")
    shape = {"rows": source.elements // depth, "depth": depth, "input_zero_point": zero_point_of(source)}
    name = "l2_normalization"
    return Lowered((Call(f"nn_{name}", name, name, f"nn_{name}_shape", shape),))
