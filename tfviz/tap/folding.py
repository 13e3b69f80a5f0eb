"""Batch norms in inference: a scale and a shift, folded into the convolution before them where nothing is lost by it.

gamma (conv(x, K) + b - mean) / sqrt(variance + epsilon) + beta is conv(x, K s) + t, with s = gamma / sqrt(variance +
epsilon) and t = beta + (b - mean) s (Jacob et al. 2018, section 3.2). It is written so into the graph of a compiled
run, which reads the weights at each call: nothing is copied, and new weights are followed. The plain convolution stays
in the graph too, so whoever else takes its output (a tap, a second layer) gets it; TensorFlow drops it where nobody
does.

Folded, sums are rounded otherwise, which may open or close a ReLU that is all but 0. A score hardly changes by that
(1e-5), a gradient through the ReLU does: what is differentiated runs as Keras has it.
"""

import math
from collections.abc import Iterable, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf


class Folding:
    """The batch norms of one run: scale and shift of all of them, and which convolution made which tensor.

    Made in the graph of the run, before the model's layers are tapped.
    """

    def __init__(self, layers: Iterable[Any]) -> None:
        plain = [layer for layer in layers if _is_plain(layer)]
        norms = [layer for layer in plain if _is_affine(layer)]
        self._affine = dict(zip(map(id, norms), _affine(norms), strict=True)) if norms else {}
        self._convolutions = {id(layer) for layer in plain if norms and _is_linear_convolution(layer)}
        self._made: dict[int, tuple[Any, Any, Any]] = {}

    def stop(self) -> None:
        """Fold no more: what is run from here on is differentiated."""
        self._affine.clear()
        self._convolutions.clear()

    def note(self, layer: Any, args: Sequence[Any], output: Any) -> None:
        """Remember what `layer` made of what, if a batch norm after it could be folded into it."""
        if id(layer) in self._convolutions and len(args) == 1 and _is_worth_scaling(layer.kernel, output):
            self._made[id(output)] = (layer, args[0], output)  # held, so that no other tensor gets its id

    def output(self, layer: Any, args: Sequence[Any], options: dict[str, Any]) -> Any:
        """What `layer` gives, if it is a batch norm that is known here; else None."""
        if id(layer) not in self._affine or len(args) != 1 or options.get("mask") is not None:
            return None
        if options.get("training") and layer.trainable:
            return None
        scale, shift = self._affine[id(layer)]
        if id(args[0]) not in self._made:
            return tf.nn.bias_add(args[0] * scale, shift)
        convolution, source, _ = self._made[id(args[0])]
        if convolution.use_bias:
            shift += convolution.bias * scale
        return tf.nn.bias_add(_convolved(convolution, source, scale), shift)


def _is_plain(layer: Any) -> bool:
    """Whether a layer runs Keras's own `call`, in float32 throughout."""
    return (
        layer.built
        and "call" not in vars(layer)
        and layer.compute_dtype == layer.variable_dtype == "float32"
        and getattr(layer, "quantization_mode", None) is None
    )


def _is_affine(layer: Any) -> bool:
    return type(layer) is keras.layers.BatchNormalization and layer.axis in (-1, layer.input_spec.ndim - 1)


def _is_linear_convolution(layer: Any) -> bool:
    """Keras's own; without groups, which it wraps in a call that TensorFlow would not drop."""
    return (
        type(layer) in (keras.layers.Conv2D, keras.layers.DepthwiseConv2D)
        and getattr(layer, "groups", 1) == 1
        and layer.activation is keras.activations.linear
        and layer.data_format == "channels_last"
    )


def _is_worth_scaling(kernel: Any, output: Any) -> bool:
    """Whether a kernel is smaller than the map of one image, which is then not scaled."""
    shape = output.shape[1:]
    return bool(shape.is_fully_defined()) and math.prod(kernel.shape) <= math.prod(shape)


def _affine(norms: Sequence[Any]) -> list[tuple[Any, Any]]:
    """Scale and shift `(C,)` of each batch norm, in one stroke for all: a graph is traced operation by operation."""
    sizes = [norm.moving_mean.shape[0] for norm in norms]

    def joined(name: str, otherwise: float) -> Any:
        weights = ((getattr(norm, name), size) for norm, size in zip(norms, sizes, strict=True))
        return tf.concat([np.full(size, otherwise, np.float32) if w is None else w for w, size in weights], 0)

    epsilon = np.repeat(np.array([norm.epsilon for norm in norms], np.float32), sizes)
    scale = tf.math.rsqrt(joined("moving_variance", 1.0) + epsilon) * joined("gamma", 1.0)
    shift = joined("beta", 0.0) - joined("moving_mean", 0.0) * scale
    return list(zip(tf.split(scale, sizes), tf.split(shift, sizes), strict=True))


def _convolved(layer: Any, source: Any, scale: Any) -> Any:
    if isinstance(layer, keras.layers.Conv2D):
        return layer.convolution_op(source, layer.kernel * scale)
    kernel = layer.kernel * tf.reshape(scale, layer.kernel.shape[2:])
    return keras.ops.depthwise_conv(
        source, kernel, layer.strides, layer.padding, layer.data_format, layer.dilation_rate
    )
