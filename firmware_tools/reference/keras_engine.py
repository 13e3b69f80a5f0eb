"""The float Keras model as an engine: its steps are the calls of its layers, by their addresses."""

import math
import os
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from tfviz.errors import InputError
from tfviz.trace import Array, Closing, Step, Tensor, Trace

if TYPE_CHECKING:
    import keras


class KerasEngine(Closing):
    """A Keras model in float32; `kernels` is TensorFlow's. The model is never changed.

    Step k is the k-th address: every layer's call in the order in which the calls end, and, before a layer with an
    activation inside, `address:pre`, its value before that activation. Values keep a batch axis of 1.

    Args:
        model: a `.keras` or `.h5` file, `module:function`, or a built Keras model.
    """

    name = "keras"

    def __init__(self, model: "str | os.PathLike[str] | keras.Model") -> None:
        from tfviz import models, tap

        self.model: Any = models.load_model(model) if isinstance(model, str | os.PathLike) else model
        self.path = Path(model) if isinstance(model, str | os.PathLike) else None
        self.fingerprint = models.fingerprint(model)
        _, specs = tap.images.input_specs(self.model)
        self.inputs = specs
        self._layers = tap.layers(self.model)
        self.kernels = _versions()

    def addresses(self) -> tuple[tuple[str, str], ...]:
        """(address, layer class) of every step."""
        found: list[tuple[str, str]] = []
        for layer in self._layers:
            if not isinstance(layer.dtype, str) or not _single(layer.output_shape):
                continue  # a layer with several outputs has no one tensor to compare
            if layer.activation and layer.activation != layer.class_name.lower():
                found.append((f"{layer.address}:pre", layer.class_name))
            found.append((layer.address, layer.class_name))
        return tuple(found)

    @property
    def bytes_an_image(self) -> int:
        """What all the tensors of one image take, float32; sizes that are left open count as 1."""
        shapes = {layer.address: layer.output_shape for layer in self._layers if _single(layer.output_shape)}
        sizes = {address: math.prod(size or 1 for size in shape) for address, shape in shapes.items()}
        return 4 * sum(sizes.get(address.removesuffix(":pre"), 0) for address, _ in self.addresses())

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        """Run one input, as `tfviz.trace.Engine.run` says; float layers cannot be forced."""
        del reference
        if forced:
            raise InputError("The float Keras model cannot be forced: its layers are not the ops of a .tflite.")
        return self.run_batch(inputs, read=read)[0]

    def run_batch(
        self, inputs: Mapping[str, Array], *, read: bool = True, layers: Sequence[str] | None = None
    ) -> list[Trace]:
        """Run a batch in one pass; one trace for each image.

        Args:
            inputs: by input name, float32 `(B, ...)`.
            read: false leaves the steps empty and computes the outputs alone.
            layers: addresses to keep; None keeps all.

        Raises:
            InputError: wrong names or shapes.
        """
        arrays = self._checked(inputs)
        given = list(arrays.values())
        classes = dict(self.addresses())
        order = {address: position for position, address in enumerate(classes)}
        wanted = [address for address in classes if layers is None or address in layers] if read else []
        tapped, outputs = self._pass(given, wanted)
        kept = dict(zip(wanted, tapped, strict=True))
        return [
            Trace(
                engine=self.name,
                kernels=self.kernels,
                fingerprint=self.fingerprint,
                inputs=tuple(Tensor(name, values[i : i + 1]) for name, values in arrays.items()),
                steps=tuple(
                    Step(order[address], classes[address], address, (Tensor(address, values[i : i + 1]),))
                    for address, values in kept.items()
                ),
                outputs=tuple(Tensor(f"output_{k}", output[i : i + 1]) for k, output in enumerate(outputs)),
            )
            for i in range(len(given[0]))
        ]

    def _pass(self, given: list[Array], addresses: list[str]) -> tuple[list[Array], list[Array]]:
        """The layers' tensors and the outputs, in one compiled pass."""
        import keras

        from tfviz import tap

        taps = tuple(tap.locate(self.model, address)[1] for address in addresses)
        batch = tap.prepare(self.model, given[0] if len(given) == 1 else given)
        structure = batch.structure

        def body(model: Any, *tensors: Any) -> list[Any]:
            ran = tap.run(model, keras.tree.map_structure(lambda position: tensors[position], structure), taps)
            return [*ran.tapped, *keras.tree.flatten(ran.outputs)]

        made = tap.execute(self.model, ("trace", taps), body, batch.part(0, len(batch)))
        values = [np.asarray(value, np.float32) for value in made]
        return values[: len(taps)], values[len(taps) :]

    def _checked(self, inputs: Mapping[str, Array]) -> dict[str, Array]:
        names = [spec.name for spec in self.inputs]
        if set(inputs) != set(names):
            raise InputError(f"The model's inputs are named {sorted(names)}; {sorted(inputs)} were given.")
        arrays: dict[str, Array] = {}
        for spec in self.inputs:
            values = np.asarray(inputs[spec.name])
            fits = values.ndim == len(spec.shape) + 1 and all(
                size in (None, given) for size, given in zip(spec.shape, values.shape[1:], strict=True)
            )
            if not fits or not np.issubdtype(values.dtype, np.floating):
                raise InputError(
                    f"Input {spec.name!r} must be float of shape (B, {', '.join(map(str, spec.shape))}); "
                    f"it is {values.dtype.name} of shape {values.shape}."
                )
            arrays[spec.name] = values.astype(np.float32)
        return arrays

    def close(self) -> None:
        """Nothing is held open."""


def _single(shape: tuple[Any, ...]) -> bool:
    return not any(isinstance(part, tuple | list) for part in shape)


def _versions() -> str:
    import keras
    import tensorflow as tf

    return f"TensorFlow {tf.__version__} float32, Keras {keras.__version__}"
