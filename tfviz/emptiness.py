"""Explanations that are zero everywhere say nothing, and must not be taken as if they did."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import EmptyMapWarning, warn


def warn_of_empty(name: str, maps: npt.NDArray[Any], why: str) -> None:
    """Warn of maps `(B, h, w)` that are zero everywhere; `why` says what that means and what to do."""
    empty = int(np.sum(~np.any(maps, axis=(1, 2))))
    if empty:
        warn(f"{empty} of {len(maps)} {name} maps are zero everywhere: {why}", EmptyMapWarning)
