"""What each layer loses: sums over images, in one pass of bounded memory."""

import dataclasses
import math
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firmware_tools import metrics
from firmware_tools._feed import Feed
from firmware_tools._replay import Replay
from firmware_tools.advice.records import LayerLoss
from firmware_tools.align import align
from firmware_tools.metrics import Reals
from firmware_tools.pictures import Expectation
from firmware_tools.reference import DesktopEngine, KerasEngine
from tfviz.errors import InputError
from tfviz.trace import Tensor, Trace

if TYPE_CHECKING:
    from tfviz.data import Dataset

Array = npt.NDArray[Any]
CHUNK = 8
# Channels are outliers when they are few and all others would fit into a third of the range: 10 dB for those.
OUTLIER_RATIO = 3.0
FEW = 8  # one channel in so many
Range = tuple[float, float]


@dataclasses.dataclass(frozen=True)
class Seen:
    """What a layer gave over images: smallest and largest value, and the largest absolute one of each channel."""

    low: float
    high: float
    largest: Array


def losses(
    float_engine: KerasEngine,
    engine: DesktopEngine,
    images: "Dataset",
    expected: Expectation,
    calibrated: Mapping[str, Seen],
) -> tuple[LayerLoss, ...]:
    """Every op that is a layer, without causes.

    Raises:
        InputError: no op of the `.tflite` is a layer of the model, or there are no images.
    """
    tensor = engine.graph.tensors[engine.graph.inputs[0]]
    floats, integers = Feed(float_engine, expected, tensor), Feed(engine, expected, tensor)
    layers: Mapping[int, str] = {}
    sums: dict[int, _Sums] = {}
    for batch in images.batches(CHUNK):
        wanted = tuple(dict.fromkeys(layers.values())) or None
        real = list(floats.runs(batch.images, read=True, layers=wanted))
        made = list(integers.runs(batch.images, read=True))
        layers = layers or align(made, real, graph=engine.graph).layers
        if not layers:
            raise InputError(
                "No op of the .tflite gives the tensor of a layer: it was made from another model, or "
                "calibrated so that its ranges cut nearly everything."
            )
        _add(sums, Replay(engine.graph, made), layers, real, made)
    if not sums:
        raise InputError("There are no images to judge the layers on.")
    return tuple(
        sums[index].result(layers[index], calibrated.get(layers[index]), engine.graph.ops[index].name)
        for index in sorted(sums)
    )


def seen(float_engine: KerasEngine, images: "Dataset", expected: Expectation) -> dict[str, Seen]:
    """The ranges of all layers over images, by address."""
    feed = Feed(float_engine, expected)
    found: dict[str, Seen] = {}
    for batch in images.batches(CHUNK):
        for trace in feed.runs(batch.images, read=True):
            for step in trace.steps:
                values = step.output.values
                largest = np.abs(values.reshape(-1, values.shape[-1])).max(axis=0)
                before = found.get(step.name, Seen(math.inf, -math.inf, largest))
                found[step.name] = Seen(
                    min(before.low, float(values.min())),
                    max(before.high, float(values.max())),
                    np.maximum(before.largest, largest),
                )
    return found


def _add(
    sums: "dict[int, _Sums]", replay: Replay, layers: Mapping[int, str], real: Sequence[Trace], made: Sequence[Trace]
) -> None:
    steps = [{step.name: step.output for step in trace.steps} for trace in real]
    for position, step in enumerate(made[0].steps):
        alone = replay.run(step.index)
        if step.index in layers:
            right = [outputs[layers[step.index]].values for outputs in steps]
            own = sums.setdefault(step.index, _Sums(step.index, step.output))
            for x, local, trace in zip(right, alone, made, strict=True):
                own.add(x, local, trace.steps[position].output)
            replay.put(step.index, right)
        replay.forget(step.index)


class _Sums:
    """Sums of one op."""

    def __init__(self, index: int, output: Tensor) -> None:
        self.index = index
        self.scale = output.scale
        channels = output.values.shape[-1]
        self.limits = _limits(output)
        self.free, self.own = Reals(), Reals()
        self.values = self.clipped = 0
        self.low, self.high = math.inf, -math.inf
        self.largest, self.error2, self.x2 = (np.zeros(channels) for _ in range(3))

    def add(self, x: Array, alone: Tensor, free: Tensor) -> None:
        """One image: the float layer, the op on the float model's tensors, the op in the run."""
        x = x.reshape(free.values.shape).astype(np.float64)
        self.free = metrics.add_reals(self.free, x, free.real)
        self.own = metrics.add_reals(self.own, x, alone.real)
        self.values += x.size
        self.low, self.high = min(self.low, float(x.min())), max(self.high, float(x.max()))
        if self.limits is not None and self.scale is not None:
            beyond = (x < self.limits[0] - self.scale / 2) | (x > self.limits[1] + self.scale / 2)
            self.clipped += int(beyond.sum())
        rows = x.reshape(-1, len(self.largest))
        error = alone.real.astype(np.float64).reshape(rows.shape) - rows
        self.largest = np.maximum(self.largest, np.abs(rows).max(axis=0))
        self.error2 += np.einsum("nc,nc->c", error, error)
        self.x2 += np.einsum("nc,nc->c", rows, rows)

    def result(self, layer: str, calibrated: Seen | None, op: str) -> LayerLoss:
        """What was found; the cause is said elsewhere."""
        outliers, ratio = outlying(self.largest)
        alive = (self.x2 > 0) & (self.error2 > 0)
        decibels = 10 * np.log10(self.x2[alive] / self.error2[alive])
        rms = math.sqrt(self.own.x2 / self.values)
        return LayerLoss(
            index=self.index,
            op=op,
            layer=layer,
            sqnr_db=self.free.sqnr_db,
            own_sqnr_db=self.own.sqnr_db,
            channel_sqnr_db=float(np.median(decibels)) if decibels.size else self.own.sqnr_db,
            clipped_share=self.clipped / self.values,
            limits=self.limits,
            seen=(self.low, self.high),
            calibrated=None if calibrated is None else (calibrated.low, calibrated.high),
            rms_steps=rms / self.scale if self.scale else None,
            outlier_channels=outliers,
            outlier_ratio=ratio,
        )


def _limits(output: Tensor) -> Range | None:
    if output.scale is None or not np.issubdtype(output.values.dtype, np.integer):
        return None
    limits = np.iinfo(output.values.dtype)
    low, high = (output.scale * (limit - output.zero_point) for limit in (limits.min, limits.max))
    return float(low), float(high)


def outlying(largest: Array) -> tuple[tuple[int, ...], float | None]:
    """The few channels without which the range would be a third or less, and how many times less it would be.

    Args:
        largest: the largest absolute value of each channel.

    >>> outlying(np.array([1.0, 2.0, 50.0, 1.5, 1.0, 1.2, 1.0, 0.5]))
    ((2,), 25.0)
    >>> outlying(np.array([1.0, 2.0, 3.0, 4.0, 5.0, 6.0, 7.0, 8.0]))
    ((), None)
    """
    order = np.argsort(-largest, kind="stable")
    for count in range(1, max(1, len(largest) // FEW) + 1 if len(largest) > 2 else 1):
        rest = float(largest[order[count]])
        if rest > 0 and largest[order[0]] >= OUTLIER_RATIO * rest:
            return tuple(sorted(int(channel) for channel in order[:count])), float(largest[order[0]] / rest)
    return (), None
