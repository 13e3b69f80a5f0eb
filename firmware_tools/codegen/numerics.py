"""The integer arithmetic of TensorFlow Lite Micro, in Python: what the generator computes so that the kernels need not.

All of it works on plain integers (or int64 arrays), with the two roundings of gemmlowp's fixed point: a "Qm.n" number
has m integer and n fraction bits, m + n = 31. Checked bit for bit against the kernels by the test suite.
"""

import math

import numpy as np

from firmware_tools.graph import Array, GraphTensor

INT32_MIN, INT32_MAX = -(2**31), 2**31 - 1


def quantize_multiplier(real: float) -> tuple[int, int]:
    """The 32-bit multiplier and shift with `real = multiplier * 2**(shift - 31)`, multiplier in [2**30, 2**31).

    Source: Jacob et al. 2018, "Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only
    Inference", section 2.2. A factor below 2**-32 becomes (0, 0).

    >>> quantize_multiplier(0.5), quantize_multiplier(1.0), quantize_multiplier(0.0)
    ((1073741824, 0), (1073741824, 1), (0, 0))
    """
    if real == 0.0:
        return 0, 0
    fraction, shift = math.frexp(real)
    fixed = math.floor(fraction * 2**31 + 0.5)
    if fixed == 2**31:
        fixed //= 2
        shift += 1
    return (0, 0) if shift < -31 else (fixed, shift)


def doubling_high_multiply(a: int, b: int) -> int:
    """`round(a * b / 2**31)`, halves upward, saturated: gemmlowp's saturating rounding doubling high multiply.

    >>> doubling_high_multiply(1 << 30, 1 << 30) == 1 << 29, doubling_high_multiply(-(2**31), -(2**31)) == 2**31 - 1
    (True, True)
    """
    return min((a * b + (1 << 30)) >> 31, INT32_MAX)


def rounding_shift(x: int, exponent: int) -> int:
    """`round(x / 2**exponent)`, halves away from zero.

    >>> [rounding_shift(x, 1) for x in (-3, -1, 1, 3)]
    [-2, -1, 1, 2]
    """
    if exponent == 0:
        return x
    half = 1 << (exponent - 1)
    return (x + half - (x < 0)) >> exponent


def wrap(x: int) -> int:
    """The value of `x` modulo 2**32 as a signed 32-bit integer."""
    return (x + 2**31) % 2**32 - 2**31


def saturate(x: int) -> int:
    """`x` clamped to 32 bits."""
    return max(INT32_MIN, min(INT32_MAX, x))


def requantize(x: int, multiplier: int, shift: int) -> int:
    """`x * multiplier * 2**(shift - 31)` with two roundings, as TensorFlow Lite Micro rescales an accumulator."""
    high = doubling_high_multiply(wrap(x << max(shift, 0)), multiplier)
    return rounding_shift(high, max(-shift, 0))


def exp_of_negative(a: int, integer_bits: int = 5) -> int:
    """`exp(a)` for `a <= 0` in Q5.26 (or fewer `integer_bits`), as Q0.31.

    The argument is split into a multiple of 1/4, whose powers are tabulated, and a rest in [-1/4, 0), for which the
    Taylor polynomial around -1/8 to the fourth order serves (gemmlowp, fixedpoint.h).
    """
    if a == 0:
        return INT32_MAX
    fraction_bits = 31 - integer_bits
    quarter = 1 << (fraction_bits - 2)
    rest = (a & (quarter - 1)) - quarter
    x = saturate(rest << integer_bits) + (1 << 28)
    x2 = doubling_high_multiply(x, x)
    x3, x4 = doubling_high_multiply(x2, x), doubling_high_multiply(x2, x2)
    one_third, exp_minus_eighth = 715827883, 1895147668
    tail = rounding_shift(doubling_high_multiply(rounding_shift(x4, 2) + x3, one_third) + x2, 1)
    result = exp_minus_eighth + doubling_high_multiply(exp_minus_eighth, x + tail)
    remainder = rest - a
    # exp(-1/4), exp(-1/2), exp(-1), ... exp(-16) in Q0.31
    factors = (1672461947, 1302514674, 790015084, 290630308, 39332535, 720401, 242)
    for exponent, factor in enumerate(factors, start=-2):
        if exponent < integer_bits and remainder & (1 << (fraction_bits + exponent)):
            result = doubling_high_multiply(result, factor)
    return result


def _half_reciprocal(a: int) -> int:
    """`2 / (1 + a)` for `a` in [0, 1] in Q0.31, as Q2.29: three steps of Newton-Raphson (gemmlowp, fixedpoint.h)."""
    half_denominator = (a + INT32_MAX + 1) >> 1
    forty_eight_17ths, minus_thirty_two_17ths = 1515870810, -1010580540
    x = forty_eight_17ths + doubling_high_multiply(half_denominator, minus_thirty_two_17ths)
    for _ in range(3):
        error = (1 << 29) - doubling_high_multiply(half_denominator, x)
        x += saturate(doubling_high_multiply(x, error) << 2)
    return x


def one_over_one_plus(a: int) -> int:
    """`1 / (1 + a)` for `a` in [0, 1] in Q0.31, as Q0.31."""
    return saturate(_half_reciprocal(a) << 1)


def logistic(a: int, integer_bits: int = 4) -> int:
    """`1 / (1 + exp(-a))` for `a` in Q4.27 (or other `integer_bits` up to 5), as Q0.31."""
    if a == 0:
        return 1 << 30
    magnitude = wrap(-a) if a > 0 else a
    positive = one_over_one_plus(exp_of_negative(magnitude, integer_bits))
    return positive if a > 0 else INT32_MAX - positive


def tanh(a: int, integer_bits: int = 4) -> int:
    """`tanh(a)` for `a` in Q4.27 (or other `integer_bits`), as Q0.31: `2 / (1 + e) - 1` with `e = exp(-2 |a|)`."""
    if a == 0:
        return 0
    # Doubling the argument only moves its binary point: one integer bit more.
    e = exp_of_negative(-abs(a), integer_bits + 1)
    positive = saturate((_half_reciprocal(e) - (1 << 29)) << 2)
    return positive if a > 0 else -positive


def round_half_away(x: float) -> int:
    """The nearest integer, halves away from zero, as C's `round`.

    >>> round_half_away(2.5), round_half_away(-2.5), round_half_away(0.49999997)
    (3, -3, 0)
    """
    return math.floor(x + 0.5) if x >= 0 else math.ceil(x - 0.5)


def scale_of(tensor: GraphTensor) -> float:
    """The tensor's one scale: the float32 of the file, as a double."""
    return float(tensor.scale[0])


def zero_point_of(tensor: GraphTensor) -> int:
    """The tensor's one zero point."""
    return int(tensor.zero_point[0])


def activation_range(activation: str, tensor: GraphTensor) -> tuple[int, int]:
    """Smallest and largest output under a fused activation: `zero_point + round(bound / scale)`, in float32."""
    limits = np.iinfo(tensor.dtype)
    scale, zero_point = np.float32(tensor.scale[0]), zero_point_of(tensor)
    bounds: dict[str, tuple[float | None, float | None]] = {
        "NONE": (None, None),
        "RELU": (0.0, None),
        "RELU6": (0.0, 6.0),
        "RELU_N1_TO_1": (-1.0, 1.0),
    }
    low, high = bounds[activation]

    def quantized(bound: float) -> int:
        return zero_point + round_half_away(float(np.float32(bound) / scale))

    lowest = limits.min if low is None else max(limits.min, quantized(low))
    highest = limits.max if high is None else min(limits.max, quantized(high))
    return lowest, highest


def channel_scales(inputs: GraphTensor, weights: GraphTensor, output: GraphTensor) -> Array:
    """Multiplier and shift of every output channel (or the one for all), as int32 of shape (channels or 1, 2).

    The effective scale is `input * weights[channel] / output`, in double precision from the file's float32.
    """
    rows = [quantize_multiplier(scale_of(inputs) * float(scale) / scale_of(output)) for scale in weights.scale]
    return np.array(rows, np.int32)
