"""The interpreters behind the desktop engines: LiteRT (two kernel sets) and TensorFlow Lite Micro."""

import importlib.util
import math
import os
from collections.abc import Iterable
from typing import Any

import numpy as np

from firmware_tools import graph as graphs
from firmware_tools.graph import Graph
from firmware_tools.reference.desktop import DesktopEngine, Interpreter, KernelSet
from firmware_tools.reference.known_faults import avoided, refuse_fatal
from firmware_tools.reference.native import caught_stderr
from tfviz.errors import InputError
from tfviz.trace import Array

Model = str | os.PathLike[str] | bytes | Graph

# Preserving all tensors takes their sum; persistent buffers and the interpreter's tables come on top. The runtime gets
# more if it asks for it, up to this.
LARGEST_ARENA = 1 << 30


def litert(model: Model) -> DesktopEngine:
    """LiteRT with its reference kernels (double rounding as TensorFlow Lite Micro, except in FULLY_CONNECTED)."""
    return _litert("litert", KernelSet("LiteRT reference kernels", "ai-edge-litert"), "BUILTIN_REF", model)


def litert_xnnpack(model: Model) -> DesktopEngine:
    """LiteRT as it comes: XNNPACK kernels, which round once."""
    return _litert("litert-xnnpack", KernelSet("LiteRT XNNPACK kernels", "ai-edge-litert"), "AUTO", model)


def tflm(model: Model) -> DesktopEngine:
    """TensorFlow Lite Micro's own reference kernels: the exact reference of a microcontroller.

    Raises:
        InputError: it has no wheel on this platform (`has_tflm` says so), or it cannot run the model.
    """
    if not has_tflm():
        raise InputError("TensorFlow Lite Micro has no wheel on this platform; it is built for Linux x86-64 alone.")
    kernels = KernelSet("TensorFlow Lite Micro reference kernels", "tflite-micro")
    graph = _graph(model)
    check_shapes(graph.bytes, graph)
    return DesktopEngine("tflm", str(kernels), graph, _Tflm)


def has_tflm() -> bool:
    """Whether the `tflite-micro` wheel is installed (Linux x86-64 alone has one)."""
    return importlib.util.find_spec("tflite_micro") is not None


def _graph(model: Model) -> Graph:
    graph = model if isinstance(model, Graph) else graphs.load(model)
    refuse_fatal(graph)
    return graph


def _litert(name: str, kernels: KernelSet, resolver: str, model: Model) -> DesktopEngine:
    def make(data: bytes, graph: Graph) -> Interpreter:
        return _LiteRT(data, graph, resolver)

    return DesktopEngine(name, str(kernels), _graph(model), make)


def check_shapes(data: bytes, graph: Graph) -> None:
    """Refuse a file whose shapes contradict its ops: TensorFlow Lite Micro believes them and would write past the end.

    LiteRT infers every shape from the inputs. Where it refuses the file for reasons of its own, as it does with some
    that TensorFlow Lite Micro runs, the checks of the built-in engine stand in; what neither takes ends here.

    Raises:
        InputError: a tensor's shape is not what its op makes, or nobody takes the file.
    """
    with caught_stderr():
        from ai_edge_litert import interpreter

        try:
            made: Any = interpreter.Interpreter(
                model_content=data, experimental_op_resolver_type=interpreter.OpResolverType.BUILTIN_REF
            )
            made.allocate_tensors()
        except (ValueError, RuntimeError) as error:
            _refuse_what_nobody_takes(graph, error)
            return
    _refuse_other_shapes(made, graph)


def _refuse_other_shapes(made: Any, graph: Graph) -> None:
    """Refuse a file some of whose shapes are not those that LiteRT's interpreter `made`, once allocated, inferred."""
    inferred = {detail["index"]: [int(size) for size in detail["shape"]] for detail in made.get_tensor_details()}
    for op in graph.ops:
        for index in op.outputs:
            tensor = graph.tensors[index]
            shape = inferred.get(index, list(tensor.shape))
            if math.prod(shape) != tensor.elements:
                raise InputError(
                    f"{graph.name} gives tensor '{tensor.name}' the shape {list(tensor.shape)}, but op {op.index} "
                    f"({op.name}) makes {shape}; the file is damaged."
                )


def _refuse_what_nobody_takes(graph: Graph, error: Exception) -> None:
    from firmware_tools import codegen

    refused = codegen.check(graph)
    if refused:
        raise InputError(
            f"{graph.name} is not given to TensorFlow Lite Micro, which would believe it: {refused[0]} "
            f"LiteRT does not take it either: {_sentence(error)}"
        ) from error


class _LiteRT:
    """LiteRT's interpreter with all tensors preserved, on one thread so that sums keep their order."""

    def __init__(self, data: bytes, graph: Graph, resolver: str) -> None:
        with caught_stderr():
            from ai_edge_litert import interpreter

            try:
                self._interpreter: Any = interpreter.Interpreter(
                    model_content=data,
                    experimental_op_resolver_type=interpreter.OpResolverType[resolver],
                    experimental_preserve_all_tensors=True,
                    num_threads=1,
                )
                self._interpreter.allocate_tensors()
                self._inputs = [detail["index"] for detail in self._interpreter.get_input_details()]
                self._outputs = [detail["index"] for detail in self._interpreter.get_output_details()]
            except (ValueError, RuntimeError) as error:
                raise InputError(f"LiteRT cannot run {graph.name}: {_sentence(error)}") from error
        _refuse_other_shapes(self._interpreter, graph)

    def invoke(self, inputs: Iterable[Array]) -> None:
        """Run the model."""
        for index, values in zip(self._inputs, inputs, strict=True):
            self._interpreter.set_tensor(index, values)
        try:
            self._interpreter.invoke()
        except (ValueError, RuntimeError) as error:
            raise InputError(f"LiteRT cannot run the model: {_sentence(error)}") from error

    def tensor(self, index: int) -> Array:
        """A copy of a tensor."""
        return np.array(self._interpreter.get_tensor(index))

    def output(self, position: int) -> Array:
        """A copy of an output."""
        return self.tensor(self._outputs[position])


class _Tflm:
    """TensorFlow Lite Micro's interpreter with all tensors preserved."""

    def __init__(self, data: bytes, graph: Graph) -> None:
        arena = 1 << 20
        activations = sum(tensor.bytes for tensor in graph.tensors if not tensor.is_constant)
        while arena < 2 * activations + (1 << 19):
            arena *= 2
        self._interpreter = self._open(avoided(data, graph), arena, graph.name)

    def _open(self, data: bytes, arena: int, name: str) -> Any:
        with caught_stderr() as said:
            from tflite_micro.python.tflite_micro import runtime

            while True:
                try:
                    return runtime.Interpreter.from_bytes(
                        data,
                        arena_size=arena,
                        intrepreter_config=runtime.InterpreterConfig.kPreserveAllTensors,
                    )
                except Exception as error:  # its Python half walks the file too, and raises whatever that gives
                    text = said()
                    if ("rena" not in text.rsplit("\n", 4)[-1] and "too small" not in text) or arena >= LARGEST_ARENA:
                        reason = " ".join(text.split()) or _sentence(error)
                        raise InputError(f"TensorFlow Lite Micro cannot run {name}: {reason[-300:]}") from error
                    arena *= 4

    def invoke(self, inputs: Iterable[Array]) -> None:
        """Run the model."""
        with_inputs = list(inputs)
        try:
            for position, values in enumerate(with_inputs):
                self._interpreter.set_input(values, position)
            self._interpreter.invoke()
        except (RuntimeError, ValueError) as error:
            raise InputError(f"TensorFlow Lite Micro cannot run the model: {_sentence(error)}") from error

    def tensor(self, index: int) -> Array:
        """A copy of a tensor."""
        return np.array(self._interpreter.GetTensor(index, 0)["tensor_data"])

    def output(self, position: int) -> Array:
        """A copy of an output."""
        return np.array(self._interpreter.get_output(position))


def _sentence(error: Exception) -> str:
    return " ".join(str(error).split())[:300] or type(error).__name__
