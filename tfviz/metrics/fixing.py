"""What is explained, held fixed while the images change: their pixels, each one's class, a part of a target."""

import dataclasses
from collections.abc import Callable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.perturb._columns import columns
from tfviz.stream import chunk_size
from tfviz.tap import prepare
from tfviz.target import Target, predictions

Array = npt.NDArray[Any]


def pixels_of(predict: Any, images: Any) -> Array:
    """The one input of a model or function, `(B, H, W, C)`, in the dtype that it takes.

    Raises:
        InputError: several inputs, or no pictures.
    """
    pixels = prepare(predict, images).part(0, len(images)) if isinstance(predict, keras.Model) else [np.asarray(images)]
    if len(pixels) != 1 or pixels[0].ndim != 4:
        raise InputError("This metric judges explanations of one input of pictures (B, H, W, C).")
    return pixels[0]


def fixed_target(predict: Any, images: Array, target: Any) -> Any:
    """The target with each image's own prediction in the place of None, so that changed images keep it."""
    own = len(target.classes) == 1 and target.classes[0] is None if isinstance(target, Target) else target is None
    if not own:
        return target
    if isinstance(predict, keras.Model):
        found: Array = predictions(predict, images, output=target.name if isinstance(target, Target) else None)
    else:
        found = own_classes(predict, images)
    return dataclasses.replace(target, classes=(found,)) if isinstance(target, Target) else found


def rows_of(target: Any, rows: Sequence[int] | Array) -> Any:
    """The target of these images, in this order, where it has one part for each image."""
    if isinstance(target, Target):
        return dataclasses.replace(
            target,
            classes=tuple(rows_of(k, rows) for k in target.classes),
            mask=_own_rows(target.mask, rows, each=3),
            reference=_own_rows(target.reference, rows, each=2),
        )
    several = isinstance(target, (list, tuple, np.ndarray)) and np.ndim(target) == 1
    return np.asarray(target)[rows] if several else target


def _own_rows(part: Any, rows: Sequence[int] | Array, *, each: int) -> Any:
    """The rows of an array of `each` axes, one row for each image; fewer axes are common to all images."""
    return part[rows] if part is not None and part.ndim == each else part


def own_classes(predict: Callable[[Array], Any], images: Array) -> Array:
    """The column of the highest score of each image, of a function."""
    return columns(None, whole_scores(predict, images)).plus


def whole_scores(predict: Callable[[Array], Any], images: Array) -> Array:
    """What a function says of all the images, asked in parts."""
    size = chunk_size(images.shape[1:])
    parts = [images[start : start + size] for start in range(0, len(images), size)]
    return np.concatenate([class_scores(predict, part) for part in parts])


def class_scores(predict: Callable[[Array], Any], images: Array) -> Array:
    """What a function says of images, `(B, K)` or `(B,)`, checked."""
    scores = np.asarray(predict(images))
    if scores.ndim == 0 or len(scores) != len(images) or scores.dtype.kind not in "buif":
        raise InputError(f"predict returned shape {scores.shape} for {len(images)} images; expected scores (B, K).")
    return scores
