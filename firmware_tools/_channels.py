"""Errors of one op channel by channel, added up image by image. A channel is a place on the tensor's last axis."""

import dataclasses
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools.results import Channels

Array = npt.NDArray[Any]
# A flattened feature map has no channels to speak of, and a list of them would only be long.
MOST_CHANNELS = 2048


@dataclasses.dataclass(frozen=True)
class ChannelSums:
    """Sums by channel, each of shape (C,): counts and differences of integers, and squares of real numbers."""

    integers: int = 0
    reals: int = 0
    exact: Array | None = None
    worst: Array | None = None
    error2: Array | None = None
    x2: Array | None = None

    def result(self, scale: float | None) -> Channels | None:
        """What was found; None where nothing was added."""
        if not self.integers and not self.reals:
            return None
        return Channels(
            exact_share=_numbers(self.exact, self.integers),
            max_lsb=None if self.worst is None else tuple(int(value) for value in self.worst),
            rmse_scale=None if self.error2 is None or not scale else _numbers(np.sqrt(self.error2 / self.reals), scale),
            sqnr_db=None if self.error2 is None or self.x2 is None else _decibel(self.x2, self.error2),
        )


def has_channels(values: Array) -> bool:
    """Whether a tensor (with its batch axis) has channels that are worth a list."""
    return values.ndim >= 2 and 1 < values.shape[-1] <= MOST_CHANNELS


def add_channel_steps(sums: ChannelSums, reference: Array, engine: Array) -> ChannelSums:
    """`sums` with one more image's integers.

    >>> a, b = np.array([[0, 5], [1, 9]], np.int8), np.array([[0, 6], [1, 4]], np.int8)
    >>> add_channel_steps(ChannelSums(), a, b).result(None).max_lsb
    (0, 5)
    """
    channels = engine.shape[-1]
    count = engine.size // channels
    exact, worst = _zeros(sums.exact, channels), _zeros(sums.worst, channels)
    if np.array_equal(reference, engine):
        return dataclasses.replace(sums, integers=sums.integers + count, exact=exact + count, worst=worst)
    apart = np.abs(engine.astype(np.int64) - reference.astype(np.int64)).reshape(-1, channels)
    return dataclasses.replace(
        sums,
        integers=sums.integers + count,
        exact=exact + (apart == 0).sum(axis=0),
        worst=np.maximum(worst, apart.max(axis=0)),
    )


def add_channel_reals(sums: ChannelSums, x: Array, y: Array) -> ChannelSums:
    """`sums` with one more image's real numbers; `x` is what is right.

    >>> added = add_channel_reals(ChannelSums(), np.array([[3.0, 4.0]]), np.array([[3.0, 3.6]]))
    >>> [round(value, 6) for value in added.result(0.1).rmse_scale]
    [0.0, 4.0]
    """
    channels = y.shape[-1]
    x, y = (values.astype(np.float64).reshape(-1, channels) for values in (x, y))
    with np.errstate(invalid="ignore", over="ignore"):
        error = np.where(x == y, 0.0, y - x)  # equal infinities do not differ
        return dataclasses.replace(
            sums,
            reals=sums.reals + len(y),
            error2=_zeros(sums.error2, channels) + np.einsum("nc,nc->c", error, error),
            x2=_zeros(sums.x2, channels) + np.einsum("nc,nc->c", x, x),
        )


def _zeros(sums: Array | None, channels: int) -> Array:
    return np.zeros(channels) if sums is None else sums


def _numbers(values: Array | None, divisor: float) -> tuple[float, ...] | None:
    return None if values is None else tuple(float(value) for value in values / divisor)


def _decibel(x2: Array, error2: Array) -> tuple[float, ...]:
    """10 log10(x^2 / e^2): infinite without error, minus infinite where x is zero and y is not."""
    with np.errstate(divide="ignore", invalid="ignore"):
        found = 10 * np.log10(x2 / error2)
    return tuple(float(value) for value in np.where(error2 == 0, np.inf, found))
