"""HSIC attribution: how strongly the score depends on whether a cell is seen, by a kernel measure of dependence."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.emptiness import warn_of_empty
from tfviz.errors import InputError
from tfviz.perturb._grid import cell_numbers, default_grid, rows_and_columns
from tfviz.perturb._subject import Doubles, check_samples, stream, subject

_CELLS = 7
# The bandwidth is found from so many scores, the kernel computed so many rows at a time.
_ROWS = 512
Array = npt.NDArray[Any]


def hsic(
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
    """HSIC attribution: HSIC_i = trace(K_i H L H) / (N - 1)^2 of each cell of a grid, `(B, H, W)`, 0 or more.

    Each cell is kept with probability p. K_i[a, b] is 1 where samples a and b agree on cell i, L[a, b] =
    exp(-(y_a - y_b)^2 / (2 s^2)) with s the median of the differences that are not 0, and H takes the mean away. Any
    dependence counts, also one that leaves the mean score as it is. Not signed. A score that does not vary gives 0.
    Source: Novello, Fel and Vigouroux 2022, section 3 (masks drawn independently, not by a Latin hypercube).

    Args:
        predict, images, target, fill, batch_size: as of `occlusion`.
        samples: N, how many masks; the score and the grid of each are kept, a few bytes, and no image.
        grid: cells down and across; None for 7, as in the paper.
        probability: p, with which a cell is kept.

    Raises:
        InputError: fewer than 2 samples, a probability that is not between 0 and 1; what does not fit.
    """
    check_samples(samples, 2)
    if not 0 < probability < 1:
        raise InputError(f"probability={probability} was given; a number between 0 and 1 is expected.")
    with subject(predict, images, target, fill=fill, class_names=class_names, batch_size=batch_size) as asked:
        size = asked.images.shape[1], asked.images.shape[2]
        cells = rows_and_columns(size, default_grid(size, _CELLS) if grid is None else grid)
        where = cell_numbers(size, cells)
        draws = np.random.default_rng(seed).random((samples, cells[0] * cells[1]), np.float32)
        kept = (draws < probability).astype(np.int8)
        scores = np.zeros((len(asked.images), samples))
        for block, _, found in stream(
            asked, samples, lambda some: kept[some.start : some.stop].astype(np.float32)[:, where]
        ):
            scores[block.start : block.stop, block.first : block.last] = found
    maps = np.stack([dependence(kept, each) for each in scores]).astype(np.float32)[:, where]
    warn_of_empty("HSIC", maps, "the score does not change with the masks; try another fill or target.")
    return maps


def dependence(kept: Array, scores: Doubles) -> Doubles:
    """HSIC of each column of `kept` (N, d), of 0 and 1, with the scores (N,).

    Agreement is K = (1 + s s') / 2 with s = +-1, so trace(K H L H) = (H s)' L (H s) / 2; L is never whole in memory.
    """
    n = len(scores)
    width = bandwidth(scores)
    if width == 0:
        return np.zeros(kept.shape[1])
    centred = 2.0 * kept - 1.0
    centred -= centred.mean(axis=0)
    total = np.zeros(kept.shape[1])
    for start in range(0, n, _ROWS):
        rows = slice(start, start + _ROWS)
        kernel = np.exp(-(((scores[rows, np.newaxis] - scores) / width) ** 2) / 2)
        total += np.einsum("ad,ad->d", centred[rows], kernel @ centred)
    # A sum of squares, up to rounding.
    return np.asarray(np.maximum(total, 0) / (2 * (n - 1) ** 2))


def bandwidth(scores: Doubles) -> float:
    """The median of the differences between scores that are not 0 (Gretton et al. 2005); 0 where all are equal."""
    some = scores[:_ROWS]
    apart = np.abs(some[:, np.newaxis] - some)[np.triu_indices(len(some), 1)]
    apart = apart[apart > 1e-7 * np.abs(some).max()]
    return float(np.median(apart)) if len(apart) else 0.0
