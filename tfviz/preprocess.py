"""What a model expects of pixels, written once: `Preprocess`, and the `Sidecar` file beside the model that holds it.

`model.keras` has its sidecar in `model.keras.json`: preprocessing and class names, as JSON that a person can read and
write. `train` writes it, every command accepts it, `convert` uses it and carries it into the firmware.
"""

import dataclasses
import json
import logging
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Literal, Self, get_args

import numpy as np
import numpy.typing as npt

from tfviz import image
from tfviz.errors import InputError
from tfviz.files import write_text

Array = npt.NDArray[Any]
Colour = Literal["rgb", "bgr", "grey"]
Fit = Literal["stretch", "crop"]

FORMAT = 1
_log = logging.getLogger(__name__)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Preprocess:
    """From uint8 RGB pixels to a model's float32 input: fit, resize, colour order, then

        x = (scale * pixel - mean) / std

    in float32, in this order, so that the same pixels give the same bits everywhere. Resized pixels are rounded back to
    0..255 first: it makes no difference whether the data door or the `Preprocess` resized them.

    Attributes:
        size: height and width, or None: as they come.
        resize: "area" (the mean of the covered area where it shrinks, bilinear where it grows), "bilinear" or
            "nearest", as in `tfviz.image.resize`.
        fit: "stretch" to the size, or "crop" the largest centred part of the size's aspect first.
        colour: order of the channels: "rgb", "bgr" or "grey" (ITU-R BT.601 luma).
        scale: factor on the pixel.
        mean, std: taken off, and divided by, after the factor; one number, or one for each channel of `colour`.

    >>> ramp = np.array([[[[0, 51, 255]]]], np.uint8)
    >>> Preprocess(scale=0.5, mean=(1.0,))(ramp)
    array([[[[ -1. ,  24.5, 126.5]]]], dtype=float32)
    >>> Preprocess(colour="bgr", mean=(100.0, 0.0, 1.0))(ramp)
    array([[[[155.,  51.,  -1.]]]], dtype=float32)
    """

    size: tuple[int, int] | None = None
    resize: image.Method = "area"
    fit: Fit = "stretch"
    colour: Colour = "rgb"
    scale: float = 1.0
    mean: tuple[float, ...] = (0.0,)
    std: tuple[float, ...] = (1.0,)

    def __post_init__(self) -> None:
        _one_of("resize", self.resize, image.METHODS)
        _one_of("fit", self.fit, get_args(Fit))
        _one_of("colour", self.colour, get_args(Colour))
        numbers = (self.scale, *self.mean, *self.std)
        if not all(_is_number(number) for number in numbers) or self.scale == 0 or 0 in self.std:
            raise InputError("Preprocess: scale, mean and std are finite numbers, scale and std not 0.")
        for name, values in (("mean", self.mean), ("std", self.std)):
            if len(values) not in (1, self.channels):
                raise InputError(
                    f"Preprocess: {name} has 1 or {self.channels} numbers for {self.colour}, not {len(values)}."
                )
        if self.size is not None:
            image.side_lengths(self.size)

    @property
    def channels(self) -> int:
        """Channels of the model's input: 1 for grey, else 3."""
        return 1 if self.colour == "grey" else 3

    def pixels(self, images: Array) -> npt.NDArray[np.uint8]:
        """The pictures as the model sees them before the arithmetic: uint8 (B, h, w, C) in the model's colour order."""
        pictures = image.as_pictures(images)
        if self.size is not None:
            pictures = fit_pixels(pictures, self.size, fit=self.fit, method=self.resize)
        if self.colour == "grey":
            return grey(pictures)
        return np.ascontiguousarray(pictures[..., ::-1]) if self.colour == "bgr" else pictures

    def __call__(self, images: Array) -> npt.NDArray[np.float32]:
        """The model's input, float32 (B, h, w, C), from uint8 pictures: (B, H, W, 3 or 1), (H, W, 3) or (H, W).

        Raises:
            InputError: pixels that are not uint8 (already quantised int8 data is fed to a model as it is).
        """
        x = self.pixels(images).astype(np.float32)
        x *= np.float32(self.scale)
        x -= np.asarray(self.mean, np.float32)
        x /= np.asarray(self.std, np.float32)
        return x

    def display(self, x: Array) -> npt.NDArray[np.uint8]:
        """A model's input back as uint8 RGB pictures (B, h, w, 3): the inverse, rounded and clipped to 0..255.

        >>> net = Preprocess(scale=1 / 127.5, mean=(1.0,), colour="bgr")
        >>> picture = np.arange(12, dtype=np.uint8).reshape(1, 2, 2, 3)
        >>> bool((net.display(net(picture)) == picture).all())
        True
        """
        values = np.asarray(x, np.float64)
        values = values[None] if values.ndim == 3 else values
        if values.ndim != 4 or values.shape[3] != self.channels:
            raise InputError(f"A {self.colour} input to show is (B, H, W, {self.channels}), not {np.shape(x)}.")
        pixels = (values * np.asarray(self.std) + np.asarray(self.mean)) / self.scale
        shown = image.as_pictures(np.rint(np.clip(pixels, 0, 255)).astype(np.uint8))
        return np.ascontiguousarray(shown[..., ::-1]) if self.colour == "bgr" else shown


def grey(pictures: npt.NDArray[np.uint8]) -> npt.NDArray[np.uint8]:
    """RGB (B, H, W, 3) to luma (B, H, W, 1), 0.299 R + 0.587 G + 0.114 B (ITU-R BT.601) in OpenCV's fixed point."""
    from tfviz._opencv import cv2

    batch, height, width, _ = pictures.shape
    # One tall picture: a conversion of pixels does not care where one picture ends.
    tall = cv2.cvtColor(np.ascontiguousarray(pictures).reshape(batch * height, width, 3), cv2.COLOR_RGB2GRAY)
    return np.asarray(tall, np.uint8).reshape(batch, height, width, 1)


def fit_pixels(
    pictures: npt.NDArray[np.uint8], size: image.Size, *, fit: Fit = "stretch", method: image.Method = "area"
) -> npt.NDArray[np.uint8]:
    """Bring uint8 (B, H, W, C) to `size`: stretched, or the largest centred part of that aspect ("crop")."""
    height, width = image.side_lengths(size)
    if fit == "crop":
        old_height, old_width = pictures.shape[1:3]
        factor = min(old_height / height, old_width / width)
        part = max(1, round(height * factor)), max(1, round(width * factor))
        top, left = (old_height - part[0]) // 2, (old_width - part[1]) // 2
        pictures = pictures[:, top : top + part[0], left : left + part[1]]
    return image.resize_pixels(pictures, (height, width), method=method)


@dataclasses.dataclass(frozen=True)
class Sidecar:
    """What stands beside a model: how pixels become its input, and what its outputs are called."""

    preprocess: Preprocess = dataclasses.field(default_factory=Preprocess)
    class_names: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """The sidecar as plain JSON data, with the formula in words for the reader of the file."""
        fields = {
            key: list(value) if isinstance(value, tuple) else value for key, value in vars(self.preprocess).items()
        }
        return {
            "format": FORMAT,
            "class_names": list(self.class_names),
            "preprocess": {"formula": "x = (scale * pixel - mean) / std, of uint8 RGB pixels", **fields},
        }

    @classmethod
    def from_json(cls, data: object) -> Self:
        """The inverse of `to_json`; what is left out has its default.

        Raises:
            InputError: anything that is not a sidecar, in one sentence.
        """
        if not isinstance(data, Mapping):
            raise InputError('expected a JSON object with "preprocess" and "class_names"')
        if data.get("format", FORMAT) != FORMAT:
            raise InputError(f"its format is {data['format']!r} and this version reads {FORMAT}")
        names, described = data.get("class_names", []), data.get("preprocess", {})
        if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
            raise InputError('"class_names" is a list of strings')
        if not isinstance(described, Mapping):
            raise InputError('"preprocess" is a JSON object')
        return cls(_preprocess_from(described), tuple(names))


def sidecar_path(model_path: str | os.PathLike[str]) -> Path:
    """Where the sidecar of a model is: `model.keras` -> `model.keras.json`."""
    return Path(f"{os.fspath(model_path)}.json")


def read_sidecar(model_path: str | os.PathLike[str]) -> Sidecar | None:
    """The sidecar beside the model, or None where there is none (also for a `module:function`).

    Raises:
        InputError: there is one, and it is broken.
    """
    path = sidecar_path(model_path)
    try:
        text = path.read_text(encoding="utf-8")
    except (FileNotFoundError, NotADirectoryError):
        return None
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"Cannot read the sidecar {path}: {error}.") from error
    try:
        return Sidecar.from_json(json.loads(text))
    except json.JSONDecodeError as error:
        raise InputError(f"The sidecar {path} is not JSON: {error}.") from error
    except InputError as error:
        raise InputError(f"The sidecar {path} is not right: {error}; mend or delete it.") from error


def write_sidecar(model_path: str | os.PathLike[str], sidecar: Sidecar) -> Path:
    """Write the sidecar beside the model, whole or not at all, and say where."""
    path = sidecar_path(model_path)
    write_text(path, json.dumps(sidecar.to_json(), indent=2) + "\n")
    return path


def sidecar_for(model_path: str | os.PathLike[str], input_shape: Sequence[int | None]) -> Sidecar:
    """The recorded sidecar, or where none is recorded the default: pixels 0..255 as they are, logged as a note.

    Args:
        model_path: the model's file; a `module:function` has no sidecar.
        input_shape: the model's input (B, H, W, C); gives size and colour where nothing is recorded.

    Raises:
        InputError: a broken sidecar, or one that does not fit the input shape.
    """
    recorded = read_sidecar(model_path)
    if recorded is None:
        _log.warning("No preprocessing is recorded beside %s: pixels go in as they are, 0..255.", model_path)
        return Sidecar(default_preprocess(input_shape))
    shape = tuple(input_shape)[1:]
    size, channels = recorded.preprocess.size, recorded.preprocess.channels
    if (
        len(shape) != 3
        or shape[2] not in (None, channels)
        or (size and (shape[0] or size[0], shape[1] or size[1]) != size)
    ):
        raise InputError(
            f"The sidecar {sidecar_path(model_path)} prepares {size or 'any size'} x {channels} channels, "
            f"and the model takes {shape}; mend or delete it."
        )
    height, width = shape[:2]
    if size is None and height is not None and width is not None:
        sized = dataclasses.replace(recorded.preprocess, size=(height, width))
        return dataclasses.replace(recorded, preprocess=sized)
    return recorded


def default_preprocess(input_shape: Sequence[int | None]) -> Preprocess:
    """Pixels 0..255 as they are, in the size and colour of a model's input (B, H, W, C).

    >>> default_preprocess((None, 28, 28, 1))
    Preprocess(size=(28, 28), resize='area', fit='stretch', colour='grey', scale=1.0, mean=(0.0,), std=(1.0,))
    """
    shape = tuple(input_shape)[1:]
    if len(shape) != 3 or shape[2] not in (1, 3, None):
        raise InputError(f"A model of pictures takes (B, H, W, 1 or 3), and this one {tuple(input_shape)}.")
    height, width, channels = shape
    size = (height, width) if height is not None and width is not None else None
    return Preprocess(size=size, colour="grey" if channels == 1 else "rgb")


def _preprocess_from(described: Mapping[str, Any]) -> Preprocess:
    known = {field.name for field in dataclasses.fields(Preprocess)}
    unknown = set(described) - known - {"formula"}
    if unknown:
        raise InputError(f'"preprocess" has unknown entries {sorted(unknown)}; it knows {sorted(known)}')
    values = {key: value for key, value in described.items() if key in known}
    for key in ("mean", "std"):
        if key in values:
            values[key] = tuple(values[key]) if isinstance(values[key], list) else (values[key],)
    if values.get("size") is not None:
        size = values["size"]
        if not isinstance(size, list) or len(size) != 2 or not all(isinstance(side, int) for side in size):
            raise InputError(f'"size" is [height, width] or null, not {size!r}')
        values["size"] = tuple(size)
    return Preprocess(**values)


def _one_of(name: str, value: object, allowed: Sequence[str]) -> None:
    if value not in allowed:
        raise InputError(f"Preprocess: {name} is one of {', '.join(allowed)}, not {value!r}.")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and bool(np.isfinite(value))
