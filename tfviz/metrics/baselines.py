"""What stands where pixels are taken away, and maps that know nothing, to compare with."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz import image
from tfviz.errors import InputError

Array = npt.NDArray[Any]

# The blur of Petsiuk et al.'s published code: a window of 11 pixels, deviation 5.
_WINDOW, _DEVIATION = 11, 5.0


def baseline_of(images: Array, baseline: Any) -> Array:
    """The baseline of images `(B, H, W, C)`, of their shape and dtype.

    Args:
        images: as the model takes them.
        baseline: a number or an array that broadcasts to the images; "mean", each image's mean colour; or "blur", the
            image under a Gaussian of deviation 5 pixels (window 11, mirrored at the border).

    Raises:
        InputError: another word, or an array of a wrong shape.

    >>> baseline_of(np.array([[[[1.0], [3.0]]]]), "mean").ravel()
    array([2., 2.])
    """
    if isinstance(baseline, str):
        if baseline == "mean":
            return np.broadcast_to(images.mean(axis=(1, 2), keepdims=True), images.shape).astype(images.dtype)
        if baseline == "blur":
            return np.stack([_blurred(one) for one in images]).astype(images.dtype)
        raise InputError(f"There is no baseline {baseline!r}; give a number, an array, 'mean' or 'blur'.")
    try:
        return np.broadcast_to(np.asarray(baseline, images.dtype), images.shape)
    except (ValueError, TypeError) as error:
        raise InputError(
            f"A baseline of shape {np.shape(baseline)} was given for images of shape {images.shape}."
        ) from error


def _blurred(picture: Array) -> Array:
    from tfviz._opencv import cv2

    planes = np.ascontiguousarray(picture, np.float32)
    return np.asarray(cv2.GaussianBlur(planes, (_WINDOW, _WINDOW), _DEVIATION)).reshape(picture.shape)


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
