"""How alike two tensors are as distributions of values and as pictures; added up image by image."""

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
BINS = 128  # between the limits; one more at each end takes what lies beyond
# Wang, Bovik, Sheikh and Simoncelli 2004, section III: an 11 x 11 Gaussian window and the two constants.
WINDOW, DEVIATION, K1, K2 = 11, 1.5, 0.01, 0.03
SMALLEST_MAP = 3


@dataclasses.dataclass(frozen=True)
class Histograms:
    """Counts of x and y over the same bins: `BINS` equal ones between `low` and `high`, and one beyond each end."""

    low: float
    high: float
    x: Array
    y: Array
    undefined: bool = False  # NaN was met

    @property
    def kl(self) -> float:
        """The Kullback-Leibler divergence of y's distribution from x's, sum p ln(p / q), in nats.

        p and q are the shares of values in the bins, each count taken half a value higher (Krichevsky and Trofimov
        1981), so that a bin which happens to be empty is not taken for one that is impossible. NaN where NaN was met.
        """
        if self.undefined:
            return math.nan
        p, q = ((counts + 0.5) / (counts.sum() + counts.size / 2) for counts in (self.x, self.y))
        return max(float((p * np.log(p / q)).sum()), 0.0)


def histograms(x: Array, scale: float | None, zero_point: int, dtype: np.dtype[Any]) -> Histograms:
    """Empty ones: over the range of the engine's integers, or over that of `x` where there are none."""
    if scale and np.issubdtype(dtype, np.integer):
        limits = np.iinfo(dtype)
        # Half a step out, so that an integer lies within its bin and what rounds to it lies with it.
        low, high = (scale * (limit - zero_point) for limit in (limits.min - 0.5, limits.max + 0.5))
    else:
        finite = x[np.isfinite(x)]
        low, high = (float(finite.min()), float(finite.max())) if finite.size else (0.0, 0.0)
    if not high > low:
        low, high = low - 0.5, high + 0.5
    empty = np.zeros(BINS + 2, np.int64)
    return Histograms(low, high, empty, empty)


def add_histograms(sums: Histograms, x: Array, y: Array) -> Histograms:
    """`sums` with one more image.

    >>> x = np.linspace(0, 1, 1000)
    >>> empty = histograms(x, None, 0, x.dtype)
    >>> add_histograms(empty, x, x).kl, bool(add_histograms(empty, x, x / 2).kl > 0.5)
    (0.0, True)
    """
    undefined = bool(np.isnan(x).any() or np.isnan(y).any())
    if undefined or sums.undefined:
        return dataclasses.replace(sums, undefined=True)
    return dataclasses.replace(sums, x=sums.x + _counts(sums, x), y=sums.y + _counts(sums, y))


def _counts(sums: Histograms, values: Array) -> Array:
    places = (values.ravel().astype(np.float64) - sums.low) * (BINS / (sums.high - sums.low))
    bins = np.floor(np.clip(places, -1, BINS)).astype(np.int64) + 1
    return np.bincount(bins, minlength=BINS + 2)


def are_maps(values: Array) -> bool:
    """Whether a tensor (1, h, w, C) holds maps large enough to be looked at as pictures."""
    return values.ndim == 4 and values.shape[0] == 1 and min(values.shape[1:3]) >= SMALLEST_MAP


def maps_ssim(x: Array, y: Array) -> float:
    """Structural similarity of the maps of two tensors (1, h, w, C), the mean over the channels.

    `(2 m_x m_y + c1) (2 s_xy + c2) / ((m_x^2 + m_y^2 + c1) (s_x^2 + s_y^2 + c2))`, averaged over the places where the
    window fits; smaller maps have a smaller window. The range of values in c1 and c2 is that of the whole of x.
    Source: Wang et al. 2004, equation 13. NaN where x is the same everywhere and y is not.

    >>> x = np.random.default_rng(0).normal(size=(1, 12, 12, 3))
    >>> maps_ssim(x, x), bool(maps_ssim(x, 0 * x) < 0.1)
    (1.0, True)
    """
    if np.array_equal(x, y):
        return 1.0
    x, y = x[0].astype(np.float64), y[0].astype(np.float64)
    with np.errstate(invalid="ignore", divide="ignore", over="ignore"):
        span = float(x.max() - x.min())
        if span == 0:  # one colour has no structure to keep
            return math.nan
        c1, c2 = (K1 * span) ** 2, (K2 * span) ** 2
        side = min(WINDOW, *((size - 1) // 2 * 2 + 1 for size in x.shape[:2]))
        mean_x, mean_y, xx, yy, xy = (_blurred(values, side) for values in (x, y, x * x, y * y, x * y))
        spread = xx - mean_x**2 + yy - mean_y**2
        products = mean_x * mean_y
        found = (2 * products + c1) * (2 * (xy - products) + c2)
        return float((found / ((mean_x**2 + mean_y**2 + c1) * (spread + c2))).mean())


def _blurred(values: Array, side: int) -> Array:
    """Gaussian means (h, w, C) where the window fits. The maps lie side by side in one picture for the filter."""
    from tfviz._opencv import cv2

    height, width, channels = values.shape
    row = np.ascontiguousarray(values.transpose(0, 2, 1)).reshape(height, channels * width)
    blurred = np.asarray(cv2.GaussianBlur(row, (side, side), DEVIATION)).reshape(height, channels, width)
    inner = side // 2
    return blurred[inner : height - inner, :, inner : width - inner]
