"""What stands in the place of pixels that are taken away."""

from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError

Array = npt.NDArray[Any]

# Of the longer side: wide enough that no object of a picture is still to be known.
_BLUR = 0.1


def filled(images: Array, fill: Any) -> Array:
    """The image of which taken-away pixels show a part, for each image: `(B, H, W, C)`, floating point.

    Args:
        images: `(B, H, W, C)`.
        fill: a number; an array that broadcasts to the images (one colour `(C,)`, one picture `(H, W, C)`); "mean" for
            each image's own mean colour; "blur" for the image blurred by a Gaussian of a tenth of its longer side.

    >>> filled(np.array([[[[1.0], [3.0]]]]), "mean")[0, 0, :, 0]
    array([2., 2.])

    Raises:
        InputError: an unknown word, or an array that does not broadcast.
    """
    real = images if images.dtype == np.float64 else images.astype(np.float32)
    if isinstance(fill, str):
        if fill == "mean":
            return np.broadcast_to(real.mean(axis=(1, 2), keepdims=True), images.shape)
        if fill == "blur":
            return np.stack([_blurred(image) for image in real])
        raise InputError(f"fill={fill!r} was given; expected a number, an array, 'mean' or 'blur'.")
    try:
        return np.broadcast_to(np.asarray(fill, real.dtype), images.shape)
    except (ValueError, TypeError):
        raise InputError(
            f"The fill has shape {np.shape(fill)}, which does not broadcast to the images {images.shape}."
        ) from None


def _blurred(image: Array) -> Array:
    from tfviz._opencv import cv2

    blurred: Array = cv2.GaussianBlur(np.ascontiguousarray(image), (0, 0), max(1.0, _BLUR * max(image.shape[:2])))
    return blurred.reshape(image.shape)
