"""Superpixels: cut a picture into patches that follow its edges."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError

Array = npt.NDArray[Any]
Labels = npt.NDArray[np.int64]


def superpixels(images: Any, count: int = 50, *, compactness: float = 0.1, iterations: int = 10) -> Labels:
    """About `count` connected patches of similar colour, as labels `(B, H, W)` from 0 on without gaps.

    SLIC: k-means in colour and place, each pixel choosing among the centres of the nine grid cells around it, by

        D^2 = |colour - colour'|^2 + compactness^2 |place - place'|^2 / (area of a cell),

    with the picture's values scaled to 0..1. What is cut off from the largest part of its patch goes to a neighbour, so
    every patch is connected. A picture without edges is cut into a grid. Source: Achanta et al. 2012, section 3
    (there in the CIELAB colours of an RGB picture; here in the channels as they are, which may be any).

    Args:
        images: `(B, H, W, C)`, or one `(H, W, C)`.
        count: how many patches to aim at.
        compactness: how much place counts beside colour; large gives squares.

    Raises:
        InputError: less than one patch, or more than pixels.

    >>> superpixels(np.zeros((2, 4, 1)), 2)
    array([[[0, 0, 1, 1],
            [0, 0, 1, 1]]])
    """
    pixels = np.asarray(images, np.float64)
    pixels = pixels[np.newaxis] if pixels.ndim == 3 else pixels
    if pixels.ndim != 4 or not 1 <= count <= pixels.shape[1] * pixels.shape[2]:
        raise InputError(
            f"{count} superpixels of images {np.shape(images)} were asked for; expected (B, H, W, C) and between 1 and "
            "H x W."
        )
    return np.stack([_connected(_clusters(_scaled(image), count, compactness, iterations)) for image in pixels])


def segments_of(images: Array, segments: Any) -> list[Labels]:
    """For each image, labels `(H, W)` from 0 on without gaps.

    Args:
        images: `(B, H, W, C)`.
        segments: how many superpixels, or labels of the user's own, `(H, W)` for all or `(B, H, W)`.

    Raises:
        InputError: labels that do not fit the images.
    """
    if np.ndim(segments) == 0:
        side = images.shape[1] * images.shape[2]
        return list(superpixels(images if images.ndim == 4 else images[..., np.newaxis], min(int(segments), side)))
    labels = np.asarray(segments)
    if labels.dtype.kind not in "iub" or labels.shape not in (images.shape[1:3], images.shape[:3]):
        raise InputError(
            f"The segments are {labels.dtype} of shape {labels.shape}; expected whole numbers (H, W) or (B, H, W) of "
            f"images {images.shape}."
        )
    every = np.broadcast_to(labels, images.shape[:3])
    return [np.unique(one, return_inverse=True)[1].reshape(one.shape) for one in every]


def _scaled(image: Array) -> Array:
    low = image.min()
    span = image.max() / 2 - low / 2  # halved, or it would overflow for the largest numbers
    return (image / 2 - low / 2) / span if span > 0 else np.zeros_like(image)


def _clusters(image: Array, count: int, compactness: float, iterations: int) -> Labels:
    height, width, channels = image.shape
    step = np.sqrt(height * width / count)
    down, across = (int(np.clip(np.round(side / step), 1, side)) for side in (height, width))
    y, x = np.mgrid[:height, :width]
    weight = compactness / step
    points = np.concatenate([image, weight * y[..., np.newaxis], weight * x[..., np.newaxis]], axis=2)
    row, column = y * down // height, x * across // width
    labels: Labels = row * across + column
    for _ in range(iterations):
        centres = _means(points.reshape(-1, channels + 2), labels.reshape(-1), down * across)
        nearest = np.full((height, width), np.inf)
        before, labels = labels, labels.copy()
        for dy in (0, -1, 1):
            for dx in (0, -1, 1):
                r, c = row + dy, column + dx
                inside = (r >= 0) & (r < down) & (c >= 0) & (c < across)
                candidate = np.where(inside, r * across + c, 0)
                apart = np.where(inside, ((points - centres[candidate]) ** 2).sum(axis=2), np.inf)
                closer = apart < nearest
                nearest[closer], labels[closer] = apart[closer], candidate[closer]
        if np.array_equal(before, labels):
            break
    return labels


def _means(points: Array, labels: Labels, count: int) -> Array:
    """The mean point of each label; a label without points is infinitely far."""
    sizes = np.bincount(labels, minlength=count)
    sums = np.stack([np.bincount(labels, values, count) for values in points.T], axis=1)
    return np.where(sizes[:, np.newaxis] > 0, sums / np.maximum(sizes, 1)[:, np.newaxis], np.inf)


def _connected(labels: Labels) -> Labels:
    """Every label's largest part; the rest, ring by ring, goes to a neighbouring label."""
    from tfviz._opencv import cv2

    kept = np.full(labels.shape, -1, np.int64)
    for number, label in enumerate(np.unique(labels)):
        count, parts = cv2.connectedComponents((labels == label).astype(np.uint8), connectivity=4)
        sizes = np.bincount(parts.reshape(-1), minlength=count)
        kept[parts == 1 + int(np.argmax(sizes[1:]))] = number
    while (kept < 0).any():
        framed = np.pad(kept, 1, constant_values=-1)
        around = (framed[:-2, 1:-1], framed[2:, 1:-1], framed[1:-1, :-2], framed[1:-1, 2:])
        kept = np.where(kept < 0, np.maximum.reduce(around), kept)
    return kept
