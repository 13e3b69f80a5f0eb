"""Hand out the part of a model that ends at chosen layers."""

from collections.abc import Sequence
from typing import Any

import keras

from tfviz.tap._survey import Call, locate
from tfviz.tap.address import Tap
from tfviz.tap.patch import run


def submodel(model: Any, layers: Any) -> Any:
    """A model from `model`'s inputs to the outputs of `layers`, sharing its weights.

    Args:
        model: a built Keras model.
        layers: one layer address, or a list of them (several give a list of outputs, as Keras does).

    Returns:
        A Functional `keras.Model` where the layers are on the surface of a Functional or Sequential model; else a
        `keras.Model` that runs `model` up to the last of the layers (it predicts and summarises, and cannot be saved).
        Nothing is added to the user's layers either way.

    Raises:
        InputError: a layer is unknown or ambiguous.
    """
    several = isinstance(layers, (list, tuple)) and len(layers) > 1
    located = [locate(model, layer) for layer in (layers if isinstance(layers, (list, tuple)) else [layers])]
    functional = getattr(model, "_functional", None) or model
    tensors = [_tensor_of(functional, tap, call) for _, tap, call in located]
    # Keras would leave each call's activity loss on the user's layers.
    adds_losses = any(layer.activity_regularizer is not None for layer in model._flatten_layers())
    if not adds_losses and all(tensor is not None for tensor in tensors):
        return keras.Model(functional._inputs_struct, tensors if several else tensors[0])
    return TappingModel(model, [tap for _, tap, _ in located], several)


def _tensor_of(functional: Any, tap: Tap, call: Call) -> Any:
    """The symbolic tensor of a call on the surface of a Functional model; None where there is none."""
    if tap.pre or "/" in tap.path or not hasattr(functional, "_nodes_by_depth") or len(call.shapes) != 1:
        return None
    nodes = [
        node
        for depth in sorted(functional._nodes_by_depth, reverse=True)
        for node in functional._nodes_by_depth[depth]
        if node.operation is call.layer()
    ]
    return nodes[tap.call].outputs[0] if tap.call < len(nodes) else None


class TappingModel(keras.Model):
    """Runs another model up to the last of some taps and gives their tensors."""

    def __init__(self, model: Any, taps: Sequence[Tap], several: bool) -> None:
        super().__init__(name=f"{model.name}_part")
        self.model = model
        self._taps = tuple(taps)
        self._several = several
        self.build(model.input_shape if hasattr(model, "input_shape") else None)

    def call(self, inputs: Any) -> Any:
        """The taps' tensors, in the order asked for."""
        tapped = run(self.model, inputs, self._taps, stop=True).tapped
        return list(tapped) if self._several else tapped[0]
