"""Scores of coalitions: some superpixels of a picture seen, the others at their fill."""

from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.perturb._subject import Doubles, Subject
from tfviz.perturb._superpixels import Labels

Bits = npt.NDArray[np.bool_]
DrawBits = Callable[[int], Bits]
"""The next so many coalitions, `(samples, features)`."""


def coalitions(
    asked: Subject, image: int, labels: Labels, samples: int, draw: DrawBits
) -> Iterator[tuple[Bits, Doubles]]:
    """Coalitions and their scores `(samples,)`, part by part; parts are even, so that pairs stay together."""
    size = max(2, asked.size - asked.size % 2)
    for first in range(0, samples, size):
        seen = draw(min(size, samples - first))
        yield seen, asked.scores(slice(image, image + 1), seen[:, labels].astype(np.float32))[0]


def painted(values: Doubles, labels: Labels) -> npt.NDArray[np.float32]:
    """Every pixel with the value of its superpixel."""
    return values.astype(np.float32)[labels]


def least_squares(matrix: Any, right: Any) -> Doubles:
    """The smallest solution of a symmetric system that may be singular."""
    return np.asarray(np.linalg.lstsq(matrix, right, rcond=None)[0])
