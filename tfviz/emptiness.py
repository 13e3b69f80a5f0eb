"""Explanations that are zero everywhere say nothing, and must not be taken as if they did."""

import functools
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import EmptyMapWarning, warn


def warn_of_empty(name: str, maps: npt.NDArray[Any], why: str) -> None:
    """Warn of maps `(B, h, w)` that are zero everywhere; `why` says what that means and what to do."""
    _warn(name, [maps], why)


def warn_of_silence(name: str, maps: Sequence[npt.NDArray[Any]]) -> None:
    """Warn of images whose attributions, to one input or to several, are zero everywhere."""
    _warn(
        name,
        maps,
        "by this method the score hangs on no pixel (the network is dead or saturated there, or the picture is what it "
        "is set against), so the map says nothing; try another target.",
    )


def _warn(name: str, maps: Sequence[npt.NDArray[Any]], why: str) -> None:
    each = [np.asarray(one.reshape(len(one), -1).any(axis=1)) for one in maps]
    speaks = functools.reduce(np.logical_or, each)
    if not speaks.all():
        empty = len(speaks) - int(speaks.sum())
        warn(f"{empty} of {len(speaks)} {name} maps are zero everywhere: {why}", EmptyMapWarning)
