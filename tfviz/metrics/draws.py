"""Random numbers of a stream of samples, the same for every image and however the stream is cut into blocks."""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.stream import Block

Array = npt.NDArray[Any]


class Draws:
    """One draw for each sample, from a generator of its own; those of the last block are kept for the next."""

    def __init__(self, seed: int, draw: Callable[[np.random.Generator], Array]) -> None:
        self._seed, self._draw = seed, draw
        self._range = range(0)
        self._kept: Array = np.zeros(0)

    def samples(self, block: Block) -> Array:
        """The block's samples, `(samples, ...)`."""
        wanted = range(block.first, block.last)
        if wanted != self._range:
            self._kept = np.stack([self._draw(np.random.default_rng([self._seed, sample])) for sample in wanted])
            self._range = wanted
        return self._kept

    def rows(self, block: Block) -> Array:
        """The block's samples once for each of its images, `(images * samples, ...)`."""
        samples = self.samples(block)
        return np.tile(samples, (block.stop - block.start, *([1] * (samples.ndim - 1))))
