"""Errors of one op over many images: sums that are added up image by image, and the metrics made of them.

Memory does not grow with the number of images. NaN and infinity are counted and carried through, never replaced.
`r` is the reference's tensor, `q` the engine's, both integers of the same scale and zero point; `x` is the real tensor
that is measured against, `y` the engine's as real numbers, `e = y - x`.
"""

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools.results import Verdict

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Steps:
    """Differences of integers, in LSB, summed over images.

    `worst` is the largest |q - r| and `where` its first place: (image, *index without the batch axis).
    """

    values: int = 0
    exact: int = 0
    within_one: int = 0
    worst: int = 0
    where: tuple[int, ...] | None = None

    @property
    def exact_share(self) -> float:
        """Share of values with q = r."""
        return self.exact / self.values

    @property
    def within_one_share(self) -> float:
        """Share of values with |q - r| <= 1."""
        return self.within_one / self.values


def add_steps(sums: Steps, reference: Array, engine: Array, image: int) -> Steps:
    """`sums` with one more image.

    >>> a, b = np.array([[0, 5, 9]], np.int8), np.array([[0, 6, 4]], np.int8)
    >>> add_steps(Steps(), a, b, image=7)
    Steps(values=3, exact=1, within_one=2, worst=5, where=(7, 2))
    """
    if np.array_equal(reference, engine):
        return dataclasses.replace(
            sums,
            values=sums.values + engine.size,
            exact=sums.exact + engine.size,
            within_one=sums.within_one + engine.size,
        )
    apart = np.abs(engine.astype(np.int64) - reference.astype(np.int64))
    worst, where = int(apart.max()), sums.where
    if worst > sums.worst:
        index = np.unravel_index(int(apart.argmax()), apart.shape)
        where = (image, *(int(i) for i in index[1:]))
    return Steps(
        values=sums.values + apart.size,
        exact=sums.exact + int((apart == 0).sum()),
        within_one=sums.within_one + int((apart <= 1).sum()),
        worst=max(worst, sums.worst),
        where=where,
    )


def saturated(values: Array, zero_point: int) -> int:
    """How many integers lie at a limit of their type, where the real number may have been beyond it.

    The lower limit does not count where it is the zero point: there it means zero, the end of a ReLU and not a cut.

    >>> values = np.array([-128, 0, 127], np.int8)
    >>> saturated(values, zero_point=0), saturated(values, zero_point=-128)
    (2, 1)
    """
    limits = np.iinfo(values.dtype)
    count = int((values == limits.max).sum()) if zero_point != limits.max else 0
    return count + (int((values == limits.min).sum()) if zero_point != limits.min else 0)


@dataclasses.dataclass(frozen=True)
class Reals:
    """Sums of real numbers over images, in float64."""

    values: int = 0
    error: float = 0.0
    error2: float = 0.0
    x_mean: float = 0.0
    x_spread: float = 0.0  # sum of (x - mean)^2
    x2: float = 0.0
    y2: float = 0.0
    xy: float = 0.0
    max_abs: float = 0.0
    nans: int = 0
    infinities: int = 0

    @property
    def rmse(self) -> float:
        """sqrt(mean e^2)."""
        return math.sqrt(self.error2 / self.values) if not math.isnan(self.error2) else math.nan

    @property
    def bias(self) -> float:
        """The mean of e."""
        return self.error / self.values

    @property
    def sqnr_db(self) -> float:
        """10 log10(sum x^2 / sum e^2): signal to quantisation noise; infinite where there is no error at all."""
        if math.isnan(self.error2) or math.isnan(self.x2):
            return math.nan
        if self.error2 == 0:
            return math.inf
        if math.isinf(self.error2) or math.isinf(self.x2):
            return math.nan if math.isinf(self.x2) else -math.inf
        return 10 * math.log10(self.x2 / self.error2) if self.x2 > 0 else -math.inf

    @property
    def nse(self) -> float:
        """Nash-Sutcliffe efficiency (Nash and Sutcliffe 1970), 1 - sum e^2 / sum (x - mean x)^2.

        1 without error, 0 where y is no better than the mean of x; of an x that is the same everywhere 1 without error
        and minus infinity with.
        """
        if self.error2 == 0:
            return 1.0
        if self.x_spread == 0:
            return math.nan if math.isnan(self.error2) else -math.inf
        return 1 - self.error2 / self.x_spread

    @property
    def cosine(self) -> float:
        """sum x y / sqrt(sum x^2 sum y^2); NaN where one of the two is zero everywhere."""
        norm = math.sqrt(self.x2) * math.sqrt(self.y2)
        return self.xy / norm if norm > 0 else math.nan


def add_reals(sums: Reals, x: Array, y: Array) -> Reals:
    """`sums` with one more image.

    >>> sums = add_reals(Reals(), np.array([3.0, 4.0]), np.array([3.0, 3.5]))
    >>> round(sums.sqnr_db, 6), round(sums.rmse, 6), sums.bias, sums.max_abs
    (20.0, 0.353553, -0.25, 0.5)
    """
    x, y = x.astype(np.float64).ravel(), y.astype(np.float64).ravel()
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(x == y, 0.0, y - x)  # equal infinities do not differ
        values = sums.values + x.size
        mean = float(x.mean()) if x.size else 0.0
        shift = mean - sums.x_mean
        around = x - mean
        return Reals(
            values=values,
            error=sums.error + float(error.sum()),
            error2=sums.error2 + float(error @ error),
            # Two groups' means and spreads become one's without the cancellation of sum x^2 - n mean^2 (Chan, Golub
            # and LeVeque 1979).
            x_mean=sums.x_mean + shift * x.size / max(values, 1),
            x_spread=sums.x_spread + float(around @ around) + shift * shift * sums.values * x.size / max(values, 1),
            x2=sums.x2 + float(x @ x),
            y2=sums.y2 + float(y @ y),
            xy=sums.xy + float(x @ y),
            max_abs=float(np.maximum(sums.max_abs, np.abs(error).max(initial=0.0))),
            nans=sums.nans + int(np.isnan(x).sum() + np.isnan(y).sum()),
            infinities=sums.infinities + int(np.isinf(x).sum() + np.isinf(y).sum()),
        )


def verdict(free: Steps | None, local: Steps | None) -> Verdict:
    """What is said of an op whose free run (accumulated error) and forced run (local error) gave these differences.

    `free` is None where the tensors are not integers of one scale; `local` is None where nothing was forced.

    >>> verdict(Steps(10, 8, 10, 1), Steps(10, 10, 10, 0)).value
    'INHERITED'
    """
    if free is None:
        return Verdict.MEASURED
    if free.worst == 0:
        return Verdict.EXACT
    if local is None:
        return Verdict.UNFORCED
    if local.worst == 0:
        return Verdict.INHERITED
    return Verdict.ROUNDING if local.worst == 1 else Verdict.DIVERGED
