"""ROAD: pixels are removed by filling them in from their neighbours, so that no edge of the hole betrays its shape."""

from collections.abc import Sequence
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.metrics.draws import Draws
from tfviz.metrics.ranking import removal_ranks
from tfviz.metrics.scoring import Judged, judged
from tfviz.stream import Block

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Order = Literal["both", "most", "least"]

# The eight neighbours' weights are 1/6 beside and 1/12 across (Rong et al. 2022): this, without its centre
# 4/12, is separable: [1 2 1]' [1 2 1] / 12.
_SIDE = np.array([1.0, 2.0, 1.0], np.float32)
_CENTRE = np.float32(4.0 / 12.0)
# Pictures solved together: as many as stay in the processor's cache at 64 x 64.
_AT_ONCE = 16


def road(
    predict: Any,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    order: Order = "both",
    percentages: Sequence[float] = (20, 40, 60, 80),
    noise: float = 0.01,
    seed: int = 0,
    batch_size: int | None = None,
) -> Doubles:
    """ROAD, remove and debias, `(B,)`: the mean score over the percentages of pixels removed.

    A removed pixel becomes the weighted mean of its eight neighbours (1/6 beside, 1/12 across), removed or not, which
    is one linear system for each picture, plus a little noise. Source: Rong et al. 2022.

    Args:
        predict, images, maps, target, batch_size: as of `deletion`.
        order: "most" relevant first (lower is better), "least" relevant first (higher is better), or "both": half the
            difference, least minus most (higher is better).
        percentages: of pixels removed, above 0 and below 100.
        noise: its deviation as a share of the image's span (largest minus smallest value).
        seed: of the noise and of the lot that decides among equally relevant pixels.
    """
    if order not in get_args(Order):
        raise InputError(f"There is no order {order!r}; there are {', '.join(get_args(Order))}.")
    shares = np.asarray(percentages, float)
    if not shares.size or not ((shares > 0) & (shares < 100)).all() or not 0 <= noise < np.inf:
        raise InputError(f"percentages={percentages}, noise={noise}: expected above 0 and below 100, and 0 or more.")
    subject = judged(predict, images, maps, target, batch_size=batch_size)
    means = {
        way: _mean_score(subject, sign * subject.maps, shares, noise, seed)
        for way, sign in (("most", 1), ("least", -1))
        if order in (way, "both")
    }
    return (means["least"] - means["most"]) / 2 if order == "both" else means[order]


def _mean_score(subject: Judged, maps: Array, percentages: Doubles, noise: float, seed: int) -> Doubles:
    ranks = removal_ranks(maps, seed)
    counts = np.rint(percentages / 100 * ranks[0].size).astype(np.int64)
    shape = subject.images.shape[1:]
    spans = np.ptp(subject.images.reshape(len(subject), -1), axis=1)
    draws = Draws(seed, lambda generator: generator.standard_normal(shape, np.float32))

    def copies(block: Block) -> Array:
        gone = ranks[block.start : block.stop, np.newaxis] < counts[block.first : block.last, np.newaxis, np.newaxis]
        gone = gone.reshape(-1, *shape[:2])
        filled = impute(subject.images[block.rows], gone)
        rough = noise * spans[block.rows].reshape(-1, 1, 1, 1) * draws.rows(block)
        return np.where(gone[..., np.newaxis], filled + rough, filled).astype(subject.images.dtype)

    return subject.sampled(len(percentages), copies).mean(axis=1)


def impute(images: Array, removed: Array, *, tolerance: float = 1e-4) -> npt.NDArray[np.float32]:
    """Fill in the removed pixels of images `(B, H, W, C)`, `removed` `(B, H, W)` bool, from the others.

    Solves sum_j w_ij (x_i - x_j) = 0 for every removed pixel i, over its neighbours j inside the picture, by conjugate
    gradients (the system is symmetric and positive definite) until each residual is below `tolerance` times its right
    side. A picture without a pixel left becomes 0.

    >>> impute(np.array([[[[0.0], [9.0], [4.0]]]]), np.array([[[False, True, False]]]))[0, 0, :, 0]
    array([0., 2., 4.], dtype=float32)
    """
    parts = [
        _filled_in(images[start : start + _AT_ONCE], removed[start : start + _AT_ONCE], tolerance)
        for start in range(0, len(images), _AT_ONCE)
    ]
    return np.concatenate(parts)


def _filled_in(images: Array, removed: Array, tolerance: float) -> npt.NDArray[np.float32]:
    """Conjugate gradients for all planes at once, each with steps of its own."""
    batch, height, width, channels = images.shape
    free = _planes(np.repeat(removed[..., np.newaxis], channels, axis=3))
    fixed = np.where(free, 0, _planes(images.astype(np.float32, copy=False)))
    degree = _neighbours(_planes(np.ones((1, height, width, 1), np.float32)))
    residual = np.where(free, _neighbours(fixed), 0)
    found = np.zeros_like(fixed)
    goal = tolerance**2 * _dots(residual, residual)
    ahead = _over_degree(residual, degree)
    energy = _dots(residual, ahead)
    direction = ahead
    for _ in range(4 * (height + width)):
        if (_dots(residual, residual) <= goal).all():
            break
        image_of = np.where(free, degree * direction - _neighbours(direction), 0)
        step = _ratio(energy, _dots(direction, image_of))
        found += step * direction
        residual -= step * image_of
        before = energy
        ahead = _over_degree(residual, degree)
        energy = _dots(residual, ahead)
        direction = ahead + _ratio(energy, before) * direction
    filled = (fixed + found)[:, :height].reshape(batch, channels, height, width)
    return np.moveaxis(filled, 1, 3)


def _planes(images: Array) -> Array:
    """Each channel of `(B, H, W, C)` as a plane with a row of zeros below it, `(B * C, H + 1, W)`."""
    planes = np.moveaxis(images, 3, 1).reshape(-1, *images.shape[1:3])
    return np.pad(planes, ((0, 0), (0, 1), (0, 0)))


def _neighbours(planes: Array) -> Array:
    """sum_j w_ij x_j over each pixel's neighbours inside its plane."""
    from tfviz._opencv import cv2

    # One tall picture: the rows of zeros keep the planes apart, and OpenCV takes few channels but any height.
    tall = planes.reshape(-1, planes.shape[2])
    around = cv2.sepFilter2D(tall, -1, _SIDE, _SIDE / 12, borderType=cv2.BORDER_CONSTANT)
    around -= _CENTRE * tall
    return np.asarray(around).reshape(planes.shape)


def _over_degree(residual: Array, degree: Array) -> Array:
    """Jacobi's preconditioner; the residual is 0 in the rows between planes, whatever the degree there."""
    return residual / np.maximum(degree, _CENTRE)


def _dots(a: Array, b: Array) -> Doubles:
    """Each plane's inner product, `(planes,)`."""
    return np.einsum("ijk,ijk->i", a, b).astype(np.float64)


def _ratio(a: Doubles, b: Doubles) -> Array:
    """a / b for each plane, 0 where a plane is done."""
    return np.asarray(a / np.where(b > 0, b, np.inf), np.float32)[:, np.newaxis, np.newaxis]
