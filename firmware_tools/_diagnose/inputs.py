"""Hypotheses about the input pipeline: what became of the picture before the first op saw it."""

import dataclasses
from collections.abc import Iterator
from typing import Any, cast, get_args

import numpy as np
import numpy.typing as npt

from firmware_tools._diagnose.feeding import Feeding
from firmware_tools._diagnose.registry import about_input
from firmware_tools.quantize import quantization
from tfviz import image
from tfviz.preprocess import Fit

Array = npt.NDArray[Any]
Replays = Iterator[tuple[str, Array]]

# Factor, mean and deviation in common use. The last two: torchvision's and Caffe's for ImageNet.
RANGES: dict[str, tuple[float, tuple[float, ...], tuple[float, ...]]] = {
    "0..255": (1.0, (0.0,), (1.0,)),
    "0..1": (1 / 255, (0.0,), (1.0,)),
    "-1..1": (1 / 127.5, (1.0,), (1.0,)),
    "-128..127": (1.0, (128.0,), (1.0,)),
    "-0.5..0.5": (1 / 255, (0.5,), (1.0,)),
    "mean and deviation of ImageNet": (1 / 255, (0.485, 0.456, 0.406), (0.229, 0.224, 0.225)),
    "mean of ImageNet taken off, 0..255": (1.0, (123.68, 116.779, 103.939), (1.0,)),
}


@about_input("red and blue swapped", fix="Give the channels in the order that the model was trained on (RGB or BGR).")
def swapped(feeding: Feeding) -> Replays:
    """The channels in reverse order: picture[..., ::-1]."""
    if feeding.picture is not None and feeding.picture.shape[-1] == 3:
        yield "", feeding.finish(feeding.picture[..., ::-1])


@about_input(
    "byte order of RGB565", fix="Swap the two bytes of each RGB565 pixel, or set the sensor to the other byte order."
)
def rgb565(feeding: Feeding) -> Replays:
    """Each pixel packed as r5 g6 b5, its two bytes exchanged, and unpacked again (channel * 255 // largest)."""
    frame = feeding.start
    if frame is not None and frame.shape[-1] == 3:
        packed = pack_565(np.clip(np.rint(frame), 0, 255).astype(np.uint8))
        yield "", feeding.again(unpack_565(packed.byteswap()))


def pack_565(frame: Array) -> npt.NDArray[np.uint16]:
    """uint8 RGB to r5 g6 b5: 0..255 to 0..31 and 0..63, rounded up where that is what `unpack_565` gives back.

    >>> int(pack_565(np.array([[255, 0, 0]], np.uint8))[0]) == 0xF800
    True
    """
    wide = frame.astype(np.uint32)
    parts = [((wide[..., c] * most + 254) // 255).astype(np.uint32) for c, most in enumerate((31, 63, 31))]
    return (parts[0] << 11 | parts[1] << 5 | parts[2]).astype(np.uint16)


def unpack_565(packed: Array) -> npt.NDArray[np.uint8]:
    """r5 g6 b5 to uint8 RGB, as `devices.capture` unpacks a frame."""
    wide = packed.astype(np.uint32)
    channels = [(wide >> shift & most) * 255 // most for shift, most in ((11, 31), (5, 63), (0, 31))]
    return np.stack(channels, axis=-1).astype(np.uint8)


@about_input("channels-first", fix="Lay the input out as height x width x channels (NHWC), as .tflite models want it.")
def channels_first(feeding: Feeding) -> Replays:
    """The bytes in the order channel, row, column, read as row, column, channel; and the other way round."""
    shape = feeding.tensor.shape
    if len(shape) == 4 and shape[3] > 1:
        one = feeding.integers.reshape(shape[1:])
        yield "", one.transpose(2, 0, 1).reshape(shape)
        yield "the other way round", one.reshape(shape[3], shape[1], shape[2]).transpose(1, 2, 0).reshape(shape)


@about_input("flipped", fix="Set the sensor's mirror and flip registers, or turn the picture before it is given.")
def flipped(feeding: Feeding) -> Replays:
    """The picture mirrored left-right, or upside down."""
    if feeding.start is not None:
        yield "left-right", feeding.again(feeding.start[:, ::-1])
        yield "upside down", feeding.again(feeding.start[::-1])


@about_input("rotated", fix="Turn the picture back before it is given; look how the sensor is mounted.")
def rotated(feeding: Feeding) -> Replays:
    """The picture turned by 180, 90 or 270 degrees, anticlockwise."""
    start = feeding.start
    if start is not None:
        for quarters in (2, 1, 3):
            turned = np.rot90(start, quarters)
            if feeding.frame is not None and feeding.preprocess is not None and feeding.preprocess.size is not None:
                yield f"by {90 * quarters} degrees", feeding.from_frame(turned)
            elif turned.shape == start.shape:
                yield f"by {90 * quarters} degrees", feeding.again(turned)


@about_input("cropped instead of resized", fix="Bring the picture to the model's size as its sidecar says.")
def cropped(feeding: Feeding) -> Replays:
    """The other `fit` of the preprocessing; or a part of the frame in the model's size, centred or top left."""
    frame, wanted = feeding.frame, feeding.preprocess
    if frame is None or wanted is None or wanted.size is None or frame.shape[:2] == wanted.size:
        return
    for fit in get_args(Fit):
        if fit != wanted.fit:
            detail = "the largest centred part" if fit == "crop" else "stretched instead of cropped"
            yield detail, feeding.from_frame(frame, dataclasses.replace(wanted, fit=fit))
    height, width = wanted.size
    if frame.shape[0] >= height and frame.shape[1] >= width:
        for detail, top, left in (
            ("the middle in full resolution", (frame.shape[0] - height) // 2, (frame.shape[1] - width) // 2),
            ("the top left part in full resolution", 0, 0),
        ):
            yield detail, feeding.from_frame(frame[top : top + height, left : left + width])


@about_input("another interpolation", fix="Resize with the method that the model's sidecar names.")
def interpolated(feeding: Feeding) -> Replays:
    """The frame resized by another method: area, bilinear, nearest, bicubic, Lanczos, or bilinear with aligned corners.

    Bicubic and Lanczos are OpenCV's; with aligned corners output pixel i lies at i * (n - 1) / (m - 1); without half
    pixels (as in TensorFlow 1) at i * n / m.
    """
    frame, wanted = feeding.frame, feeding.preprocess
    if frame is None or wanted is None or wanted.size is None or frame.shape[:2] == wanted.size:
        return
    for method in image.METHODS:
        if method != wanted.resize:
            yield method, feeding.from_frame(frame, dataclasses.replace(wanted, resize=cast(image.Method, method)))
    height, width = wanted.size
    from tfviz._opencv import cv2

    for name, flag in (
        ("OpenCV's bilinear", cv2.INTER_LINEAR),
        ("bicubic", cv2.INTER_CUBIC),
        ("Lanczos", cv2.INTER_LANCZOS4),
        ("OpenCV's area", cv2.INTER_AREA),
    ):
        yield (
            name,
            feeding.from_frame(cv2.resize(frame, (width, height), interpolation=flag).reshape(height, width, -1)),
        )
    places = [np.arange(m) * ((n - 1) / max(m - 1, 1)) for n, m in zip(frame.shape, wanted.size, strict=False)]
    yield "bilinear with aligned corners", feeding.from_frame(_bilinear(frame, *places))
    places = [np.arange(m) * (n / m) for n, m in zip(frame.shape, wanted.size, strict=False)]
    yield "nearest, the upper left pixel", feeding.from_frame(frame[places[0].astype(int)][:, places[1].astype(int)])
    yield "bilinear without half pixels", feeding.from_frame(_bilinear(frame, *places))


def _bilinear(frame: Array, rows: Array, columns: Array) -> Array:
    """`frame` sampled at these places."""
    x = frame.astype(np.float64)
    for axis, places in ((0, rows), (1, columns)):
        first = np.minimum(places.astype(int), x.shape[axis] - 1)
        rest = (places - first).reshape([-1 if axis == i else 1 for i in range(3)])
        x = x.take(first, axis) * (1 - rest) + x.take(np.minimum(first + 1, x.shape[axis] - 1), axis) * rest
    return np.clip(np.rint(x), 0, 255).astype(np.uint8)


@about_input("pixel range", fix="Bring pixels to the range that the model was trained on, as its sidecar says.")
def ranged(feeding: Feeding) -> Replays:
    """`(scale * pixel - mean) / std` with other constants: 0..1, -1..1, 0..255, a mean and deviation."""
    if feeding.picture is None:
        return
    for name, (scale, mean, std) in RANGES.items():
        if len(mean) in (1, feeding.picture.shape[-1]):
            x = feeding.picture.astype(np.float32) * np.float32(scale) - np.asarray(mean, np.float32)
            yield name, feeding.quantised(np.asarray(x / np.asarray(std, np.float32), np.float32))


@about_input("normalised twice", fix="Take out one of the two normalisations (is one inside of the model?).")
def twice(feeding: Feeding) -> Replays:
    """`(scale * x - mean) / std` of what that gave already; or quantised integers taken for pixels."""
    if feeding.picture is not None:
        yield "", feeding.quantised(feeding.arithmetic(feeding.arithmetic(feeding.picture)))
        quantised = feeding.integers.reshape(feeding.tensor.shape)[0]
        yield "the model's integers taken for pixels", feeding.finish(quantised)


@about_input("uint8 given for int8", fix="Take 128 from each byte (or flip its highest bit) before the model gets it.")
def unsigned(feeding: Feeding) -> Replays:
    """The bytes 0..255 where -128..127 are expected, or the reverse: an offset of 128, modulo 256."""
    if feeding.integers.dtype.itemsize == 1:
        yield "", (feeding.integers.view(np.uint8) ^ np.uint8(0x80)).view(feeding.integers.dtype)


@about_input("zero point left out", fix="Add the input's zero point after the division by its scale.")
def no_zero_point(feeding: Feeding) -> Replays:
    """`saturate(round(x / scale))` without `+ zero_point`; or with its sign turned; or wrapped modulo 256."""
    scale, zero_point = quantization(feeding.tensor)
    if scale is not None and zero_point:
        real = feeding.real if feeding.picture is None else feeding.arithmetic(feeding.picture)
        yield "", feeding.quantised(real, zero_point=0)
        yield "taken off instead of added", feeding.quantised(real, zero_point=-zero_point)


@about_input("input scale of another model", fix="Take scale and zero point from this model's own input.")
def other_scale(feeding: Feeding) -> Replays:
    """`round(x / other scale) + zero_point`: those of the models beside this one, and the common scales."""
    scale, zero_point = quantization(feeding.tensor)
    if scale is None:
        return
    real = feeding.real if feeding.picture is None else feeding.arithmetic(feeding.picture)
    for name, other, point in feeding.others:
        yield f"that of {name}", feeding.quantised(real, scale=other, zero_point=point)
    for text in ("1/255", "1/256", "1/128", "2/255", "1/127", "1", "1/2", "1/64", "1/32"):
        top, _, bottom = text.partition("/")
        other = int(top) / int(bottom or 1)
        if not np.isclose(other, scale, rtol=1e-6):
            yield f"{text} instead of {scale:.6g}", feeding.quantised(real, scale=other)
    if feeding.seen is not None:
        yield from _fitted(feeding, real, scale, zero_point)


def _fitted(feeding: Feeding, real: Array, scale: float, zero_point: int) -> Replays:
    """Scale and zero point as the device's own input tells them, by least squares over what is not saturated."""
    assert feeding.seen is not None
    given = feeding.seen.ravel().astype(np.float64)
    limits = np.iinfo(feeding.tensor.dtype)
    inner = (given > limits.min) & (given < limits.max)
    if inner.sum() < 2 or np.ptp(real.ravel()[inner]) == 0:
        return
    slope, offset = np.polyfit(real.ravel()[inner], given[inner], 1)
    if slope > 0 and not (np.isclose(1 / slope, scale, rtol=1e-3) and round(offset) == zero_point):
        detail = f"{1 / slope:.6g} and zero point {round(offset)} instead of {scale:.6g} and {zero_point}"
        yield detail, feeding.quantised(real, scale=1 / slope, zero_point=round(offset))


# Weights of red, green and blue; ITU-R BT.709 and BT.2020 give theirs in their tables of the luma equation.
GREYS: dict[str, tuple[float, float, float]] = {
    "BT.709": (0.2126, 0.7152, 0.0722),
    "the mean of the channels": (1 / 3, 1 / 3, 1 / 3),
    "green alone": (0.0, 1.0, 0.0),
    "red alone": (1.0, 0.0, 0.0),
    "blue alone": (0.0, 0.0, 1.0),
    "BT.601 with red and blue swapped": (0.114, 0.587, 0.299),
    "BT.2020": (0.2627, 0.678, 0.0593),
}


@about_input("grey by another formula", fix="Turn colour into grey by 0.299 R + 0.587 G + 0.114 B (BT.601).")
def grey(feeding: Feeding) -> Replays:
    """Other weights of red, green and blue, rounded or cut off; BT.601 in 8-bit fixed point; (max + min) / 2; max."""
    frame, wanted = feeding.frame, feeding.preprocess
    if frame is None or wanted is None or wanted.colour != "grey" or frame.shape[-1] != 3:
        return
    x = frame.astype(np.float64)
    for name, weights in GREYS.items():
        for ending, whole in (("", np.rint), (", cut off", np.floor)):
            luma = whole(np.round(x @ np.array(weights), 6))
            yield f"{name}{ending}", feeding.from_frame(luma[..., None].astype(np.uint8))
    wide = frame.astype(np.int64)
    fixed = (77 * wide[..., 0] + 150 * wide[..., 1] + 29 * wide[..., 2]) >> 8
    yield "BT.601 in 8-bit fixed point", feeding.from_frame(fixed[..., None].astype(np.uint8))
    yield (
        "BT.601, cut off",
        feeding.from_frame(np.floor(x @ np.array((0.299, 0.587, 0.114)))[..., None].astype(np.uint8)),
    )
    middle = (frame.max(-1).astype(int) + frame.min(-1)) // 2
    yield "the middle of the largest and smallest channel", feeding.from_frame(middle[..., None].astype(np.uint8))
    yield "the largest channel", feeding.from_frame(frame.max(-1, keepdims=True))
