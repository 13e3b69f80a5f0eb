"""The order of a map's pixels, ties drawn by lot, and ranks for rank correlation."""

from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]


def removal_ranks(maps: Array, seed: int) -> npt.NDArray[np.int64]:
    """For each pixel of `(B, H, W)`, how many go before it, the largest first; ties in an order drawn by lot.

    The lot is the same for every image, so that an image's order does not depend on what it came with.

    >>> removal_ranks(np.array([[[0.1, 0.7, 0.4]]]), 0)
    array([[[2, 0, 1]]])
    """
    flat = maps.reshape(len(maps), -1)
    lot = np.random.default_rng(seed).permutation(flat.shape[1])
    order = np.lexsort((np.broadcast_to(lot, flat.shape), -flat), axis=-1)
    ranks = np.empty_like(order)
    np.put_along_axis(ranks, order, np.arange(flat.shape[1])[np.newaxis], axis=-1)
    return ranks.reshape(maps.shape)


def mean_ranks(values: Array) -> npt.NDArray[np.float64]:
    """Ranks from 0 of each row of `(B, n)`; equal values share the mean of their ranks.

    >>> mean_ranks(np.array([[5.0, 1.0, 5.0]]))
    array([[1.5, 0. , 1.5]])
    """
    ranks = np.empty(values.shape)
    for row, ranked in zip(values, ranks, strict=True):
        _, group, counts = np.unique(row, return_inverse=True, return_counts=True)
        ranked[:] = (np.cumsum(counts) - (counts + 1) / 2)[group]
    return ranks


def correlation(a: Array, b: Array) -> npt.NDArray[np.float64]:
    """Pearson's correlation of each row of `(B, n)` with the other's; 0 where one of them does not vary.

    >>> correlation(np.array([[1, 2, 3], [1, 2, 3]]), np.array([[2, 4, 6], [5, 5, 5]]))
    array([1., 0.])
    """
    x = a - np.mean(a, axis=1, keepdims=True, dtype=np.float64)
    y = b - np.mean(b, axis=1, keepdims=True, dtype=np.float64)
    # Deviations below rounding are none: what is left of them is noise, whose correlation would say nothing.
    x, y = (np.where(_flat(d, raw), 0.0, d) for d, raw in ((x, a), (y, b)))
    norms = np.linalg.norm(x, axis=1) * np.linalg.norm(y, axis=1)
    products = np.einsum("ij,ij->i", x, y)
    return np.asarray(np.clip(products / np.where(norms == 0, 1, norms), -1, 1))


def _flat(deviations: Array, raw: Array) -> Any:
    largest = np.max(np.abs(raw), axis=1, keepdims=True, initial=0.0)
    return np.max(np.abs(deviations), axis=1, keepdims=True, initial=0.0) <= 1e-12 * largest
