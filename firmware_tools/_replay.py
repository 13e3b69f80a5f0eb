"""One op after the other of a `.tflite`, each on inputs of one's choice: what an op makes of what it ought to get."""

import contextlib
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools import reference
from firmware_tools.graph import Graph, GraphTensor
from firmware_tools.quantize import dequantize, quantization, quantize
from firmware_tools.reference.one_op import OneOp
from tfviz.errors import InputError
from tfviz.trace import Tensor, Trace

Array = npt.NDArray[Any]
SAME = ("QUANTIZE", "DEQUANTIZE")  # between real numbers they change nothing, and have no kernel


class Replay:
    """The ops of `graph` over a few images, in the order of the file, on LiteRT's default kernels (they are quick).

    Each op reads what the ones before it made, or what was put in its place. An op is an interpreter of its own only
    while it runs. Which kernels compute makes a difference of a few LSB and none for what is asked here.

    Args:
        graph: the model.
        traces: one of each image; their inputs are what the model is given, and what an op made in them stands in
            where it cannot be run alone.
    """

    def __init__(self, graph: Graph, traces: Sequence[Trace]) -> None:
        self._graph = graph
        self._traces = traces
        self._one_op = OneOp(graph)
        self._values: list[dict[int, Array]] = [
            {index: tensor.values for index, tensor in zip(graph.inputs, trace.inputs, strict=True)} for trace in traces
        ]
        reads = ((index, op.index) for op in graph.ops for index in op.inputs)
        self._last_read = dict(reads)

    def run(self, index: int) -> list[Tensor]:
        """The first output of op `index`, for each image."""
        op = self._graph.ops[index]
        made = self._alone(index) or [[out.values for out in trace.step(index).outputs] for trace in self._traces]
        for values, outputs in zip(self._values, made, strict=True):
            values.update(zip(op.outputs, outputs, strict=True))
        tensor = self._graph.tensors[op.outputs[0]]
        scale, zero_point = quantization(tensor)
        return [Tensor(tensor.name, values[op.outputs[0]], scale, zero_point) for values in self._values]

    def put(self, index: int, reals: Sequence[Array]) -> None:
        """Give the ops that follow these real numbers, in the output's own integers, for the output of op `index`."""
        output = self._graph.tensors[self._graph.ops[index].outputs[0]]
        scale, zero_point = quantization(output)
        for values, real in zip(self._values, reals, strict=True):
            shaped = real.reshape(output.shape)
            values[output.index] = (
                shaped.astype(output.dtype)
                if scale is None
                else quantize(shaped, scale=scale, zero_point=zero_point, dtype=output.dtype)
            )

    def hands_on(self, index: int) -> bool:
        """Whether the op that ran last gives one of its inputs as it is (a RESHAPE), adding nothing."""
        op = self._graph.ops[index]
        output = self._graph.tensors[op.outputs[0]]
        made = [dequantized(values[output.index], output) for values in self._values]
        for given in self._one_op.inputs(op):
            tensor = self._graph.tensors[given]
            if tensor.elements == output.elements:
                reals = [dequantized(values[given], tensor) for values in self._values]
                if all(np.allclose(a.ravel(), b.ravel(), atol=step(output)) for a, b in zip(made, reals, strict=True)):
                    return True
        return False

    def forget(self, index: int) -> None:
        """Let go of what no op after `index` reads."""
        for values in self._values:
            for tensor in [t for t in values if self._last_read.get(t, -1) <= index]:
                del values[tensor]

    def _alone(self, index: int) -> list[list[Array]] | None:
        op = self._graph.ops[index]
        activations = self._one_op.inputs(op)
        if not activations or any(i not in values for values in self._values for i in activations):
            return None
        if op.name in SAME and {self._graph.tensors[i].dtype for i in (*op.inputs, *op.outputs)} == {"float32"}:
            return [[values[activations[0]]] for values in self._values]
        with contextlib.suppress(InputError), reference.litert_xnnpack(self._one_op.model(op)) as engine:
            names = [engine.graph.tensors[i].name for i in engine.graph.inputs]
            return [
                [
                    output.values
                    for output in engine.run(
                        {name: values[i] for name, i in zip(names, activations, strict=True)}, read=False
                    ).outputs
                ]
                for values in self._values
            ]
        return None


def dequantized(values: Array, tensor: GraphTensor) -> Array:
    """A tensor's values as real numbers."""
    scale, zero_point = quantization(tensor)
    return values if scale is None else dequantize(values, scale=scale, zero_point=zero_point)


def step(tensor: GraphTensor) -> float:
    """The least difference that counts: the tensor's scale, 0 where it is not quantised."""
    return quantization(tensor)[0] or 0.0
