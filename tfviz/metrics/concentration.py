"""How few pixels a map points at: sparseness and complexity. They say how readable it is, not whether it is right."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError

Doubles = npt.NDArray[np.float64]


def sparseness(maps: Any) -> Doubles:
    """The Gini index of |phi|, `(B,)`: 0 where all pixels weigh the same, 1 - 1/n where one has everything.

        sum_i (2 i - n - 1) |phi|_(i) / (n sum |phi|),    |phi|_(1) <= ... <= |phi|_(n)

    A map that is zero everywhere points at nothing: 0. Source: Chalasani et al. 2020.

    Args:
        maps: (B, h, w), or one (h, w).

    >>> sparseness(np.array([[[1, 1], [1, 1]], [[0, 0], [5, 0]]])).tolist()
    [0.0, 0.75]
    """
    values = np.sort(_magnitudes(maps), axis=1)
    n = values.shape[1]
    total = values.sum(axis=1)
    return np.asarray(values @ (2 * np.arange(1, n + 1) - n - 1) / (n * np.where(total == 0, 1, total)))


def complexity(maps: Any) -> Doubles:
    """The entropy of |phi| as shares of its sum, `(B,)`: -sum p ln p, in nats.

    0 where one pixel has everything, ln n where all n weigh the same (and for a map that is zero everywhere). Source:
    Bhatt, Weller and Moura 2020, section 2.

    >>> complexity(np.array([[0, 7], [0, 0]])).tolist(), float(complexity(np.ones((2, 2)))[0].round(4))
    ([0.0], 1.3863)
    """
    values = _magnitudes(maps)
    total = values.sum(axis=1, keepdims=True)
    shares = np.where(total == 0, 1 / values.shape[1], values / np.where(total == 0, 1, total))
    entropy = -np.sum(shares * np.log(np.where(shares == 0, 1, shares)), axis=1)
    return np.asarray(np.abs(entropy))  # -0.0 would be drawn as such


def _magnitudes(maps: Any) -> Doubles:
    """|phi| of each map over its largest (huge maps would overflow), `(B, n)`."""
    values = np.abs(np.asarray(maps, np.float64))
    values = values[np.newaxis] if values.ndim == 2 else values
    if values.ndim != 3 or 0 in values.shape[1:] or not np.isfinite(values).all():
        raise InputError(f"Maps of shape {np.shape(maps)} were given; expected (B, h, w) of finite numbers.")
    flat = values.reshape(len(values), -1)
    top = flat.max(axis=1, keepdims=True)
    return np.asarray(flat / np.where(top == 0, 1, top))
