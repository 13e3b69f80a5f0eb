"""Weights, biases and scales of the ops that multiply and accumulate, in the form in which their kernels read them."""

import numpy as np

from firmware_tools.codegen.numerics import channel_scales
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
