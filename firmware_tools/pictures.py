"""Pictures for a model: its sidecar, its data at its size, and its preprocessing. Runs no model."""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.preprocess import Preprocess, Sidecar, default_preprocess, read_sidecar, sidecar_for
from tfviz.trace import Trace

if TYPE_CHECKING:
    from tfviz.data import Dataset

Array = npt.NDArray[Any]
MOST_CUT = 0.5  # of the input at the limits of its type: pictures do have black and white parts


@dataclasses.dataclass(frozen=True)
class Expectation:
    """What a model expects of pictures, and whether that was recorded beside it or is the default (0..255 as they are).

    `preprocess` is None for a model whose input is no picture: its data go in as they are.
    """

    preprocess: Preprocess | None
    class_names: tuple[str, ...]
    recorded: bool

    def real(self, images: Array) -> npt.NDArray[np.float32]:
        """uint8 pixels as the model's real numbers; float data pass as they are."""
        if self.preprocess is None or images.dtype != np.uint8:
            return images.astype(np.float32)
        return self.preprocess(images)

    def shown(self, images: Array) -> Array | None:
        """uint8 pictures as the model sees them, (B, h, w, C); None for data that are no pictures."""
        if self.preprocess is None or images.dtype != np.uint8:
            return None
        return self.preprocess.pixels(images)


def expectation(paths: Sequence[Path | str], input_shape: Sequence[int | None]) -> Expectation:
    """What is recorded beside the first of these model files that has a sidecar, else the default for the input shape.

    Raises:
        InputError: a sidecar that is broken or does not fit the input.
    """
    for path in paths:
        if read_sidecar(path) is not None:
            sidecar = sidecar_for(path, input_shape)
            return Expectation(sidecar.preprocess, sidecar.class_names, recorded=True)
    shape = tuple(input_shape)
    if len(shape) != 4 or shape[3] not in (1, 3):
        return Expectation(None, (), recorded=False)
    return Expectation(default_preprocess(shape), (), recorded=False)


def sidecar(expected: Expectation) -> Sidecar | None:
    """What to write beside a model made from one with this expectation; None where nothing is known of pictures."""
    if expected.preprocess is None or not expected.recorded:
        return None
    return Sidecar(expected.preprocess, expected.class_names)


def open_data(
    spec: "str | Path | Dataset", expected: Expectation, *, split: str | None = None, limit: int | None = None
) -> "Dataset":
    """Open data at the size that the model wants (pictures of a folder may differ in size).

    Raises:
        InputError: no such data, or not such a split.
    """
    from tfviz import data

    if isinstance(spec, data.Dataset):
        return spec
    wanted = expected.preprocess
    if wanted is None:
        return data.load(spec, split=split, limit=limit)
    # Colour is left to the preprocessing, so that RGB becomes the model's grey by the recorded rule.
    return data.load(spec, split=split, limit=limit, size=wanted.size, resize=wanted.resize, fit=wanted.fit)


def input_notes(expected: Expectation, images: Array, traces: Sequence[Trace]) -> list[str]:
    """What to say of pixels for which no preprocessing is recorded, in particular where they do not fit the input."""
    if expected.recorded or expected.preprocess is None or images.dtype != np.uint8:
        return []
    notes = ["No preprocessing is recorded beside the model: pixels go in as they are, 0..255."]
    shares = [cut_share(trace.inputs[0].values) for trace in traces if trace.inputs[0].scale is not None]
    if shares and max(shares) > MOST_CUT:
        notes.append(
            f"{max(shares):.0%} of the input lies at the limits of its range: the model expects other numbers than "
            "0..255; record its preprocessing in a sidecar, MODEL.json, beside it."
        )
    return notes


def cut_share(integers: Array) -> float:
    """The share of integers at the limits of their type.

    >>> cut_share(np.array([-128, 0, 127, 127], np.int8))
    0.75
    """
    limits = np.iinfo(integers.dtype)
    return float(np.mean((integers == limits.min) | (integers == limits.max)))


def calibration_split(spec: "str | Path | Dataset", judged: "str | Path | Dataset") -> str | None:
    """Which part of `spec` to calibrate on: data of its own is taken whole, data that is judged on is parted.

    >>> calibration_split("dog-poses", "dog-poses"), calibration_split("other-pictures", "pictures")
    ('calibration', None)
    """
    rendered = str(spec) == "dog-poses" or str(spec).startswith("keras:")
    return "calibration" if rendered or str(spec) == str(judged) else None
