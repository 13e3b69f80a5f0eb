"""RISE: the mean of random masks, each weighted by the score of what it leaves to be seen."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.emptiness import warn_of_empty
from tfviz.errors import InputError
from tfviz.perturb._grid import default_grid, rows_and_columns
from tfviz.perturb._subject import Draw, blended, check_samples, stream, subject

_CELLS = 7
Array = npt.NDArray[Any]


def rise(
    predict: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 1000,
    grid: int | tuple[int, int] | None = None,
    probability: float = 0.5,
    fill: Any = 0.0,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """RISE: S(pixel) = 1 / (p N) * sum_i y(x M_i) M_i(pixel), `(B, H, W)`.

    A mask is a small random grid, each cell kept with probability p, enlarged by half-pixel bilinear interpolation to
    one cell more than the picture, of which a random window is taken. Every pixel of it has mean p, so that dividing by
    p N makes S an unbiased estimate of E[y(x M) M(pixel)] / E[M(pixel)], for binary masks the mean score given that the
    pixel is seen; dividing by the sum of the masks drawn would not. A constant score c gives about c everywhere: only
    differences within a map say something. Source: Petsiuk, Das and Saenko 2018, equation 6 and section 3.2.

    Args:
        predict, images, target, fill, batch_size: as of `occlusion`.
        samples: N, how many masks; every image is seen through the same ones.
        grid: cells down and across; None for 7.
        probability: p, with which a cell is kept.

    Raises:
        InputError: no samples, a probability that is not between 0 and 1; what does not fit.
    """
    check_samples(samples)
    if not 0 < probability < 1:
        raise InputError(f"probability={probability} was given; a number between 0 and 1 is expected.")
    with subject(predict, images, target, fill=fill, class_names=class_names, batch_size=batch_size) as asked:
        size = asked.images.shape[1], asked.images.shape[2]
        cells = rows_and_columns(size, default_grid(size, _CELLS) if grid is None else grid)
        maps = np.zeros(asked.images.shape[:3])
        for block, masks, scores in stream(asked, samples, random_masks(size, cells, probability, seed)):
            maps[block.start : block.stop] += blended(scores, masks)
    answer = np.asarray(maps / (probability * samples), np.float32)
    warn_of_empty("RISE", answer, "the score is zero behind every mask; try another target or more samples.")
    return answer


def random_masks(size: tuple[int, int], cells: tuple[int, int], probability: float, seed: int) -> Draw:
    """Masks `(samples, H, W)` in the order of the samples, one stream however they are cut into ranges."""
    kept, shifted = (np.random.default_rng([seed, part]) for part in range(2))
    steps = [-(-side // count) for side, count in zip(size, cells, strict=True)]
    # An enlarged grid is its rows' interpolation from the left and its columns' from the right.
    enlarge = [_interpolation(count, (count + 1) * step) for count, step in zip(cells, steps, strict=True)]

    def draw(some: range) -> Array:
        grids = (kept.random((len(some), *cells)) < probability).astype(np.float32)
        shifts = (shifted.random((len(some), 2)) * steps).astype(np.int64)
        windows = [
            matrix[shift[:, np.newaxis] + np.arange(side)]
            for matrix, shift, side in zip(enlarge, shifts.T, size, strict=True)
        ]
        return np.asarray(windows[0] @ grids @ windows[1].transpose(0, 2, 1))

    return draw


def _interpolation(count: int, length: int) -> npt.NDArray[np.float32]:
    """The matrix `(length, count)` of half-pixel bilinear interpolation, constant beyond the outer centres."""
    place = np.clip((np.arange(length) + 0.5) * count / length - 0.5, 0, count - 1)
    return np.maximum(0, 1 - np.abs(place[:, np.newaxis] - np.arange(count))).astype(np.float32)
