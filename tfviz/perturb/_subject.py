"""Who is asked, and how: a Keras model by compiled runs, any other `predict(images) -> scores` by calling it.

Both answer one question, `scores(rows, masks)`: the scores of some images, each mixed with its fill by each mask, so
that no method knows whom it explains.
"""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import partial
from typing import Any, Protocol

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.passes import Scored, warn_of_probabilities
from tfviz.perturb._columns import columns
from tfviz.perturb._fill import filled
from tfviz.stream import Block, blocks, chunk_size
from tfviz.tap import execute, prepare, steady
from tfviz.target import freeze, plan

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Draw = Callable[[range], Array]


class Subject(Protocol):
    """What is explained: images `(B, H, W, C)` and the score of any mixture of them with their fills."""

    images: Array
    size: int
    """How many mixtures are asked for at once."""

    def scores(self, rows: slice, masks: Array) -> Doubles:
        """The scores `(images, samples)` of `x * mask + fill * (1 - mask)` for each of these images and each mask.

        `masks` is `(samples, H, W)`: 1 keeps a pixel, 0 puts the fill in its place.

        Raises:
            InputError: a score that is not finite.
        """
        ...


@contextmanager
def subject(
    predict: Any,
    images: Any,
    target: Any,
    *,
    fill: Any,
    class_names: Sequence[str] | None,
    batch_size: int | None,
) -> Iterator[Subject]:
    """Everything checked once; each image goes on being explained for the class that it was unchanged taken for.

    Raises:
        InputError: images, a fill or a target that do not fit.
    """
    if isinstance(predict, keras.Model):
        with steady(predict):
            asked = _Model(predict, images, target, fill, class_names, batch_size)
            yield asked
            warn_of_probabilities(asked.doubtful)
    elif callable(predict):
        yield _Function(predict, images, target, fill, class_names, batch_size)
    else:
        raise InputError(
            f"A {type(predict).__qualname__} was given where a Keras model or a function predict(images) -> scores is "
            "expected."
        )


def stream(asked: Subject, samples: int, draw: Draw) -> Iterator[tuple[Block, Array, Doubles]]:
    """Blocks of images x samples with their masks and their scores `(images, samples)`.

    `draw(range of samples)` gives the masks that all images share; it is asked once for each range, in order.
    """
    drawn: tuple[int, Any] = (-1, None)
    for block in blocks(len(asked.images), samples, asked.size):
        if drawn[0] != block.first:
            drawn = block.first, draw(range(block.first, block.last))
        yield block, drawn[1], asked.scores(slice(block.start, block.stop), drawn[1])


def whole(asked: Subject) -> Doubles:
    """The scores `(B,)` of the unchanged images."""
    return _of_constant(asked, 1.0)


def nothing(asked: Subject) -> Doubles:
    """The scores `(B,)` of the fills alone."""
    return _of_constant(asked, 0.0)


def _of_constant(asked: Subject, mask: float) -> Doubles:
    masks = np.full((1, *asked.images.shape[1:3]), mask, np.float32)
    return np.concatenate([scores[:, 0] for _, _, scores in stream(asked, 1, lambda _: masks)])


def blended(weights: Doubles, masks: Array) -> Array:
    """sum_i weight_i mask_i, `(images, H, W)`, of weights `(images, samples)` and masks `(samples, H, W)`.

    In single precision: a block is short, and the blocks are summed up in double. Not by BLAS, whose threads would wait
    for TensorFlow's at each block.
    """
    return np.einsum("ns,shw->nhw", weights.astype(np.float32), masks)


def check_samples(samples: int, least: int = 1) -> None:
    """Refuse a number of samples that says nothing."""
    if samples < least:
        raise InputError(f"samples={samples} was given; at least {least} are expected.")


def _finite(scores: Array) -> Doubles:
    doubles = np.asarray(scores, np.float64)
    if not np.isfinite(doubles).all():
        raise InputError(
            "A score of a changed image is NaN or infinite; the output overflows on the fill: try another."
        )
    return doubles


class _Model:
    """A Keras model; the target means what it means everywhere (an int is the logit)."""

    def __init__(
        self,
        model: Any,
        images: Any,
        target: Any,
        fill: Any,
        class_names: Sequence[str] | None,
        batch_size: int | None,
    ) -> None:
        batch = prepare(model, images)
        if len(batch.arrays) > 1 or batch.arrays[0].ndim not in (3, 4):
            shapes = ", ".join(str(array.shape) for array in batch.arrays)
            raise InputError(f"Pixels are changed in one input (B, H, W, C); this model's inputs are {shapes}.")
        self.images = batch.part(0, len(batch))[0]
        self.size = chunk_size(self.images.shape[1:], batch_size)
        self.doubtful = False
        self._fills = filled(self.images, fill)
        self._model = model
        self._plan = freeze(model, batch, plan(model, target, len(batch), class_names=class_names))
        self._black = not self._fills.any()
        self._body = partial(_mixed_scores, Scored(batch, self._plan), self._black)

    def scores(self, rows: slice, masks: Array) -> Doubles:
        """See `Subject`."""
        chosen = np.repeat(np.arange(rows.start, rows.stop), len(masks))
        fills = [] if self._black else [self._fills[rows]]
        arguments = [self.images[rows], masks, *fills, *self._plan.repeated(chosen)]
        key = ("mixed", self._black, self._plan.key)
        score, doubt = execute(self._model, key, self._body, arguments, rows=False, function=self._plan.function)
        self.doubtful = self.doubtful or bool(doubt)
        return _finite(score.numpy()).reshape(-1, len(masks))


def _mixed_scores(scored: Scored, black: bool, model: Any, x: Any, masks: Any, *rest: Any) -> tuple[Any, Any]:
    real = tf.float64 if x.dtype == tf.float64 else tf.float32
    weights = tf.reshape(tf.cast(masks, real), tf.concat([[1], tf.shape(masks), [1] * (x.shape.rank - 3)], 0))
    mixed = tf.cast(x, real)[:, tf.newaxis] * weights
    if not black:
        mixed += tf.cast(rest[0], real)[:, tf.newaxis] * (1 - weights)
    flat = tf.reshape(mixed, tf.concat([[-1], tf.shape(x)[1:]], 0))
    flat.set_shape([None, *x.shape[1:]])
    copies = tf.cast(tf.round(flat) if x.dtype.is_integer else flat, x.dtype)
    score, _, doubtful = scored(model, [copies], rest if black else rest[1:], (), None)
    return score, tf.reduce_any(doubtful)


class _Function:
    """Any function of images; the target is a column of what it returns."""

    def __init__(
        self,
        predict: Callable[[Array], Any],
        images: Any,
        target: Any,
        fill: Any,
        class_names: Sequence[str] | None,
        batch_size: int | None,
    ) -> None:
        self.images = _as_images(images)
        self.size = chunk_size(self.images.shape[1:], batch_size)
        self._predict = predict
        self._fills = filled(self.images, fill)
        parts = [self._ask(self.images[i : i + self.size]) for i in range(0, len(self.images), self.size)]
        self._columns = columns(target, np.concatenate(parts), class_names=class_names)

    def _ask(self, images: Array) -> Array:
        try:
            scores = np.asarray(self._predict(images))
        except ValueError as error:
            raise InputError(f"predict failed on images {images.shape}: {error}") from error
        if scores.ndim == 0 or len(scores) != len(images) or scores.dtype.kind not in "buif":
            raise InputError(
                f"predict returned {scores.dtype} of shape {scores.shape} for {len(images)} images; expected one array "
                f"of scores ({len(images)}, K)."
            )
        return scores

    def scores(self, rows: slice, masks: Array) -> Doubles:
        """See `Subject`."""
        x, fill = self.images[rows, np.newaxis], self._fills[rows, np.newaxis]
        weights = masks.astype(fill.dtype)[np.newaxis, ..., np.newaxis]
        mixed = (x * weights + fill * (1 - weights)).reshape(-1, *self.images.shape[1:])
        chosen = np.repeat(np.arange(rows.start, rows.stop), len(masks))
        scores = self._columns.of(self._ask(_of_dtype(mixed, self.images.dtype)), chosen)
        return _finite(scores).reshape(-1, len(masks))


def _as_images(images: Any) -> Array:
    array = np.asarray(images)
    if array.dtype.kind not in "uif":
        raise InputError(f"The images are of dtype {array.dtype}; numbers are expected.")
    if array.ndim == 3:
        array = array[np.newaxis]
    if array.ndim != 4 or 0 in array.shape:
        raise InputError(f"Images of shape {np.shape(images)} were given; expected (B, H, W, C), or one of (H, W, C).")
    return array


def _of_dtype(values: Array, dtype: np.dtype[Any]) -> Array:
    """In the dtype in which the images were given; integers are rounded half to even, and never leave their range."""
    if dtype.kind == "f":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
