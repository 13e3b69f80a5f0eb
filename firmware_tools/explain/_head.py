"""The head of a quantised classifier: what turns its last feature map into logits, read from the `.tflite`."""

import dataclasses
import math
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools._real_graph import constant
from firmware_tools.graph import RENAMES, Graph, GraphTensor, Op
from tfviz.errors import InputError
from tfviz.trace import Tensor, Trace

Array = npt.NDArray[Any]
_SQUASHES = ("SOFTMAX", "LOGISTIC")


@dataclasses.dataclass(frozen=True)
class Head:
    """A head that is linear in the last feature map A: logit_c = sum over places and k of `weights[c] * A + bias[c]`.

    `weights` is `(classes, 1, 1, K)` after global average pooling (the pooling's 1 / (h w) is in it) and
    `(classes, h, w, K)` after flattening: real numbers, the integers of the file times their scales. `op` is the op
    whose output is the map.
    """

    op: int
    weights: Array
    bias: Array

    def terms(self, maps: Array, classes: Array) -> Array:
        """What each value of the maps `(B, h, w, K)` adds to its image's class's logit, the same shape."""
        return np.asarray(self._rows(classes) * maps)

    def contributions(self, maps: Array, classes: Array) -> Array:
        """What each channel adds to the logit, `(B, K)`; with the bias their sum is the logit."""
        return np.asarray(self.terms(maps, classes).sum(axis=(1, 2)))

    def logits(self, maps: Array, classes: Array) -> Array:
        """The class's logit of each image, `(B,)`."""
        signs = np.where(classes == 1, 1, -1) if len(self.weights) == 1 else np.ones(len(classes))
        bias = self.bias[np.zeros_like(classes) if len(self.weights) == 1 else classes]
        return np.asarray(self.contributions(maps, classes).sum(axis=1) + signs * bias)

    def _rows(self, classes: Array) -> Array:
        # A head of one unit: class 1 is its output, class 0 the negative of it.
        if len(self.weights) == 1:
            return self.weights * np.where(classes == 1, 1, -1).reshape(-1, 1, 1, 1)
        return np.asarray(self.weights[classes])


def head_of(graph: Graph) -> Head:
    """The head of a `.tflite` that ends in a map, global average pooling or flattening, and one dense layer.

    Raises:
        InputError: it does not end so; the sentence says how it ends.
    """
    dense = _producer(graph, logit_tensor(graph))
    if dense is None or dense.name != "FULLY_CONNECTED" or dense.options.get("fused_activation_function") != "NONE":
        raise _no_head(graph)
    tensor = graph.tensors[dense.inputs[0]]
    classes = graph.tensors[dense.inputs[1]].shape[0]
    made = _producer(graph, tensor.index)
    while made is not None and made.name in RENAMES and not _is_map(graph.tensors[made.inputs[0]]):
        made = _producer(graph, made.inputs[0])
    if made is None:
        raise _no_head(graph)
    source = graph.tensors[made.inputs[0]]
    weights = _real(graph, dense.inputs[1])
    if made.name in RENAMES and _is_map(source):
        weights = weights.reshape(classes, *source.shape[1:])
    elif _pools_all(graph, made) and math.prod(source.shape) == math.prod(source.shape[1:]):
        weights = weights.reshape(classes, 1, 1, -1) / (source.shape[1] * source.shape[2])
    else:
        raise _no_head(graph)
    producer = _producer(graph, source.index)
    if producer is None:
        raise _no_head(graph)
    bias = _real(graph, dense.inputs[2]) if len(dense.inputs) > 2 and dense.inputs[2] >= 0 else np.zeros(classes)
    return Head(producer.index, weights, bias.reshape(-1))


def logit_tensor(graph: Graph) -> int:
    """The tensor of the first output before its softmax or sigmoid, and before what only gives it another shape."""
    index = graph.outputs[0]
    op = _producer(graph, index)
    while op is not None and op.name in (*_SQUASHES, *RENAMES):
        index = op.inputs[0]
        op = _producer(graph, index)
    return index


def logits_of(graph: Graph, trace: Trace) -> Array:
    """The logits of a trace, `(classes,)`; of one without steps that end in a softmax there are none to be had.

    Raises:
        InputError: the trace holds no such tensor.
    """
    wanted = logit_tensor(graph)
    if wanted == graph.outputs[0]:
        return trace.outputs[0].real.reshape(-1)
    op = _producer(graph, wanted)
    for step in trace.steps:
        if op is not None and step.index == op.index:
            return step.output.real.reshape(-1)
    raise InputError(f"{trace.engine} does not show the logits, the tensor before its softmax.")


def step_output(trace: Trace, index: int) -> Tensor:
    """The output of op `index`.

    Raises:
        InputError: the engine hides it.
    """
    try:
        return trace.step(index).output
    except KeyError as error:
        raise InputError(f"{trace.engine} does not show the output of op {index}.") from error


def _pools_all(graph: Graph, op: Op) -> bool:
    source, output = graph.tensors[op.inputs[0]], graph.tensors[op.outputs[0]]
    pooled = source.elements == output.elements * math.prod(source.shape[1:3])
    return op.name in ("MEAN", "AVERAGE_POOL_2D") and len(source.shape) == 4 and pooled


def _is_map(tensor: GraphTensor) -> bool:
    return len(tensor.shape) == 4 and math.prod(tensor.shape[1:3]) > 1


def _producer(graph: Graph, index: int) -> Op | None:
    return next((op for op in reversed(graph.ops) if index in op.outputs), None)


def _real(graph: Graph, index: int) -> Array:
    """A constant as real numbers, float64: per tensor or per row scales."""
    tensor = graph.tensors[index]
    if tensor.data is None:
        raise InputError(f"The weights '{tensor.name}' are computed by the model; a head has constant ones.")
    return constant(tensor) if len(tensor.scale) else tensor.data.astype(np.float64)


def _no_head(graph: Graph) -> InputError:
    last = ", ".join(op.name for op in graph.ops[-4:])
    return InputError(
        f"{graph.name} ends in {last}; a map in closed form needs global average pooling or flattening and one dense "
        "layer at the end. Use eigen-cam, score-cam, occlusion or rise."
    )
