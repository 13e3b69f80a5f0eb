"""The receptive field: which pixels of the input a unit of a layer can see at all."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.network.reach import everything_passes
from tfviz.stream import chunk_size
from tfviz.tap import Tap, execute, locate, run, spatial, steady, survey
from tfviz.tap.images import input_specs

Mask = npt.NDArray[np.bool_]
Edges = npt.NDArray[np.int64]


@dataclasses.dataclass(frozen=True)
class ReceptiveField:
    """What one unit can see.

    Attributes:
        address: of the layer.
        place: row and column of the unit in the layer's maps.
        mask: (H, W) bool, true on every pixel that can change the unit: dilated kernels leave holes, branches unite.
        box: top, left, bottom, right of the smallest box around it; bottom and right are the first outside.
    """

    address: str
    place: tuple[int, int]
    mask: Mask
    box: tuple[int, int, int, int]


@dataclasses.dataclass(frozen=True)
class FieldSummary:
    """The arithmetic of a layer's fields along rows and columns: unit i sees start + i stride ... + size - 1.

    Attributes:
        address: of the layer.
        maps: height and width of its maps.
        size: of a field, in pixels, as if the picture did not end; None where every unit sees from edge to edge.
        stride: pixels between neighbouring units' fields; None where they are not evenly spaced.
        start: first pixel that unit 0 sees; negative in the padding; None as for the stride.
    """

    address: str
    maps: tuple[int, int]
    size: tuple[int | None, int | None]
    stride: tuple[int | None, int | None]
    start: tuple[int | None, int | None]


def receptive_field(
    model: Any,
    layer: Any = None,
    *,
    place: tuple[int, int] | None = None,
    channel: int | None = None,
    size: tuple[int, int] | None = None,
) -> ReceptiveField:
    """The pixels that a unit of `layer` can see, exactly, through every branch, by the layers' arithmetic alone.

    The mask is where the derivative of the unit is not zero when every weight is 1 and every non-linearity is the
    identity, so it hangs neither on the weights nor on a picture.

    Args:
        model: a built Keras model with one input of pictures.
        layer: an address, an index into `model.layers`, a Layer, or None for the last one with places.
        place: row and column; None is the middle.
        channel: of the unit; None is all channels together (they differ after a concatenation of branches).
        size: height and width of the input, for models that take any.

    Raises:
        InputError: a layer without places, a place or channel that is not there, a model that cannot be compiled.

    >>> model = keras.Sequential([keras.Input((9, 9, 1)), keras.layers.Conv2D(1, 3, dilation_rate=2, name="conv")])
    >>> receptive_field(model, "conv", place=(0, 1)).mask[0].astype(int)
    array([0, 1, 0, 1, 0, 1, 0, 0, 0])
    """
    with steady(model):
        address, tap, maps = _maps(model, layer, size)
        at = (maps[0] // 2, maps[1] // 2) if place is None else place
        if not all(0 <= i < n for i, n in zip(at, maps[:2], strict=True)):
            raise InputError(f"Place {place} is not in the maps of {address!r}, which are {maps[0]} x {maps[1]}.")
        if channel is not None and not 0 <= channel < maps[2]:
            raise InputError(f"{address!r} has the channels 0 to {maps[2] - 1}, and {channel} is not one of them.")
        seed = np.zeros((1, *maps), np.float32)
        seed[0, at[0], at[1], slice(None) if channel is None else channel] = 1
        mask = _seen(model, tap, seed, _input_shape(model, size))[0]
    return ReceptiveField(address, (int(at[0]), int(at[1])), mask, _box(mask))


def receptive_fields(model: Any, layers: Any = None, *, size: tuple[int, int] | None = None) -> list[FieldSummary]:
    """Size, stride and start of the receptive fields of layers; of None, of every layer that has places.

    Arguments and errors as of `receptive_field`. Source of the arithmetic that it agrees with: Araujo, Norris and Sim
    2019, Computing Receptive Fields of Convolutional Neural Networks.

    >>> conv = keras.layers.Conv2D(1, 3, strides=2, padding="same", name="conv")
    >>> model = keras.Sequential([keras.Input((16, 16, 1)), conv, keras.layers.MaxPooling2D(name="pool")])
    >>> [(field.address, field.size, field.stride, field.start) for field in receptive_fields(model)]
    [('conv', (3, 3), (2, 2), (0, 0)), ('pool', (5, 5), (4, 4), (0, 0))]
    """
    with steady(model):
        if layers is None:
            wanted: Sequence[Any] = [call.address for call in survey(model).calls if spatial(call)]
        else:
            wanted = layers if isinstance(layers, (list, tuple)) else [layers]
        return [_summary(model, layer, size) for layer in wanted]


def field_boxes(model: Any, layer: Any, *, size: tuple[int, int] | None = None) -> tuple[Edges, Edges]:
    """First and past-the-last pixel that units see, by the unit's row `(h, 2)` and by its column `(w, 2)`."""
    with steady(model):
        _, tap, maps = _maps(model, layer, size)
        shape = _input_shape(model, size)
        return _edges(model, tap, maps, 0, shape), _edges(model, tap, maps, 1, shape)


def _summary(model: Any, layer: Any, size: tuple[int, int] | None) -> FieldSummary:
    address, _, maps = _maps(model, layer, size)
    shape = _input_shape(model, size)
    lines = [_line(edges, side) for edges, side in zip(field_boxes(model, layer, size=size), shape, strict=False)]
    sizes, strides, starts = zip(*lines, strict=True)
    return FieldSummary(address, (maps[0], maps[1]), sizes, strides, starts)


def _line(edges: Edges, side: int) -> tuple[int | None, int | None, int | None]:
    """Size, stride and start along one axis, from what units see within the picture's `side` pixels."""
    inside = edges[:, 0] < edges[:, 1]
    low = np.flatnonzero(inside & (edges[:, 0] > 0))
    high = np.flatnonzero(inside & (edges[:, 1] < side))
    if len(edges) == 1:
        whole = edges[0, 0] == 0 and edges[0, 1] == side
        return None if whole else int(edges[0, 1] - edges[0, 0]), None, None if whole else int(edges[0, 0])
    steps = np.concatenate([np.diff(edges[low, 0]) / np.diff(low), np.diff(edges[high, 1]) / np.diff(high)])
    if not len(low) and not len(high):
        return None, None, None
    if not len(steps) or not (steps == steps[0]).all() or not float(steps[0]).is_integer():
        return int((edges[:, 1] - edges[:, 0]).max()), None, None
    stride = int(steps[0])
    if not len(low) or not len(high):
        # Only one kind of edge lies within the picture: the other end of the fields is never seen.
        return None, stride, None
    start = int(edges[low[0], 0] - stride * low[0])
    end = int(edges[high[0], 1] - stride * high[0])
    return end - start, stride, start


def _edges(model: Any, tap: Tap, maps: tuple[int, int, int], axis: int, shape: tuple[int, int, int]) -> Edges:
    """What the units of each row (axis 0) or column (axis 1) see, all of them together."""
    count = maps[axis]
    size = chunk_size(shape)
    found = np.zeros((count, 2), np.int64)
    for first in range(0, count, size):
        rows = np.arange(first, min(first + size, count))
        seed = np.zeros((len(rows), *maps), np.float32)
        places = (np.arange(len(rows)), rows) if axis == 0 else (np.arange(len(rows)), slice(None), rows)
        seed[places] = 1
        for row, mask in zip(rows, _seen(model, tap, seed, shape), strict=True):
            found[row] = _span(mask.any(axis=1 - axis))
    return found


def _span(line: Any) -> tuple[int, int]:
    at = np.flatnonzero(line)
    return (int(at[0]), int(at[-1]) + 1) if len(at) else (0, 0)


def _box(mask: Mask) -> tuple[int, int, int, int]:
    (top, bottom), (left, right) = _span(mask.any(axis=1)), _span(mask.any(axis=0))
    return top, left, bottom, right


def _seen(model: Any, tap: Tap, seed: npt.NDArray[np.float32], shape: tuple[int, int, int]) -> Mask:
    """`(n, H, W)`: the pixels that reach the units marked in `seed` `(n, h, w, channels)`."""
    structure, specs = input_specs(model)
    body = _Reach(tap, structure)
    pictures = np.zeros((len(seed), *shape), specs[0].dtype)
    return np.asarray(execute(model, ("reach", tap), body, [pictures, seed]))


class _Reach:
    """The compiled body: from marked units to the pixels that reach them."""

    def __init__(self, tap: Tap, structure: Any) -> None:
        self._tap = tap
        self._structure = structure

    def __call__(self, model: Any, pictures: Any, seed: Any) -> Any:
        with everything_passes():
            inputs = keras.tree.map_structure(lambda _: pictures, self._structure)
            (values,) = run(model, inputs, (self._tap,), stop=True).tapped
        marks = tf.cast(seed, values.dtype)
        (reached,) = tf.gradients([values], [pictures], grad_ys=[marks], unconnected_gradients="zero")
        return tf.reduce_any(tf.abs(reached) > 0, axis=-1)


def _maps(model: Any, layer: Any, size: tuple[int, int] | None) -> tuple[str, Tap, tuple[int, int, int]]:
    """The layer's address, its tap and the shape of its maps for the model's input."""
    address, tap, call = locate(model, layer)
    if len(call.shapes) != 1 or len(call.shapes[0]) != 4:
        raise InputError(f"The output of {address!r} has shape {call.shapes[0]}, no places: every unit sees all of it.")
    found = call.shapes[0][1:]
    if None in found:
        pictures = np.zeros((1, *_input_shape(model, size)), input_specs(model)[1][0].dtype)
        body = _Shape(tap, input_specs(model)[0])
        found = tuple(np.asarray(execute(model, ("shape", tap), body, [pictures], rows=False)).tolist()[1:])
    height, width, channels = (int(side or 0) for side in found)
    return address, tap, (height, width, channels)


class _Shape:
    def __init__(self, tap: Tap, structure: Any) -> None:
        self._tap = tap
        self._structure = structure

    def __call__(self, model: Any, pictures: Any) -> Any:
        inputs = keras.tree.map_structure(lambda _: pictures, self._structure)
        return tf.shape(run(model, inputs, (self._tap,), stop=True).tapped[0])


def _input_shape(model: Any, size: tuple[int, int] | None) -> tuple[int, int, int]:
    _, specs = input_specs(model)
    if len(specs) != 1 or len(specs[0].shape) != 3:
        raise InputError(f"{model.name!r} takes {len(specs)} inputs; receptive fields are of models of one picture.")
    height, width, channels = specs[0].shape
    if size is None and (height is None or width is None):
        raise InputError(f"The model takes {specs[0].shape}, pictures of any size; say which: size=(height, width).")
    sides = (height, width) if size is None else size
    if any(own not in (None, side) for own, side in zip(specs[0].shape, sides, strict=False)):
        raise InputError(f"Pictures of size {size} do not fit the model, which takes {specs[0].shape}.")
    return int(sides[0] or 0), int(sides[1] or 0), int(channels or 1)
