"""Images to the model's integers, once, on the host: the identical bytes then go to every engine.

NumPy alone. What the numbers mean is in the .tflite (scale and zero point); what the model expects of pixels is in its
`Preprocess`. Nothing here runs a model.
"""

from collections.abc import Callable
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools.graph import GraphTensor
from tfviz.errors import InputError

Array = npt.NDArray[Any]
# Beyond every integer type that a tensor may have, and yet a number.
FAR = np.float32(2**40)
Pixels = Callable[[Array], Array]


def quantize(values: npt.ArrayLike, *, scale: float, zero_point: int, dtype: npt.DTypeLike) -> Array:
    """Real numbers to integers: `saturate(round(values / scale) + zero_point)`.

    The division is in float32 and halves are rounded away from zero: what TensorFlow Lite's and TensorFlow Lite
    Micro's reference QUANTIZE kernel does (`AffineQuantize`), so that a model with a float input and its own QUANTIZE
    op gets the same integers. NaN has no integer and is refused.

    >>> quantize([-0.5, 0.5, 1.5, 300.0], scale=1.0, zero_point=-128, dtype=np.int8)
    array([-128, -127, -126,  127], dtype=int8)

    Raises:
        InputError: a value is NaN, or the scale is not a positive finite number.
    """
    real = np.asarray(values, np.float32)
    if not (np.isfinite(scale) and scale > 0):
        raise InputError(f"A scale of {scale} cannot quantise; it must be a positive finite number.")
    if np.isnan(real).any():
        raise InputError("The input holds NaN, which no integer can stand for; look at the data or the preprocessing.")
    with np.errstate(over="ignore"):
        quotient = np.clip(real / np.float32(scale), -FAR, FAR)
    # trunc(x + 0.5) would round 0.49999997 up in float32; the fraction is exact below 2^23, and above it there is none.
    whole = np.trunc(quotient)
    rounded = whole + np.where(np.abs(quotient - whole) >= 0.5, np.sign(quotient), np.float32(0))
    limits = np.iinfo(np.dtype(dtype))
    return np.clip(rounded.astype(np.float64) + zero_point, limits.min, limits.max).astype(dtype)


def dequantize(values: Array, *, scale: float, zero_point: int) -> npt.NDArray[np.float32]:
    """Integers to real numbers, `scale * (values - zero_point)`, float32.

    >>> dequantize(np.array([-128, 127], np.int8), scale=0.5, zero_point=-128)
    array([  0. , 127.5], dtype=float32)
    """
    return (np.float32(scale) * (values.astype(np.int32) - np.int32(zero_point))).astype(np.float32)


def quantization(tensor: GraphTensor) -> tuple[float | None, int]:
    """Scale and zero point of an activation, (None, 0) where it is not quantised."""
    if not len(tensor.scale):
        return None, 0
    return float(tensor.scale[0]), int(tensor.zero_point[0])


def model_input(images: Array, tensor: GraphTensor, *, preprocess: Pixels | None = None) -> Array:
    """A batch as the model's own integers (or floats): `(B, *tensor.shape[1:])` of `tensor.dtype`.

    Args:
        images: `(B, H, W, C)`; uint8 pixels go through `preprocess` and the input's scale and zero point; an array
            that already has the dtype of a quantised input other than uint8 is taken as quantised and passes as it is.
        tensor: the model's input.
        preprocess: pixels to the real numbers that the model expects; None leaves 0..255 as they are.

    Raises:
        InputError: the images do not fit the input.
    """
    scale, zero_point = quantization(tensor)
    if scale is not None and images.dtype.name == tensor.dtype and tensor.dtype != "uint8":
        return _shaped(images, tensor)
    if np.issubdtype(images.dtype, np.signedinteger):
        raise InputError(
            f"The data are {images.dtype} integers, which are taken as already quantised, "
            f"but the model's input {tensor.name} is {tensor.dtype}."
        )
    real = np.asarray(preprocess(images) if preprocess is not None and images.dtype == np.uint8 else images, np.float32)
    real = _shaped(real, tensor)
    if scale is None:
        return real.astype(tensor.dtype)
    return quantize(real, scale=scale, zero_point=zero_point, dtype=tensor.dtype)


def _shaped(images: Array, tensor: GraphTensor) -> Array:
    """Images with the shape of the input; axes of length 1 are added or dropped, nothing else."""
    expected = tuple(int(size) for size in tensor.shape[1:])
    if images.shape[1:] == expected:
        return images
    if [size for size in images.shape[1:] if size != 1] == [size for size in expected if size != 1]:
        return images.reshape(len(images), *expected)
    given = " x ".join(map(str, images.shape[1:]))
    raise InputError(
        f"The images are {given} but the model's input {tensor.name} is {' x '.join(map(str, expected))}; "
        "give data of that size, or a model with its preprocessing beside it."
    )
