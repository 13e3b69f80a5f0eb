"""Integers of one scale as integers of another: QUANTIZE, and RELU, RELU6 and LEAKY_RELU with 16-bit activations."""

import numpy as np

from firmware_tools.codegen import weights
from firmware_tools.codegen.numerics import (
    activation_range,
    quantize_multiplier,
    round_half_away,
    scale_of,
    zero_point_of,
)
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers

# The numbers of the kernel's enumeration.
TYPES = {"int8": 0, "int16": 1, "int32": 2}
ONE = (1 << 30, 1)
"""The factor 1, which changes nothing."""


def rescale(
    node: Node,
    above: tuple[int, int],
    below: tuple[int, int] | None = None,
    *,
    limits: tuple[int, int] | None = None,
) -> Lowered:
    """`clamp(zero_point + factor * (x - zero_point))`; below zero with a factor of its own where one is given."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    node.require(source.elements == output.elements, f"turns {source.elements} values into {output.elements}")
    below = above if below is None else below
    weights.check_shifts(node, np.array([above, below]))
    # A negative factor must not meet -2**31: 17 bits, shifted, stay below it.
    node.require(below[0] >= 0 or below[1] < 15, "has a slope of -2**14 or less")
    info = np.iinfo(output.dtype)
    low, high = (int(info.min), int(info.max)) if limits is None else limits
    shape = {
        "elements": source.elements,
        "from": TYPES[source.dtype],
        "to": TYPES[output.dtype],
        "input_zero_point": zero_point_of(source),
        "output_zero_point": zero_point_of(output),
        "multiplier": above[0],
        "shift": above[1],
        "below_multiplier": below[0],
        "below_shift": below[1],
        "low": low,
        "high": high,
    }
    call = Call("nn_rescale", "rescale", "rescale", "nn_rescale_shape", shape)
    return Lowered((call,), in_place=(0,) if source.dtype == output.dtype else ())


@lowers("RELU", "RELU_N1_TO_1", dtype="int16")
def relu(node: Node) -> Lowered:
    """As with 8 bits."""
    source, output = node.input(0), node.output
    node.int16(source, output)
    factor = quantize_multiplier(scale_of(source) / scale_of(output))
    return rescale(node, factor, limits=activation_range(node.op.name, output))


@lowers("RELU6", dtype="int16")
def relu6(node: Node) -> Lowered:
    """`min(max(x, 0), six)` in the input's integers: the scales of input and output are taken for equal."""
    source, output = node.input(0), node.output
    node.int16(source, output)
    six = min(2**15 - 1, round_half_away(float(np.float32(6) / np.float32(source.scale[0]))))
    return rescale(node, ONE, limits=(0, six))


@lowers("LEAKY_RELU", dtype="int16")
def leaky_relu(node: Node) -> Lowered:
    """As with 8 bits."""
    source, output = node.input(0), node.output
    node.int16(source, output)
    return rescale(node, *map(quantize_multiplier, leaky_factors(node)))


def leaky_factors(node: Node) -> tuple[float, float]:
    """What LEAKY_RELU multiplies by above zero and below, from integers to integers; in doubles, as the reference."""
    scale, target = scale_of(node.input(0)), scale_of(node.output)
    return scale / target, scale * float(np.float32(node.option("alpha", 0.0))) / target
