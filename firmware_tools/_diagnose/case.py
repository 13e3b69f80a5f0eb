"""What is known of a difference: runs of both engines, the first divergent op, its inputs and outputs."""

import dataclasses
from collections.abc import Mapping
from functools import cached_property
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools import memory
from firmware_tools._diagnose.feeding import Feeding
from firmware_tools._diagnose.kernel import Kernel, kernel_of
from firmware_tools.codegen import needs_of
from firmware_tools.graph import Graph, Op
from firmware_tools.reference.one_op import OneOp
from tfviz.errors import InputError
from tfviz.trace import Engine, Trace

Array = npt.NDArray[Any]
LEAST_KNOWN = 0.5
"""Share of a buffer whose old bytes must be known for a statement about what it held."""


@dataclasses.dataclass(frozen=True, eq=False)
class Seen:
    """One input and both engines' runs of it; `before` is the engine's run just before, None where unknown.

    `fed` are the inputs that were sent, by tensor index; `memory` is what the inputs of the first divergent op held in
    the device's memory just before it ran, by tensor index, where the device lets itself be read.
    """

    right: Trace
    judged: Trace
    before: "Trace | None"
    frame: Array | None
    memory: Mapping[int, Array] = dataclasses.field(default_factory=dict)


@dataclasses.dataclass(frozen=True, eq=False)
class Observed:
    """The first divergent op over all runs: what it was given (the engine's own), what should come out, what did."""

    inputs: tuple[tuple[Array, ...], ...]
    right: tuple[Array, ...]
    judged: tuple[Array, ...]
    held: tuple[Array | None, ...]

    @cached_property
    def apart(self) -> int:
        """How many values differ."""
        return sum(int((a != b).sum()) for a, b in zip(self.right, self.judged, strict=True))

    @cached_property
    def spread(self) -> int:
        """The largest difference in steps."""
        pairs = zip(self.right, self.judged, strict=True)
        return max((int(np.abs(a.astype(np.int64) - b.astype(np.int64)).max()) for a, b in pairs), default=0)


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """A difference that is to be explained.

    Attributes:
        graph: the model.
        reference: runs it (TensorFlow Lite Micro, as a rule).
        seen: the runs.
        op: the first divergent op.
        feedings: how each run's input is made.
        others: other models that the device might run, by name.
        arena_told: bytes of the arena as the device tells them, None where it does not.
    """

    graph: Graph
    reference: Engine
    seen: tuple[Seen, ...]
    op: Op
    feedings: tuple[Feeding, ...]
    others: tuple[tuple[str, Engine], ...] = ()
    arena_told: int | None = None

    @cached_property
    def kernel(self) -> Kernel | None:
        """The first divergent op in NumPy; None where there is none that gives what the reference gives."""
        return self.trusted(self.op)

    def trusted(self, op: Op) -> Kernel | None:
        """An op in NumPy, if it reproduces the reference's own run."""
        made = kernel_of(self.graph, op)
        if made is None:
            return None
        right = self.seen[0].right
        given = tuple(self.tensors(right)[index] for index in self.activations(op))
        return made if np.array_equal(made.run(given), right.step(op.index).output.values) else None

    def activations(self, op: Op) -> tuple[int, ...]:
        """The op's inputs that are not constants, in its order (one twice where it is read twice)."""
        return tuple(i for i in op.inputs if i >= 0 and not self.graph.tensors[i].is_constant)

    def tensors(self, trace: Trace) -> dict[int, Array]:
        """A trace's tensors by tensor index."""
        names = {self.graph.tensors[index].name: index for index in self.graph.inputs}
        found = {names[tensor.name]: tensor.values for tensor in trace.inputs if tensor.name in names}
        for step in trace.steps:
            outputs = zip(self.graph.ops[step.index].outputs, step.outputs, strict=False)
            found |= {index: tensor.values for index, tensor in outputs}
        return found

    @cached_property
    def observed(self) -> Observed:
        """The first divergent op."""
        return self.observe(self.op)

    def observe(self, op: Op) -> Observed:
        """An op with what the engine itself gave it."""
        inputs = tuple(tuple(self.tensors(seen.judged)[index] for index in self.activations(op)) for seen in self.seen)
        return Observed(
            inputs,
            tuple(seen.right.step(op.index).output.values for seen in self.seen),
            tuple(seen.judged.step(op.index).output.values for seen in self.seen),
            tuple(self.held(seen, op) for seen in self.seen),
        )

    @cached_property
    def plan(self) -> memory.Plan | None:
        """Where the built-in engine lays the tensors; None where the model has no plan."""
        try:
            return memory.plan(self.graph)
        except InputError:
            return None

    @cached_property
    def _scratch(self) -> Mapping[int, int]:
        """Bytes of working memory, by op."""
        return {op.index: needs_of(self.graph, op).scratch for op in self.graph.ops}

    def held(self, seen: Seen, op: Op) -> Array | None:
        """What the memory of op's output held before it: the runs' tensors laid out by the plan, one by one."""
        if self.plan is None or op.outputs[0] not in self.plan.offsets:
            return None
        arena = np.zeros(self.plan.arena_bytes, np.uint8)
        known = np.ones(self.plan.arena_bytes, bool)
        for trace, last in ((seen.before, len(self.graph.ops)), (seen.judged, op.index)):
            if trace is not None:
                self._lay(arena, known, trace, last)
        tensor = self.graph.tensors[op.outputs[0]]
        place = slice(self.plan.offsets[op.outputs[0]], self.plan.offsets[op.outputs[0]] + tensor.bytes)
        if known[place].mean() < LEAST_KNOWN:
            return None
        # What kernels left of their working memory is not known: there, what came out is taken.
        came = np.ascontiguousarray(seen.judged.step(op.index).output.values).ravel().view(np.uint8)
        return np.where(known[place], arena[place], came).view(tensor.dtype).reshape(tensor.shape)

    def _lay(self, arena: Array, known: Array, trace: Trace, last: int) -> None:
        """Write a trace's tensors into the arena, those of the ops before `last`."""
        plan, made = self.plan, self.tensors(trace)
        assert plan is not None

        def write(index: int) -> None:
            if index in made:
                raw = np.ascontiguousarray(made[index]).ravel().view(np.uint8)
                place = slice(plan.offsets[index], plan.offsets[index] + raw.size)
                arena[place], known[place] = raw, True

        for index in self.graph.inputs:
            write(index)
        for op in self.graph.ops[:last]:
            if op.index in plan.scratch:
                start = plan.scratch[op.index]
                known[start : start + self._scratch[op.index]] = False
            for index in op.outputs:
                write(index)

    @cached_property
    def _alone(self) -> "_Alone":
        return _Alone(self.graph)

    def run_op(self, op: Op, given: tuple[Array, ...]) -> Array:
        """The op alone on other inputs: in NumPy where that is trusted, else by the reference's kernels."""
        made = self.kernel if op.index == self.op.index else self.trusted(op)
        return (
            self._alone.run(op, dict(zip(self.activations(op), given, strict=True)))
            if made is None
            else made.run(given)
        )


class _Alone:
    """Ops as models of their own, on TensorFlow Lite Micro (LiteRT's reference kernels where that has no wheel)."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph
        self._cut = OneOp(graph)
        self._made: dict[int, Any] = {}

    def run(self, op: Op, given: Mapping[int, Array]) -> Array:
        if op.index not in self._made:
            from firmware_tools import reference

            make = reference.tflm if reference.has_tflm() else reference.litert
            self._made[op.index] = make(self._cut.model(op))
        engine = self._made[op.index]
        named = {self._graph.tensors[index].name: given[index] for index in self._cut.inputs(op)}
        trace: Trace = engine.run(named)
        return trace.steps[0].output.values
