"""Cross-layer equalisation: the same function with activations that quantise better.

A channel between two layers may be divided by s in the first and multiplied by s in the second; nothing changes where
what lies between is positively homogeneous, f(s x) = s f(x) for s > 0 (ReLU, pooling, padding with zeros, Dropout).
With the largest activation a and the largest weight w that reads it, s = sqrt(a / w) makes both the same, a / s = w s,
so that activations and weights share the burden. After Nagel et al. 2019 (Data-Free Quantization Through Weight
Equalization and Bias Correction, section 4.1), with activations in the place of the first layer's weights, since those
have a scale for each output channel and activations have not.
"""

import dataclasses
from collections.abc import Iterator, Mapping
from typing import Any

import numpy as np
import numpy.typing as npt

Array = npt.NDArray[Any]
READERS = ("Conv2D", "DepthwiseConv2D", "Dense")
PASSERS = (
    "ReLU", "MaxPooling2D", "AveragePooling2D", "GlobalAveragePooling2D", "GlobalMaxPooling2D", "ZeroPadding2D",
    "Dropout", "SpatialDropout2D", "LeakyReLU", "Activation",
)  # fmt: skip
HOMOGENEOUS = ("linear", "relu", "leaky_relu")


@dataclasses.dataclass(frozen=True)
class Pair:
    """Two layers of a model with nothing but homogeneous layers, and perhaps a batch norm, between them.

    `shown` is the layer whose output is what is quantised between them: its channels' ranges are evened out.
    """

    first: Any
    norm: Any | None
    shown: Any
    second: Any


def pairs(model: Any) -> Iterator[Pair]:
    """Every pair of a Sequential or Functional model, nested models aside."""
    for layer in model.layers:
        if type(layer).__name__ in READERS:
            found = _follow(model, layer)
            if found is not None:
                yield found


def equalised(model: Any, largest: Mapping[str, Array]) -> tuple[Any, tuple[str, ...]]:
    """A copy of the model with its pairs equalised, and the layers whose outputs became more even.

    Args:
        model: a built Keras model; it is not changed.
        largest: the largest absolute value of each channel by layer name.
    """
    import keras

    copy = keras.models.clone_model(model)
    copy.set_weights(model.get_weights())
    changed = []
    for pair in pairs(copy):
        ranges = largest.get(pair.shown.name)
        if ranges is None:
            continue
        scale = _scale(np.asarray(ranges, np.float64), _read(pair.second))
        if not np.allclose(scale, 1):
            _divide(pair, scale)
            changed.append(pair.shown.name)
    return copy, tuple(changed)


def _scale(ranges: Array, weights: Array) -> Array:
    """s of each channel; channels that are dead on either side stay as they are. The geometric mean is 1."""
    alive = (ranges > 0) & (weights > 0)
    scale = np.ones(len(ranges))
    if alive.any():
        raw = np.sqrt(ranges[alive] / weights[alive])
        scale[alive] = raw / np.exp(np.log(raw).mean())
    return scale


def _follow(model: Any, layer: Any) -> Pair | None:
    if not _homogeneous(layer):
        return None
    norm, shown, current = None, layer, _only_reader(model, layer)
    while current is not None:
        kind = type(current).__name__
        if kind in READERS:
            return Pair(layer, norm, shown, current) if _accepts(layer, current) else None
        if kind == "BatchNormalization":
            # Behind an activation a batch norm would have to be divided where it is not.
            if norm is not None or shown is not layer or _activation(layer) != "linear" or not current.scale:
                return None
            norm = shown = current
        elif kind not in PASSERS or not _homogeneous(current):
            return None
        elif kind in ("ReLU", "LeakyReLU", "Activation"):
            shown = current
        current = _only_reader(model, current)
    return None


def _only_reader(model: Any, layer: Any) -> Any | None:
    """The one layer that reads this one's output; None where several do, or the model gives it out."""
    import keras

    if isinstance(model, keras.Sequential):
        place = model.layers.index(layer) + 1
        return model.layers[place] if place < len(model.layers) else None
    if layer.name in model.output_names or len(layer._inbound_nodes) != 1:
        return None
    if any(layer.output is output for output in keras.tree.flatten(model.outputs)):
        return None
    readers = [node.operation for node in layer._outbound_nodes]
    known = [reader for reader in readers if any(reader is other for other in model.layers)]
    return known[0] if len(readers) == len(known) == 1 else None


def _homogeneous(layer: Any) -> bool:
    if type(layer).__name__ == "ReLU":
        return layer.max_value is None and not layer.threshold
    return _activation(layer) in HOMOGENEOUS


def _activation(layer: Any) -> str:
    activation = getattr(layer, "activation", None)
    return "linear" if activation is None else str(getattr(activation, "__name__", "?"))


def _accepts(first: Any, second: Any) -> bool:
    """Whether the reader has one weight for each channel of the first (a flattened map has several)."""
    if getattr(second, "groups", 1) != 1 and type(second).__name__ == "Conv2D":
        return False
    return len(_read(second)) == first.output.shape[-1]


def _read(layer: Any) -> Array:
    """The largest absolute weight that reads each input channel."""
    kernel = np.abs(np.asarray(layer.kernel))
    if type(layer).__name__ == "DepthwiseConv2D":
        # Each of its outputs has one input and a scale of its own: its weights lose nothing.
        return kernel.max(axis=(0, 1, 3))
    return kernel.reshape(-1, *kernel.shape[-2:]).max(axis=(0, 2))


def _divide(pair: Pair, scale: Array) -> None:
    """Divide the channels of the first, multiply them in the second."""
    if pair.norm is not None:
        pair.norm.gamma.assign(np.asarray(pair.norm.gamma) / scale)
        if pair.norm.center:
            pair.norm.beta.assign(np.asarray(pair.norm.beta) / scale)
    else:
        kernel = np.asarray(pair.first.kernel)
        if type(pair.first).__name__ == "DepthwiseConv2D":
            pair.first.kernel.assign(kernel / scale.reshape(1, 1, *kernel.shape[2:]))
        else:
            pair.first.kernel.assign(kernel / scale)
        if pair.first.use_bias:
            pair.first.bias.assign(np.asarray(pair.first.bias) / scale)
    kernel = np.asarray(pair.second.kernel)
    shape = (-1, 1) if kernel.ndim == 2 else (1, 1, -1, 1)
    pair.second.kernel.assign(kernel * scale.reshape(shape))
