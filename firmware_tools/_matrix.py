"""Every pair of several engines over the same images: sums that are added up image by image, and the `Matrix`."""

import dataclasses
import itertools
import math
from collections.abc import Container, Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from firmware_tools import metrics
from firmware_tools._classes import top1
from firmware_tools.metrics import Reals, Steps
from firmware_tools.reference.keras_engine import KerasEngine
from firmware_tools.results import EngineInfo, Matrix, Pair, PairOp
from tfviz.trace import Engine, Step, Tensor, Trace

if TYPE_CHECKING:
    from firmware_tools._run import Run

Layers = Mapping[int, str]


@dataclasses.dataclass(frozen=True)
class Seat:
    """An engine at the table: who it is, its traces of a batch, and which of its ops is which layer of the float model.

    `layers` is None for the float model itself, whose steps are named by layer; `traces` is None where it has died.
    """

    info: EngineInfo
    traces: Sequence[Trace] | None
    layers: Layers | None


def seats(runs: "Sequence[Run]", dead: "Container[Run]") -> list[Seat]:
    """Everybody who ran this batch: the reference, each engine, and the float model where it is neither."""
    alive = next((run for run in runs if run not in dead), runs[0])
    references, _, floats = alive.batch
    layers = next((run.layers for run in runs if run.layers), {})
    found = [_seat("reference", alive.reference.engine, references, layers)]
    found += [
        _seat("engine", run.engine.engine, None if run in dead else run.batch[1], run.layers or layers) for run in runs
    ]
    known = [alive.reference.engine, *(run.engine.engine for run in runs)]
    if alive.float is not None and not any(alive.float.engine is engine for engine in known):
        found.append(_seat("float", alive.float.engine, floats, layers))
    return found


def _seat(role: str, engine: Engine, traces: Sequence[Trace] | None, layers: Mapping[int, str]) -> Seat:
    info = EngineInfo(role, engine.name, engine.kernels, engine.fingerprint)
    return Seat(info, traces, None if isinstance(engine, KerasEngine) else layers)


class Pairs:
    """Adds up every pair; what is compared with what is settled with the first image."""

    def __init__(self) -> None:
        self._infos: list[EngineInfo] = []
        self._sums: dict[tuple[int, int], _PairSums] = {}

    def add(self, seats: Sequence[Seat]) -> None:
        """One batch; the pairs of an engine that has died are dropped."""
        if not self._infos:
            self._infos = [seat.info for seat in seats]
            numbers = itertools.combinations(range(len(seats)), 2)
            self._sums = {(i, j): _PairSums() for i, j in numbers}
        for i, j in list(self._sums):
            first, second = seats[i], seats[j]
            if first.traces is None or second.traces is None:
                del self._sums[i, j]
                continue
            for a, b in zip(first.traces, second.traces, strict=True):
                self._sums[i, j].add(_partners(a, first.layers, b, second.layers), top1(a), top1(b))

    def result(self) -> Matrix:
        """What was found."""
        return Matrix(tuple(self._infos), tuple(sums.result(i, j) for (i, j), sums in self._sums.items()))


@dataclasses.dataclass(frozen=True)
class _Partners:
    index: int
    name: str
    first: Tensor
    second: Tensor


def _partners(a: Trace, layers_a: Layers | None, b: Trace, layers_b: Layers | None) -> list[_Partners]:
    """Steps of two traces that show the same tensor: by op where both run the same ops, else by layer."""
    if layers_a is not None and layers_b is not None and _table(a) == _table(b):
        return [
            _Partners(x.index, layers_a.get(x.index, x.name), x.output, y.output)
            for x, y in zip(a.steps, b.steps, strict=True)
        ]
    mine, theirs = _by_layer(a, layers_a), _by_layer(b, layers_b)
    numbered = theirs if layers_a is None else mine  # ops are numbered by a .tflite where there is one
    return [
        _Partners(numbered[layer].index, layer, mine[layer].output, theirs[layer].output)
        for layer in mine
        if layer in theirs
    ]


def _table(trace: Trace) -> list[tuple[str, tuple[int, ...]]]:
    return [(step.op, step.output.values.shape) for step in trace.steps]


def _by_layer(trace: Trace, layers: Layers | None) -> dict[str, Step]:
    if layers is None:
        return {step.name: step for step in trace.steps}
    return {layers[step.index]: step for step in trace.steps if step.index in layers}


class _PairSums:
    """The sums of one pair."""

    def __init__(self) -> None:
        self._steps: dict[int, Steps] = {}
        self._reals: dict[int, Reals] = {}
        self._names: dict[int, str] = {}
        self._images = self._named = self._agreed = 0

    def add(self, partners: Sequence[_Partners], first: int | None, second: int | None) -> None:
        """One image of both, and the classes that they name."""
        for pair in partners:
            self._names[pair.index] = pair.name
            a, b = pair.first, pair.second
            if np.issubdtype(a.values.dtype, np.integer) and _same_numbers(a, b):
                sums = self._steps.get(pair.index, Steps())
                self._steps[pair.index] = metrics.add_steps(sums, a.values, b.values, self._images)
            x, y = a.real.ravel(), b.real.ravel()
            self._reals[pair.index] = metrics.add_reals(self._reals.get(pair.index, Reals()), x, y)
        self._images += 1
        if first is not None and second is not None:
            self._named += 1
            self._agreed += first == second

    def result(self, first: int, second: int) -> Pair:
        """What was found."""
        ops = tuple(self._op(index) for index in sorted(self._names))
        apart = [op for op in ops if op.max_lsb != 0 and op.sqnr_db != math.inf]
        worst = max(apart, key=_badness, default=None)
        in_lsb = [op.max_lsb for op in ops if op.max_lsb is not None]
        decibels = [op.sqnr_db for op in ops if op.sqnr_db is not None]
        return Pair(
            first=first,
            second=second,
            ops=ops,
            exact_ops=len(ops) - len(apart),
            first_divergent=apart[0].index if apart else None,
            worst=None if worst is None else worst.index,
            max_lsb=max(in_lsb, default=None),
            sqnr_db=min(decibels, default=None, key=lambda value: -math.inf if math.isnan(value) else value),
            top1_agreement=self._agreed / self._named if self._named else None,
        )

    def _op(self, index: int) -> PairOp:
        steps = self._steps.get(index)
        return PairOp(
            index=index,
            name=self._names[index],
            exact_share=None if steps is None else steps.exact_share,
            max_lsb=None if steps is None else steps.worst,
            sqnr_db=self._reals[index].sqnr_db,
        )


def _same_numbers(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors hold integers of one meaning, so that they can be told apart in LSB."""
    same = (a.scale, a.zero_point, a.values.shape) == (b.scale, b.zero_point, b.values.shape)
    return same and a.values.dtype == b.values.dtype


def _badness(op: PairOp) -> tuple[float, float]:
    sqnr = -math.inf if op.sqnr_db is None or math.isnan(op.sqnr_db) else op.sqnr_db
    return op.max_lsb or 0, -sqnr
