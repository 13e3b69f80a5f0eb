"""ADD, SUB and MUL with 16-bit activations: as with 8 bits, on a common scale with 15 bits more."""

import numpy as np

from firmware_tools.codegen import weights
from firmware_tools.codegen.numerics import activation_range, quantize_multiplier, scale_of
from firmware_tools.codegen.ops.elementwise import call, loops
from firmware_tools.codegen.registry import Lowered, Node, lowers

LEFT_SHIFT = 15


@lowers("ADD", "SUB", "MUL", dtype="int16")
def elementwise_16(node: Node) -> Lowered:
    """All zero points are 0."""
    a, b, output = node.input(0), node.input(1), node.output
    node.int16(a, b, output)
    if node.op.name == "MUL":
        scales = [(0, 0), (0, 0), quantize_multiplier(scale_of(a) * scale_of(b) / scale_of(output))]
    else:
        twice = 2 * max(scale_of(a), scale_of(b))
        reals = (scale_of(a) / twice, scale_of(b) / twice, twice / (2**LEFT_SHIFT * scale_of(output)))
        scales = [quantize_multiplier(real) for real in reals]
    weights.check_shifts(node, np.array(scales))
    node.require(scales[2][1] <= 0, "has an output scale far below those of its inputs")
    kind = node.option("fused_activation_function", "NONE")
    node.require(kind in ("NONE", "RELU", "RELU6", "RELU_N1_TO_1"), f"has the fused activation {kind}")
    low, high = activation_range(kind, output)
    shape = {
        **loops(node, a, b, output),
        "a_multiplier": scales[0][0],
        "a_shift": scales[0][1],
        "b_multiplier": scales[1][0],
        "b_shift": scales[1][1],
        "output_multiplier": scales[2][0],
        "output_shift": scales[2][1],
        "activation_min": low,
        "activation_max": high,
    }
    return call(node, "elementwise_16", shape, header="elementwise_16", suffix="_16")
