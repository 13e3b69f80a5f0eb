"""How alike two maps are: structural similarity and rank correlation."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.metrics.ranking import correlation, mean_ranks

Array = npt.NDArray[Any]
Doubles = npt.NDArray[np.float64]

# Wang et al. 2004: window of 11 pixels, Gaussian of deviation 1.5, K1 = 0.01, K2 = 0.03.
_WINDOW, _DEVIATION, _K1, _K2 = 11, 1.5, 0.01, 0.03


def ssim(a: Any, b: Any, *, span: float = 1.0) -> Doubles:
    """Mean structural similarity of maps `(B, h, w)` pair by pair, `(B,)`; 1 for equal ones.

        (2 m_a m_b + C1) (2 s_ab + C2) / ((m_a^2 + m_b^2 + C1) (s_a^2 + s_b^2 + C2)),  C = (K span)^2

    with means, variances and covariance under a Gaussian window of 11 x 11 pixels (smaller on smaller maps), deviation
    1.5, K1 = 0.01, K2 = 0.03, averaged over every place where the window fits. Source: Wang et al. 2004, equation 13.

    Args:
        a, b: maps of one shape.
        span: the largest value that there could be minus the smallest.
    """
    x, y = _same_shape(a, b)
    side = min(_WINDOW, *((size - 1) // 2 * 2 + 1 for size in x.shape[1:]))
    c1, c2 = (_K1 * span) ** 2, (_K2 * span) ** 2
    return np.array([_ssim(one, other, side, c1, c2) for one, other in zip(x, y, strict=True)])


def _ssim(a: Doubles, b: Doubles, side: int, c1: float, c2: float) -> float:
    from tfviz._opencv import cv2

    def mean(values: Doubles) -> Doubles:
        inner = side // 2
        filtered = np.asarray(cv2.GaussianBlur(values, (side, side), _DEVIATION))
        return filtered[inner : filtered.shape[0] - inner, inner : filtered.shape[1] - inner]

    mean_a, mean_b = mean(a), mean(b)
    variance_a, variance_b = mean(a * a) - mean_a**2, mean(b * b) - mean_b**2
    covariance = mean(a * b) - mean_a * mean_b
    luminance = (2 * mean_a * mean_b + c1) / (mean_a**2 + mean_b**2 + c1)
    return float((luminance * (2 * covariance + c2) / (variance_a + variance_b + c2)).mean())


def spearman(a: Any, b: Any) -> Doubles:
    """Spearman's rank correlation of maps `(B, h, w)` pair by pair, `(B,)`; equal values share their mean rank.

    Of two maps that are each the same everywhere 1, of one and another 0.

    >>> float(spearman(np.array([[[1.0, 2.0, 3.0]]]), np.array([[[10.0, 20.0, 99.0]]]))[0].round(6))
    1.0
    """
    x, y = (values.reshape(len(values), -1) for values in _same_shape(a, b))
    both_flat = (np.ptp(x, axis=1) == 0) & (np.ptp(y, axis=1) == 0)
    return np.where(both_flat, 1.0, correlation(mean_ranks(x), mean_ranks(y)))


def _same_shape(a: Any, b: Any) -> tuple[Doubles, Doubles]:
    x, y = np.asarray(a, np.float64), np.asarray(b, np.float64)
    x, y = (values[np.newaxis] if values.ndim == 2 else values for values in (x, y))
    if x.shape != y.shape or x.ndim != 3 or 0 in x.shape:
        raise InputError(f"Maps of shapes {np.shape(a)} and {np.shape(b)} were given; expected two of (B, h, w).")
    return x, y
