"""ELU and HARD_SWISH, tabulated as the other ops of one 8-bit value (see lookup.py)."""

import math

import numpy as np

from firmware_tools.codegen.numerics import (
    quantize_multiplier,
    round_half_away,
    rounding_shift,
    scale_of,
    zero_point_of,
)
from firmware_tools.codegen.ops.lookup import tabulate
from firmware_tools.codegen.registry import Lowered, Node, lowers

_float = np.float32


@lowers("ELU")
def elu(node: Node) -> Lowered:
    """`x` above zero, `exp(x) - 1` below: TensorFlow Lite Micro fills its table in float32, so do we."""
    source, output = node.input(0), node.output
    node.int8(source, output)
    inverse = _float(1) / _float(output.scale[0])

    def answer(x: int) -> int:
        real = _float(source.scale[0]) * _float(x - zero_point_of(source))
        if real < 0:
            real = _float(math.exp(real)) - _float(1)
        rescaled = min(max(float(real * inverse), -1e6), 1e6)
        return round_half_away(rescaled) + zero_point_of(output)

    return tabulate(node, answer)


def _saturated(x: int) -> int:
    return min(max(x, -(2**15)), 2**15 - 1)


def _high_multiply(a: int, b: int) -> int:
    """`round(a * b / 2**15)` of two 16-bit numbers, halves away from zero as gemmlowp's."""
    product = a * b
    nudged = product + (2**14 if product >= 0 else 1 - 2**14)
    return _saturated(int(nudged / 2**15))


def _sixteen_bits(real: float) -> tuple[int, int]:
    """A factor as a multiplier of 16 bits and a shift."""
    multiplier, shift = quantize_multiplier(real)
    return min((multiplier + 2**15) >> 16, 2**15 - 1), shift


@lowers("HARD_SWISH")
def hard_swish(node: Node) -> Lowered:
    """`x * min(max(x + 3, 0), 6) / 6` in 16-bit fixed point: x with seven bits more, times a share between 0 and 1."""
    source, output = node.input(0), node.output
    node.int8(source, output)
    fine = _float(1 / 128) * _float(source.scale[0])
    to_output, output_shift = _sixteen_bits(float(fine / _float(output.scale[0])))
    to_share, share_shift = _sixteen_bits(float(fine / (_float(3) / _float(32768))))
    node.require(
        output_shift <= 0,
        f"has an output scale of {scale_of(output):g} for an input scale of {scale_of(source):g}, below 1/128 of it",
    )

    def share_of(value: int) -> int:
        """`(x + 3) / 6` held within 0 and 1, in Q0.15."""
        if share_shift > 0:
            value = _saturated(value << (share_shift - 1))
        value = _high_multiply(value, to_share)
        if share_shift > 0:
            value = _saturated(2 * value)
        if share_shift < 0:
            value = rounding_shift(value, -share_shift)
        return (value + 2**15) >> 1

    def answer(x: int) -> int:
        value = (x - zero_point_of(source)) * 2**7
        product = share_of(value) * _high_multiply(value, to_output)
        return rounding_shift(int(product / 2**15), -output_shift) + zero_point_of(output)

    return tabulate(node, answer)
