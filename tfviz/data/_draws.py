"""Random numbers that belong to one picture: the same for the same key, whatever else is drawn before or after."""

from collections.abc import Iterator, Sequence
from typing import TypeVar

import numpy as np

T = TypeVar("T")
BLOCK = 256


class Draws:
    """A stream of numbers from Philox (counter-based; Salmon et al. 2011), keyed by `(seed, stream, index)`.

    >>> Draws(0, 1, 5).uniform(0, 1) == Draws(0, 1, 5).uniform(0, 1) != Draws(0, 1, 6).uniform(0, 1)
    True
    """

    def __init__(self, seed: int, stream: int, index: int) -> None:
        # The lowest word of the counter is Philox's own: it counts the blocks of one stream.
        self._bits = np.random.Philox(key=[seed, stream], counter=[0, 0, 0, index])
        self._values: Iterator[float] = iter(())

    def _next(self) -> float:
        for value in self._values:
            return value
        block = (self._bits.random_raw(BLOCK) >> np.uint64(11)) * 2.0**-53
        self._values = iter(block.tolist())
        return next(self._values)

    def uniform(self, low: float, high: float) -> float:
        """Uniform in [low, high)."""
        return low + (high - low) * self._next()

    def chance(self, probability: float) -> bool:
        """True with this probability."""
        return self._next() < probability

    def integer(self, low: int, high: int) -> int:
        """Uniform in low, ..., high - 1."""
        return low + int((high - low) * self._next())

    def pick(self, choices: Sequence[T]) -> T:
        """One of the choices."""
        return choices[int(len(choices) * self._next())]
