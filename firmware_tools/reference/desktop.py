"""What every desktop interpreter of a `.tflite` has in common: inputs checked, every tensor kept, forced runs."""

import dataclasses
from collections.abc import Callable, Iterable, Mapping
from typing import Protocol

import numpy as np

from firmware_tools.graph import Graph, Op
from firmware_tools.quantize import quantization
from firmware_tools.reference.one_op import OneOp
from tfviz.errors import InputError
from tfviz.trace import Array, Closing, Step, Tensor, Trace


class Interpreter(Protocol):
    """A loaded model: `invoke` with its inputs in order, then any tensor by its index in the file."""

    def invoke(self, inputs: Iterable[Array]) -> None: ...  # noqa: D102

    def tensor(self, index: int) -> Array: ...  # noqa: D102

    def output(self, position: int) -> Array: ...  # noqa: D102


class DesktopEngine(Closing):
    """A `.tflite` on an interpreter of this computer.

    An interpreter never sees a file that `graph.load` has not validated. A forced run gives each op the reference's
    inputs by running it as a model of its own; those interpreters are made once and kept.

    Attributes:
        name: `"tflm"`, `"litert"` or `"litert-xnnpack"`.
        kernels: kernel set and version.
        fingerprint: SHA-256 of the model file, hexadecimal.
        graph: the model.
    """

    def __init__(self, name: str, kernels: str, graph: Graph, make: Callable[[bytes, Graph], Interpreter]) -> None:
        self.name = name
        self.kernels = kernels
        self.graph = graph
        self.fingerprint = graph.fingerprint
        self._make = make
        self._interpreter = make(graph.bytes, graph)
        self._one_op: OneOp | None = None
        self._single: dict[int, Interpreter] = {}

    def run(
        self, inputs: Mapping[str, Array], *, reference: Trace | None = None, forced: bool = False, read: bool = True
    ) -> Trace:
        """Run one input, as `tfviz.trace.Engine.run` says."""
        given = checked_inputs(self.graph, inputs)
        if forced:
            steps = self._forced(given, reference)
            made = {
                index: tensor
                for op, step in zip(self.graph.ops, steps, strict=True)
                for index, tensor in zip(op.outputs, step.outputs, strict=True)
            }
            outputs = tuple(made[index] for index in self.graph.outputs)
        else:
            self._interpreter.invoke(tensor.values for tensor in given.values())
            steps = tuple(self._step(op, self._interpreter.tensor) for op in self.graph.ops) if read else ()
            outputs = tuple(
                described(self.graph, index, self._interpreter.output(position))
                for position, index in enumerate(self.graph.outputs)
            )
        return Trace(
            engine=self.name,
            kernels=self.kernels,
            fingerprint=self.fingerprint,
            inputs=tuple(given.values()),
            steps=steps if read else (),
            outputs=outputs,
            forced=forced,
        )

    def _step(self, op: Op, read: Callable[[int], Array]) -> Step:
        return Step(
            op.index, op.name, op.layer, tuple(described(self.graph, index, read(index)) for index in op.outputs)
        )

    def _forced(self, given: Mapping[int, Tensor], reference: Trace | None) -> tuple[Step, ...]:
        if reference is None:
            raise InputError("A forced run needs a reference trace to force.")
        values = {index: tensor.values for index, tensor in given.items()} | reference_values(self.graph, reference)
        steps = []
        for op in self.graph.ops:
            if self._one_op is None:
                self._one_op = OneOp(self.graph)
            activations = self._one_op.inputs(op)
            if not activations:  # nothing can be forced: it reads constants only, and gives the same in every run
                steps.append(self._step(op, self._interpreter.tensor))
                continue
            if op.index not in self._single:
                self._single[op.index] = self._make(self._one_op.model(op), self.graph)
            single = self._single[op.index]
            single.invoke(values[index] for index in activations)
            made = {index: single.output(position) for position, index in enumerate(op.outputs)}
            steps.append(self._step(op, made.__getitem__))
        return tuple(steps)

    def close(self) -> None:
        """Release the interpreters."""
        self._single.clear()


def described(graph: Graph, index: int, values: Array) -> Tensor:
    """A tensor's values with its name and quantisation, in the shape that the file gives it.

    Raises:
        InputError: there are more or fewer values: the file contradicts itself.
    """
    tensor = graph.tensors[index]
    if values.size != tensor.elements:
        raise InputError(
            f"{graph.name} gives tensor '{tensor.name}' the shape {list(tensor.shape)}, "
            f"but its op makes {list(values.shape)}; the file is damaged."
        )
    scale, zero_point = quantization(tensor)
    return Tensor(tensor.name, np.array(values).reshape(tensor.shape), scale, zero_point)


def checked_inputs(graph: Graph, inputs: Mapping[str, Array]) -> dict[int, Tensor]:
    """The inputs by tensor index, in the model's order.

    Raises:
        InputError: a name is missing or unknown, or an array has another shape or dtype.
    """
    wanted = {graph.tensors[index].name: index for index in graph.inputs}
    if set(inputs) != set(wanted):
        raise InputError(f"The model's inputs are named {sorted(wanted)}; {sorted(inputs)} were given.")
    for name, index in wanted.items():
        values, tensor = np.asarray(inputs[name]), graph.tensors[index]
        if values.shape != tensor.shape or values.dtype.name != tensor.dtype:
            raise InputError(
                f"Input {name!r} must be {tensor.dtype} of shape {tensor.shape}; "
                f"it is {values.dtype.name} of shape {values.shape}."
            )
    return {index: described(graph, index, np.asarray(inputs[name])) for name, index in wanted.items()}


def reference_values(graph: Graph, reference: Trace) -> dict[int, Array]:
    """The reference's tensors by tensor index of `graph`, for a forced run.

    Raises:
        InputError: the reference is of a model with other ops.
    """
    steps = {step.index: step for step in reference.steps}
    values: dict[int, Array] = {}
    for op in graph.ops:
        step = steps.get(op.index)
        shapes = [graph.tensors[index].shape for index in op.outputs]
        if step is None or step.op != op.name or [output.values.shape for output in step.outputs] != shapes:
            raise InputError(
                f"The trace of {reference.engine} cannot be forced on this model: "
                f"it holds no output of op {op.index} ({op.name}) in the shape expected."
            )
        values |= {index: output.values for index, output in zip(op.outputs, step.outputs, strict=True)}
    return values


@dataclasses.dataclass(frozen=True)
class KernelSet:
    """How a kernel set is named: `str()` gives what stands beside a verdict."""

    kernels: str
    package: str

    def __str__(self) -> str:
        from importlib.metadata import version

        return f"{self.kernels}, {self.package} {version(self.package)}"
