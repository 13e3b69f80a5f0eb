"""What a network sees: the maps of its layers, and the kernels that make them."""

from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.stream import chunk_size
from tfviz.tap import Tap, execute, locate, prepare, run, steady, survey
from tfviz.tap.derivative import as_answer

Array = npt.NDArray[Any]


def feature_maps(model: Any, images: Any, layers: Any = None, *, batch_size: int | None = None) -> dict[str, Any]:
    """What layers of `model` produce on `images`, in one pass for all of them and nothing after the last of them.

    Args:
        model: a built Keras model.
        images: `(B, H, W, C)`, one image `(H, W, C)`, or a list or dict of inputs.
        layers: one layer or a list of layers, each an address `path[@call][:pre]`, an index into `model.layers` or a
            Layer; None for every call of every layer.
        batch_size: how many images go through at once; None chooses.

    Returns:
        float32 arrays by address, in the order asked for, each with the batch axis first, mostly `(B, h, w, channels)`;
        in the layer's own structure where it gives several tensors.

    Raises:
        InputError: images that the model does not take, or a layer that is unknown or ambiguous.

    >>> model = keras.Sequential([keras.Input((4, 4, 1)), keras.layers.MaxPooling2D(name="pool")])
    >>> feature_maps(model, np.arange(16.0).reshape(4, 4, 1))["pool"][0, :, :, 0]
    array([[ 5.,  7.],
           [13., 15.]], dtype=float32)
    """
    with steady(model):
        batch = prepare(model, images)
        addresses, taps = _wanted(model, layers)
        if not taps:
            raise InputError("No layer was asked for, or the model has none that can be tapped.")
        body = _Maps(tuple(taps), batch.structure)
        parts = [
            execute(model, ("maps", body.taps), body, arrays)
            for _, arrays in batch.parts(chunk_size(batch.arrays[0].shape[1:], batch_size))
        ]
        return {address: _joined([part[i] for part in parts]) for i, address in enumerate(addresses)}


class _Maps:
    """The body of a run that stops after the last tap."""

    def __init__(self, taps: tuple[Tap, ...], structure: Any) -> None:
        self.taps = taps
        self._structure = structure

    def __call__(self, model: Any, *tensors: Any) -> list[Any]:
        inputs = keras.tree.map_structure(lambda position: tensors[position], self._structure)
        tapped = run(model, inputs, self.taps, stop=True).tapped
        return [keras.tree.map_structure(as_answer, value) for value in tapped]


def _wanted(model: Any, layers: Any) -> tuple[list[str], list[Tap]]:
    if layers is None:
        calls = survey(model).calls
        return [call.address for call in calls], [call.tap for call in calls]
    listed = layers if isinstance(layers, (list, tuple)) else [layers]
    found: dict[Tap, str] = {}
    for layer in listed:
        address, tap, _ = locate(model, layer)
        found.setdefault(tap, layer if isinstance(layer, str) else address)
    return list(found.values()), list(found)


def _joined(parts: Sequence[Any]) -> Any:
    def join(*pieces: Any) -> Array:
        arrays = [np.asarray(piece, np.float32) for piece in pieces]
        return arrays[0] if len(arrays) == 1 else np.concatenate(arrays)

    return keras.tree.map_structure(join, *parts)


def kernels(model: Any, layer: Any) -> npt.NDArray[np.float32]:
    """The kernels of a two-dimensional convolution, `(kh, kw, cin, cout)`, float32.

    Of a depthwise convolution the last axis is the depth multiplier; of a transposed one the axes are put in the same
    order as of a plain one.

    Args:
        model: a built Keras model.
        layer: an address, an index into `model.layers`, or a Layer.

    Raises:
        InputError: the layer is unknown, or is no two-dimensional convolution.
    """
    if layer is None:
        raise InputError(
            "Say which convolution's kernels are meant: an address, an index into model.layers, or a Layer."
        )
    address, _, call = locate(model, layer) if not isinstance(layer, keras.layers.Layer) else ("", None, None)
    thing: Any = call.layer() if call is not None else layer
    kernel = getattr(thing, "kernel", None)
    if kernel is None or len(kernel.shape) != 4:
        raise InputError(
            f"{address or thing.name!r} is a {type(thing).__name__}; kernels (kh, kw, cin, cout) are those of a "
            "Conv2D, DepthwiseConv2D or Conv2DTranspose."
        )
    values = np.asarray(kernel.value.numpy(), np.float32)
    return values.transpose(0, 1, 3, 2) if isinstance(thing, keras.layers.Conv2DTranspose) else values
