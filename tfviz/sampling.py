"""Gradients at many points for each image: noisy copies, and points on the way from a baseline.

Images x points are one flat stream through the model; only running sums are kept, so memory does not grow with the
number of points. Used by `tfviz.gradients`, whose docstrings say what is computed.
"""

import dataclasses
from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.emptiness import warn_of_silence
from tfviz.errors import InputError
from tfviz.input_gradient import check_real, input_gradients, over_channels
from tfviz.passes import Scored, warn_of_probabilities
from tfviz.quadrature import along
from tfviz.stream import blocks, chunk_size
from tfviz.tap import Batch, execute, prepare, steady
from tfviz.target import Plan, freeze, plan

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]


@dataclasses.dataclass(frozen=True)
class Job:
    """What all sampling methods start from: the images, and the class that each unchanged image is explained for."""

    model: Any
    batch: Batch
    plan: Plan
    batch_size: int | None

    @classmethod
    def of(
        cls, model: Any, images: Any, target: Any, class_names: Sequence[str] | None, batch_size: int | None
    ) -> "Job":
        """Check everything once."""
        batch = prepare(model, images)
        check_real(batch)
        wanted = freeze(model, batch, plan(model, target, len(batch), class_names=class_names))
        return cls(model, batch, wanted, batch_size)

    @property
    def size(self) -> int:
        """How many copies go through the model at once."""
        return chunk_size(self.batch.arrays[0].shape[1:], self.batch_size)

    def run(self, key: str, body: Any, arguments: Sequence[Array]) -> Any:
        """Run one block, compiled."""
        return execute(self.model, (key, self.plan.key), body, arguments, rows=False, function=self.plan.function)

    def answer(self, name: str, totals: Sequence[Array]) -> Any:
        """Attributions `(B, ..., C)` of each input, summed over the channels, in the structure of the images."""
        maps = [np.asarray(over_channels(np.sum, t), np.float32) for t in totals]
        warn_of_silence(name, maps)
        return self.batch.answer(maps)


class Moments:
    """Running mean and sum of squared deviations along a stream of blocks (Chan, Golub and LeVeque 1979)."""

    def __init__(self, shape: Sequence[int]) -> None:
        self.mean: Doubles = np.zeros(shape)
        self._deviations: Doubles = np.zeros(shape)
        self._count: Doubles = np.zeros(shape[0])

    def add(self, rows: slice, count: int, mean: Array, deviations: Array) -> None:
        """Take in `count` more samples of some rows, by their mean and their sum of squared deviations from it."""
        before = self._count[rows].reshape(-1, *([1] * (mean.ndim - 1)))
        apart = mean - self.mean[rows]
        self._deviations[rows] += deviations + apart**2 * before * count / (before + count)
        self.mean[rows] += apart * count / (before + count)
        self._count[rows] += count

    @property
    def variance(self) -> Doubles:
        """The mean squared deviation from the mean."""
        return np.asarray(self._deviations / self._count.reshape(-1, *([1] * (self.mean.ndim - 1))))


def noisy(
    model: Any,
    images: Any,
    target: Any,
    *,
    samples: int,
    noise: float,
    seed: int,
    class_names: Sequence[str] | None,
    batch_size: int | None,
) -> tuple[Job, list[Moments]]:
    """The moments of the gradient over noisy copies, for each input."""
    if samples < 1 or not 0 <= noise < np.inf:
        raise InputError(f"samples={samples} and noise={noise} were given; at least 1 and at least 0 are expected.")
    with steady(model):
        job = Job.of(model, images, target, class_names, batch_size)
        body = partial(_noisy_body, Scored(job.batch, job.plan))
        moments = [Moments(array.shape) for array in job.batch.arrays]
        drawn: tuple[int, list[Array]] = (-1, [])
        doubtful = False
        for block in blocks(len(job.batch), samples, job.size):
            if drawn[0] != block.first:
                drawn = block.first, _draws(job.batch, range(block.first, block.last), seed)
            x = job.batch.part(block.start, block.stop)
            deviations = [np.asarray(noise * span(array), array.dtype) for array in x]
            doubt, results = job.run("noisy", body, [*x, *drawn[1], *deviations, *job.plan.repeated(block.rows)])
            doubtful = doubtful or bool(doubt)
            for moment, (mean, spread) in zip(moments, results, strict=True):
                rows = slice(block.start, block.stop)
                moment.add(rows, block.last - block.first, np.asarray(mean), np.asarray(spread))
        warn_of_probabilities(doubtful)
    return job, moments


def _noisy_body(scored: Scored, model: Any, *tensors: Any) -> tuple[Any, list[Any]]:
    n = scored.inputs
    x, draws, deviations, arguments = tensors[:n], tensors[n : 2 * n], tensors[2 * n : 3 * n], tensors[3 * n :]
    copies = [flat(xi[:, None] + di[:, None] * ni[None]) for xi, ni, di in zip(x, draws, deviations, strict=True)]
    gradients, doubtful, _ = input_gradients(scored, "", model, copies, arguments)
    moments = []
    for image, g in zip(x, gradients, strict=True):
        each = by_image(g, image)
        mean = tf.reduce_mean(each, axis=1)
        moments.append((mean, tf.reduce_sum((each - mean[:, None]) ** 2, axis=1)))
    return tf.reduce_any(doubtful), moments


def _draws(batch: Batch, samples: range, seed: int) -> list[Array]:
    """Standard normal draws; each sample has a stream of its own, so that how blocks are cut does not matter."""

    def draw(shape: tuple[int, ...], dtype: str, *key: int) -> Array:
        kind = np.float64 if dtype == "float64" else np.float32
        return np.random.default_rng([seed, *key]).standard_normal(shape, kind).astype(dtype)

    pairs = enumerate(zip(batch.arrays, batch.dtypes, strict=True))
    return [np.stack([draw(array.shape[1:], dtype, i, sample) for sample in samples]) for i, (array, dtype) in pairs]


def span(array: Array) -> Array:
    """Each image's brightest value less its darkest, with axes of length 1."""
    axes = tuple(range(1, array.ndim))
    return np.asarray(array.max(axis=axes, keepdims=True) - array.min(axis=axes, keepdims=True))


def integrated(
    model: Any,
    images: Any,
    target: Any,
    *,
    baseline: Any,
    steps: int,
    rule: str,
    residual: bool,
    class_names: Sequence[str] | None,
    batch_size: int | None,
) -> tuple[Any, npt.NDArray[np.float32]]:
    """Integrated Gradients, and with `residual` by how much each image's attributions miss y(x) - y(x0)."""
    points = along(rule, steps, (-1, 1) if residual else None)
    with steady(model):
        job = Job.of(model, images, target, class_names, batch_size)
        start = _baselines(job.batch, baseline)
        body = partial(_path_body, Scored(job.batch, job.plan))
        totals = [np.zeros(array.shape) for array in job.batch.arrays]
        differences = np.zeros(len(job.batch))
        doubtful = False
        for block in blocks(len(job.batch), points.shape[1], job.size):
            rows = slice(block.start, block.stop)
            x, x0 = job.batch.part(block.start, block.stop), start.part(block.start, block.stop)
            some = [np.ascontiguousarray(row) for row in points[:, block.first : block.last]]
            doubt, results, difference = job.run("path", body, [*x, *x0, *some, *job.plan.repeated(block.rows)])
            doubtful = doubtful or bool(doubt)
            differences[rows] += difference
            for total, result in zip(totals, results, strict=True):
                total[rows] += result
        warn_of_probabilities(doubtful)
    ways = [(x - np.asarray(x0)) * t for x, x0, t in zip(job.batch.arrays, start.arrays, totals, strict=True)]
    sums = sum(way.reshape(len(job.batch), -1).sum(axis=1) for way in ways)
    return job.answer("integrated-gradients", ways), np.asarray(sums - differences, np.float32)


def _path_body(scored: Scored, model: Any, *tensors: Any) -> tuple[Any, list[Any], Any]:
    n = scored.inputs
    x, x0, (places, weights, ends), arguments = (
        tensors[:n],
        tensors[n : 2 * n],
        tensors[2 * n : 2 * n + 3],
        tensors[2 * n + 3 :],
    )
    path = [flat(_between(a, b, places)) for a, b in zip(x0, x, strict=True)]
    gradients, doubtful, score = input_gradients(scored, "", model, path, arguments)
    sums = []
    for image, g in zip(x, gradients, strict=True):
        each = by_image(g, image)
        sums.append(tf.einsum("bs...,s->b...", each, tf.cast(weights, each.dtype)))
    scores = tf.reshape(tf.cast(score, tf.float64), [tf.shape(x[0])[0], -1])
    return tf.reduce_any(doubtful), sums, tf.linalg.matvec(scores, ends)


def _between(start: Any, end: Any, places: Any) -> Any:
    shape = [1, -1, *([1] * (end.shape.rank - 1))]
    return start[:, None] + tf.reshape(tf.cast(places, end.dtype), shape) * (end - start)[:, None]


def flat(copies: Any) -> Any:
    """`(images, points, ...)` as `(images * points, ...)`."""
    flat = tf.reshape(copies, tf.concat([[-1], tf.shape(copies)[2:]], 0))
    flat.set_shape([None, *copies.shape[2:]])
    return flat


def by_image(flat: Any, image: Any) -> Any:
    """`(images * points, ...)` as `(images, points, ...)`."""
    return tf.reshape(flat, tf.concat([[tf.shape(image)[0], -1], tf.shape(image)[1:]], 0))


def _baselines(batch: Batch, baseline: Any) -> Batch:
    """The baseline of each input, broadcast to its images without a copy."""
    count = len(batch.arrays)
    if isinstance(baseline, Mapping) and isinstance(batch.like, Mapping):
        listed = [baseline.get(key, 0.0) for key, _ in sorted(batch.like.items(), key=lambda item: item[1])]
    elif isinstance(baseline, (list, tuple)) and count > 1:
        listed = list(baseline)
    else:
        listed = [baseline] * count
    if len(listed) != count:
        raise InputError(f"{len(listed)} baselines were given for {count} inputs.")
    arrays = []
    for array, given in zip(batch.arrays, listed, strict=True):
        try:
            arrays.append(np.broadcast_to(np.asarray(given, np.float64), array.shape))
        except (ValueError, TypeError):
            raise InputError(
                f"The baseline has shape {np.shape(given)}, which does not broadcast to the images {array.shape}."
            ) from None
    return Batch(tuple(arrays), batch.dtypes, batch.like, batch.structure)
