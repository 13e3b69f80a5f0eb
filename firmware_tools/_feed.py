"""Images to traces: the same images, as each engine's own input, batch by batch."""

import dataclasses
from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools.engines import input_tensors
from firmware_tools.graph import GraphTensor
from firmware_tools.pictures import Expectation
from firmware_tools.quantize import dequantize, model_input, quantization
from firmware_tools.reference.keras_engine import KerasEngine
from tfviz.errors import InputError
from tfviz.trace import Engine, Trace

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Feed:
    """How images become one engine's input.

    `integers` is the input of a quantised engine beside it: data that are integers already are brought back to real
    numbers by its scale and zero point for an engine that takes float.
    """

    engine: Engine
    expected: Expectation
    integers: GraphTensor | None = None

    def inputs(self, images: Array) -> dict[str, Array]:
        """A batch by input name, `(B, ...)`."""
        if isinstance(self.engine, KerasEngine):
            return {self._only([spec.name for spec in self.engine.inputs]): self._real(images)}
        tensors = input_tensors(self.engine) or ()
        self._only([tensor.name for tensor in tensors])
        tensor = tensors[0]
        if quantization(tensor)[0] is None:
            images = self._real(images)
        return {tensor.name: model_input(images, tensor, preprocess=self.expected.preprocess)}

    def runs(self, images: Array, *, read: bool, layers: tuple[str, ...] | None = None) -> Iterator[Trace]:
        """A trace of each image; the float model takes the batch at once."""
        inputs = self.inputs(images)
        if isinstance(self.engine, KerasEngine):
            yield from self.engine.run_batch(inputs, read=read, layers=layers)
            return
        for i in range(len(images)):
            yield self.engine.run(one(inputs, i), read=read)

    def _real(self, images: Array) -> npt.NDArray[np.float32]:
        if not np.issubdtype(images.dtype, np.signedinteger):
            return self.expected.real(images)
        scale, zero_point = (None, 0) if self.integers is None else quantization(self.integers)
        if scale is None:
            raise InputError(
                f"The data are {images.dtype} integers, and no quantised model says what real numbers they stand for."
            )
        return dequantize(images, scale=scale, zero_point=zero_point)

    def _only(self, names: list[str]) -> str:
        if len(names) != 1:
            raise InputError(f"The model has {len(names)} inputs; pictures can be given to a model with one.")
        return names[0]


def one(inputs: dict[str, Array], i: int) -> dict[str, Array]:
    """The i-th image of a batch, with a batch axis of one."""
    return {name: values[i : i + 1] for name, values in inputs.items()}
