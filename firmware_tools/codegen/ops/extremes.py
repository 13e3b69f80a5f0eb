"""MAXIMUM and MINIMUM of two inputs broadcast over each other, and REDUCE_MAX and REDUCE_MIN over any axes."""

from firmware_tools.codegen.ops.elementwise import call, loops
from firmware_tools.codegen.ops.mean import reduction, reduction_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers


@lowers("MAXIMUM", "MINIMUM")
def maximum(node: Node) -> Lowered:
    """The integers are compared as they are, as TensorFlow Lite Micro does, whatever their scales."""
    a, b, output = node.input(0), node.input(1), node.output
    node.int8(a, b, output)
    return call(node, "maximum", loops(node, a, b, output))


@lowers("REDUCE_MAX", "REDUCE_MIN")
def reduce_max(node: Node) -> Lowered:
    """Input and output have the same scale."""
    source, output = node.input(0), node.output
    shape, _ = reduction(node)
    node.require(
        float(source.scale[0]) == float(output.scale[0]) and int(source.zero_point[0]) == int(output.zero_point[0]),
        "has an output of another scale or zero point than its input; convert it again",
    )
    shape |= {"offset": 0, "multiplier": 0, "shift": 0, "output_zero_point": 0}
    return Lowered((Call(f"nn_{node.op.name.lower()}", "reduce_max", "mean", "nn_mean_shape", shape),))


@lowers("REDUCE_MAX", "REDUCE_MIN", dtype="float32")
def reduce_max_float(node: Node) -> Lowered:
    """The value itself, whatever it is."""
    node.float32(node.input(0), node.output)
    shape, _ = reduction_of(node)
    shape |= {"offset": 0, "multiplier": 0, "shift": 0, "output_zero_point": 0}
    name = f"nn_{node.op.name.lower()}_float"
    return Lowered((Call(name, "reduce_max_float", "pool_2d_float", "nn_mean_shape", shape),))
