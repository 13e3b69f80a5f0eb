"""Which channels are dead or saturated over a data set, in one streamed pass for all layers."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.network.feed import portions
from tfviz.preprocess import Preprocess
from tfviz.stream import chunk_size
from tfviz.tap import Call, Tap, execute, layers, locate, prepare, run, steady
from tfviz.tap.derivative import as_answer

Array = npt.NDArray[Any]
Flags = npt.NDArray[np.bool_]
# Where bounded activations stop; 0 of a ReLU6 is silence, not saturation. The others' names say what they are.
_BOUNDS = {
    "sigmoid": (0.0, 1.0),
    "hard_sigmoid": (0.0, 1.0),
    "tanh": (-1.0, 1.0),
    "hard_tanh": (-1.0, 1.0),
    "softsign": (-1.0, 1.0),
    "relu6": (-np.inf, 6.0),
}
# At a bound is what is within this share of the way between the bounds; saturated is a channel that is there so often.
_NEAR, _OFTEN = 0.01, 0.95


@dataclasses.dataclass(frozen=True)
class ChannelStatistics:
    """What each channel of a layer did over a data set, all images and all places; arrays are `(channels,)`.

    Attributes:
        address: of the layer.
        images: how many.
        minimum, maximum, mean, deviation: of the activations.
        active: share of the activations above 0.
        at_bound: share within 1 % of where a bounded activation (sigmoid, tanh, ReLU6 and such) stops; else 0.
    """

    address: str
    images: int
    minimum: Array
    maximum: Array
    mean: Array
    deviation: Array
    active: Array
    at_bound: Array

    @property
    def dead(self) -> Flags:
        """Channels that gave the same number at every place of every image: they tell nothing apart."""
        return np.asarray(self.minimum == self.maximum)

    @property
    def saturated(self) -> Flags:
        """Channels that are at a bound of their activation 95 % of the time, and not dead."""
        return np.asarray((self.at_bound >= _OFTEN) & ~self.dead)

    @property
    def rare(self) -> Flags:
        """Channels above 0 at less than one place in a thousand, and not dead."""
        return np.asarray((self.active < 1e-3) & ~self.dead)


def channel_statistics(
    model: Any, data: Any, layers: Any = None, *, preprocess: Preprocess | None = None, batch_size: int | None = None
) -> dict[str, ChannelStatistics]:
    """Find dead and saturated channels: the statistics of every channel over a data set, by layer address.

    Args:
        model: a built Keras model.
        data: a `tfviz.data.Dataset`, pictures `(B, H, W, C)` in the model's own units, or an iterable of such batches.
        layers: one or several, as of `tfviz.feature_maps`; None is every convolution and Dense layer, after its
            activation.
        preprocess: from a Dataset's pixels to the model's input.
        batch_size: pictures at once; memory does not grow with the data.

    Raises:
        InputError: an unknown layer, or data without pictures.

    >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.Conv2D(2, 1, activation="relu", name="conv")])
    >>> model.set_weights([np.array([[[[1.0, -1.0]]]]), np.zeros(2)])
    >>> channel_statistics(model, np.ones((3, 4, 4, 1)))["conv"].dead
    array([ True,  True])
    >>> channel_statistics(model, np.random.default_rng(0).uniform(0, 1, (3, 4, 4, 1)))["conv"].dead
    array([False,  True])
    """
    with steady(model):
        found = [locate(model, layer) for layer in _wanted(model, layers)]
        bounds = tuple(_bounds(tap, call) for _, tap, call in found)
        totals = [_Totals() for _ in found]
        body: _Statistics | None = None
        for portion in portions(data, preprocess, batch_size or chunk_size(model.input_shape[1:3] or (64, 64))):
            batch = prepare(model, portion.inputs)
            body = body or _Statistics(tuple(tap for _, tap, _ in found), bounds, batch.structure)
            for _, arrays in batch.parts(chunk_size(batch.arrays[0].shape[1:], batch_size)):
                results = execute(model, ("statistics", body.taps), body, arrays)
                for total, result in zip(totals, results, strict=True):
                    total.add([np.asarray(part, np.float64) for part in result])
    return {address: total.summary(address) for (address, _, _), total in zip(found, totals, strict=True)}


def _wanted(model: Any, wanted: Any) -> Sequence[Any]:
    if wanted is not None:
        return wanted if isinstance(wanted, (list, tuple)) else [wanted]
    kinds = ("Conv", "Dense")
    infos = [i for i in layers(model) if any(kind in i.class_name for kind in kinds) and len(i.output_shape) in (2, 4)]
    if not infos:
        raise InputError(f"{model.name!r} has no convolution and no Dense layer; name the layers to look at.")
    return [info.address for info in infos]


def _bounds(tap: Tap, call: Call) -> tuple[float, float]:
    layer: Any = call.layer()
    activation = getattr(layer, "activation", None)
    name = getattr(activation, "__name__", "") if callable(activation) and not tap.pre else ""
    if isinstance(layer, keras.layers.ReLU) and layer.max_value is not None and not tap.pre:
        return -np.inf, float(layer.max_value)
    return _BOUNDS.get(name, (-np.inf, np.inf))


class _Statistics:
    """The compiled body: for each layer and image minimum, maximum, sum, sum of squares and two counts by channel."""

    def __init__(self, taps: tuple[Tap, ...], bounds: tuple[tuple[float, float], ...], structure: Any) -> None:
        self.taps = taps
        self._bounds = bounds
        self._structure = structure

    def __call__(self, model: Any, *tensors: Any) -> list[Any]:
        inputs = keras.tree.map_structure(lambda position: tensors[position], self._structure)
        tapped = run(model, inputs, self.taps, stop=True).tapped
        return [_of_layer(as_answer(values), *bounds) for values, bounds in zip(tapped, self._bounds, strict=True)]


def _of_layer(values: Any, low: float, high: float) -> tuple[Any, ...]:
    flat = tf.reshape(values, [tf.shape(values)[0], -1, values.shape[-1]])
    margin = _NEAR * (high - low if np.isfinite([low, high]).all() else high)
    at_bound = (flat <= low + margin) | (flat >= high - margin) if np.isfinite(high) else tf.zeros_like(flat, tf.bool)
    wide = tf.cast(flat, tf.float64)
    places = tf.fill(tf.shape(flat)[::2], tf.cast(tf.shape(flat)[1], tf.float64))
    return (
        tf.reduce_min(flat, axis=1),
        tf.reduce_max(flat, axis=1),
        tf.reduce_sum(wide, axis=1),
        tf.reduce_sum(wide**2, axis=1),
        tf.reduce_sum(tf.cast(flat > 0, tf.float64), axis=1),
        tf.reduce_sum(tf.cast(at_bound, tf.float64), axis=1),
        places,
    )


class _Totals:
    """The running reduction over images."""

    def __init__(self) -> None:
        self._images = 0
        self._low: Array | None = None
        self._high: Array | None = None
        self._sums: Array | None = None

    def add(self, parts: Sequence[Array]) -> None:
        low, high, sums = parts[0].min(axis=0), parts[1].max(axis=0), np.stack([p.sum(axis=0) for p in parts[2:]])
        self._images += len(parts[0])
        self._low = low if self._low is None else np.minimum(self._low, low)
        self._high = high if self._high is None else np.maximum(self._high, high)
        self._sums = sums if self._sums is None else self._sums + sums

    def summary(self, address: str) -> ChannelStatistics:
        if self._low is None or self._high is None or self._sums is None:
            raise InputError("There are no pictures in the data.")
        total, squares, active, at_bound, count = self._sums
        mean = total / count
        deviation = np.sqrt(np.maximum(squares / count - mean**2, 0))
        columns = (self._low, self._high, mean, deviation, active / count, at_bound / count)
        return ChannelStatistics(address, self._images, *(np.asarray(column, np.float32) for column in columns))
