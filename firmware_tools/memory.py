"""The static arena plan: where each activation tensor lies, and from which pause of the run to which its bytes hold.

Time is counted in ops. While op k runs, its inputs, its outputs and its working memory must not overlap. RESHAPE and
its like cost nothing: their output is the input's memory. Where an op may write over an input that nobody reads later
(ADD, RELU), output and input share one place.
"""

import dataclasses
import functools
import random
from collections.abc import Callable, Iterable, Mapping

import numpy as np

from firmware_tools.graph import RENAMES, Array, Graph, Op
from tfviz.errors import InputError

ALIGNMENT = 4
MAX_ARENA = 2**31
# Beyond this many buffers the orders that need many trials are left out, so that planning stays quick.
MANY_BUFFERS = 1000
IMPROVEMENTS = 200


@dataclasses.dataclass(frozen=True)
class Needs:
    """What an op asks of the planner: working memory in bytes, input positions that the output may overwrite."""

    scratch: int = 0
    in_place: tuple[int, ...] = ()


@dataclasses.dataclass(frozen=True, eq=False)
class Plan:
    """Offsets of all activations, by tensor index.

    Attributes:
        tensors: indices of all activations, in the order of their birth: the order of the firmware's table.
        offsets: tensor index -> byte offset in the arena.
        births: tensor index -> first pause at which its bytes hold (pause k lies before op k).
        deaths: tensor index -> last pause at which they do; the number of ops for a model output.
        alias: tensor index -> tensor whose bytes it shares by renaming (itself where none).
        scratch: op index -> offset of its working memory.
        arena_bytes: size of the arena.
        lower_bound: the largest sum of memory that is in use at once: no plan can be smaller.
    """

    tensors: tuple[int, ...]
    offsets: Mapping[int, int]
    births: Mapping[int, int]
    deaths: Mapping[int, int]
    alias: Mapping[int, int]
    scratch: Mapping[int, int]
    arena_bytes: int
    lower_bound: int


@dataclasses.dataclass
class _Buffer:
    """Memory in use from op `start` to op `end`, both included; `end` = number of ops: to the very end."""

    size: int
    start: int
    end: int
    tensors: list[int] = dataclasses.field(default_factory=list)
    scratch_of: int | None = None


def plan(graph: Graph, *, keep_input: bool = False, needs: Callable[[Op], Needs] | None = None) -> Plan:
    """Place every activation of `graph` in one arena.

    Several orders of placing are tried and the smallest arena wins; the search stops at the lower bound.

    Args:
        graph: the model.
        keep_input: keep the inputs' bytes to the end of the run; else their memory is used again.
        needs: what each op asks for; by default what the code generator says.

    Raises:
        InputError: an activation has no whole-byte type, or the arena passes 2 GB.
    """
    if needs is None:
        from firmware_tools.codegen import needs_of

        needs = functools.partial(needs_of, graph)
    asked = [needs(op) for op in graph.ops]
    births, deaths, busy = _lifetimes(graph, keep_input=keep_input)
    alias = _aliases(graph, births)
    best: tuple[list[_Buffer], list[int], int, int] | None = None
    for in_place in (True, False):
        buffers = _buffers(graph, asked, births, busy, alias, in_place=in_place)
        bound = _lower_bound(buffers, len(graph.ops))
        offsets, size = _place(buffers, bound)
        if best is None or size < best[2]:
            best = (buffers, offsets, size, bound)
    assert best is not None
    buffers, offsets, size, bound = best
    if size > MAX_ARENA:
        raise InputError(f"The model's activations need {size:,} bytes at once; at most {MAX_ARENA:,} are possible.")
    return Plan(
        tensors=tuple(births),
        offsets={index: offset for buffer, offset in zip(buffers, offsets, strict=True) for index in buffer.tensors},
        births=births,
        deaths=deaths,
        alias=alias,
        scratch={
            buffer.scratch_of: offset
            for buffer, offset in zip(buffers, offsets, strict=True)
            if buffer.scratch_of is not None
        },
        arena_bytes=size,
        lower_bound=bound,
    )


def _lifetimes(graph: Graph, *, keep_input: bool) -> tuple[dict[int, int], dict[int, int], dict[int, int]]:
    """First and last pause of every activation, in the order of birth, and the last op that must not overwrite it."""
    end = len(graph.ops)
    births = dict.fromkeys(graph.inputs, 0)
    busy = dict.fromkeys(graph.inputs, end if keep_input else 0)
    for op in graph.ops:
        for index in op.inputs:
            if index in busy:
                busy[index] = max(busy[index], op.index)
        for index in op.outputs:
            births[index] = op.index + 1
            busy[index] = op.index
    for index in graph.outputs:
        busy[index] = end
    deaths = {index: max(births[index], busy[index]) for index in births}
    return births, deaths, busy


def _aliases(graph: Graph, births: Mapping[int, int]) -> dict[int, int]:
    """Every activation -> the first tensor whose bytes it shares."""
    alias = {index: index for index in births}
    for op in graph.ops:
        if op.name in RENAMES and op.inputs and op.inputs[0] in alias:
            source, output = op.inputs[0], op.outputs[0]
            if graph.tensors[source].bytes == graph.tensors[output].bytes:
                alias[output] = alias[source]
    return alias


def _aligned(size: int) -> int:
    return -(-size // ALIGNMENT) * ALIGNMENT


def _buffers(
    graph: Graph,
    needs: list[Needs],
    births: Mapping[int, int],
    busy: Mapping[int, int],
    alias: Mapping[int, int],
    *,
    in_place: bool,
) -> list[_Buffer]:
    """One buffer for all tensors that share memory, and one for each op's working memory."""
    of: dict[int, _Buffer] = {}
    for index, birth in births.items():
        start, end = max(birth - 1, 0), busy[index]
        shared = of.get(alias[index])
        if shared is None:
            of[index] = _Buffer(_aligned(graph.tensors[index].bytes), start, end, [index])
        else:
            shared.end = max(shared.end, end)
            shared.tensors.append(index)
            of[index] = shared
    if in_place:
        _share_in_place(graph, needs, of)
    unique = {id(buffer): buffer for buffer in of.values()}
    scratch = [
        _Buffer(_aligned(asked.scratch), op.index, op.index, scratch_of=op.index)
        for op, asked in zip(graph.ops, needs, strict=True)
        if asked.scratch
    ]
    return [*unique.values(), *scratch]


def _share_in_place(graph: Graph, needs: list[Needs], of: dict[int, _Buffer]) -> None:
    """Let outputs take over the buffers of inputs that end with their op."""
    for op, asked in zip(graph.ops, needs, strict=True):
        if len(op.outputs) != 1:
            continue
        output = of[op.outputs[0]]
        for position in asked.in_place:
            source = of.get(op.inputs[position])
            if source is None or source is output or source.end != op.index or source.size != output.size:
                continue
            source.end = output.end
            source.tensors.extend(output.tensors)
            for index in output.tensors:
                of[index] = source
            break


def _lower_bound(buffers: Iterable[_Buffer], n_ops: int) -> int:
    change = np.zeros(n_ops + 2, np.int64)
    for buffer in buffers:
        change[buffer.start] += buffer.size
        change[buffer.end + 1] -= buffer.size
    return int(np.cumsum(change).max())


def _place(buffers: list[_Buffer], bound: int) -> tuple[list[int], int]:
    """Offsets of the buffers and the arena's size: the best of several greedy orders, improved step by step."""
    starts = np.array([buffer.start for buffer in buffers])
    ends = np.array([buffer.end for buffer in buffers])
    sizes = np.array([buffer.size for buffer in buffers], np.int64)
    best: tuple[int, list[int], Array] | None = None
    for order in _orders(buffers):
        offsets = _greedy(order, starts, ends, sizes)
        size = int((offsets + sizes).max())
        if best is None or size < best[0]:
            best = (size, order, offsets)
        if size == bound:
            break
    assert best is not None
    size, order, offsets = best
    if size > bound and len(buffers) <= MANY_BUFFERS:
        size, offsets = _improve(best, bound, starts, ends, sizes)
    return offsets.tolist(), size


def _improve(
    best: tuple[int, list[int], Array], bound: int, starts: Array, ends: Array, sizes: Array
) -> tuple[int, Array]:
    """Whoever reaches the top comes first in the next trial; where that goes round in circles, two change places."""
    chance = random.Random(0)
    size, order, offsets = best
    seen: set[tuple[int, ...]] = set()
    for _ in range(IMPROVEMENTS):
        top = int(np.argmax(offsets + sizes))
        order = [top, *(index for index in order if index != top)]
        if tuple(order) in seen:
            order = list(best[1])
            i, j = chance.randrange(len(order)), chance.randrange(len(order))
            order[i], order[j] = order[j], order[i]
        seen.add(tuple(order))
        offsets = _greedy(order, starts, ends, sizes)
        size = int((offsets + sizes).max())
        if size < best[0]:
            best = (size, order, offsets)
        if size == bound:
            break
    return best[0], best[2]


def _orders(buffers: list[_Buffer]) -> Iterable[list[int]]:
    """Orders of placing: by size, by size times duration, by the op that uses most memory, by time."""
    indices = range(len(buffers))
    yield sorted(indices, key=lambda i: (-buffers[i].size, buffers[i].start))
    if len(buffers) > MANY_BUFFERS:
        return
    yield sorted(indices, key=lambda i: (-buffers[i].size * (1 + buffers[i].end - buffers[i].start), buffers[i].start))
    usage: dict[int, int] = {}
    for buffer in buffers:
        for time in range(buffer.start, buffer.end + 1):
            usage[time] = usage.get(time, 0) + buffer.size
    breadth = [max(usage[time] for time in range(buffer.start, buffer.end + 1)) for buffer in buffers]
    yield sorted(indices, key=lambda i: (-breadth[i], -buffers[i].size))
    yield sorted(indices, key=lambda i: (buffers[i].start, -buffers[i].size))
    yield sorted(indices, key=lambda i: (-(buffers[i].end - buffers[i].start), -buffers[i].size))


def _greedy(order: list[int], starts: Array, ends: Array, sizes: Array) -> Array:
    """Each buffer in its turn goes to the lowest place that is free for its whole life."""
    offsets = np.full(len(order), -1, np.int64)
    for index in order:
        busy = np.flatnonzero((offsets >= 0) & (starts <= ends[index]) & (ends >= starts[index]))
        offset = 0
        for other in busy[np.argsort(offsets[busy], kind="stable")]:
            if offsets[other] - offset >= sizes[index]:
                break
            offset = max(offset, int(offsets[other] + sizes[other]))
        offsets[index] = offset
    return offsets
