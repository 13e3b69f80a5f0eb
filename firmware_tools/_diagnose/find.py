"""The way from two engines to a `Diagnosis`: run both, find the first divergent op, ask the hypotheses, say it."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools._diagnose.case import Case, Seen
from firmware_tools._diagnose.feeding import Feeding
from firmware_tools._diagnose.judge import NAMED, answers, changed_input, restored_ops
from firmware_tools._diagnose.kernel import WINDOWED
from firmware_tools.engines import TraceEngine
from firmware_tools.graph import Graph, Op
from firmware_tools.quantize import model_input, quantization
from firmware_tools.results import Answer, Diagnosis
from tfviz.errors import InputError
from tfviz.preprocess import Preprocess
from tfviz.trace import Engine, Trace

Array = npt.NDArray[Any]
RUNS = 8
REPLAYED = 3
"""Runs on which hypotheses are replayed; of a dense layer, which has few values, all of them."""


def diagnose(
    reference: Engine,
    engine: Engine,
    images: Array,
    *,
    preprocess: Preprocess | None = None,
    others: Mapping[str, Engine] | None = None,
) -> Diagnosis | None:
    """Find out why `engine` differs from `reference`.

    Both run the first images once more (the engine once before that, so that what a run leaves behind is known). The
    first op that differs is found, and every hypothesis is replayed on it: on the engine's own inputs of that op, or on
    the model's input as the hypothesis would have made it.

    Args:
        reference: what is right; it runs the same `.tflite`.
        engine: what is judged; a device that lets itself be read is also asked what lay in its memory.
        images: `(B, H, W, C)`, uint8 pixels of any size or the model's own integers: those that differ, as a rule.
        preprocess: what the model expects of pixels; None: as they are.
        others: other models that the engine might be running, by name.

    Returns:
        What was found, or None where both give the same.

    Raises:
        InputError: no engine tells its model, or the model is not of integers.
        LinkError: a device went silent.
    """
    graph = _graph(reference, engine)
    if len(graph.inputs) != 1:
        raise InputError(f"The model has {len(graph.inputs)} inputs; a diagnosis follows one.")
    tensor = graph.tensors[graph.inputs[0]]
    inputs = [
        model_input(images[i : i + 1], tensor, preprocess=preprocess).reshape(tensor.shape)
        for i in range(min(len(images), RUNS))
    ]
    frames = [images[i] if images.dtype == np.uint8 and images.ndim == 4 else None for i in range(len(inputs))]
    runs = _runs(reference, engine, tensor.name, inputs, frames)
    first = _first(graph, runs)
    if first is None:
        return None
    op = graph.ops[first]
    runs = [seen for seen in runs if not _same_outputs(seen, first)] or runs
    runs = _with_memory(engine, runs if op.name == "FULLY_CONNECTED" else runs[:REPLAYED], op)
    case = Case(
        graph,
        reference,
        tuple(runs),
        op,
        _feedings(graph, runs, op, preprocess, others or {}),
        tuple((others or {}).items()),
        getattr(getattr(engine, "hello", None), "arena_bytes", None),
    )
    return _said(case, answers(case), engine)


def _graph(reference: Engine, engine: Engine) -> Graph:
    for one in (reference, engine):
        found = getattr(one, "graph", None)
        if isinstance(found, Graph):
            return found
    raise InputError("Neither engine tells its model, so that nothing can be replayed.")


def _runs(
    reference: Engine, engine: Engine, name: str, inputs: Sequence[Array], frames: Sequence[Array | None]
) -> list[Seen]:
    """Each input on both engines; the engine runs another input first, which then is "the run before"."""
    before: Trace | None = None
    if not isinstance(engine, TraceEngine):
        before = engine.run({name: np.ascontiguousarray(np.flip(inputs[0]))})
    seen = []
    for values, frame in zip(inputs, frames, strict=True):
        right = reference.run({name: values})
        judged = engine.run({name: values}, reference=right)
        seen.append(Seen(right, judged, before, frame))
        before = judged
    return seen


def _first(graph: Graph, runs: Sequence[Seen]) -> int | None:
    """The first op whose output differs in any run."""
    for op in graph.ops:
        if any(not _same_outputs(seen, op.index) for seen in runs):
            return op.index
    return None


def _same_outputs(seen: Seen, index: int) -> bool:
    if len(seen.judged.steps) <= index or len(seen.right.steps) <= index:
        return True
    pairs = zip(seen.right.step(index).outputs, seen.judged.step(index).outputs, strict=True)
    return all(np.array_equal(a.values, b.values) for a, b in pairs)


def _with_memory(engine: Engine, runs: Sequence[Seen], op: Op) -> list[Seen]:
    """What the op's inputs held just before it, where the device can be read then."""
    peek = getattr(engine, "peek", None)
    if peek is None:
        return list(runs)
    read = [peek({t.name: t.values for t in seen.judged.inputs}, op.index) for seen in runs]
    return [dataclasses.replace(seen, memory=held) for seen, held in zip(runs, read, strict=True)]


def _feedings(
    graph: Graph, runs: Sequence[Seen], op: Op, preprocess: Preprocess | None, others: Mapping[str, Engine]
) -> tuple[Feeding, ...]:
    tensor = graph.tensors[graph.inputs[0]]
    scales = []
    for name, other in others.items():
        given = getattr(other, "graph", None)
        if isinstance(given, Graph):
            scale, zero_point = quantization(given.tensors[given.inputs[0]])
            if scale is not None:
                scales.append((name, scale, zero_point))
    return tuple(
        Feeding(
            frame=seen.frame,
            integers=seen.right.inputs[0].values,
            tensor=tensor,
            preprocess=preprocess,
            previous=None if seen.before is None else seen.before.inputs[0].values,
            suspect=_suspect(graph, seen, op),
            others=tuple(scales),
        )
        for seen in runs
    )


def _suspect(graph: Graph, seen: Seen, op: Op) -> tuple[int, int] | None:
    """Between which bytes of the input the first difference begins: the rows under the op's first wrong row."""
    tensor = graph.tensors[graph.inputs[0]]
    if op.name not in WINDOWED or op.inputs[0] != graph.inputs[0] or _same_outputs(seen, op.index):
        return None
    right, judged = seen.right.step(op.index).output.values, seen.judged.step(op.index).output.values
    row = int(np.nonzero((right != judged).any(axis=(0, 2, 3)))[0][0])
    from firmware_tools._diagnose.kernel import kernel_of

    kernel = kernel_of(graph, op)
    if kernel is None:
        return None
    s = kernel.shape
    top = row * s["stride_height"] - s["pad_top"]
    row_bytes = tensor.bytes // tensor.shape[1]
    bottom = top + (s["filter_height"] - 1) * s.get("dilation_height", 1) + 1
    return max(0, top) * row_bytes, min(tensor.shape[1], bottom) * row_bytes


def _said(case: Case, found: Sequence[Answer], engine: Engine) -> Diagnosis:
    """The answers in words."""
    seen, op = case.observed, case.op
    size = sum(values.size for values in seen.right)
    what = f"op {op.index} ({op.name}, layer '{op.layer}')"
    evidence = [
        f"The first op that differs is {what}: {seen.apart:,} of {size:,} values over {len(case.seen)} "
        f"run{'s' * (len(case.seen) > 1)}, by at most {seen.spread} LSB.",
        _memory_line(case),
    ]
    named = next((answer for answer in found if answer.share_restored >= NAMED), None)
    if named is not None:
        evidence.append(_restored_line(case, named))
    evidence += [
        f"{answer.hypothesis}{_detail(answer)}: explains {_percent(answer.share_restored)} of the values."
        for answer in found
        if answer is not named
    ]
    evidence = [line for line in evidence if line]
    if named is None:
        return Diagnosis(
            cause=f"unknown: no hypothesis restores equality in {what} of {engine.name}",
            hypothesis=None,
            op=op.index,
            share_restored=found[0].share_restored if found else 0.0,
            what_to_do="Look at this op first: its inputs are right and its output is not.",
            evidence=tuple(evidence),
            answers=tuple(found),
        )
    many = "all" if named.share_restored == 1 else _percent(named.share_restored) + " of the"
    return Diagnosis(
        cause=f"{named.hypothesis}{_detail(named)}: replayed, it restores {many} {seen.apart:,} values that differ in "
        f"{what}",
        hypothesis=named.hypothesis,
        op=op.index,
        share_restored=named.share_restored,
        what_to_do=named.what_to_do,
        evidence=tuple(evidence),
        answers=tuple(found),
    )


def _detail(answer: Answer) -> str:
    return f" ({answer.detail})" if answer.detail else ""


def _percent(share: float) -> str:
    return f"{min(100 * share, 99.9 if share < 1 else 100):.3g} %"


def _memory_line(case: Case) -> str:
    """What reading the device's memory told."""
    if not any(seen.memory for seen in case.seen):
        return ""
    left = [(case.tensors(seen.judged), seen.memory) for seen in case.seen]
    changed = any((now != made[index]).any() for made, held in left for index, now in held.items())
    if changed:
        return "Read from the device just before the op, its inputs are not what was left there."
    return "Read from the device just before the op, its inputs are as they were left."


def _restored_line(case: Case, named: Answer) -> str:
    """How far the answer carries beyond the first op."""
    rule = f"{named.explanation} " if named.explanation else ""
    alike = "" if not named.alike else f" {named.alike} other form{'s' * (named.alike > 1)} would restore as much."
    if named.family in ("input", "transfer"):
        values = changed_input(case, named.hypothesis, named.detail)
        name = case.graph.tensors[case.graph.inputs[0]].name
        again = case.reference.run({name: values})
        same = sum(
            np.array_equal(a.output.values, b.output.values)
            for a, b in zip(again.steps, case.seen[0].judged.steps, strict=False)
        )
        return f"{rule}The reference, given such an input, agrees in {same} of {len(again.steps)} ops.{alike}"
    if named.family == "kernel":
        restored, wrong = restored_ops(case, named.hypothesis, named.detail)
        return f"{rule}It restores {restored} of the {wrong} ops of its kind that err on their own inputs.{alike}"
    return f"{rule}{alike}".strip()
