"""SOFTMAX: `exp(beta * x) / sum of exp(beta * x)` over the last axis, in fixed point."""

import math

import numpy as np

from firmware_tools.codegen.numerics import (
    doubling_high_multiply,
    exp_of_negative,
    quantize_multiplier,
    scale_of,
    wrap,
    zero_point_of,
)
from firmware_tools.codegen.registry import Call, Lowered, Node, lowers
from firmware_tools.graph import Array

INTEGER_BITS = 5
MAX_DEPTH = 4095  # the sum of exponentials has 12 integer bits


def exponentials(scale: float, beta: float) -> Array:
    """`exp(-beta * scale * d)` in Q0.31 for the differences d = 0, 1, ... that count, at most 256 of them."""
    real = min(beta * scale * 2.0 ** (31 - INTEGER_BITS), 2.0**31 - 1)
    multiplier, shift = quantize_multiplier(real)
    largest = math.floor((2**INTEGER_BITS - 1) * 2 ** (31 - INTEGER_BITS) / 2**shift)
    return np.array(
        [
            exp_of_negative(doubling_high_multiply(wrap(-d << shift), multiplier), INTEGER_BITS)
            for d in range(min(largest, 255) + 1)
        ],
        np.int32,
    )


@lowers("SOFTMAX")
def softmax(node: Node) -> Lowered:
    """A row's values differ by at most 255: their exponentials are a table."""
    logits, output = node.input(0), node.output
    node.int8(logits, output)
    node.activation_inputs(0)
    node.require(logits.shape == output.shape and len(logits.shape) > 0, "changes the shape")
    node.require(
        zero_point_of(output) == -128 and scale_of(output) == 1 / 256,
        f"has an output of scale {scale_of(output):g} and zero point {zero_point_of(output)}, expected 1/256 and -128",
    )
    depth = logits.shape[-1]
    node.require(depth <= MAX_DEPTH, f"has {depth} classes, at most {MAX_DEPTH} keep its sum within 32 bits")
    beta = node.option("beta", 1.0)
    factor = beta * scale_of(logits) * 2.0 ** (31 - INTEGER_BITS)
    node.require(factor > 1, f"has beta {beta:g} and an input scale of {scale_of(logits):g}, too small to tell apart")
    table = exponentials(scale_of(logits), beta)
    shape = {"rows": logits.elements // depth, "depth": depth, "table": len(table)}
    call = Call(
        "nn_softmax",
        "softmax",
        "softmax",
        "nn_softmax_shape",
        shape,
        arguments=(0, "exponentials"),
        constants={"exponentials": table},
    )
    return Lowered((call,))
