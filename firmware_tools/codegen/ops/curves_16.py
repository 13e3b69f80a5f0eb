"""LOGISTIC, TANH and SOFTMAX with 16-bit activations: between the points of tables."""

import math
from collections.abc import Callable

import numpy as np

from firmware_tools.codegen.numerics import quantize_multiplier, round_half_away, scale_of
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array

_float = np.float32
POINTS = 512


def sigmoid_table() -> Array:
    """`1 / (1 + exp(-i / 24))` in 16 bits for i = 0 .. 254, then 1.

    Each point is raised by half of what a straight line to the next one falls short of the curve midway.

    >>> sigmoid_table()[[0, 1, 255]].tolist()
    [32768, 33451, 65535]
    """

    def sigmoid(x: float) -> float:
        return 2.0**16 / (1 + math.exp(-x / 24))

    short = [sigmoid(i + 0.5) - (sigmoid(i) + sigmoid(i + 1)) / 2 for i in range(255)]
    return np.array([*(round_half_away(sigmoid(i) + short[i] / 2) for i in range(255)), 2**16 - 1], np.uint16)


@lowers("LOGISTIC", "TANH", dtype="int16")
def sigmoid_16(node: Node) -> Lowered:
    """The input is brought to the scale of 1 / (3 * 4096), in which the table's points are 512 apart."""
    source, output = node.input(0), node.output
    node.int16(source, output)
    node.activation_inputs(0)
    node.require(source.elements == output.elements, "changes the number of values")
    node.require(
        scale_of(output) == 2.0**-15, f"has an output of scale {scale_of(output):g}, expected 1/32768; convert again"
    )
    node.require(scale_of(source) * 4096 * 3 <= 32767, f"has an input scale of {scale_of(source):g}, above 32767/12288")
    fraction, exponent = math.frexp(scale_of(source))
    left = 12 + exponent - 1
    if fraction == 0.5 and left in ((0, 1) if node.op.name == "TANH" else (0,)):
        multiplier, shift = 3 << left, 0
    else:
        real, shift = scale_of(source) * 4096.0 * 3.0, 0
        while real <= 32767.0 / 2.0 and shift <= 30:
            shift += 1
            real *= 2.0
        multiplier = int(real)
    shape = {"elements": source.elements, "multiplier": multiplier, "shift": shift}
    call = Call(
        f"nn_{node.op.name.lower()}_16",
        "sigmoid_16",
        "curves_16",
        "nn_sigmoid_16_shape",
        shape,
        (0, "table"),
        {"table": sigmoid_table()},
    )
    return Lowered((call,), in_place=(0,))


def _round(x: np.float32) -> np.float32:
    return _float(round_half_away(float(x)))


def curve(function: Callable[[float], float], low: float, high: float) -> Array:
    """513 points of a curve in Q0.15, each moved by half the error that a straight line makes midway to the next."""
    step = (_float(high) - _float(low)) / _float(POINTS)
    scale = _float(32768)

    def at(x: np.float32) -> np.float32:
        return _float(function(float(x)))

    points = []
    for i in range(POINTS):
        here = _float(low) + _float(i) * step
        value, middle, following = at(here), at(here + step / _float(2)), at(_float(low) + _float(i + 1) * step)
        sample = _round(value * scale)
        line = _round((following * scale + sample) / _float(2))
        points.append(sample - _round((line - _round(middle * scale)) / _float(2)))
    points.append(_round(at(_float(high)) * scale))
    return np.clip(points, -32768, 32767).astype(np.int16)


@lowers("SOFTMAX", dtype="int16")
def softmax_16(node: Node) -> Lowered:
    """Differences of inputs are brought to 10 / 65535: what lies further down than 10 counts as exp(-10)."""
    logits, output = node.input(0), node.output
    node.int16(logits, output)
    node.activation_inputs(0)
    node.require(logits.shape == output.shape and len(logits.shape) > 0, "changes the shape")
    node.require(
        abs(scale_of(output) * 2.0**15 - 1) <= 0.001, f"has an output of scale {scale_of(output):g}, expected 1/32768"
    )
    depth = logits.shape[-1]
    node.require(depth <= 2**15, f"has {depth} classes, at most 32768 keep its sum within 32 bits")
    multiplier, shift = quantize_multiplier(scale_of(logits) * node.option("beta", 1.0) / (10.0 / 65535.0))
    node.require(-31 <= shift <= 14, f"has an input scale of {scale_of(logits):g}, which no trained model has")
    shape = {"rows": logits.elements // depth, "depth": depth, "multiplier": multiplier, "shift": shift}
    constants = {
        "exponentials": curve(math.exp, -10.0, 0.0),
        "reciprocals": curve(lambda x: float(_float(1) / (_float(1) + _float(x))), 0.0, 1.0),
    }
    call = Call("nn_softmax_16", "softmax_16", "curves_16", "nn_softmax_16_shape", shape, (0, *constants), constants)
    return Lowered((call,))
