"""Hypotheses about the device's memory: stale tensors, buffers that overlap, an arena that is too small."""

from collections.abc import Iterator
from typing import Any

import numpy as np
import numpy.typing as npt

from firmware_tools._diagnose.case import Case, Seen
from firmware_tools._diagnose.registry import about_memory
from firmware_tools.graph import RENAMES

Array = npt.NDArray[Any]
Replays = Iterator[tuple[str, tuple[Array, ...]]]
ALIGNMENTS = (16, 8, 4)
MOST_TRIED = 400


@about_memory("stale tensor, the previous run's", fix="Look why this op did not run, or ran on an old buffer.")
def stale(case: Case) -> Replays:
    """The op's output, or one of its inputs, is that of the run before; or the output's memory was never written."""
    befores = [seen.before for seen in case.seen]
    if any(before is None or len(before.steps) <= case.op.index for before in befores):
        return
    index = case.op.index
    yield (
        f"the output of op {index} is that of the run before",
        tuple(before.step(index).output.values for before in befores if before is not None),
    )
    held = case.observed.held
    if all(one is not None for one in held):
        yield f"op {index} wrote nothing: its memory kept what it held", tuple(one for one in held if one is not None)
    for position, tensor in enumerate(case.activations(case.op)):
        made = []
        for given, before in zip(case.observed.inputs, befores, strict=True):
            assert before is not None
            old = list(given)
            old[position] = case.tensors(before)[tensor]
            made.append(case.run_op(case.op, tuple(old)))
        yield f"op {index} read {_named(case, tensor)} of the run before", tuple(made)


@about_memory(
    "two buffers overlap in the arena",
    fix="Plan the arena again: two tensors that live at the same time share bytes (check lifetimes and sizes).",
)
def overlapping(case: Case) -> Replays:
    """Bytes of an input of the op were written over by another tensor, made after it and before the op.

    Where the device's memory can be read just before the op, what lies there is looked for in the other tensors; else
    both ends and every aligned place are tried.
    """
    for tensor in dict.fromkeys(case.activations(case.op)):
        for other in _later(case, tensor):
            for start in _starts(case, tensor, other):
                detail = (
                    f"{_named(case, other)} was written over {_named(case, tensor)}, from byte {max(start, 0)} of it on"
                )
                yield detail, tuple(_replayed(case, seen, tensor, other, start) for seen in case.seen)


@about_memory(
    "arena too small",
    fix="Give the arena the bytes that the plan asks for; what lies behind it is somebody else's memory.",
)
def too_small(case: Case) -> Replays:
    """Bytes at the end of the arena are changed by others: the op on its inputs as they lay in memory; or its own tail.

    Only where the bytes that changed reach from one place of the arena to its end.
    """
    plan = case.plan
    if plan is None:
        return
    changed = [place for seen in case.seen for place in _changed_places(case, seen)]
    if changed and min(changed) >= _end_begins(case):
        yield f"its end is overwritten by others; {_missing(case)}", tuple(_as_it_lay(case, seen) for seen in case.seen)
    yield from _own_tail(case)


@about_memory(
    "memory overwritten from outside",
    fix="Look for a stack that grows into the arena, a DMA buffer or an interrupt that writes there.",
)
def overwritten(case: Case) -> Replays:
    """The op on its inputs as they lay in memory just before it, changed by nobody in the graph."""
    if any(_changed_places(case, seen) for seen in case.seen):
        names = {_named(case, index) for seen in case.seen for index in _changed(case, seen)}
        yield (
            f"{', '.join(sorted(names))} changed before op {case.op.index}",
            tuple(_as_it_lay(case, seen) for seen in case.seen),
        )


def _named(case: Case, tensor: int) -> str:
    """A tensor in words."""
    maker = next((op for op in case.graph.ops if tensor in op.outputs), None)
    return "the input" if maker is None else f"the output of op {maker.index} ({maker.layer})"


def _root(case: Case, tensor: int) -> int:
    """The tensor whose bytes it shares by renaming."""
    return tensor if case.plan is None else case.plan.alias.get(tensor, tensor)


def _later(case: Case, tensor: int) -> list[int]:
    """Tensors made after `tensor` and before the op, with bytes of their own; the nearest first."""
    birth = next((op.index for op in case.graph.ops if tensor in op.outputs), -1)
    between = case.graph.ops[birth + 1 : case.op.index]
    return [op.outputs[0] for op in reversed(between) if op.name not in RENAMES]


def _bytes(values: Array) -> Array:
    return np.ascontiguousarray(values).ravel().view(np.uint8)


def _changed(case: Case, seen: Seen) -> dict[int, Array]:
    """Inputs of the op that lay otherwise in memory than they were left: positions of their bytes that changed."""
    left = case.tensors(seen.judged)
    found = {index: np.flatnonzero(_bytes(now) != _bytes(left[index])) for index, now in seen.memory.items()}
    return {index: places for index, places in found.items() if places.size}


def _changed_places(case: Case, seen: Seen) -> list[int]:
    """The same as places in the arena."""
    if case.plan is None:
        return []
    return [case.plan.offsets[index] + int(at) for index, places in _changed(case, seen).items() for at in places]


def _as_it_lay(case: Case, seen: Seen) -> Array:
    left = case.tensors(seen.judged) | dict(seen.memory)
    return case.run_op(case.op, tuple(left[index] for index in case.activations(case.op)))


def _end_begins(case: Case) -> int:
    """From which place of the arena on bytes may be others': the size that the device tells, else near its end."""
    assert case.plan is not None
    size = case.plan.arena_bytes
    if case.arena_told is not None and 0 < case.arena_told < size:
        return case.arena_told
    return size - max(256, size // 8)


def _missing(case: Case) -> str:
    """What the device tells of its arena."""
    assert case.plan is not None
    if case.arena_told is not None and 0 < case.arena_told < case.plan.arena_bytes:
        return f"the device has {case.arena_told:,} bytes, the plan asks {case.plan.arena_bytes:,}"
    return f"the plan asks {case.plan.arena_bytes:,} bytes"


def _own_tail(case: Case) -> Replays:
    """The op's own output is right but for its last bytes, which lie at the arena's end."""
    plan, output = case.plan, case.op.outputs[0]
    assert plan is not None
    pairs = list(zip(case.observed.right, case.observed.judged, strict=True))
    places = np.concatenate([np.flatnonzero(_bytes(a) != _bytes(b)) for a, b in pairs])
    if not places.size or plan.offsets[output] + int(places.min()) < _end_begins(case):
        return
    first = int(places.min())
    made = [np.concatenate([_bytes(a)[:first], _bytes(b)[first:]]) for a, b in pairs]
    detail = f"the output of op {case.op.index} is right but for its end; {_missing(case)}"
    yield detail, tuple(m.view(a.dtype).reshape(a.shape) for m, (a, _) in zip(made, pairs, strict=True))


def _starts(case: Case, tensor: int, other: int) -> list[int]:
    """Where `other` may begin, counted from the first byte of `tensor`."""
    size, length = (case.graph.tensors[index].bytes for index in (tensor, other))
    read = [seen for seen in case.seen if tensor in seen.memory]
    if read:
        return _found(case, read[0], tensor, other)
    if case.plan is None:
        return []
    step = next(
        (step for step in ALIGNMENTS if (size + length) // step <= MOST_TRIED),
        max(4, (size + length) // MOST_TRIED // 4 * 4),
    )
    return list(range(-length + step, size, step))


def _found(case: Case, seen: Seen, tensor: int, other: int) -> list[int]:
    """Where `other`'s bytes lie in what memory held of `tensor`, by the bytes that changed."""
    places = _changed(case, seen).get(tensor)
    if places is None:
        return []
    now, pattern = _bytes(seen.memory[tensor]), _bytes(case.tensors(seen.judged)[other])
    starts = []
    for start in range(int(places.max()) - len(pattern) + 1, int(places.min()) + 1):
        low, high = max(start, 0), min(start + len(pattern), len(now))
        if high > int(places.max()) and np.array_equal(now[low:high], pattern[low - start : high - start]):
            starts.append(start)
    return starts[:4]


def _replayed(case: Case, seen: Seen, tensor: int, other: int, start: int) -> Array:
    """The op with `other`'s bytes laid over its input `tensor`."""
    left = case.tensors(seen.judged)
    raw, over = _bytes(left[tensor]).copy(), _bytes(left[other])
    low, high = max(start, 0), min(start + len(over), len(raw))
    raw[low:high] = over[low - start : high - start]
    left[tensor] = raw.view(left[tensor].dtype).reshape(left[tensor].shape)
    return case.run_op(case.op, tuple(left[index] for index in case.activations(case.op)))
