"""Objectives of the picture itself, black 0 and white 1, which keep it from noise. Subtract them."""

from typing import Any

import numpy as np
import tensorflow as tf

from tfviz.objective.algebra import Bound, Objective, Scene


def total_variation() -> Objective:
    """The roughness of the picture, black 0 and white 1: sum |u(y+1, x) - u(y, x)| + |u(y, x+1) - u(y, x)|.

    Subtract it. Source: Rudin, Osher and Fatemi 1992; Mahendran and Vedaldi 2015.
    """

    def build(scene: Scene) -> Any:
        numbers = tf.cast(tf.size(scene.picture[0]), tf.float32)
        return roughness(scene.picture) * numbers

    return Objective(lambda _model, _subjects: Bound("total variation", build))


def roughness(u: Any) -> Any:
    """The total variation of pictures `(B, H, W, C)` for each of their numbers, `(B,)`."""
    down = tf.reduce_sum(tf.abs(u[:, 1:] - u[:, :-1]), axis=(1, 2, 3))
    across = tf.reduce_sum(tf.abs(u[:, :, 1:] - u[:, :, :-1]), axis=(1, 2, 3))
    return (down + across) / tf.cast(tf.size(u[0]), u.dtype)


def norm(power: float = 2.0) -> Objective:
    """The size of the picture, black 0 and white 1: sum |u| ** power; `norm()` is |u|^2. Subtract it.

    Source: Simonyan, Vedaldi and Zisserman 2013, section 2.
    """

    def bind(_model: Any, subjects: int) -> Bound:
        exponents = np.full(subjects, power, np.float32)

        def build(scene: Scene) -> Any:
            exponent = scene.arrays[0][:, tf.newaxis, tf.newaxis, tf.newaxis]
            return tf.reduce_sum(tf.abs(scene.picture) ** exponent, axis=(1, 2, 3))

        return Bound("norm", build, (), (exponents,))

    return Objective(bind)
