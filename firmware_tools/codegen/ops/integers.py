"""ADD, SUB and MUL of plain int32, MAXIMUM and MINIMUM of int16 and int32, broadcast over each other."""

import dataclasses

from firmware_tools.codegen.ops.elementwise import call, loops
from firmware_tools.codegen.registry import Lowered, Node, lowers

_BITS = {"int16": 16, "int32": 32}


@lowers("MAXIMUM", "MINIMUM", dtype="int16")
@lowers("ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", dtype="int32")
def integers(node: Node) -> Lowered:
    """Scales are not looked at: int32 in a CNN is arithmetic on positions and counts."""
    a, b, output = node.input(0), node.input(1), node.output
    node.require(a.dtype == b.dtype == output.dtype, f"joins {a.dtype} and {b.dtype} into {output.dtype}")
    # TensorFlow Lite Micro holds int32 within a fused activation, or does not, depending on whether it broadcasts.
    kind = node.option("fused_activation_function", "NONE")
    node.require(kind == "NONE", f"has the fused activation {kind} on plain integers; make it a layer of its own")
    shape = loops(node, a, b, output)
    lowered = call(node, "integers", shape, header="integers", suffix=f"_{_BITS[output.dtype]}")
    (kernel,) = lowered.calls
    kernel = dataclasses.replace(kernel, shape_type="nn_integers_shape", shape=shape)
    return dataclasses.replace(lowered, calls=(kernel,))
