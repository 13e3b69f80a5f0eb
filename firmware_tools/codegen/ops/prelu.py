"""PRELU: `x` above zero, `slope * x` below, the slopes broadcast over the input."""

import numpy as np

from firmware_tools.codegen import weights
from firmware_tools.codegen.numerics import quantize_multiplier, scale_of, zero_point_of
from firmware_tools.codegen.ops.elementwise import call, loops
from firmware_tools.codegen.registry import Lowered, Node, lowers


@lowers("PRELU")
def prelu(node: Node) -> Lowered:
    """Both branches are rescaled to the output in double precision."""
    source, slopes, output = node.input(0), node.input(1), node.output
    node.int8(source, slopes, output)
    above = quantize_multiplier(scale_of(source) / scale_of(output))
    below = quantize_multiplier(scale_of(source) * scale_of(slopes) / scale_of(output))
    weights.check_shifts(node, np.array([above, below]))
    shape = {
        **loops(node, source, slopes, output),
        "a_zero_point": zero_point_of(source),
        "b_zero_point": zero_point_of(slopes),
        "output_zero_point": zero_point_of(output),
        "a_multiplier": above[0],
        "a_shift": above[1],
        "b_multiplier": below[0],
        "b_shift": below[1],
    }
    return call(node, "prelu", shape)
