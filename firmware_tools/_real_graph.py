"""A quantised `.tflite` as the network over real numbers that it stands for: same ops, same tensors, no rounding."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools import graph as graphs
from firmware_tools.graph import Graph, GraphTensor
from tfviz.trace import Tensor, Trace

Array = npt.NDArray[Any]
QUANTISED = ("int4", "int8", "uint8", "int16", "int32", "int64")


def in_reals(graph: Graph) -> Graph:
    """The same ops with every quantised tensor as float32; constants are what their integers stand for.

    What is left of quantisation is the rounding of the weights. The result is for running ops one by one: a QUANTIZE
    between two such tensors has no float kernel.
    """
    import flatbuffers
    from ai_edge_litert import schema_py_generated

    schema: Any = schema_py_generated
    model = schema.ModelT.InitFromObj(schema.Model.GetRootAs(graph.bytes, 0))
    for tensor, written in zip(graph.tensors, model.subgraphs[0].tensors, strict=True):
        if tensor.dtype not in QUANTISED or not len(tensor.scale):
            continue
        written.type, written.quantization = schema.TensorType.FLOAT32, None
        if tensor.data is not None:
            buffer = schema.BufferT()
            buffer.data = np.frombuffer(constant(tensor).astype("<f4").tobytes(), np.uint8)
            model.buffers.append(buffer)
            written.buffer = len(model.buffers) - 1
    builder = flatbuffers.Builder(len(graph.bytes))
    builder.Finish(model.Pack(builder), b"TFL3")
    return dataclasses.replace(graphs.load(bytes(builder.Output())), name=graph.name)


def constant(tensor: GraphTensor) -> npt.NDArray[np.float64]:
    """A constant's real numbers: `scale * (value - zero_point)`, per tensor or along its quantised dimension."""
    assert tensor.data is not None
    shape = [1] * len(tensor.shape)
    if len(tensor.scale) > 1:
        shape[tensor.quantized_dimension] = -1
    whole = tensor.data.astype(np.float64) - tensor.zero_point.reshape(shape)
    return np.asarray(tensor.scale.astype(np.float64).reshape(shape) * whole)


def trace_in_reals(trace: Trace, real: Trace) -> Trace:
    """The trace of a quantised model with every tensor as the real numbers that its integers stand for.

    Its inputs are those of the float model's trace `real`, which no range has cut: of several the nearest.
    """
    return dataclasses.replace(
        trace,
        inputs=tuple(_nearest(_real(tensor), real.inputs) for tensor in trace.inputs),
        outputs=tuple(map(_real, trace.outputs)),
        steps=tuple(dataclasses.replace(step, outputs=tuple(map(_real, step.outputs))) for step in trace.steps),
    )


def _real(tensor: Tensor) -> Tensor:
    return tensor if tensor.scale is None else Tensor(tensor.name, tensor.real.astype(np.float32))


def _nearest(tensor: Tensor, others: Sequence[Tensor]) -> Tensor:
    def apart(values: Array) -> float:
        return float(((values - tensor.values.astype(np.float64)) ** 2).sum())

    same = [other.real.reshape(tensor.values.shape) for other in others if other.values.size == tensor.values.size]
    return Tensor(tensor.name, min(same, key=apart).astype(tensor.values.dtype)) if same else tensor
