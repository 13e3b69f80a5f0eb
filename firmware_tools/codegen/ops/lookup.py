"""Ops of one 8-bit value: only 256 answers each, so the generator tabulates them with the reference's arithmetic.

`table[input]` then is the whole kernel, for RELU as for LOGISTIC, and what would be fixed-point C is Python here.
"""

import math
from collections.abc import Callable

import numpy as np

from firmware_tools.codegen import weights
from firmware_tools.codegen.numerics import (
    logistic,
    quantize_multiplier,
    requantize,
    round_half_away,
    rounding_shift,
    scale_of,
    tanh,
    zero_point_of,
)
from firmware_tools.codegen.ops import rescale
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import GraphTensor

_RANGES = {"int8": (-128, 127), "uint8": (0, 255)}


def tabulate(node: Node, answer: Callable[[int], int]) -> Lowered:
    """`answer(x)` for every x of the input's type, clamped to the output's."""
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    node.require(source.elements == output.elements, f"turns {source.elements} values into {output.elements}")
    low, high = _RANGES[output.dtype]
    first, last = _RANGES[source.dtype]
    table = np.zeros(256, np.uint8)
    for x in range(first, last + 1):
        table[x & 255] = min(max(answer(x), low), high) & 255
    call = Call(
        "nn_lookup",
        "lookup",
        "lookup",
        "nn_lookup_shape",
        {"elements": source.elements},
        arguments=(0, "table"),
        constants={"table": table},
    )
    return Lowered((call,), in_place=(0,))


def _ratio(node: Node, real: float) -> tuple[int, int]:
    factor = quantize_multiplier(real)
    weights.check_shifts(node, np.array([factor]))
    return factor


@lowers("RELU", "RELU_N1_TO_1")
def relu(node: Node) -> Lowered:
    """`clamp(zero_point + ratio of scales * (x - zero_point))` from zero (or -1) upwards."""
    source, output = node.input(0), node.output
    node.int8(source, output)
    from firmware_tools.codegen.numerics import activation_range

    low, high = activation_range(node.op.name, output)
    factor = _ratio(node, scale_of(source) / scale_of(output))

    def answer(x: int) -> int:
        value = zero_point_of(output) + requantize(x - zero_point_of(source), *factor)
        return min(max(value, low), high)

    return tabulate(node, answer)


@lowers("RELU6")
def relu6(node: Node) -> Lowered:
    """`min(max(x, zero), six)` in the input's integers: the scales of input and output are taken for equal."""
    source, output = node.input(0), node.output
    node.int8(source, output)
    zero = zero_point_of(source)
    six = min(127, zero + round_half_away(float(np.float32(6) / np.float32(source.scale[0]))))
    return tabulate(node, lambda x: min(max(x, zero), six))


@lowers("LEAKY_RELU")
def leaky_relu(node: Node) -> Lowered:
    """`x` above zero, `alpha * x` below, each rescaled to the output."""
    source, output = node.input(0), node.output
    node.int8(source, output)
    above, below = (_ratio(node, factor) for factor in rescale.leaky_factors(node))

    def answer(x: int) -> int:
        value = x - zero_point_of(source)
        return zero_point_of(output) + requantize(value, *(above if value >= 0 else below))

    return tabulate(node, answer)


def _sigmoid_input(source: GraphTensor) -> tuple[int, int, int]:
    """Multiplier and shift to Q4.27, and the distance from zero at which the curve is flat."""
    multiplier, shift = quantize_multiplier(scale_of(source) * 2.0**27)
    radius = math.floor(15 * 2.0**27 / 2.0**shift)
    return multiplier, shift, radius


@lowers("LOGISTIC", "TANH")
def sigmoid(node: Node) -> Lowered:
    """`1 / (1 + exp(-x))` at scale 1/256 and zero point -128; `tanh(x)` at scale 1/128 and zero point 0."""
    source, output = node.input(0), node.output
    node.int8(source, output)
    is_tanh = node.op.name == "TANH"
    expected = (1 / 128, 0) if is_tanh else (1 / 256, -128)
    node.require(
        (scale_of(output), zero_point_of(output)) == expected,
        f"has an output of scale {scale_of(output):g} and zero point {zero_point_of(output)}, expected {expected}",
    )
    multiplier, shift, radius = _sigmoid_input(source)
    node.require(0 <= shift <= weights.MAX_SHIFT, f"has an input scale of {scale_of(source):g}")

    def answer(x: int) -> int:
        value = x - zero_point_of(source)
        if abs(value) >= radius:
            return 127 if value > 0 else -128
        rescaled = requantize(value, multiplier, shift)
        if is_tanh:
            return rounding_shift(tanh(rescaled), 24)
        return rounding_shift(logistic(rescaled), 23) - 128

    return tabulate(node, answer)


@lowers("QUANTIZE")
def quantize(node: Node) -> Lowered:
    """Integers to integers: another scale and zero point; float32 to int8: `zero_point + round(x / scale)`."""
    source, output = node.input(0), node.output
    if source.dtype == "float32":
        return _quantize_float(node)
    node.require(
        all(len(tensor.scale) == 1 for tensor in (source, output)),
        f"turns {source.dtype} into {output.dtype} where one of the two has no scale, or several",
    )
    if source.dtype in rescale.TYPES and output.dtype in rescale.TYPES and source.dtype + output.dtype != "int8int8":
        return rescale.rescale(node, quantize_multiplier(scale_of(source) / scale_of(output)))
    node.require(
        source.dtype in _RANGES and output.dtype in _RANGES,
        f"turns {source.dtype} into {output.dtype}; the engine takes float32 to int8 or int16, or signed integers to "
        "signed integers",
    )
    factor = _ratio(node, scale_of(source) / scale_of(output))
    return tabulate(node, lambda x: zero_point_of(output) + requantize(x - zero_point_of(source), *factor))


def _named(name: str, tensor: GraphTensor) -> tuple[str, str, str]:
    """Function, source and header of the kernel between float32 and the tensor's integers."""
    if tensor.dtype == "int16":
        return f"nn_{name}_16", "quantize_16", "quantize_16"
    return f"nn_{name}", name, "quantize"


def _quantize_float(node: Node) -> Lowered:
    source, output = node.input(0), node.output
    node.activation_inputs(0)
    node.require(
        output.dtype in ("int8", "int16") and len(output.scale) == 1,
        f"turns float32 into {output.dtype}, the engine gives int8 and int16",
    )
    node.require(source.elements == output.elements, "changes the number of values")
    call = Call(
        *_named("quantize", output),
        "nn_quantize_shape",
        {"elements": source.elements, "zero_point": zero_point_of(output)},
        arguments=(0, "scale"),
        constants={"scale": output.scale.astype(np.float32)},
    )
    return Lowered((call,))


@lowers("DEQUANTIZE")
def dequantize(node: Node) -> Lowered:
    """`scale * (x - zero_point)`, int8 or int16 to float32."""
    source, output = node.input(0), node.output
    node.require(
        source.dtype != "float16",
        "unpacks float16 weights, which would take their whole size in RAM; convert with --mode float32 or --mode int8",
    )
    node.activation_inputs(0)
    node.require(
        source.dtype in ("int8", "int16") and len(source.scale) == 1 and output.dtype == "float32",
        f"turns {source.dtype} into {output.dtype}, the engine takes int8 or int16 to float32",
    )
    node.require(source.elements == output.elements, "changes the number of values")
    call = Call(
        *_named("dequantize", source),
        "nn_quantize_shape",
        {"elements": source.elements, "zero_point": zero_point_of(source)},
        arguments=(0, "scale"),
        constants={"scale": source.scale.astype(np.float32)},
    )
    return Lowered((call,))
