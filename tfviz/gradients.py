"""Which pixels a score depends on: the gradient with respect to the input, and what is made of many of them.

Every function answers `(B, H, W)`, float32 and raw: signed attributions are summed over the channels (so that
completeness can be checked on them), magnitudes are reduced as each docstring says. For several inputs, the answer is
in the structure in which they were given. `images` is `(B, H, W, C)` or one image; `target` is anything that
`tfviz.target.plan` takes.
"""

from collections.abc import Callable, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz import sampling
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


def smoothgrad(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The mean gradient over `samples` noisy copies of the image, E[dy/dx(x + n)], signed, summed over the channels.

    n is normal with standard deviation `noise` * (max(x) - min(x)), each image's own. Every image gets the same draws
    of `seed`, so a batch gives what its images give one by one. Without noise it is the gradient.

    Source: Smilkov et al. 2017, section 3.
    """
    job, moments = sampling.noisy(
        model, images, target, samples=samples, noise=noise, seed=seed, class_names=class_names, batch_size=batch_size
    )
    return job.answer([moment.mean for moment in moments])


def squaregrad(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The mean squared gradient over noisy copies, E[(dy/dx)^2], summed over the channels; noise as in `smoothgrad`.

    Source: Hooker et al. 2019, section 3 (SmoothGrad squared).
    """
    job, moments = sampling.noisy(
        model, images, target, samples=samples, noise=noise, seed=seed, class_names=class_names, batch_size=batch_size
    )
    return job.answer([moment.variance + moment.mean**2 for moment in moments])


def vargrad(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 50,
    noise: float = 0.15,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """The variance of the gradient over noisy copies, Var[dy/dx], summed over the channels; noise as in `smoothgrad`.

    Zero for a linear model. The divisor is `samples`. Source: Adebayo et al. 2018, appendix.
    """
    job, moments = sampling.noisy(
        model, images, target, samples=samples, noise=noise, seed=seed, class_names=class_names, batch_size=batch_size
    )
    return job.answer([moment.variance for moment in moments])


def integrated_gradients(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 50,
    rule: str = "gauss-legendre",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """Integrated Gradients: (x - x0) * integral over a in [0, 1] of dy/dx(x0 + a (x - x0)), summed over the channels.

    Complete: the attributions sum to y(x) - y(x0) but for the quadrature's error; see
    `integrated_gradients_residual`. Source: Sundararajan, Taly and Yan 2017, section 3.

    Args:
        baseline: x0: a number, or an array that broadcasts to the images (a list or dict of them for several inputs).
        steps: how many gradients.
        rule: "gauss-legendre" (the most exact), "midpoint" or "trapezoid".
    """
    options = {"baseline": baseline, "steps": steps, "rule": rule}
    return sampling.integrated(model, images, target, **options, class_names=class_names, batch_size=batch_size)[0]


def integrated_gradients_residual(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    baseline: Any = 0.0,
    steps: int = 50,
    rule: str = "gauss-legendre",
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """How far Integrated Gradients is from complete: the sum of the attributions minus (y(x) - y(x0)), `(B,)`."""
    options = {"baseline": baseline, "steps": steps, "rule": rule}
    return sampling.integrated(model, images, target, **options, class_names=class_names, batch_size=batch_size)[1]


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
        return batch.answer(in_parts(model, (reduction, rule), body, batch, wanted, batch_size=batch_size))


def _pixel_body(scored: Scored, reduction: str, rule: str, model: Any, *tensors: Any) -> tuple[Any, list[Any]]:
    gradients, doubtful, _ = input_gradients(scored, rule, model, tensors[: scored.inputs], tensors[scored.inputs :])
    reduce = _REDUCTIONS[reduction]
    answers = [reduce(x, g) for x, g in zip(tensors, gradients, strict=False)]
    return doubtful, [tf.cast(answer, tf.float32) for answer in answers]


__all__ = [
    "deconvnet",
    "gradient",
    "gradient_input",
    "guided_backprop",
    "integrated_gradients",
    "integrated_gradients_residual",
    "saliency",
    "saliency_sum",
    "smoothgrad",
    "squaregrad",
    "vargrad",
]
