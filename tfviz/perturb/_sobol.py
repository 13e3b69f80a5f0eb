"""Sobol attribution: how much of the score's variance hangs on a cell of the picture, interactions included."""

from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.emptiness import warn_of_empty
from tfviz.errors import InputError
from tfviz.perturb._grid import cell_numbers, default_grid, rows_and_columns
from tfviz.perturb._subject import Doubles, check_samples, stream, subject

_CELLS = 8
# Direction numbers of TensorFlow's sequence go so far.
_MOST_DIMENSIONS = 1110
Array = npt.NDArray[Any]


def sobol(
    predict: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 32,
    grid: int | tuple[int, int] | None = None,
    fill: Any = 0.0,
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """Total Sobol indices: the share of the score's variance that goes with a cell, alone or with others, `(B, H, W)`.

    Each cell of a grid is mixed with the fill by a mask uniform in 0..1. With A and B two independent designs and C_i
    equal to A but for column i, which is B's, Jansen's estimator is

        ST_i = sum_j (y(A_j) - y(C_ij))^2 / (2 N Var y),   Var y over the rows of A and B,

    at N (d + 2) forward passes for d cells. A and B are the two halves of one Sobol sequence of 2 d dimensions, turned
    by a random shift of `seed` modulo 1 (Cranley and Patterson 1976). For an additive score sum c_i m_i it tends to
    c_i^2 / sum c^2; without interactions the indices sum to 1, else to more. Not signed: how much, not for or against.
    A score that does not vary gives 0. Source: Fel et al. 2021, section 3; Jansen 1999.

    Args:
        predict, images, target, fill, batch_size: as of `occlusion`.
        samples: N, rows of the design; a power of two fits the sequence best.
        grid: cells down and across; None for 8 (the paper takes 11).

    Raises:
        InputError: no samples, too many cells; what does not fit.
    """
    check_samples(samples, 2)
    with subject(predict, images, target, fill=fill, class_names=class_names, batch_size=batch_size) as asked:
        size = asked.images.shape[1], asked.images.shape[2]
        cells = rows_and_columns(size, default_grid(size, _CELLS) if grid is None else grid)
        count = cells[0] * cells[1]
        if 2 * count > _MOST_DIMENSIONS:
            raise InputError(
                f"A grid of {cells[0]} x {cells[1]} was given; Sobol designs reach {_MOST_DIMENSIONS // 2} cells."
            )
        where = cell_numbers(size, cells)
        design = _Design(count, seed)
        jansen = Jansen(len(asked.images), count)
        for block, _, scores in stream(asked, samples * (count + 2), lambda some: design.masks(some)[:, where]):
            jansen.add(slice(block.start, block.stop), block.first, scores)
    maps = jansen.total_indices().astype(np.float32)[:, where]
    warn_of_empty("Sobol", maps, "the score does not change with the masks; try another fill or target.")
    return maps


class _Design:
    """The rows A_j, B_j, C_1j ... C_dj for j = 0, 1, ... one after another."""

    def __init__(self, cells: int, seed: int) -> None:
        self._cells = cells
        self._shift = np.random.default_rng(seed).random(2 * cells)

    def masks(self, some: range) -> npt.NDArray[np.float32]:
        """Rows of the design, `(len(some), cells)`."""
        group = self._cells + 2
        first, last = some.start // group, (some.stop - 1) // group + 1
        points = tf.math.sobol_sample(2 * self._cells, last - first, skip=first, dtype=tf.float64).numpy()
        a, b = np.split((points + self._shift) % 1, 2, axis=1)
        numbers = np.arange(some.start, some.stop)
        j, r = numbers // group - first, numbers % group
        rows = np.where((r == 1)[:, np.newaxis], b[j], a[j])
        swapped = np.flatnonzero(r >= 2)
        rows[swapped, r[swapped] - 2] = b[j[swapped], r[swapped] - 2]
        return rows.astype(np.float32)


class Jansen:
    """Running sums of Jansen's estimator over the scores of a design in the order of `_Design`."""

    def __init__(self, images: int, cells: int) -> None:
        self._group = cells + 2
        self._squares = np.zeros((images, cells))
        self._of_a = np.zeros(images)
        self._origin: Doubles = np.full(images, np.nan)
        self._moments = np.zeros((3, images))

    def add(self, rows: slice, first: int, scores: Doubles) -> None:
        """Take in the scores `(images, samples)` of some images, of the samples from `first` on."""
        r = (first + np.arange(scores.shape[1])) % self._group
        if first == 0:
            self._origin[rows] = scores[:, 0]
        # The row A_j that each sample belongs to: the last one before it, which may be in an earlier block.
        at = np.maximum.accumulate(np.where(r == 0, np.arange(len(r)), -1))
        of_a = np.where(at >= 0, scores[:, at], self._of_a[rows, np.newaxis])
        swapped = np.flatnonzero(r >= 2)
        apart = (of_a - scores)[:, swapped] ** 2
        images = np.arange(rows.start, rows.stop)[:, np.newaxis]
        np.add.at(self._squares, (images, r[swapped] - 2), apart)
        # About the first score, so that a large mean does not eat a small variance.
        plain = scores[:, r < 2] - self._origin[rows, np.newaxis]
        self._moments[:, rows] += [np.full(len(images), plain.shape[1]), plain.sum(axis=1), (plain**2).sum(axis=1)]
        self._of_a[rows] = of_a[:, -1]

    def total_indices(self) -> Doubles:
        """`(images, cells)`."""
        count, sums, squares = self._moments
        variance = squares / count - (sums / count) ** 2
        half = self._squares / count[:, np.newaxis]  # the count is 2 N
        # What is left of a variance by rounding alone is none.
        real = variance > 1e-12 * np.maximum(squares / count, np.finfo(np.float64).tiny)
        return np.where(real[:, np.newaxis], half / np.where(real, variance, 1)[:, np.newaxis], 0)
