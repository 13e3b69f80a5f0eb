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

from tfviz.errors import InputError
from tfviz.passes import Scored, in_parts, warn_of_probabilities
from tfviz.quadrature import nodes
from tfviz.stream import Block, blocks, chunk_size
from tfviz.tap import Batch, execute, prepare
from tfviz.tap.derivative import as_answer, derivative, rectifiers
from tfviz.target import Plan, freeze, plan

Array = npt.NDArray[Any]


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
    mean, _ = _noisy(model, images, target, samples, noise, seed, class_names, batch_size)
    return mean


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
    _, square = _noisy(model, images, target, samples, noise, seed, class_names, batch_size)
    return square


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
    return _noisy(model, images, target, samples, noise, seed, class_names, batch_size, spread=True)[1]


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
    return _integrated(model, images, target, baseline, steps, rule, class_names, batch_size)[0]


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
    return _integrated(model, images, target, baseline, steps, rule, class_names, batch_size)[1]


# How a gradient g at x, both (B, ..., C), becomes an attribution.
_REDUCTIONS: dict[str, Callable[[Any, Any], Any]] = {
    "gradient": lambda _, g: over_channels(tf.reduce_sum, g),
    "gradient_input": lambda x, g: over_channels(tf.reduce_sum, as_answer(x) * g),
    "saliency": lambda _, g: over_channels(tf.reduce_max, tf.abs(g)),
    "saliency_sum": lambda _, g: over_channels(tf.reduce_sum, tf.abs(g)),
}


def over_channels(reduce: Callable[..., Any], values: Any) -> Any:
    """Reduce the channel axis of `(B, H, W, C)`; what has no channel axis stays as it is."""
    return reduce(values, axis=-1) if len(values.shape) > 3 else values


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
    batch = prepare(model, images)
    _check_real(batch)
    wanted = plan(model, target, len(batch), class_names=class_names)
    body = partial(_pixel_body, Scored(batch, wanted), reduction, rule)
    return batch.answer(in_parts(model, (reduction, rule), body, batch, wanted, batch_size=batch_size))


def _pixel_body(scored: Scored, reduction: str, rule: str, model: Any, *tensors: Any) -> tuple[Any, list[Any]]:
    gradients, doubtful, _ = _gradients(scored, rule, model, tensors[: scored.inputs], tensors[scored.inputs :])
    reduce = _REDUCTIONS[reduction]
    answers = [reduce(x, g) for x, g in zip(tensors, gradients, strict=False)]
    return doubtful, [tf.cast(answer, tf.float32) for answer in answers]


def _gradients(
    scored: Scored, rule: str, model: Any, images: Sequence[Any], arguments: Sequence[Any]
) -> tuple[list[Any], Any, Any]:
    with derivative() as d, rectifiers(rule):
        for image in images:
            d.watch(image)
        score, _, doubtful = scored(model, images, arguments, (), d)
    return d.of(score, images), doubtful, score


def _check_real(batch: Batch) -> None:
    for dtype in batch.dtypes:
        if not tf.as_dtype(dtype).is_floating:
            raise InputError(f"The model's input is of dtype {dtype}, which has no gradient; explain a layer instead.")


def _noisy(
    model: Any,
    images: Any,
    target: Any,
    samples: int,
    noise: float,
    seed: int,
    class_names: Sequence[str] | None,
    batch_size: int | None,
    spread: bool = False,
) -> tuple[Any, Any]:
    """Mean gradient and mean square (or variance) over noisy copies, each summed over the channels."""
    if samples < 1 or noise < 0:
        raise InputError(f"samples={samples} and noise={noise} were given; at least 1 and at least 0 are expected.")
    batch = prepare(model, images)
    _check_real(batch)
    wanted = freeze(model, batch, plan(model, target, len(batch), class_names=class_names))
    body = partial(_noisy_body, Scored(batch, wanted))
    sums = [np.zeros((2, *array.shape), np.float64) for array in batch.arrays]
    draws: tuple[int, list[Array]] = (-1, [])
    doubtful = False
    for block in blocks(len(batch), samples, chunk_size(batch.arrays[0].shape[1:], batch_size)):
        if draws[0] != block.first:
            draws = block.first, _draws(batch, block, seed)
        x = batch.part(block.start, block.stop)
        deviations = [np.asarray(noise * _range(array), array.dtype) for array in x]
        arguments = [*x, *draws[1], *deviations, *wanted.repeated(block.rows)]
        doubt, results = execute(model, ("noisy", wanted.key), body, arguments, rows=False, function=wanted.function)
        doubtful = doubtful or bool(doubt)
        for total, (first, second) in zip(sums, results, strict=True):
            total[0, block.start : block.stop] += first
            total[1, block.start : block.stop] += second
    warn_of_probabilities(doubtful)
    means = [total / samples for total in sums]
    seconds = [mean[1] - mean[0] ** 2 if spread else mean[1] for mean in means]
    if spread:
        seconds = [np.maximum(second, 0) for second in seconds]
    return batch.answer([_summed(mean[0]) for mean in means]), batch.answer([_summed(s) for s in seconds])


def _noisy_body(scored: Scored, model: Any, *tensors: Any) -> tuple[Any, list[Any]]:
    n = scored.inputs
    x, draws, deviations, arguments = tensors[:n], tensors[n : 2 * n], tensors[2 * n : 3 * n], tensors[3 * n :]
    copies = [_flat(xi[:, None] + di[:, None] * ni[None]) for xi, ni, di in zip(x, draws, deviations, strict=True)]
    gradients, doubtful, _ = _gradients(scored, "", model, copies, arguments)
    sums = []
    for image, g in zip(x, gradients, strict=True):
        each = tf.reshape(g, tf.concat([[tf.shape(image)[0], -1], tf.shape(image)[1:]], 0))
        sums.append((tf.reduce_sum(each, 1), tf.reduce_sum(each * each, 1)))
    return tf.reduce_any(doubtful), sums


def _flat(blocks_of_copies: Any) -> Any:
    shape = blocks_of_copies.shape
    flat = tf.reshape(blocks_of_copies, tf.concat([[-1], tf.shape(blocks_of_copies)[2:]], 0))
    flat.set_shape([None, *shape[2:]])
    return flat


def _draws(batch: Batch, block: Block, seed: int) -> list[Array]:
    """Normal draws for the block's samples; each sample has a stream of its own, so blocks do not matter."""
    return [
        np.stack(
            [
                np.random.default_rng([seed, position, sample])
                .standard_normal(array.shape[1:], np.float64 if dtype == "float64" else np.float32)
                .astype(dtype)
                for sample in range(block.first, block.last)
            ]
        )
        for position, (array, dtype) in enumerate(zip(batch.arrays, batch.dtypes, strict=True))
    ]


def _range(array: Array) -> Array:
    axes = tuple(range(1, array.ndim))
    span = array.max(axis=axes, keepdims=True) - array.min(axis=axes, keepdims=True)
    return np.asarray(span)


def _summed(values: Array) -> npt.NDArray[np.float32]:
    return np.asarray(over_channels(np.sum, values), np.float32)


def _integrated(
    model: Any,
    images: Any,
    target: Any,
    baseline: Any,
    steps: int,
    rule: str,
    class_names: Sequence[str] | None,
    batch_size: int | None,
) -> tuple[Any, npt.NDArray[np.float32]]:
    places, weights = nodes(rule, steps)
    batch = prepare(model, images)
    _check_real(batch)
    start = _baselines(batch, baseline)
    wanted = freeze(model, batch, plan(model, target, len(batch), class_names=class_names))
    body = partial(_path_body, Scored(batch, wanted))
    totals = [np.zeros(array.shape, np.float64) for array in batch.arrays]
    ends = np.zeros(len(batch))
    # Two more samples of weight 0, the path's ends, give y(x) and y(x0) for the residual.
    alphas, shares = np.append(places, [0.0, 1.0]), np.append(weights, [0.0, 0.0])
    at_ends = np.append(np.zeros(len(places)), [-1.0, 1.0])
    doubtful = False
    for block in blocks(len(batch), len(alphas), chunk_size(batch.arrays[0].shape[1:], batch_size)):
        some = slice(block.first, block.last)
        x = batch.part(block.start, block.stop)
        x0 = start.part(block.start, block.stop)
        steps_here = [np.asarray(a[some], np.float64) for a in (alphas, shares, at_ends)]
        arguments = [*x, *x0, *steps_here, *wanted.repeated(block.rows)]
        doubt, results, difference = execute(
            model, ("path", wanted.key), body, arguments, rows=False, function=wanted.function
        )
        doubtful = doubtful or bool(doubt)
        for total, result in zip(totals, results, strict=True):
            total[block.start : block.stop] += result
        ends[block.start : block.stop] += difference
    warn_of_probabilities(doubtful)
    attributions = [
        (np.asarray(x, np.float64) - np.asarray(x0, np.float64)) * total
        for x, x0, total in zip(batch.arrays, start.arrays, totals, strict=True)
    ]
    sums = sum(a.reshape(len(batch), -1).sum(axis=1) for a in attributions)
    return batch.answer([_summed(a) for a in attributions]), np.asarray(sums - ends, np.float32)


def _path_body(scored: Scored, model: Any, *tensors: Any) -> tuple[Any, list[Any], Any]:
    n = scored.inputs
    x, x0, (alphas, shares, at_ends), arguments = (
        tensors[:n],
        tensors[n : 2 * n],
        tensors[2 * n : 2 * n + 3],
        tensors[2 * n + 3 :],
    )
    path = [_flat(_along(a, b, alphas)) for a, b in zip(x0, x, strict=True)]
    gradients, doubtful, score = _gradients(scored, "", model, path, arguments)
    means = []
    for image, g in zip(x, gradients, strict=True):
        each = tf.reshape(g, tf.concat([[tf.shape(image)[0], -1], tf.shape(image)[1:]], 0))
        means.append(tf.einsum("bs...,s->b...", each, tf.cast(shares, each.dtype)))
    scores = tf.reshape(tf.cast(score, tf.float64), [tf.shape(x[0])[0], -1])
    return tf.reduce_any(doubtful), means, tf.linalg.matvec(scores, at_ends)


def _along(start: Any, end: Any, alphas: Any) -> Any:
    shape = [1, -1, *([1] * (end.shape.rank - 1))]
    return start[:, None] + tf.reshape(tf.cast(alphas, end.dtype), shape) * (end - start)[:, None]


def _baselines(batch: Batch, baseline: Any) -> Batch:
    """The baseline of each input, broadcast to its images without a copy."""
    count = len(batch.arrays)
    if isinstance(baseline, dict):
        listed = [baseline[key] for key, _ in sorted(batch.like.items(), key=lambda item: item[1])]
    elif isinstance(baseline, (list, tuple)) and count > 1:
        listed = list(baseline)
    else:
        listed = [baseline] * count
    arrays = []
    for array, given in zip(batch.arrays, listed, strict=True):
        try:
            arrays.append(np.broadcast_to(np.asarray(given, np.float64), array.shape))
        except ValueError:
            raise InputError(
                f"The baseline has shape {np.shape(given)}, which does not broadcast to the images {array.shape}."
            ) from None
    return Batch(tuple(arrays), batch.dtypes, batch.like, batch.structure)


__all__ = [
    "Plan",
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
