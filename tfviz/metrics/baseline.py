"""Maps that know nothing, to compare with."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz import image
from tfviz.errors import InputError


def random_maps(images: Any, *, grid: int | None = None, seed: int = 0) -> npt.NDArray[np.float32]:
    """Maps that know nothing: uniform noise in 0..1 for images `(B, H, W, C)`, `(B, H, W)`.

    Every explanation has to beat them. With `grid`, noise of grid x grid places resized to the image: as coarse as a
    class activation map, which is the fair comparison for one (fine noise destroys a picture with far fewer pixels).

    Raises:
        InputError: no images, or a grid below 1.
    """
    shape = np.shape(images)
    if len(shape) != 4 or (grid is not None and grid < 1):
        raise InputError(f"Images (B, H, W, C) and a grid of 1 or more are expected, not shape {shape} and {grid}.")
    height, width = shape[1:3]
    side = (height, width) if grid is None else (grid, grid)
    noise = np.random.default_rng(seed).random((shape[0], *side), np.float32)
    return image.resize(noise, (height, width))
