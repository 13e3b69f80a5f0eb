"""KernelSHAP: Shapley values of superpixels by one weighted regression."""

from collections.abc import Sequence
from math import comb
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.emptiness import warn_of_empty
from tfviz.perturb._coalitions import Bits, DrawBits, coalitions, least_squares, painted
from tfviz.perturb._subject import Doubles, Subject, check_samples, nothing, subject, whole
from tfviz.perturb._superpixels import Labels, segments_of


def kernel_shap(
    predict: Any,
    images: Any,
    target: Any = None,
    *,
    samples: int = 1000,
    segments: Any = 50,
    fill: Any = "mean",
    seed: int = 0,
    class_names: Sequence[str] | None = None,
    batch_size: int | None = None,
) -> npt.NDArray[np.float32]:
    """Shapley values of superpixels, each painted on its pixels, signed, `(B, H, W)`.

    The values phi of the d superpixels minimise

        sum_z pi(z) (y(z) - y(nothing) - phi z)^2   with   sum phi = y(x) - y(nothing),
        pi(z) = (d - 1) / (C(d, |z|) |z| (d - |z|)),

    over the coalitions z in {0, 1}^d of superpixels that are seen. Where `samples` reaches the 2^d - 2 that there are,
    all are looked at and phi are the Shapley values, exactly; else they are drawn in proportion to pi, each with its
    complement, and weigh the same. Either way the superpixels' values sum to y(x) - y(nothing), and of an additive
    score they are its terms. Source: Lundberg and Lee 2017, theorem 2; the sampling is Covert and Lee 2021.

    Args:
        predict, images, target, fill, batch_size: as of `occlusion`; the fill is each image's mean colour.
        samples: at most so many coalitions; every image with as many superpixels gets the same.
        segments: how many superpixels, or labels `(H, W)` or `(B, H, W)` of your own; see `superpixels`.

    Raises:
        InputError: fewer than 2 samples; what does not fit.

    >>> picture, halves = np.array([[[2.0], [3.0]]]), np.array([[0, 1]])
    >>> kernel_shap(lambda x: x.prod(axis=(1, 2, 3)), picture, segments=halves, fill=1.0).round(4)
    array([[[2., 3.]]], dtype=float32)
    """
    check_samples(samples, 2)
    with subject(predict, images, target, fill=fill, class_names=class_names, batch_size=batch_size) as asked:
        cut = segments_of(asked.images, segments)
        empty, full = nothing(asked), whole(asked)
        maps = np.stack(
            [
                painted(_values(asked, i, labels, samples, empty[i], full[i] - empty[i], seed), labels)
                for i, labels in enumerate(cut)
            ]
        )
    warn_of_empty("KernelSHAP", maps, "taking superpixels away does not change the score; try another fill or target.")
    return maps


def _values(asked: Subject, image: int, labels: Labels, samples: int, empty: float, total: float, seed: int) -> Doubles:
    count = int(labels.max()) + 1
    if count == 1:
        return np.array([total])
    every = 2**count - 2
    exact = every <= samples
    draw = _all_of(count) if exact else _drawn(count, seed)
    weight_of_size = kernel(count) if exact else np.ones(count + 1)
    # The normal equations, framed by the constraint and its multiplier.
    matrix, right = np.zeros((count + 1, count + 1)), np.zeros(count + 1)
    for seen, scores in coalitions(asked, image, labels, every if exact else samples, draw):
        rows = seen.astype(np.float64)
        weights = weight_of_size[seen.sum(axis=1)]
        matrix[:count, :count] += rows.T @ (weights[:, np.newaxis] * rows)
        right[:count] += rows.T @ (weights * (scores - empty))
    scale = np.trace(matrix) / count
    matrix /= scale
    right /= scale
    matrix[count, :count] = matrix[:count, count] = 1
    right[count] = total
    return least_squares(matrix, right)[:count]


def kernel(count: int) -> Doubles:
    """pi by the size of the coalition, 0 for none and for all.

    >>> kernel(3).tolist()
    [0.0, 0.3333333333333333, 0.3333333333333333, 0.0]
    """
    inner = [(count - 1) / (comb(count, size) * size * (count - size)) for size in range(1, count)]
    return np.array([0.0, *inner, 0.0])


def _all_of(count: int) -> DrawBits:
    """Every coalition but none and all, by the binary digits of its number."""
    at = 1

    def draw(samples: int) -> Bits:
        nonlocal at
        numbers = np.arange(at, at + samples)
        at += samples
        return np.asarray((numbers[:, np.newaxis] >> np.arange(count)) & 1, np.bool_)

    return draw


def _drawn(count: int, seed: int) -> DrawBits:
    """Coalitions in proportion to pi: a size, then that many superpixels; after each its complement."""
    sizes, orders = (np.random.default_rng([seed, part]) for part in range(2))
    share = np.array([1 / (size * (count - size)) for size in range(1, count)])
    edges = np.cumsum(share / share.sum())[:-1]

    def draw(samples: int) -> Bits:
        pairs = -(-samples // 2)
        size = 1 + np.searchsorted(edges, sizes.random(pairs), side="right")
        rank = np.argsort(np.argsort(orders.random((pairs, count)), axis=1), axis=1)
        seen = rank < size[:, np.newaxis]
        return np.stack([seen, ~seen], axis=1).reshape(-1, count)[:samples]

    return draw
