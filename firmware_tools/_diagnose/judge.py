"""Hypotheses against what was seen: each is replayed, and counts for as much as it restores.

    share = 1 - (values that the replay gets wrong) / (values that differ without it)

1 is equality; a replay that spoils what was right loses by it.
"""

import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools._diagnose.case import Case, Observed
from firmware_tools._diagnose.feeding import Feeding
from firmware_tools._diagnose.kernel import Kernel
from firmware_tools._diagnose.registry import Hypothesis, known
from firmware_tools.results import Answer

Array = npt.NDArray[Any]
NAMED = 0.9
"""Share from which on a hypothesis is called the cause; below it is evidence."""
WORTH = 0.5
"""Share on the first run from which on the others are replayed too."""
SHOWN = 5
FINALISTS = 8
"""Replays of an input that explain the first run best and are tried on the others."""


def share_restored(right: Sequence[Array], judged: Sequence[Array], replayed: Sequence[Array]) -> float:
    """How much of the difference between `right` and `judged` the replay explains, 0..1.

    >>> share_restored([np.array([1, 2, 3, 4])], [np.array([1, 2, 5, 6])], [np.array([1, 2, 5, 4])])
    0.5
    """
    apart = sum(int((a != b).sum()) for a, b in zip(right, judged, strict=True))
    wrong = sum(int((a != b).sum()) for a, b in zip(replayed, judged, strict=True))
    return max(0.0, 1 - wrong / apart) if apart else 0.0


def answers(case: Case) -> list[Answer]:
    """The hypotheses that explain something, the best first."""
    found = []
    for hypothesis in known():
        best = _best(hypothesis, _scored(case, hypothesis))
        if best is not None:
            found.append(best)
            if best.share_restored == 1:  # what follows in the order could be no better
                break
    return _ranked(found)


def input_answers(feedings: Sequence[Feeding]) -> list[Answer]:
    """The hypotheses about inputs that can be read (CAPTURE), the best first."""
    right = [one.integers for one in feedings]
    judged = [one.seen for one in feedings if one.seen is not None]
    found = []
    for hypothesis in known():
        if hypothesis.family not in ("input", "transfer"):
            continue
        best = _best(hypothesis, _of_inputs(hypothesis, feedings, right, judged, np.asarray))
        if best is not None:
            found.append(best)
            if best.share_restored == 1:
                break
    return _ranked(found)


def _ranked(found: list[Answer]) -> list[Answer]:
    return sorted(found, key=lambda answer: -answer.share_restored)[:SHOWN]


def _best(hypothesis: Hypothesis, scored: Iterator[tuple[str, float]]) -> Answer | None:
    """The best of a hypothesis's replays; how many others restore as much is told."""
    best, share, alike = "", 0.0, 0
    for detail, restored in scored:
        if restored > share:
            best, share, alike = detail, restored, 0
        elif restored == share == 1:
            alike += 1
    if share < 0.01:
        return None
    return Answer(hypothesis.name, hypothesis.family, best, share, hypothesis.fix, hypothesis.explanation, alike)


def _scored(case: Case, hypothesis: Hypothesis) -> Iterator[tuple[str, float]]:
    """(detail, share) of each replay of a hypothesis."""
    seen = case.observed
    if hypothesis.family in ("input", "transfer"):
        if not set(case.activations(case.op)) & set(case.graph.inputs) or len(case.graph.inputs) != 1:
            return
        yield from _of_inputs(hypothesis, case.feedings, seen.right, seen.judged, functools.partial(_replayed, case))
    elif hypothesis.ops:
        kernel = case.kernel
        if kernel is None or case.op.name not in hypothesis.ops:
            return
        for detail, changed in hypothesis.replays(kernel, seen):
            runs = zip(seen.inputs, seen.held, strict=True)
            share = _lazily(seen.right, seen.judged, [functools.partial(changed.run, x, held) for x, held in runs])
            if changed.drop is not None and share < 1:  # memory that was cleared before
                cleared = [functools.partial(changed.run, x) for x in seen.inputs]
                share = max(share, _lazily(seen.right, seen.judged, cleared))
            yield detail, share
    else:
        for detail, outputs in hypothesis.replays(case):
            yield detail, share_restored(seen.right, seen.judged, outputs)


def _lazily(right: Sequence[Array], judged: Sequence[Array], runs: Sequence[Callable[[], Array]]) -> float:
    """The share over all runs; where the first ones explain little, the others are not made."""
    made: list[Array] = []
    share = 0.0
    for run in runs:
        made.append(run())
        count = len(made)
        share = share_restored(right[:count], judged[:count], made)
        if share < WORTH and count < len(runs) and (right[count - 1] != judged[count - 1]).any():
            return share
    return share


def _of_inputs(
    hypothesis: Hypothesis,
    feedings: Sequence[Feeding],
    right: Sequence[Array],
    judged: Sequence[Array],
    replayed: Callable[[Array], Array],
) -> Iterator[tuple[str, float]]:
    """(detail, share) of each replay of a hypothesis about inputs.

    All are tried on the first run; the best of them on the others too.
    """
    tried = [
        (share_restored(right[:1], judged[:1], [replayed(made)]), detail)
        for detail, made in hypothesis.replays(feedings[0])
    ]
    best = sorted(tried, key=lambda one: -one[0])[:FINALISTS]
    others = [dataclasses.replace(one, suspect=feedings[0].suspect) for one in feedings]
    for share, detail in best:
        if share < WORTH or len(feedings) == 1:
            yield detail, share
            continue
        runs = [functools.partial(_again, hypothesis, one, detail, replayed) for one in others]
        yield detail, _lazily(right, judged, runs)


def _again(hypothesis: Hypothesis, feeding: Feeding, detail: str, replayed: Callable[[Array], Array]) -> Array:
    return replayed(_same(hypothesis, feeding, detail))


def _same(hypothesis: Hypothesis, feeding: Feeding, detail: str) -> Array:
    """The replay of this name; the right input where this run has none."""
    return next((made for name, made in hypothesis.replays(feeding) if name == detail), feeding.integers)


def _replayed(case: Case, values: Array) -> Array:
    """The first divergent op's output where the model is given these values."""
    if case.activations(case.op) == case.graph.inputs:
        return case.run_op(case.op, (values,))
    name = case.graph.tensors[case.graph.inputs[0]].name
    return case.reference.run({name: values}).step(case.op.index).output.values


def restored_ops(case: Case, hypothesis: str, detail: str) -> tuple[int, int]:
    """(ops that a kernel's fault restores, ops that err by themselves): each op on the engine's own inputs."""
    rule = next(one for one in known() if one.name == hypothesis)
    restored = wrong = 0
    for op in case.graph.ops[case.op.index :]:
        kernel = case.trusted(op)
        if kernel is None or op.name not in rule.ops:
            continue
        seen = case.observe(op)
        if all(np.array_equal(kernel.run(x), y) for x, y in zip(seen.inputs, seen.judged, strict=True)):
            continue
        wrong += 1
        restored += any(_equal(changed, seen) for name, changed in rule.replays(kernel, seen) if name == detail)
    return restored, wrong


def _equal(kernel: Kernel, seen: Observed) -> bool:
    runs = zip(seen.inputs, seen.judged, seen.held, strict=True)
    return all(np.array_equal(kernel.run(x, h), y) or np.array_equal(kernel.run(x), y) for x, y, h in runs)


def changed_input(case: Case, hypothesis: str, detail: str) -> Array:
    """The first run's input as a hypothesis would make it."""
    rule = next(one for one in known() if one.name == hypothesis)
    return _same(rule, case.feedings[0], detail)


__all__ = ["NAMED", "answers", "changed_input", "input_answers", "restored_ops", "share_restored"]
