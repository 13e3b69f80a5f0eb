"""Pictures: read, resize, normalise, colour, lay a heat map over a picture, write.

RGB outside, OpenCV inside. Arrays are told apart by rank, everywhere the same:

    rank 2  (h, w)          one map, or one grey picture
    rank 3  (B, h, w)       B maps; an image function also takes one colour picture (H, W, 3)
    rank 4  (B, H, W, C)    B pictures, or B times C feature maps: each channel by itself

The order that keeps heat maps comparable is ReLU, half-pixel bilinear resize, normalise. What a model expects of pixels
is not here but in `tfviz.preprocess`; what a file holds byte by byte is in `tfviz._decode`.
"""

import difflib
import functools
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Literal, get_args

import numpy as np
import numpy.typing as npt

from tfviz import _decode
from tfviz.errors import EmptyMapWarning, InputError
from tfviz.files import write_bytes

Array = npt.NDArray[Any]
Pixels = npt.NDArray[np.uint8]
Floats = npt.NDArray[np.float32]
Method = Literal["bilinear", "area", "nearest"]
Size = int | tuple[int, int]

_BEYOND = 0.02  # share of the values other than zero that a colour scale may cut off

METHODS: tuple[str, ...] = get_args(Method)


def read_image(path: str | os.PathLike[str]) -> Pixels:
    """Read one picture as (H, W, 3) uint8 RGB.

    Grey and palette pictures become RGB, CMYK is converted, 16 bits are rounded to 8, transparency is laid over white
    and the camera's EXIF rotation is applied: what a person sees in a viewer is what a model gets.

    Raises:
        InputError: the file is missing, empty, cut short, no picture, animated, of floating-point pixels, or less than
            two pixels wide or high.
    """
    file = Path(path)
    try:
        data = file.read_bytes()
    except FileNotFoundError as error:
        raise InputError(f"There is no image file {file}.{near_names(file)}") from error
    except OSError as error:
        raise InputError(f"Cannot read the image {file}: {error.strerror or error}.") from error
    return _decode.decode(data, str(file))


def near_names(path: Path) -> str:
    """A sentence with the names in the same folder that look like `path`'s, or "" (for errors about missing files)."""
    try:
        names = sorted(entry.name for entry in path.parent.iterdir())
    except OSError:
        return f" There is no folder {path.parent} either." if path.parent != Path() else ""
    near = difflib.get_close_matches(path.name, names, n=3)
    return f" Near names there: {', '.join(near)}." if near else ""


def write_png(path: str | os.PathLike[str], image: Array) -> None:
    """Write an (H, W, 3) RGB, (H, W, 1) or (H, W) grey uint8 picture as PNG, whole or not at all.

    Raises:
        InputError: another shape or dtype, or the file cannot be written.
    """
    write_bytes(path, png_bytes(image))


def png_bytes(image: Array) -> bytes:
    """The picture as the bytes of a PNG file; the same picture gives the same bytes.

    >>> png_bytes(np.zeros((2, 2, 3), np.uint8))[1:4]
    b'PNG'
    """
    from tfviz._opencv import cv2

    pixels = np.asarray(image)
    if pixels.dtype != np.uint8 or not (pixels.ndim == 2 or (pixels.ndim == 3 and pixels.shape[2] in (1, 3))):
        raise InputError(f"A picture to write is uint8 (H, W, 3) or (H, W), not {pixels.dtype} {pixels.shape}.")
    colour = pixels.ndim == 3 and pixels.shape[2] == 3
    encoded = cv2.imencode(".png", np.ascontiguousarray(pixels[:, :, ::-1] if colour else pixels))[1]
    return bytes(encoded.tobytes())


def resize(maps: Array, size: Size, *, method: Method = "bilinear") -> Floats:
    """Resize maps (h, w), (B, h, w) or pictures (B, H, W, C) to `size` (a side, or height and width); float32.

    `"bilinear"` samples at half-pixel centres, source position (i + 0.5) * h / H - 0.5 clamped to the picture, in both
    directions and without a low-pass filter (TensorFlow's `tf.image.resize`, to 2e-7). `"area"` is the mean of the
    covered area where both sides shrink, and bilinear otherwise: the right one for photographs, since bilinear skips
    pixels when it shrinks by more than two. `"nearest"` keeps values as they are.

    >>> resize(np.array([[0.0, 1.0]]), (1, 4))
    array([[0.  , 0.25, 0.75, 1.  ]], dtype=float32)

    Raises:
        InputError: another rank, an empty array, a size below 1, an unknown method.
    """
    values = np.asarray(maps)
    height, width = side_lengths(size)
    if values.ndim not in (2, 3, 4) or 0 in values.shape[-3:]:
        raise InputError(f"resize takes (h, w), (B, h, w) or (B, H, W, C), not shape {values.shape}.")
    flag = _flag(method, values.shape[-3:-1] if values.ndim == 4 else values.shape[-2:], (height, width))
    values = np.ascontiguousarray(values, dtype=np.float32)
    if values.ndim == 2:
        return _resize_one(values, (height, width), flag)
    tail = values.shape[3:]
    result = np.empty((len(values), height, width, *tail), np.float32)
    for index, value in enumerate(values):
        result[index] = _resize_one(value, (height, width), flag)
    return result


def _resize_one(value: Floats, size: tuple[int, int], flag: int) -> Floats:
    from tfviz._opencv import cv2

    if value.shape[:2] == size:
        return value
    if value.ndim == 3 and value.shape[2] > 4:  # OpenCV's area filter and very wide pixels take few channels at once
        parts = [
            _resize_one(np.ascontiguousarray(value[:, :, c : c + 4]), size, flag) for c in range(0, value.shape[2], 4)
        ]
        return np.concatenate(parts, axis=2)
    resized: Floats = cv2.resize(value, (size[1], size[0]), interpolation=flag)
    return resized.reshape(*size, *value.shape[2:])


def _flag(method: str, source: Sequence[int], target: tuple[int, int]) -> int:
    from tfviz._opencv import cv2

    if method not in METHODS:
        raise InputError(f"There is no resize method {method!r}; there are {', '.join(METHODS)}.")
    shrinks = target[0] <= source[0] and target[1] <= source[1]
    flags = {
        "bilinear": cv2.INTER_LINEAR,
        "area": cv2.INTER_AREA if shrinks else cv2.INTER_LINEAR,
        "nearest": cv2.INTER_NEAREST_EXACT,
    }
    return int(flags[method])


def resize_pixels(images: Array, size: Size, *, method: Method = "area") -> Pixels:
    """Resize uint8 pictures (B, H, W, C) and stay in uint8: float32 arithmetic, then rounded half to even."""
    if images.shape[1:3] == side_lengths(size):
        return images
    return np.rint(np.clip(resize(images, size, method=method), 0, 255)).astype(np.uint8)


def side_lengths(size: Size) -> tuple[int, int]:
    """Height and width from one side or both.

    >>> side_lengths(64), side_lengths((48, 64))
    ((64, 64), (48, 64))
    """
    height, width = (size, size) if isinstance(size, int | np.integer) else size
    if height < 1 or width < 1:
        raise InputError(f"A picture's size is at least 1 x 1, not {height} x {width}.")
    return int(height), int(width)


def scale_end(values: Array) -> tuple[float, bool]:
    """Where a colour scale for these values ends, in their size, and whether some lie beyond it.

    The end is the largest, unless that is more than 1.25 times what all but the largest 2 % of the values other than
    zero stay below: then it is that, or a few outliers (a convolution's margins) would leave everything else dark.
    Values that are not finite do not count; of nothing but zeros the end is 1.

    >>> scale_end(np.array([0.0, -2.0, 3.0]))
    (3.0, False)
    >>> scale_end(np.array([*np.linspace(0.01, 1, 1000), 50.0]))
    (0.98..., True)
    """
    sizes = np.abs(values[np.isfinite(values)])
    largest = float(sizes.max(initial=0.0))
    if not largest:
        return 1.0, False
    end = float(np.quantile(sizes[sizes > 0], 1 - _BEYOND, method="higher"))
    return (largest, False) if largest <= 1.25 * end else (end, True)


def normalize(maps: Array, *, centre: float | None = None) -> Floats:
    """Scale each map to 0..1 by itself, float32: (h, w), (B, h, w), or (B, h, w, C) channel by channel.

    Without `centre`: (x - min) / (max - min). With it, for signed maps: 0.5 + (x - centre) / (2 max |x - centre|), so
    that `centre` stays in the middle of the colour map. A map that is the same everywhere becomes 0 (with `centre`, a
    map that equals it everywhere becomes 0.5) and warns of it (`EmptyMapWarning`).

    >>> normalize(np.array([[1.0, 3.0], [5.0, 5.0]]))
    array([[0. , 0.5], [1. , 1. ]], dtype=float32)
    >>> normalize(np.array([[-1.0, 4.0]]), centre=0.0)
    array([[0.375, 1.   ]], dtype=float32)

    Raises:
        InputError: NaN or infinity, an empty map or another rank.
    """
    values = np.asarray(maps, dtype=np.float64)  # float32 would overflow in max - min of huge maps
    if values.ndim not in (2, 3, 4) or 0 in values.shape[-3:]:
        raise InputError(f"normalize takes (h, w), (B, h, w) or (B, h, w, C), not shape {values.shape}.")
    if not np.isfinite(values).all():
        raise InputError("A map to normalise holds NaN or infinity; the model's output overflowed before it.")
    axes = (1, 2) if values.ndim == 4 else (-2, -1)
    if centre is None:
        low = values.min(axis=axes, keepdims=True)
        span = values.max(axis=axes, keepdims=True) - low
        middle = 0.0
    else:
        low, middle = np.float64(centre), 0.5
        span = 2 * np.abs(values - low).max(axis=axes, keepdims=True)
    _warn_of_empty(span == 0)
    scaled: Floats = (middle + (values - low) / np.where(span == 0, 1, span)).astype(np.float32)
    return scaled


def _warn_of_empty(empty: npt.NDArray[np.bool_]) -> None:
    count = int(empty.sum())
    if count:
        which = f"{count} of {empty.size} maps are" if empty.size > 1 else "The map is"
        warnings.warn(f"{which} the same everywhere and show nothing.", EmptyMapWarning, stacklevel=3)


def colour_map(values: Array, name: str = "jet") -> Pixels:
    """Colour values of 0..1 (clipped there): shape (...,) becomes (..., 3) uint8 RGB.

    OpenCV's tables of 256 colours ("jet", "viridis", "inferno", "turbo", ...), else matplotlib's ("RdBu_r", "gray").

    >>> colour_map(np.array([0.0, 1.0]), "gray").tolist()
    [[0, 0, 0], [255, 255, 255]]

    Raises:
        InputError: no table of that name; the message names near ones.
    """
    index = np.rint(np.clip(np.asarray(values, np.float32), 0, 1) * 255).astype(np.uint8)
    return _table(name)[index]


@functools.lru_cache(maxsize=64)
def _table(name: str) -> Pixels:
    import matplotlib

    from tfviz._opencv import cv2

    constant = getattr(cv2, f"COLORMAP_{name.upper()}", None) if name == name.lower() else None
    if constant is not None:
        blue_first: Pixels = cv2.applyColorMap(np.arange(256, dtype=np.uint8), constant).reshape(256, 3)
        return blue_first[:, ::-1].copy()
    if name not in matplotlib.colormaps:
        near = difflib.get_close_matches(name, ["jet", "turbo", *matplotlib.colormaps], n=3)
        raise InputError(f"There is no colour map {name!r}; {'near: ' + ', '.join(near) if near else 'try jet'}.")
    table: Array = matplotlib.colormaps[name](np.arange(256) / 255.0, bytes=True)
    return np.ascontiguousarray(table[:, :3])


def overlay(images: Array, heat: Array, *, alpha: float = 0.45, colour_map: str = "jet") -> Pixels:
    """Lay heat maps over pictures: (1 - alpha) * picture + alpha * colour, as (B, H, W, 3) uint8 RGB.

    Args:
        images: uint8 (B, H, W, 3), (B, H, W, 1), or one picture (H, W, 3), (H, W). The batch axis of the answer stays.
        heat: raw maps (B, h, w) of any resolution, or one (h, w); ReLU, resize, normalise happen here, in that order.
        alpha: share of the colour, 0 to 1.
        colour_map: a name that `colour_map` knows.

    A map that is empty after ReLU leaves its picture as it is, with an `EmptyMapWarning`.

    Raises:
        InputError: pictures that are not uint8 (`Preprocess.display` turns a model's input back), counts that differ,
            NaN, alpha outside 0..1.
    """
    pixels = as_pictures(images)
    maps = np.asarray(heat, dtype=np.float32)
    maps = maps[None] if maps.ndim == 2 else maps
    if maps.ndim != 3 or len(maps) != len(pixels):
        raise InputError(f"{len(pixels)} pictures need heat maps ({len(pixels)}, h, w), not {np.shape(heat)}.")
    if not 0 <= alpha <= 1:
        raise InputError(f"alpha is between 0 and 1, not {alpha}.")
    scaled = normalize(resize(np.maximum(maps, 0), pixels.shape[1:3]))
    colours = _table(colour_map)[np.rint(scaled * 255).astype(np.uint8)].astype(np.float32)
    blended = np.rint((1 - alpha) * pixels + alpha * colours).astype(np.uint8)
    empty = scaled.max(axis=(1, 2)) == 0
    return np.where(empty[:, None, None, None], pixels, blended)


def as_pictures(images: Array) -> Pixels:
    """Any uint8 pictures, one or many, grey or RGB, as (B, H, W, 3).

    >>> as_pictures(np.full((2, 2), 7, np.uint8)).shape
    (1, 2, 2, 3)
    """
    pixels = np.asarray(images)
    if pixels.dtype != np.uint8:
        raise InputError(
            f"Pictures are uint8 RGB, not {pixels.dtype} (int8 is taken as already quantised; Preprocess.display turns "
            "a model's input back into a picture)."
        )
    if pixels.ndim == 2:
        pixels = pixels[None, :, :, None]
    elif pixels.ndim == 3:
        pixels = pixels[None] if pixels.shape[2] == 3 else pixels[..., None]
    if pixels.ndim != 4 or pixels.shape[3] not in (1, 3):
        raise InputError(f"Pictures are (B, H, W, 3) or (B, H, W, 1), not {np.shape(images)}.")
    return np.repeat(pixels, 3, axis=3) if pixels.shape[3] == 1 else pixels
