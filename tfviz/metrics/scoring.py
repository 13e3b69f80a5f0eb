"""Scores of changed copies of images, streamed: what every metric that asks the model again is built on.

A model and a function `predict(images) -> scores` are the same from here on.
"""

import dataclasses
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz import image
from tfviz.errors import InputError
from tfviz.metrics.fixing import class_scores, whole_scores
from tfviz.passes import Scored, warn_of_probabilities
from tfviz.perturb._columns import columns
from tfviz.stream import Block, blocks, chunk_size
from tfviz.tap import Batch, execute, prepare, steady
from tfviz.target import Plan, freeze, plan

Array = npt.NDArray[Any]
Floats = npt.NDArray[np.float32]
Doubles = npt.NDArray[np.float64]
Copies = Callable[[Block], Array]


@dataclasses.dataclass(frozen=True, eq=False)
class Judged:
    """Images, the maps that explain them (resized to them), and what scores any copy of them.

    Attributes:
        images: (B, H, W, C) in the dtype that the model takes.
        maps: (B, H, W) float32.
        score: of flat copies (n, H, W, C) and the image that each is of (n,), the scores (n,).
        steadied: one look at the model for everything that runs inside.
        batch_size: how many copies go through at once, None chooses.
    """

    images: Array
    maps: Floats
    score: Callable[[Array, Array], Doubles]
    steadied: Callable[[], AbstractContextManager[None]] = nullcontext
    batch_size: int | None = None

    def __len__(self) -> int:
        return len(self.images)

    def sampled(self, samples: int, copies: Copies) -> Doubles:
        """The scores `(B, samples)` of the copies that `copies` makes for each block, `(rows * samples, H, W, C)`.

        Copies exist for one block at a time; what stays is one number for each.
        """
        scores = np.empty((len(self), samples))
        with self.steadied():
            for block in blocks(len(self), samples, chunk_size(self.images.shape[1:], self.batch_size)):
                found = self.score(_of_dtype(copies(block), self.images.dtype), block.rows)
                scores[block.start : block.stop, block.first : block.last] = found.reshape(block.stop - block.start, -1)
        return scores

    def whole(self) -> Doubles:
        """The scores `(B,)` of the unchanged images."""
        return self.sampled(1, lambda block: self.images[block.start : block.stop])[:, 0]


def judged(predict: Any, images: Any, maps: Any, target: Any = None, *, batch_size: int | None = None) -> Judged:
    """Check everything once; arguments as of the package's metrics (`tfviz.metrics`).

    Raises:
        InputError: several inputs, maps that do not fit the images or hold NaN, a target that does not fit.
    """
    if isinstance(predict, keras.Model):
        batch = prepare(predict, images)
        if len(batch.arrays) != 1 or batch.arrays[0].ndim != 4:
            raise InputError("These metrics judge models of one input of pictures (B, H, W, C).")
        with steady(predict):
            wanted = freeze(predict, batch, plan(predict, target, len(batch)))
        (pixels,) = batch.part(0, len(batch))
        score: Callable[[Array, Array], Doubles] = _OfModel(predict, batch, wanted)
        steadied: Callable[[], AbstractContextManager[None]] = lambda: steady(predict)  # noqa: E731
    else:
        pixels = np.asarray(images)
        if not callable(predict) or pixels.ndim != 4:
            raise InputError(
                f"A {type(predict).__name__} and images of shape {pixels.shape} were given; expected a Keras model "
                "or a function images -> scores (B, K), and images (B, H, W, C)."
            )
        score, steadied = _OfFunction(predict, pixels, target), nullcontext
    return Judged(pixels, fitted(maps, pixels.shape[:3]), score, steadied, batch_size)


def fitted(maps: Any, shape: Sequence[int]) -> Floats:
    """Maps `(B, h, w)`, or one `(h, w)`, at the resolution of `shape` `(B, H, W)`, float32 (half-pixel bilinear).

    Raises:
        InputError: another number of maps, another rank, NaN or infinity.
    """
    values = np.asarray(maps, np.float32)
    values = values[np.newaxis] if values.ndim == 2 else values
    if values.ndim != 3 or len(values) != shape[0]:
        raise InputError(
            f"Maps of shape {np.shape(maps)} were given for {shape[0]} images; expected ({shape[0]}, h, w)."
        )
    if not np.isfinite(values).all():
        raise InputError("The maps hold NaN or infinity, which nothing can be said of.")
    return image.resize(values, (shape[1], shape[2]))


class _OfModel:
    """Scores of copies by a Keras model, compiled once."""

    def __init__(self, model: Any, batch: Batch, wanted: Plan) -> None:
        self._model, self._wanted = model, wanted
        self._body = _Body(Scored(batch, wanted))
        self._warned = False

    def __call__(self, copies: Array, rows: Array) -> Doubles:
        arguments = [copies, *self._wanted.repeated(rows)]
        key = "scores of copies", self._wanted.key
        found, doubtful = execute(self._model, key, self._body, arguments, function=self._wanted.function)
        if not self._warned and np.any(doubtful):
            self._warned = True
            warn_of_probabilities(True)
        return np.asarray(found, np.float64)


class _Body:
    def __init__(self, scored: Scored) -> None:
        self._scored = scored

    def __call__(self, model: Any, *tensors: Any) -> Any:
        score, _, doubtful = self._scored(model, tensors[:1], tensors[1:], (), None)
        return score, doubtful


class _OfFunction:
    """Scores of copies by a function of images; a class is a column of what it returns."""

    def __init__(self, predict: Callable[[Array], Any], images: Array, target: Any) -> None:
        self._predict = predict
        self._columns = columns(target, whole_scores(predict, images))

    def __call__(self, copies: Array, rows: Array) -> Doubles:
        return np.asarray(self._columns.of(class_scores(self._predict, copies), rows), np.float64)


def _of_dtype(values: Array, dtype: np.dtype[Any]) -> Array:
    """In the dtype in which the images go in; integers are rounded half to even, and never leave their range."""
    if dtype.kind not in "iu":
        return values.astype(dtype, copy=False)
    limits = np.iinfo(dtype)
    return np.clip(np.rint(values), limits.min, limits.max).astype(dtype)
