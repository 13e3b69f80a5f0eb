"""ADD, SUB, MUL, MAXIMUM, MINIMUM and PRELU of real numbers, broadcast over each other."""

import dataclasses

from firmware_tools.codegen.ops.conv_plain import float_range
from firmware_tools.codegen.ops.elementwise import call, loops
from firmware_tools.codegen.registry import Lowered, Node, lowers


@lowers("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "PRELU", dtype="float32")
def elementwise_float(node: Node) -> Lowered:
    """Bit for bit what IEEE arithmetic gives."""
    a, b, output = node.input(0), node.input(1), node.output
    node.float32(a, b, output)
    shape = loops(node, a, b, output)
    lowered = call(node, "elementwise_float", shape, header="elementwise_float", suffix="_float")
    (kernel,) = lowered.calls
    kernel = dataclasses.replace(
        kernel,
        shape_type="nn_elementwise_float_shape",
        shape=shape,
        arguments=(*kernel.arguments, "range"),
        constants={**kernel.constants, "range": float_range(node)},
    )
    return dataclasses.replace(lowered, calls=(kernel,))
