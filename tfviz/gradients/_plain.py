"""One backward pass: the gradient with respect to the input, by its own rule or by another for the rectifiers."""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import tensorflow as tf

from tfviz.emptiness import warn_of_silence
from tfviz.input_gradient import check_real, input_gradients, over_channels
from tfviz.passes import Scored, in_parts
from tfviz.tap import prepare, steady
from tfviz.tap.derivative import as_answer
from tfviz.target import plan


def gradient(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The signed gradient dy/dx of the score, summed over the channels.

    Source: Simonyan, Vedaldi and Zisserman 2013, section 3 (there as a magnitude, see `saliency`).

    >>> import keras
    >>> import numpy as np
    >>> model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(2)])
    >>> model.set_weights([np.arange(8.0).reshape(4, 2), np.zeros(2)])
    >>> gradient(model, np.ones((2, 2, 1)), 1)
    array([[[1., 3.],
            [5., 7.]]], dtype=float32)
    """
    return _pixels(model, images, target, "gradient", class_names=class_names, batch_size=batch_size)


def saliency(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The saliency map: max over the channels of |dy/dx|. Source: Simonyan, Vedaldi and Zisserman 2013, section 3.1."""
    return _pixels(model, images, target, "saliency", class_names=class_names, batch_size=batch_size)


def saliency_sum(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The sum over the channels of |dy/dx|, as some guides draw the saliency map."""
    return _pixels(model, images, target, "saliency_sum", class_names=class_names, batch_size=batch_size)


def gradient_input(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """x * dy/dx, summed over the channels; of a bias-free ReLU network it sums to y.

    Source: Shrikumar et al. 2016, section 1.
    """
    return _pixels(model, images, target, "gradient_input", class_names=class_names, batch_size=batch_size)


def guided_backprop(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The gradient in which every ReLU lets only positive signals back, where it was active; summed over the channels.

    Stays nearly the same when the upper layers' weights are randomised (Adebayo et al. 2018), so it shows edges rather
    than reasons. Source: Springenberg et al. 2015, section 3.4.

    Raises:
        InputError: the model has no rectifier, or runs eagerly.
    """
    return _pixels(model, images, target, "gradient", rule="guided", class_names=class_names, batch_size=batch_size)


def deconvnet(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The gradient in which every ReLU lets positive signals back whether it was active or not; summed over channels.

    Source: Zeiler and Fergus 2014, section 2.1 (max pooling goes back through its switches, as in the gradient).

    Raises:
        InputError: the model has no rectifier, or runs eagerly.
    """
    return _pixels(model, images, target, "gradient", rule="deconvnet", class_names=class_names, batch_size=batch_size)


# How a gradient g at x, both (B, ..., C), becomes an attribution.
_REDUCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "gradient": lambda _, g: over_channels(tf.reduce_sum, g),
    "gradient_input": lambda x, g: over_channels(tf.reduce_sum, as_answer(x) * g),
    "saliency": lambda _, g: over_channels(tf.reduce_max, tf.abs(g)),
    "saliency_sum": lambda _, g: over_channels(tf.reduce_sum, tf.abs(g)),
}


def _pixels(
    model: Any,
    images: Any,
    target: Any,
    reduction: str,
    *,
    class_names: Sequence[str] | None,
    batch_size: int | None,
    rule: str = "",
) -> Any:
    with steady(model):
        batch = prepare(model, images)
        check_real(batch)
        wanted = plan(model, target, len(batch), class_names=class_names)
        body = partial(_pixel_body, Scored(batch, wanted), reduction, rule)
        maps = in_parts(model, (reduction, rule), body, batch, wanted, batch_size=batch_size)
        warn_of_silence(rule or reduction.replace("_", "-"), maps)
        return batch.answer(maps)


def _pixel_body(scored: Scored, reduction: str, rule: str, model: Any, *tensors: Any) -> tuple[Any, list[Any]]:
    gradients, doubtful, _ = input_gradients(scored, rule, model, tensors[: scored.inputs], tensors[scored.inputs :])
    reduce = _REDUCTIONS[reduction]
    answers = [reduce(x, g) for x, g in zip(tensors, gradients, strict=False)]
    return doubtful, [tf.cast(answer, tf.float32) for answer in answers]
