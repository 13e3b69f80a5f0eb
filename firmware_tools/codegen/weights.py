"""Weights, biases and scales of the ops that multiply and accumulate, in the form in which their kernels read them."""

import dataclasses

import numpy as np

from firmware_tools.codegen.numerics import channel_scales, requantize
from firmware_tools.codegen.registry import Node
from firmware_tools.graph import Array, GraphTensor

# Sums of this many int8 products are exact in 32 bits.
MAX_PRODUCTS = 131_071
MAX_SHIFT = 30


def check(node: Node, weights: GraphTensor, channel_axis: int) -> None:
    """Refuse weights that are not int8 with one scale, or one for each of `channel_axis`, and zero points of 0."""
    node.require(
        weights.dtype == "int8" and weights.is_constant,
        f"has weights '{weights.name}' that are not constant int8; convert with --mode int8",
    )
    per_channel = len(weights.scale) > 1
    node.require(
        len(weights.scale) == 1 or (per_channel and weights.quantized_dimension == channel_axis),
        f"has {len(weights.scale)} scales of its weights along dimension {weights.quantized_dimension}, "
        f"expected one, or one for each of dimension {channel_axis}",
    )


def scales(node: Node, inputs: GraphTensor, weights: GraphTensor, output: GraphTensor) -> Array:
    """Multiplier and shift of each channel (or the one for all) as int32, flat."""
    rows = channel_scales(inputs, weights, output)
    check_shifts(node, rows)
    return rows


def check_shifts(node: Node, rows: Array) -> None:
    """Refuse factors that would shift a 32-bit accumulator out of its word."""
    node.require(
        bool((rows[:, 1] <= MAX_SHIFT).all()),
        "rescales by 2**30 or more, which no trained model does; check the scales and convert again",
    )


def folded_bias(node: Node, position: int, input_zero_point: int, weight_sums: Array) -> Array:
    """`bias - input_zero_point * sum of weights`, modulo 2**32 as int32: then input bytes count as they are.

    Exact: the sum of `(input - zero_point) * weight` is the sum of `input * weight` minus `zero_point` times the sum of
    the weights, and 32-bit accumulators wrap alike in both.
    """
    bias = np.zeros(len(weight_sums), np.int64)
    if node.optional(position) is not None:
        values = node.constant(position, "int32").ravel()
        node.require(len(values) == len(bias), f"has {len(values)} biases for {len(bias)} channels")
        bias += values
    folded = bias - input_zero_point * weight_sums.astype(np.int64)
    return folded.astype(np.uint64).astype(np.uint32).astype(np.int32)


def settled(sizes: Array, bias: Array, scales: Array) -> tuple[Array, Array]:
    """Bias and scale of each channel, other ones with the same result for channels that give the same for any input.

    A converter leaves dead channels with weights of zero and a bias or a scale at the end of its range, for which
    `nn_scale_down` is not made. What such a channel gives, v, is the fourth part of 4 v as well, exactly.
    """
    if len(scales) != len(bias):
        return bias, scales
    bias, scales = bias.copy(), scales.copy()
    ignored = scales[:, 0] == 0  # nothing counts: the result is 0
    bias[ignored], scales[ignored] = 0, (0, -1)
    for channel in np.flatnonzero((sizes == 0) & (scales[:, 1] < 0)):
        value = requantized(int(bias[channel]), int(scales[channel, 0]), int(scales[channel, 1]))
        bias[channel] = 4 * min(max(value, -512), 511)  # beyond that any zero point leaves it held at an end
        scales[channel] = 2**30, -1
    return bias, scales


def requantized(value: int, multiplier: int, shift: int) -> int:
    """What `nn_requantize` gives, for a shift of 0 or below.

    >>> requantized(-6, 2**30, -1), requantized(5, 2**30, -1)
    (-2, 2)
    """
    high = (value * multiplier + 2**30) >> 31
    if shift >= 0:
        return high
    y = high - (high < 0)
    return (y >> -shift) + (y >> (-shift - 1) & 1)


def quick(weight_sizes: Array, bias: Array, scales: Array, low: int, high: int) -> int:
    """Whether `nn_scale_down` is right for every channel: int8's own range, scales below 1/2, and no input that could
    take a sum to 2**30.

    Args:
        weight_sizes: sum of the sizes of each channel's weights.
        bias: as `folded_bias` made them. One that wrapped is at its true value too small or too large to matter.
        scales: multiplier and shift of each channel, or the one for all.
        low, high: the output's range.
    """
    bound = 128 * weight_sizes.astype(np.int64) + np.abs(bias.astype(np.int64))
    return int((low, high) == (-128, 127) and bool((scales[:, 1] < 0).all()) and bool((bound < 2**30).all()))


def sizes(rows: Array) -> Array:
    """Sum of the sizes of each row's weights."""
    return np.abs(rows.astype(np.int64)).sum(axis=1)


def padded_bias(bias: Array, groups: int, count: int) -> Array:
    """Zeros behind the biases of each group whose number is no multiple of `count`: those of the channels of zeros."""
    parts = bias.reshape(groups, -1)
    return np.pad(parts, ((0, 0), (0, -parts.shape[1] % count))).ravel()


def padded_rows(matrix: Array) -> Array:
    """Rows of int8 with zeros appended up to a multiple of four bytes, so that each begins at a word."""
    return np.pad(matrix, ((0, 0), (0, -matrix.shape[1] % 4)))


def pairs_in_turns(rows: Array, *, wide: bool = False) -> Array:
    """Two channels in turns, in the order in which the inner loop of a convolution widens them.

    Of four bytes of a channel, 0 and 2 make the first pair, 1 and 3 the second; the bytes of a pair alternate between
    the two channels. With `wide`, both pairs become int16, the first channel's first. Rows of zeros are
    appended where their number is odd.

    >>> pairs_in_turns(np.arange(8, dtype=np.int8).reshape(2, 4))
    array([0, 4, 2, 6, 1, 5, 3, 7], dtype=int8)
    >>> pairs_in_turns(np.arange(8, dtype=np.int8).reshape(2, 4), wide=True)
    array([0, 2, 4, 6, 1, 3, 5, 7], dtype=int16)
    """
    full = np.pad(rows, ((0, rows.shape[0] % 2), (0, 0)))
    parts = full.reshape(-1, 2, rows.shape[1] // 4, 2, 2)  # pair of channels, channel, four bytes, half, pair
    if wide:
        return parts.transpose(0, 2, 4, 1, 3).ravel().astype(np.int16)
    return parts.transpose(0, 2, 4, 3, 1).ravel()


def in_turns(rows: Array, count: int, *, wide: bool = False) -> Array:
    """Weights in the order in which the inner loop reads them, as the words that it reads: `count` rows in turns, four
    numbers each. Rows of zeros are appended where their number is no multiple of `count`.

    With `wide`, each four become int16 in the order of `nn_widen`: 0, 2, 1, 3.

    >>> rows = np.arange(16, dtype=np.int8).reshape(2, 8)
    >>> in_turns(rows, 2).view(np.int8)
    array([ 0,  1,  2,  3,  8,  9, 10, 11,  4,  5,  6,  7, 12, 13, 14, 15],
          dtype=int8)
    >>> in_turns(rows, 2, wide=True).view(np.int16)
    array([ 0,  2,  1,  3,  8, 10,  9, 11,  4,  6,  5,  7, 12, 14, 13, 15],
          dtype=int16)
    """
    full = np.pad(rows, ((0, -rows.shape[0] % count), (0, 0)))
    fours = full.reshape(-1, count, rows.shape[1] // 4, 4).transpose(0, 2, 1, 3)
    if wide:
        fours = fours[..., [0, 2, 1, 3]].astype("<i2")
    return np.ascontiguousarray(fours).ravel().view("<i4")


@dataclasses.dataclass(frozen=True, eq=False)
class Channels:
    """The C struct `nn_channel` of every output channel, and whether all are in the quick form."""

    rows: Array
    quick: bool


QUICK_SUM = 2**30


def channels(
    bias: Array, rows: Array, weight_sums: Array, zero_point: int, activation: tuple[int, int], *, quick: bool = True
) -> Channels:
    """Bias, multiplier, rounding term and shift of every channel, in the quick form where that is exact.

    The quick form (firmware/nn/nn_channel.h) needs a clamp that is int8's own, a shift to the right, and sums that can
    be doubled: |bias| + 128 * sum of |weights| < 2**30, where `weight_sums` are the sums of the weights' sizes. A dead
    channel, which gives the same for every input, gets a multiplier of 0, whatever its sums.

    >>> channels(np.array([5]), np.array([[2**30, -3]]), np.array([100]), 1, (-128, 127)).rows
    array([[         5, 1073741824,         12,          3]], dtype=int32)
    """
    full = np.broadcast_to(rows, (len(bias), 2)).tolist()
    known = list(zip(bias.tolist(), full, weight_sums.tolist(), strict=True))
    made = [_quick_channel(*channel, zero_point) for channel in known] if quick and activation == (-128, 127) else []
    if made and None not in made:
        return Channels(np.array(made, np.int32), True)
    return Channels(np.array([(first, scale[0], 0, scale[1]) for first, scale, _ in known], np.int32), False)


def _quick_channel(bias: int, scale: list[int], weight_sum: int, zero_point: int) -> tuple[int, int, int, int] | None:
    """One channel in the quick form, None where it has none."""
    multiplier, shift = scale
    reach = 128 * weight_sum
    if shift <= 0 and abs(bias) + reach < 2**31:
        ends = [requantize(end, multiplier, shift) + zero_point for end in (bias - reach, bias + reach)]
        lowest, highest = (max(-128, min(127, end)) for end in ends)
        if lowest == highest:  # rescaling never falls where its argument rises
            return 0, 0, 2 * lowest + 1, 1
    if shift >= 0 or abs(bias) + reach >= QUICK_SUM:
        return None
    rounding = (zero_point << -shift) + (1 << (-shift - 1))
    largest = (abs(bias) + reach) * multiplier // 2**31 + 2
    return (bias, multiplier, rounding, -shift) if largest + abs(rounding) < 2**31 else None
