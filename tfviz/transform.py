"""Small random changes of a picture between the steps of `tfviz.maximize`, so that what it shows holds up to them.

Each function returns a `Transform`: `apply(pictures (B, H, W, C), seed (2,) int32) -> pictures`, drawn anew at each
step, the same for every picture of the batch (so that a batch is what a loop would give). Pictures go on beyond their
edges periodically, as the Fourier parametrisation has them.
"""

import dataclasses
from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import tensorflow as tf

from tfviz.errors import InputError


@dataclasses.dataclass(frozen=True, eq=False)
class Transform:
    """One random change; two with the same `key` do the same."""

    key: Hashable
    apply: Callable[[Any, Any], Any]


def jitter(pixels: int = 8) -> Transform:
    """Shift by up to `pixels` in each direction, what leaves at one side coming in at the other.

    Source: Mordvintsev, Olah and Tyka 2015.
    """
    _at_least("jitter", pixels, 0)

    def apply(pictures: Any, seed: Any) -> Any:
        by = tf.random.stateless_uniform([2], seed, -pixels, pixels + 1, tf.int32)
        return tf.roll(pictures, by, axis=[1, 2])

    return Transform(("jitter", pixels), apply)


def rotate(degrees: float = 12.0) -> Transform:
    """Turn about the middle by up to `degrees` to either side."""
    _at_least("rotate", degrees, 0)

    def apply(pictures: Any, seed: Any) -> Any:
        angle = tf.random.stateless_uniform([], seed, -degrees, degrees) * (np.pi / 180)
        return _warped(pictures, tf.cos(angle), tf.sin(angle), (0.0, 0.0))

    return Transform(("rotate", degrees), apply)


def scale(low: float = 0.8, high: float = 1.2) -> Transform:
    """Grow about the middle by a factor between `low` and `high`."""
    if not 0 < low <= high:
        raise InputError(f"scale({low}, {high}): expected 0 < low <= high.")

    def apply(pictures: Any, seed: Any) -> Any:
        factor = tf.random.stateless_uniform([], seed, low, high)
        return _warped(pictures, 1 / factor, 0.0, (0.0, 0.0))

    return Transform(("scale", low, high), apply)


def crop(low: float = 0.5, high: float = 1.0) -> Transform:
    """Look at a random part only, of side `low` to `high` of the picture's, brought to full size.

    Source: Fel et al. 2023, MaCo, section 4 (there with normally drawn sides and middles).
    """
    if not 0 < low <= high <= 1:
        raise InputError(f"crop({low}, {high}): expected 0 < low <= high <= 1.")

    def apply(pictures: Any, seed: Any) -> Any:
        draws = tf.random.stateless_uniform([3], seed)
        side = low + (high - low) * draws[0]
        room = (1 - side) / 2
        return _warped(pictures, side, 0.0, (room * (2 * draws[1] - 1), room * (2 * draws[2] - 1)))

    return Transform(("crop", low, high), apply)


def noise(deviation: float = 0.02) -> Transform:
    """Add normal noise; black is 0 and white 1."""
    _at_least("noise", deviation, 0)

    def apply(pictures: Any, seed: Any) -> Any:
        return pictures + deviation * tf.random.stateless_normal(tf.shape(pictures)[1:], seed)

    return Transform(("noise", deviation), apply)


def usual(side: int) -> tuple[Transform, ...]:
    """The default for pictures of a side in pixels: jitter, scale and rotate by a little.

    >>> [transform.key for transform in usual(64)]
    [('jitter', 8), ('scale', 0.8, 1.2), ('rotate', 12.0)]
    """
    return (jitter(max(1, round(side / 8))), scale(), rotate())


def chain(transforms: Sequence[Transform], pictures: Any, seed: Any, step: Any) -> Any:
    """All of them, one after the other, with the draws of a step."""
    for number, transform in enumerate(transforms):
        drawn = tf.stack([seed, step * len(transforms) + number])
        pictures = transform.apply(pictures, drawn)
    return pictures


def _warped(pictures: Any, cosine: Any, sine: Any, shift: tuple[Any, Any]) -> Any:
    """Read each pixel from where a rotation and growth about the middle, and a shift in sides, puts it; bilinear."""
    height, width = (tf.cast(size, tf.float32) for size in (tf.shape(pictures)[1], tf.shape(pictures)[2]))
    middle_x, middle_y = (width - 1) / 2, (height - 1) / 2
    cosine, sine = tf.cast(cosine, tf.float32), tf.cast(sine, tf.float32)
    row = [
        cosine,
        -sine,
        middle_x - cosine * middle_x + sine * middle_y + shift[1] * (width - 1),
        sine,
        cosine,
        middle_y - sine * middle_x - cosine * middle_y + shift[0] * (height - 1),
        0.0,
        0.0,
    ]
    moved = tf.raw_ops.ImageProjectiveTransformV3(
        images=pictures,
        transforms=tf.stack([tf.cast(entry, tf.float32) for entry in row])[tf.newaxis],
        output_shape=tf.shape(pictures)[1:3],
        fill_value=0.0,
        interpolation="BILINEAR",
        fill_mode="WRAP",
    )
    moved.set_shape(pictures.shape)
    return moved


def _at_least(name: str, value: float, least: float) -> None:
    if not value >= least:
        raise InputError(f"{name}({value}): expected at least {least}.")
