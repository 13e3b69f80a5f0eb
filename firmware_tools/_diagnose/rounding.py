"""How 32-bit sums become output steps: `sum * multiplier * 2**(shift - 31)`, rounded in the ways that are in use.

Each takes sums int64 (..., channels), multiplier and shift int64 (channels, 2) or (2,), and the factor as a real
number; each gives int64.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def wrapped(x: Array) -> Array:
    """int64 modulo 2**32, as signed 32-bit numbers."""
    return x.astype(np.int64).astype(np.uint32).astype(np.int32).astype(np.int64)


def _parts(scales: Array) -> tuple[Array, Array]:
    return scales[..., 0], scales[..., 1]


def double(x: Array, scales: Array, real: Array) -> Array:
    """Rounded twice, as TensorFlow Lite Micro does: `x * m / 2**31` halves upward, then `/ 2**-shift` halves away."""
    del real
    multiplier, shift = _parts(scales)
    high = (wrapped(x << np.maximum(shift, 0)) * multiplier + (1 << 30)) >> 31
    right = np.maximum(-shift, 0)
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)
    return (high + half - ((high < 0) & (right > 0))) >> right


def double_upward(x: Array, scales: Array, real: Array) -> Array:
    """Rounded twice, but halves upward in the second rounding too."""
    del real
    multiplier, shift = _parts(scales)
    high = (wrapped(x << np.maximum(shift, 0)) * multiplier + (1 << 30)) >> 31
    right = np.maximum(-shift, 0)
    return (high + np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)) >> right


def cut_then_round(x: Array, scales: Array, real: Array) -> Array:
    """`x * m / 2**31` cut off instead of rounded, then halves away from zero."""
    del real
    multiplier, shift = _parts(scales)
    high = (wrapped(x << np.maximum(shift, 0)) * multiplier) >> 31
    right = np.maximum(-shift, 0)
    half = np.where(right > 0, np.int64(1) << np.maximum(right - 1, 0), 0)
    return (high + half - ((high < 0) & (right > 0))) >> right


def round_then_cut(x: Array, scales: Array, real: Array) -> Array:
    """`x * m / 2**31` rounded, then shifted without rounding."""
    del real
    multiplier, shift = _parts(scales)
    high = (wrapped(x << np.maximum(shift, 0)) * multiplier + (1 << 30)) >> 31
    return high >> np.maximum(-shift, 0)


def single(x: Array, scales: Array, real: Array) -> Array:
    """Rounded once, halves upward: `(x * m + 2**(30 - shift)) >> (31 - shift)`."""
    del real
    multiplier, shift = _parts(scales)
    right = 31 - shift
    return (x * multiplier + (np.int64(1) << (right - 1))) >> right


def floating(x: Array, scales: Array, real: Array) -> Array:
    """Rounded once, halves to even, the product in float32 (XNNPACK): `rint(float32(x) * float32(scale))`."""
    del scales
    return np.rint(x.astype(np.float32) * np.asarray(real, np.float32)).astype(np.int64)


def truncated(x: Array, scales: Array, real: Array) -> Array:
    """Not rounded at all: `floor(x * scale)`."""
    del real
    multiplier, shift = _parts(scales)
    return (x * multiplier) >> (31 - shift)


def shortcut(x: Array, scales: Array, real: Array) -> Array:
    """`double`, as the built-in engine computes it for sums below 2**30 (firmware/nn/nn_math.h); others overflow."""
    del real
    multiplier, shift = _parts(scales)
    high = (wrapped(2 * x) * multiplier + (np.int64(1) << 31)) >> 32
    return (((high - (high < 0)) >> (-shift - 1)) + 1) >> 1


ROUNDINGS = {
    "shortcut": shortcut,
    "double": double,
    "single": single,
    "float": floating,
    "truncated": truncated,
    "double, halves upward": double_upward,
    "first cut off": cut_then_round,
    "second cut off": round_then_cut,
}
