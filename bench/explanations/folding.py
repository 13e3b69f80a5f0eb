"""A Functional model with its batch norms folded into the convolutions before them: what folding could gain.

g (x - m) / sqrt(v + e) + b after a convolution with kernel w is the convolution with kernel w g / sqrt(v + e) and bias
b - m g / sqrt(v + e) (Jacob et al. 2018, section 3.2).
"""

from typing import Any

import keras
import numpy as np

layers = keras.layers


class _Passed(layers.Layer):
    """Takes what a batch norm takes, and hands it on."""

    def call(self, inputs: Any, training: Any = None, mask: Any = None) -> Any:  # noqa: ARG002
        return inputs


def pairs(model: Any) -> dict[str, Any]:
    """Each batch norm by the name of the convolution that feeds it and nothing else."""
    found = {}
    for layer in model.layers:
        if type(layer) is layers.Conv2D or isinstance(layer, layers.DepthwiseConv2D):
            readers = [node.operation for node in layer._outbound_nodes]
            linear = layer.activation is keras.activations.linear
            if linear and len(readers) == 1 and isinstance(readers[0], layers.BatchNormalization):
                found[layer.name] = readers[0]
    return found


def folded(model: Any) -> Any:
    """The same function with fewer layers; weights are copied."""
    norms = pairs(model)
    gone = {norm.name for norm in norms.values()}

    def clone(layer: Any) -> Any:
        if layer.name in gone:
            return _Passed(name=layer.name)
        config = layer.get_config()
        if layer.name in norms:
            config["use_bias"] = True
        return type(layer).from_config(config)

    copy = keras.models.clone_model(model, clone_function=clone)
    for layer in model.layers:
        if layer.name in norms:
            copy.get_layer(layer.name).set_weights(_folded_weights(layer, norms[layer.name]))
        elif layer.weights and layer.name not in gone:
            copy.get_layer(layer.name).set_weights(layer.get_weights())
    return copy


def _folded_weights(layer: Any, norm: Any) -> list[Any]:
    kernel, *bias = (np.asarray(weight, np.float64) for weight in layer.get_weights())
    mean, variance = (np.asarray(weight, np.float64) for weight in (norm.moving_mean, norm.moving_variance))
    gamma = np.asarray(norm.gamma, np.float64) if norm.scale else np.ones_like(mean)
    beta = np.asarray(norm.beta, np.float64) if norm.center else np.zeros_like(mean)
    factor = gamma / np.sqrt(variance + norm.epsilon)
    by_output = factor.reshape(kernel.shape[2:]) if isinstance(layer, layers.DepthwiseConv2D) else factor
    return [kernel * by_output, beta + ((bias[0] if bias else 0) - mean) * factor]
