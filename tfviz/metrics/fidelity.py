"""Do a map's numbers foretell what the score does when the picture is changed? Mu-fidelity and infidelity."""

from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.metrics.draws import Draws
from tfviz.metrics.ranking import correlation
from tfviz.metrics.scoring import judged
from tfviz.perturb._fill import filled
from tfviz.stream import Block

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]
Scale = Literal["best", "given"]


def mu_fidelity(
    predict: Any,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    samples: int = 128,
    share: float = 0.2,
    grid: int | None = 8,
    baseline: Any = 0.0,
    seed: int = 0,
    batch_size: int | None = None,
) -> Doubles:
    """Mu-fidelity, `(B,)`, -1..1; higher is better.

        corr_S( sum_{i in S} phi_i,  y(x) - y(x with S at the baseline) )

    Pearson's correlation over random sets S of cells of a grid; 0 where one side does not vary. phi = w (x - x0) on a
    linear model has 1. Source: Bhatt, Weller and Moura 2020, section 2.

    Args:
        predict, images, maps, target, batch_size: as of `deletion`.
        samples: how many sets, at least 2.
        share: of the cells in each set.
        grid: cells along each side (random single pixels of a large picture all change it alike); None: pixels.
        baseline: what the cells of a set become, as of `deletion`.
        seed: of the sets, the same for every image.
    """
    if samples < 2 or not 0 < share < 1 or (grid is not None and grid < 1):
        raise InputError(f"samples={samples}, share={share}, grid={grid}: at least 2, between 0 and 1, at least 1.")
    subject = judged(predict, images, maps, target, batch_size=batch_size)
    empty = filled(subject.images, baseline)
    cells = _cells(subject.images.shape[1:3], grid)
    inside = _sums_over(cells, subject.maps)  # (B, cells)
    sets = _sets(samples, inside.shape[1], share, seed)

    def copies(block: Block) -> Array:
        rows = slice(block.start, block.stop)
        gone = sets[np.newaxis, block.first : block.last][:, :, cells, np.newaxis]
        return np.where(gone, empty[rows, np.newaxis], subject.images[rows, np.newaxis]).reshape(
            -1, *subject.images.shape[1:]
        )

    drops = subject.whole()[:, np.newaxis] - subject.sampled(samples, copies)
    return correlation(inside @ sets.T, drops)


def _cells(size: tuple[int, int], grid: int | None) -> npt.NDArray[np.int64]:
    """The number of the cell of each pixel, (H, W)."""
    height, width = size
    down, across = (height, width) if grid is None else (min(grid, height), min(grid, width))
    rows, columns = np.arange(height) * down // height, np.arange(width) * across // width
    return rows[:, np.newaxis] * across + columns


def _sums_over(cells: npt.NDArray[np.int64], maps: Array) -> Doubles:
    flat = cells.ravel()
    return np.stack([np.bincount(flat, weights=one.ravel()) for one in maps])


def _sets(samples: int, cells: int, share: float, seed: int) -> npt.NDArray[np.bool_]:
    """So many random sets of a share of the cells, (samples, cells)."""
    size = int(np.clip(round(share * cells), 1, max(1, cells - 1)))
    draws = np.random.default_rng(seed).random((samples, cells))
    return np.argsort(np.argsort(draws, axis=1), axis=1) < size


def infidelity(
    predict: Any,
    images: Any,
    maps: Any,
    target: Any = None,
    *,
    samples: int = 64,
    noise: float = 0.05,
    scale: Scale = "best",
    seed: int = 0,
    batch_size: int | None = None,
) -> Doubles:
    """Infidelity, `(B,)`; lower is better, 0 for the exact gradient of a linear model.

        E_I[ (I . phi - (y(x) - y(x - I)))^2 ]

    I is normal noise, one value a pixel for all its channels, so that a map summed over the channels says all of it.
    Only maps in the unit of a gradient (score per input) can be right as they are; `scale="best"` first multiplies
    each map by the factor that makes its infidelity smallest, E[I.phi d] / E[(I.phi)^2] with d = y(x) - y(x - I).
    Source: Yeh et al. 2019, section 2.

    Args:
        predict, images, maps, target, batch_size: as of `deletion`.
        samples: of I.
        noise: deviation of I as a share of the image's span.
        scale: "best" factor, or the maps as "given".
        seed: of the noise, the same for every image.
    """
    if samples < 1 or not 0 < noise < np.inf or scale not in get_args(Scale):
        raise InputError(f"samples={samples}, noise={noise}, scale={scale!r}: at least 1, above 0, 'best' or 'given'.")
    subject = judged(predict, images, maps, target, batch_size=batch_size)
    shape = subject.images.shape[1:]
    deviations = noise * np.ptp(subject.images.reshape(len(subject), -1), axis=1).astype(np.float64)
    told = np.empty((len(subject), samples))
    noises = Draws(seed, lambda generator: generator.standard_normal(shape[:2], np.float32))

    def copies(block: Block) -> Array:
        """Also notes what the maps foretell for these changes."""
        rows = slice(block.start, block.stop)
        draws = noises.samples(block)
        # Not by BLAS, whose threads and TensorFlow's keep each other waiting.
        foretold = np.einsum("bhw,shw->bs", subject.maps[rows].astype(np.float64), draws)
        told[rows, block.first : block.last] = deviations[rows, np.newaxis] * foretold
        change = deviations[rows].astype(np.float32).reshape(-1, 1, 1, 1, 1) * draws[np.newaxis, ..., np.newaxis]
        return (subject.images[rows, np.newaxis] - change).astype(subject.images.dtype).reshape(-1, *shape)

    drops = subject.whole()[:, np.newaxis] - subject.sampled(samples, copies)
    if scale == "best":
        power = (told**2).mean(axis=1)
        told *= ((told * drops).mean(axis=1) / np.where(power == 0, 1, power))[:, np.newaxis]
    return np.asarray(((told - drops) ** 2).mean(axis=1))
