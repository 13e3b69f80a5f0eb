"""Does a map point at the object? Of data with masks: pointing game, relevance mass accuracy, relevance rank accuracy.

Maps are resized to the masks. A map without any positive value points at nothing and counts as one that is the same
everywhere: its share of hits is the object's share of the picture.
"""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.metrics.scoring import fitted

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Mask = npt.NDArray[np.bool_]


def pointing_game(maps: Any, masks: Any, *, tolerance: int = 0) -> Doubles:
    """1 where the map's largest value lies on the object, else 0, `(B,)`; higher is better.

    Where several pixels are largest, the share of them that hits. Source: Zhang et al. 2018, with a
    tolerance of 15 pixels on full-size photographs.

    Args:
        maps: (B, h, w), or one (h, w).
        masks: (B, H, W) bool, true on the object.
        tolerance: a hit may miss the object by so many pixels.

    Raises:
        InputError: shapes that do not fit, or a mask without a pixel.

    >>> float(pointing_game(np.array([[[0.0, 2.0]]]), np.array([[[False, True]]]))[0])
    1.0
    """
    positive, inside = _pair(maps, masks)
    if tolerance < 0:
        raise InputError(f"A tolerance is 0 pixels or more, not {tolerance}.")
    wide = _widened(inside, tolerance) if tolerance else inside
    largest = positive == positive.max(axis=(1, 2), keepdims=True)
    return _share(largest, wide)


def relevance_mass(maps: Any, masks: Any) -> Doubles:
    """Relevance mass accuracy, `(B,)`, 0..1: sum of phi+ on the object / sum of phi+; higher is better.

    Source: Arras, Osman and Samek 2022. Arguments and errors as of `pointing_game`.

    >>> float(relevance_mass(np.array([[[1.0, 3.0]]]), np.array([[[False, True]]]))[0])
    0.75
    """
    positive, inside = _pair(maps, masks)
    return _share(positive, inside)


def relevance_rank(maps: Any, masks: Any) -> Doubles:
    """Relevance rank accuracy, `(B,)`, 0..1: of the K largest values, K the object's pixels, the share on the object.

    Among equal values at the border of the K, the share that a lot would draw. Source: Arras, Osman and
    Samek 2022. Arguments and errors as of `pointing_game`.

    >>> float(relevance_rank(np.array([[[1.0, 3.0, 2.0]]]), np.array([[[True, True, False]]]))[0])
    0.5
    """
    positive, inside = _pair(maps, masks)
    values, inside = positive.reshape(len(positive), -1), inside.reshape(len(inside), -1)
    k = inside.sum(axis=1)
    limit = np.take_along_axis(np.sort(values, axis=1), (values.shape[1] - k)[:, np.newaxis], axis=1)
    above, level = values > limit, values == limit
    hits = (above & inside).sum(axis=1) + (k - above.sum(axis=1)) * _share(level, inside)
    return np.asarray(hits / k)


def _pair(maps: Any, masks: Any) -> tuple[Doubles, Mask]:
    """phi+ at the masks' resolution, over its largest (1 everywhere where nothing is positive), and the masks."""
    inside = np.asarray(masks)
    inside = inside[np.newaxis] if inside.ndim == 2 else inside
    if inside.ndim != 3 or inside.dtype.kind not in "bui":
        raise InputError(f"Masks of shape {np.shape(masks)} and {inside.dtype} were given; expected (B, H, W) bool.")
    inside = inside.astype(bool)
    if not inside.any(axis=(1, 2)).all():
        raise InputError(
            f"The mask of image {int(np.argmin(inside.any(axis=(1, 2))))} is empty: there is no object to hit."
        )
    positive = np.maximum(fitted(maps, inside.shape), 0).astype(np.float64)
    top = positive.max(axis=(1, 2), keepdims=True)
    return np.where(top == 0, 1.0, positive / np.where(top == 0, 1, top)), inside


def _share(weights: Array, inside: Mask) -> Doubles:
    axes = tuple(range(1, weights.ndim))
    return np.asarray(np.sum(weights * inside, axis=axes) / np.sum(weights, axis=axes, dtype=np.float64))


def _widened(inside: Mask, tolerance: int) -> Mask:
    from tfviz._opencv import cv2

    side = 2 * tolerance + 1
    disc = cv2.getStructuringElement(cv2.MORPH_ELLIPSE, (side, side))
    return np.stack([cv2.dilate(one.astype(np.uint8), disc) for one in inside]).astype(bool)
