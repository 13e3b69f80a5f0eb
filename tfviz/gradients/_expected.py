"""Expected gradients: Integrated Gradients over many baselines at once."""

from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.input_gradient import input_gradients
from tfviz.passes import Scored, warn_of_probabilities
from tfviz.sampling import Job, by_image, flat, span
from tfviz.stream import blocks
from tfviz.tap import Batch, prepare, steady

Array = npt.NDArray[Any]


def expected_gradients(
    model: Any,
    images: Any,
    target: Any = None,
    *,
    references: Any = None,
    samples: int = 100,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> Any:
    """Expected gradients: E[(x - x0) * dy/dx(x0 + a (x - x0))] over baselines x0 and a in [0, 1], summed over channels.

    Complete in expectation: the attributions sum to y(x) - E[y(x0)]. No single baseline, whose own colour would count
    for nothing, has to be chosen. The a of the samples are stratified (one in each of `samples` equal parts of [0, 1])
    and the references taken in turn, in a shuffled order, which leaves the mean and lowers the variance. Every image
    gets the same draws of `seed`.

    Source: Erion et al. 2021, equation 3.

    Args:
        references: images of the model's input shape, `(R, H, W, C)`, such as some of the training data, of which each
            sample takes one (a list or dict of them for several inputs, drawn together). None: noise,
            uniform between the darkest and the brightest value of each image (Sturmfels, Lundberg and Lee 2020).
        samples: how many gradients.
        seed: of the draws.

    Raises:
        InputError: references that do not fit the model's input.
    """
    if samples < 1:
        raise InputError(f"samples={samples} was given; at least 1 is expected.")
    with steady(model):
        job = Job.of(model, images, target, class_names, batch_size)
        known = None if references is None else _references(model, references)
        body = partial(_body, Scored(job.batch, job.plan))
        totals = [np.zeros(array.shape) for array in job.batch.arrays]
        doubtful = False
        drawn: tuple[int, list[Array], Array] = (-1, [], np.zeros(0))
        for block in blocks(len(job.batch), samples, job.size):
            if drawn[0] != block.first:
                drawn = block.first, *_draws(job.batch, known, range(block.first, block.last), samples, seed)
            x = job.batch.part(block.start, block.stop)
            low, width = _ranges(x, known is not None)
            arguments = [*x, *drawn[1], *low, *width, drawn[2], *job.plan.repeated(block.rows)]
            doubt, results = job.run("expected", body, arguments)
            doubtful = doubtful or bool(doubt)
            for total, result in zip(totals, results, strict=True):
                total[block.start : block.stop] += result
        warn_of_probabilities(doubtful)
    return job.answer("expected-gradients", [total / samples for total in totals])


def _body(scored: Scored, model: Any, *tensors: Any) -> tuple[Any, list[Any]]:
    n = scored.inputs
    x, draws, low, width = (tensors[i * n : (i + 1) * n] for i in range(4))
    places, arguments = tensors[4 * n], tensors[4 * n + 1 :]
    ways, points = [], []
    for xi, draw, lowest, range_ in zip(x, draws, low, width, strict=True):
        baselines = lowest[:, None] + range_[:, None] * draw[None]
        way = xi[:, None] - baselines
        along = tf.reshape(tf.cast(places, xi.dtype), [1, -1, *[1] * (xi.shape.rank - 1)])
        ways.append(way)
        points.append(flat(baselines + along * way))
    gradients, doubtful, _ = input_gradients(scored, "", model, points, arguments)
    sums = [
        tf.reduce_sum(tf.cast(way, g.dtype) * by_image(g, xi), axis=1)
        for way, g, xi in zip(ways, gradients, x, strict=True)
    ]
    return tf.reduce_any(doubtful), sums


def _references(model: Any, references: Any) -> Batch:
    try:
        return prepare(model, references)
    except InputError as error:
        raise InputError(f"The references do not fit: {error}") from error


def _draws(batch: Batch, references: Batch | None, samples: range, count: int, seed: int) -> tuple[list[Array], Array]:
    """What each sample's baseline is made of, for each input, and where on the way from it the sample lies."""
    streams = [np.random.default_rng([seed, sample]) for sample in samples]
    places = np.array([(sample + stream.random()) / count for sample, stream in zip(samples, streams, strict=True)])
    if references is not None:
        order = np.random.default_rng(seed).permutation(len(references))
        rows = order[np.arange(samples.start, samples.stop) % len(references)]
        pairs = zip(references.arrays, batch.dtypes, strict=True)
        return [np.asarray(array[rows], dtype) for array, dtype in pairs], places
    pairs = zip(batch.arrays, batch.dtypes, strict=True)
    return [
        np.stack([stream.random(array.shape[1:], np.float32) for stream in streams]).astype(dtype)
        for array, dtype in pairs
    ], places


def _ranges(x: Sequence[Array], given: bool) -> tuple[list[Array], list[Array]]:
    """Each image's lowest value and span, between which noise is drawn; 0 and 1 where references are given."""
    if given:
        return [np.zeros_like(span(xi)) for xi in x], [np.ones_like(span(xi)) for xi in x]
    return [xi.min(axis=tuple(range(1, xi.ndim)), keepdims=True) for xi in x], [span(xi) for xi in x]
