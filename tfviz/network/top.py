"""Which pictures of a data set excite a channel most, and where in them: a streamed top-k with receptive fields."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.network.feed import Portion, portions
from tfviz.network.field import field_boxes
from tfviz.preprocess import Preprocess
from tfviz.stream import chunk_size
from tfviz.tap import Tap, execute, locate, prepare, run, steady
from tfviz.tap.derivative import as_answer

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Excitation:
    """One picture that excites a channel, by its strongest place.

    Attributes:
        value: the activation there.
        position: of the picture in the data.
        name: of the picture.
        place: row and column in the layer's maps; None where the layer has no places.
        box: top, left, bottom, right of what that unit sees in the picture; all of it where there are no places.
        picture: (H, W, C), as `tfviz.network.feed.Portion` has it.
    """

    value: float
    position: int
    name: str
    place: tuple[int, int] | None
    box: tuple[int, int, int, int]
    picture: Array

    @property
    def crop(self) -> Array:
        """The part of the picture that the unit sees."""
        top, left, bottom, right = self.box
        return self.picture[top:bottom, left:right]


def top_images(
    model: Any,
    data: Any,
    layer: Any,
    *,
    channels: Sequence[int] | None = None,
    k: int = 8,
    preprocess: Preprocess | None = None,
    batch_size: int | None = None,
) -> dict[int, tuple[Excitation, ...]]:
    """The `k` pictures with the highest activation of each channel of `layer`, the strongest first; one pass.

    Of equal activations the earlier picture comes first, and within a picture the first place in reading order. Memory
    holds the pictures found so far, however large the data is.

    Args:
        model: a built Keras model of one picture.
        data: a `tfviz.data.Dataset`, pictures `(B, H, W, C)` in the model's own units, or an iterable of such batches.
        layer: an address, an index into `model.layers`, or a Layer.
        channels: which; None is all of them.
        k: how many pictures for each.
        preprocess: from a Dataset's pixels to the model's input.
        batch_size: pictures at once.

    Raises:
        InputError: an unknown layer or channel, k below 1, or data without pictures.

    >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.MaxPooling2D(name="pool")])
    >>> pictures = np.zeros((3, 4, 4, 1))
    >>> pictures[1, 0, 3] = 7
    >>> best = top_images(model, pictures, "pool", k=1)[0][0]
    >>> best.position, best.value, best.place, best.box
    (1, 7.0, (0, 1), (0, 2, 2, 4))
    """
    if k < 1:
        raise InputError(f"k is at least 1, not {k}.")
    with steady(model):
        address, tap, call = locate(model, layer)
        wanted = _channels(channels, call.shapes[0][-1], address)
        best: dict[int, list[Excitation]] = {channel: [] for channel in wanted}
        boxes: Boxes | None = None
        for portion in portions(data, preprocess, batch_size or chunk_size(model.input_shape[1:3])):
            values, places, width = _strongest(model, tap, portion, batch_size)
            if boxes is None:
                boxes = Boxes.of(model, layer if width else None, portion.inputs.shape[1:3])
            for channel, column, at in zip(wanted, values.T[wanted], places.T[wanted], strict=True):
                _merge(best[channel], portion, column, at, width, boxes, k)
    return {channel: tuple(found) for channel, found in best.items()}


def _channels(channels: Sequence[int] | None, count: int | None, address: str) -> list[int]:
    if count is None:
        raise InputError(f"{address!r} has no fixed number of channels.")
    wanted = list(range(count)) if channels is None else [int(channel) for channel in channels]
    odd = [channel for channel in wanted if not 0 <= channel < count]
    if odd or not wanted:
        raise InputError(f"{address!r} has the channels 0 to {count - 1}; asked for were {wanted}.")
    return wanted


@dataclasses.dataclass(frozen=True)
class Boxes:
    """What units see: rows by the unit's row, columns by its column; both empty where there are no places."""

    rows: Array
    columns: Array
    whole: tuple[int, int]

    @classmethod
    def of(cls, model: Any, layer: Any, size: tuple[int, ...]) -> "Boxes":
        """Of a layer; of None, the whole picture."""
        sides = (int(size[0]), int(size[1]))
        if layer is None:
            nothing = np.zeros((0, 2), np.int64)
            return cls(nothing, nothing, sides)
        return cls(*field_boxes(model, layer, size=sides), sides)

    def box(self, place: tuple[int, int] | None) -> tuple[int, int, int, int]:
        """Top, left, bottom, right of what the unit at `place` sees."""
        if place is None:
            return 0, 0, *self.whole
        (top, bottom), (left, right) = self.rows[place[0]], self.columns[place[1]]
        return int(top), int(left), int(bottom), int(right)


def _strongest(model: Any, tap: Tap, portion: Portion, batch_size: int | None) -> tuple[Array, Array, int]:
    """The highest activation `(B, channels)`, its place in reading order, and the maps' width (0: no places)."""
    batch = prepare(model, portion.inputs)
    body = _Strongest(tap, batch.structure)
    parts = [
        [np.asarray(result) for result in execute(model, ("strongest", tap), body, arrays)]
        for _, arrays in batch.parts(chunk_size(batch.arrays[0].shape[1:], batch_size))
    ]
    values, places, widths = (np.concatenate(pieces) for pieces in zip(*parts, strict=True))
    return values, places, int(widths[0])


class _Strongest:
    """The compiled body: each channel's highest activation in each image, and where it is."""

    def __init__(self, tap: Tap, structure: Any) -> None:
        self._tap = tap
        self._structure = structure

    def __call__(self, model: Any, *tensors: Any) -> tuple[Any, Any, Any]:
        inputs = keras.tree.map_structure(lambda position: tensors[position], self._structure)
        values = as_answer(run(model, inputs, (self._tap,), stop=True).tapped[0])
        flat = tf.reshape(values, [tf.shape(values)[0], -1, values.shape[-1]])
        width = tf.shape(values)[2] if values.shape.rank == 4 else 0
        return tf.reduce_max(flat, axis=1), tf.argmax(flat, axis=1), tf.fill(tf.shape(values)[:1], width)


def _merge(
    best: list[Excitation], portion: Portion, values: Array, places: Array, width: int, boxes: Boxes, k: int
) -> None:
    """Take a portion's strongest into the best so far."""
    for at in np.argsort(-values, kind="stable")[:k]:
        if len(best) == k and values[at] <= best[-1].value:
            return
        place = divmod(int(places[at]), width) if width else None
        # A copy of its own, so that the rest of the portion is let go.
        picture = portion.pictures[at].copy()
        position = portion.first + int(at)
        best.append(Excitation(float(values[at]), position, portion.names[at], place, boxes.box(place), picture))
        best.sort(key=lambda one: (-one.value, one.position))
        del best[k:]
