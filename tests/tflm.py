"""The exact reference: every tensor of a run by the real TensorFlow Lite Micro kernels."""

import numpy as np
import pytest

from firmware_tools.graph import Array, Graph


class Reference:
    """A model in the TensorFlow Lite Micro interpreter, all tensors preserved."""

    def __init__(self, graph: Graph) -> None:
        runtime = pytest.importorskip(
            "tflite_micro.python.tflite_micro.runtime", reason="tflite-micro has no wheel for this platform"
        )
        self.graph = graph
        needed = 3 * sum(64 + t.bytes for t in graph.tensors if not t.is_constant) + 400 * len(graph.tensors) + 100_000
        self.interpreter = runtime.Interpreter.from_bytes(
            graph.bytes,
            arena_size=needed,
            intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
        )

    def run(self, *inputs: Array) -> dict[int, Array]:
        """Every op's outputs by tensor index."""
        for position, values in enumerate(inputs):
            self.interpreter.set_input(values, position)
        self.interpreter.invoke()
        results = {}
        for op in self.graph.ops:
            for index in op.outputs:
                tensor = self.graph.tensors[index]
                data = self.interpreter.GetTensor(index, 0)["tensor_data"]
                results[index] = np.array(data, tensor.dtype).reshape(tensor.shape)
        return results


def inputs_for(graph: Graph, seed: int, kind: str = "random") -> list[Array]:
    """Inputs of the model's types: random over the whole range, or one of the extremes."""
    rng = np.random.default_rng(seed)
    arrays: list[Array] = []
    for index in graph.inputs:
        tensor = graph.tensors[index]
        if tensor.dtype == "float32":
            arrays.append(rng.normal(0, 3, tensor.shape).astype(np.float32))
            continue
        limits = np.iinfo(tensor.dtype)
        if kind == "random":
            arrays.append(rng.integers(limits.min, limits.max, tensor.shape, tensor.dtype, endpoint=True))
        elif kind == "edges":
            arrays.append(rng.choice(np.array([limits.min, limits.max], tensor.dtype), tensor.shape))
        else:
            arrays.append(np.full(tensor.shape, {"low": limits.min, "high": limits.max}[kind], tensor.dtype))
    return arrays
