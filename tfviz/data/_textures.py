"""Grain for rendered scenes: a few tiles made once for each frame size, of which every picture cuts its own piece."""

import functools

import numpy as np
import numpy.typing as npt

from tfviz._opencv import cv2
from tfviz.data._draws import Draws

Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]

SURFACES = ("plain", "plaster", "carpet", "grass", "boards", "tiles", "leaves", "cloth", "gravel")


class Textures:
    """Tiles of twice the frame's size, uint8, three equal channels (noise: unequal): factors around 128 = 1.0."""

    def __init__(self, height: int, width: int) -> None:
        self._height, self._width = 2 * height, 2 * width
        # -1 to 1 from the left to the right edge, and from the upper to the lower one.
        self.ramps = (
            np.linspace(-1, 1, width, dtype=np.float32),
            np.linspace(-1, 1, height, dtype=np.float32)[:, None],
        )
        self._unit = min(height, width) / 64
        # Fixed: the tiles are the same everywhere, only the cut differs from picture to picture.
        self._bits = np.random.Generator(np.random.Philox(key=[20, 26]))
        self._tiles = {name: self._make(name) for name in (*SURFACES, "fur")}
        self._tiles["noise"] = self._factors(self._grain(0, channels=3), 32)

    def crop(self, name: str, height: int, width: int, draws: Draws) -> Pixels:
        """A random cut of a tile, (height, width, 3)."""
        top = draws.integer(0, self._height - height + 1)
        left = draws.integer(0, self._width - width + 1)
        return self._tiles[name][top : top + height, left : left + width]

    def _grain(self, sigma: float, sigma_y: float | None = None, *, channels: int = 1) -> Floats:
        """Gaussian noise, blurred by sigma pixels of a frame of 64, with deviation 1."""
        noise = self._bits.standard_normal((self._height, self._width, channels), np.float32)
        down = sigma if sigma_y is None else sigma_y
        if sigma > 0 or down > 0:
            unit = self._unit
            noise = cv2.GaussianBlur(noise, (0, 0), max(sigma * unit, 0.01), sigmaY=max(down * unit, 0.01))
        noise = noise.reshape(self._height, self._width, channels)
        return noise / noise.std()

    def _make(self, name: str) -> Pixels:
        rows, columns = np.mgrid[: self._height, : self._width].astype(np.float32) / self._unit
        if name == "plain":
            return self._factors(self._grain(12), 5)
        if name == "plaster":
            return self._factors(self._grain(8) + 0.5 * self._grain(0.6), 6)
        if name == "carpet":
            return self._factors(self._grain(0.5) + 0.6 * self._grain(5), 9)
        if name == "grass":
            return self._factors(self._grain(0.4, 1.4) + 0.6 * self._grain(5), 12)
        if name == "boards":
            return self._factors(self._grain(6, 0.5)[..., 0] + np.where(rows % 7 < 0.9, -3.0, 0.0), 9)
        if name == "tiles":
            joints = np.where((rows % 11 < 0.9) | (columns % 11 < 0.9), -2.5, 0.3)
            return self._factors(joints + 0.4 * self._grain(1.0)[..., 0], 12)
        if name == "leaves":
            return self._factors(self._grain(1.2) + 0.6 * self._grain(3.5), 11)
        if name == "cloth":
            return self._factors(np.sin(columns * 0.9) + 0.3 * self._grain(0.5)[..., 0], 12)
        if name == "gravel":
            return self._factors(self._grain(0.6), 13)
        return self._factors(self._grain(0.5, 0.9) + 0.5 * self._grain(2.5), 8)  # fur

    def _factors(self, values: Floats, deviation: float) -> Pixels:
        factors = values.reshape(self._height, self._width, -1) * deviation + 128
        pixels = np.clip(np.rint(factors), 0, 255).astype(np.uint8)
        return np.repeat(pixels, 3, axis=2) if pixels.shape[2] == 1 else pixels


@functools.lru_cache(maxsize=4)
def textures_for(height: int, width: int) -> Textures:
    """The tiles for a frame size, made once."""
    return Textures(height, width)
