"""Constant sub-graphs: tensors whose values are known before the model ever runs.

A Keras input without a fixed batch, for one, turns Flatten into SHAPE, STRIDED_SLICE, PACK and RESHAPE: arithmetic on
shapes, which are fixed in a `.tflite` that a microcontroller runs. Such an op keeps its place in the schedule, and its
output is copied from flash. Ops that read it take it for the constant that it is.
"""

import dataclasses
import weakref
from collections.abc import Callable, Sequence

import numpy as np

from firmware_tools.graph import DTYPES, RENAMES, Array, Graph, GraphTensor, Op

MAX_ELEMENTS = 2**20
"""Larger results stay unfolded: they would only fill flash."""

Fold = Callable[[Op, Sequence[Array]], Array]
_cache: "weakref.WeakKeyDictionary[Graph, Graph]" = weakref.WeakKeyDictionary()


def slices(op: Op, begin: Array, end: Array, strides: Array) -> tuple[tuple[slice, ...], tuple[int, ...]] | None:
    """STRIDED_SLICE as Python slices and the axes that vanish; None with an ellipsis or a new axis."""
    if op.options.get("ellipsis_mask", 0) or op.options.get("new_axis_mask", 0) or op.options.get("offset", False):
        return None
    masks = [op.options.get(f"{name}_mask", 0) for name in ("begin", "end", "shrink_axis")]
    result = []
    for axis, (start, stop, step) in enumerate(zip(begin.tolist(), end.tolist(), strides.tolist(), strict=True)):
        if step == 0:
            return None
        from_end, to_end, shrunk = (bool(mask & (1 << axis)) for mask in masks)
        if shrunk:
            result.append(slice(start, start + 1 if start != -1 else None, 1))
        else:
            result.append(slice(None if from_end else start, None if to_end else stop, step))
    return tuple(result), tuple(axis for axis in range(len(result)) if masks[2] & (1 << axis))


def _strided_slice(op: Op, inputs: Sequence[Array]) -> Array:
    found = slices(op, *inputs[1:4])
    if found is None:
        raise ValueError("ellipsis")
    return inputs[0][found[0]].squeeze(axis=found[1])


def _gather(op: Op, inputs: Sequence[Array]) -> Array:
    if op.options.get("batch_dims", 0):
        raise ValueError("batches")
    taken: Array = np.take(inputs[0], inputs[1], axis=op.options.get("axis", 0))
    return taken


def _plain(function: Callable[[Array, Array], Array]) -> Fold:
    """Arithmetic on integers that are not quantised, or on floats; without an activation behind it."""

    def fold(op: Op, inputs: Sequence[Array]) -> Array:
        if op.options.get("fused_activation_function", "NONE") != "NONE":
            raise ValueError("activation")
        return function(inputs[0], inputs[1])

    return fold


_FOLDS: dict[str, Fold] = {
    "PACK": lambda op, inputs: np.stack(inputs, axis=op.options.get("axis", 0)),
    "STRIDED_SLICE": _strided_slice,
    "GATHER": _gather,
    "CONCATENATION": lambda op, inputs: np.concatenate(inputs, axis=op.options.get("axis", 0)),
    "TRANSPOSE": lambda _, inputs: inputs[0].transpose(inputs[1].tolist()),
    "CAST": lambda _, inputs: inputs[0],
    "ADD": _plain(np.add),
    "SUB": _plain(np.subtract),
    "MUL": _plain(np.multiply),
    "MAXIMUM": _plain(np.maximum),
    "MINIMUM": _plain(np.minimum),
    "REDUCE_PROD": lambda _, inputs: np.prod(inputs[0], axis=tuple(inputs[1].ravel().tolist())),
    **dict.fromkeys(RENAMES, lambda _, inputs: inputs[0]),
}
_ARITHMETIC = frozenset({"ADD", "SUB", "MUL", "MAXIMUM", "MINIMUM", "REDUCE_PROD", "CAST"})


def folded(graph: Graph) -> Graph:
    """The same graph, in which every tensor that is known beforehand holds its values in `data`."""
    if graph not in _cache:
        _cache[graph] = _fold(graph)
    return _cache[graph]


def _fold(graph: Graph) -> Graph:
    tensors = list(graph.tensors)
    for op in graph.ops:
        if len(op.outputs) != 1:
            continue
        value = _value(op, tensors)
        if value is not None:
            value.setflags(write=False)
            tensors[op.outputs[0]] = dataclasses.replace(tensors[op.outputs[0]], data=value)
    return dataclasses.replace(graph, tensors=tuple(tensors))


def _value(op: Op, tensors: Sequence[GraphTensor]) -> Array | None:
    """What the op's output is known to be, None where it is not."""
    output = tensors[op.outputs[0]]
    if output.dtype not in DTYPES or output.elements > MAX_ELEMENTS or not op.inputs or op.inputs[0] < 0:
        return None
    if op.name == "SHAPE":
        return _fitting(np.array(tensors[op.inputs[0]].shape), output)
    read = op.inputs[:1] if op.name in RENAMES else op.inputs
    inputs = [tensors[index] for index in read if index >= 0]
    values = [tensor.data for tensor in inputs if tensor.data is not None]
    if op.name not in _FOLDS or len(values) != len(inputs):
        return None
    if op.name in _ARITHMETIC and any(len(tensor.scale) for tensor in (*inputs, output)):
        return None
    try:
        return _fitting(_FOLDS[op.name](op, values), output)
    except (ValueError, IndexError, TypeError):
        return None  # not consistent: whoever lowers the op says so


def _fitting(value: Array, output: GraphTensor) -> Array | None:
    """The value in the output's type and shape, None where it has another number of elements."""
    if value.size != output.elements:
        return None
    with np.errstate(invalid="ignore"):  # what an integer cannot hold has no defined value anywhere
        return np.ascontiguousarray(value.astype(DTYPES[output.dtype])).reshape(output.shape)
