"""What helps, tried out: the model converted again in other ways, each measured on the same images.

Float scores stand for what is right, before softmax or sigmoid, whose fixed scale would hide what is gained.
"""

import dataclasses
from collections.abc import Callable, Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firmware_tools import graph as graphs
from firmware_tools import metrics
from firmware_tools._feed import Feed
from firmware_tools.advice.equalise import equalised
from firmware_tools.advice.records import LayerLoss, Trial
from firmware_tools.convert import convert
from firmware_tools.graph import Graph
from firmware_tools.inspect_model import footprint
from firmware_tools.metrics import Reals
from firmware_tools.pictures import Expectation
from firmware_tools.reference import KerasEngine, litert_xnnpack
from tfviz.errors import InputError

if TYPE_CHECKING:
    from tfviz.data import Dataset

Array = npt.NDArray[Any]
# Ops behind which the scores are looked for: they change what is compared, or only its numbers.
BEHIND_SCORES = ("SOFTMAX", "LOGISTIC", "QUANTIZE", "DEQUANTIZE")
CHUNK = 16
MORE = 4  # times as many calibration images
WORST = 3  # layers with weights that are left in float, each alone and all together


@dataclasses.dataclass(frozen=True)
class Setting:
    """What every trial has in common."""

    float_engine: KerasEngine
    expected: Expectation
    calibrating: "Dataset"
    more: "Dataset | None"
    judged: "Dataset"
    out: Path

    def convert(self, model: Any, name: str, data: "Dataset", **options: Any) -> Path:
        """Convert a model with what is recorded of the user's."""
        return convert(
            model,
            data,
            out=self.out / f"{name}.tflite",
            calibration=len(data),
            preprocess=self.expected.preprocess if self.expected.recorded else None,
            class_names=self.expected.class_names,
            **options,
        )


@dataclasses.dataclass(frozen=True)
class Scores:
    """The float model's scores of the images, `(B, n)`, the layer that they are of (None: the output), and labels."""

    values: Array
    address: str | None
    labels: Array | None

    @property
    def accuracy(self) -> float | None:
        """Of the float model."""
        return None if self.labels is None else float((self.values.argmax(axis=1) == self.labels).mean())


def scores(setting: Setting, address: str | None) -> Scores:
    """Run the float model once."""
    feed = Feed(setting.float_engine, setting.expected)
    rows, labels = [], []
    for batch in setting.judged.batches(CHUNK):
        wanted = (address,) if address else ()
        traces = feed.runs(batch.images, read=address is not None, layers=wanted)
        rows += [(trace.steps[0].output if address else trace.outputs[0]).values.ravel() for trace in traces]
        labels.append(batch.labels)
    known = None if any(one is None for one in labels) else np.concatenate([one for one in labels if one is not None])
    return Scores(np.stack(rows), address, known if rows[0].size > 1 else None)


def scoring_op(graph: Graph) -> int | None:
    """The op that gives the scores, before softmax or sigmoid and what only changes their type."""
    made = {index: op for op in graph.ops for index in op.outputs}
    op = made.get(graph.outputs[0])
    while op is not None and op.name in BEHIND_SCORES:
        op = made.get(op.inputs[0])
    return None if op is None else op.index


def trials(
    setting: Setting,
    baseline: Path,
    layers: Sequence[LayerLoss],
    right: Scores,
    largest: Mapping[str, Array],
    step: Callable[[str], object],
) -> tuple[tuple[Trial, ...], tuple[str, ...]]:
    """The trials, plain int8 first, and a sentence for each that could not be made."""
    done = [_judged("int8", baseline, setting, right, None)]
    notes = []
    for name, make in _ways(setting, baseline, layers, largest):
        step(f"trying {name}")
        try:
            file = make()
            done.append(_judged(name, file, setting, right, done[0].sqnr_db))
        except InputError as error:
            notes.append(f"{name} was not tried: {error}")
    return tuple(done), tuple(notes)


def _ways(
    setting: Setting, baseline: Path, layers: Sequence[LayerLoss], largest: Mapping[str, Array]
) -> Iterator[tuple[str, Callable[[], Path]]]:
    model = setting.float_engine.model
    if setting.more is not None:
        more = setting.more
        yield f"{len(more)} calibration images", lambda: setting.convert(model, "more-calibration", more)
    yield "equalised", lambda: _equalised(setting, largest)
    graph = graphs.load(baseline)
    computing = [layer for layer in layers if any(graph.tensors[i].is_constant for i in graph.ops[layer.index].inputs)]
    worst = sorted(computing, key=lambda one: one.loss_db)[:WORST]
    for chosen in [*([layer] for layer in worst), worst][: WORST + 1 if len(worst) > 1 else 1]:
        names = [graph.tensors[graph.ops[layer.index].outputs[0]].name for layer in chosen]
        file = "float-" + "-".join(str(layer.index) for layer in chosen)
        label = "float " + ", ".join(layer.layer for layer in chosen)
        yield (
            label,
            lambda f=file, n=names: setting.convert(  # type: ignore[misc]
                model, f, setting.calibrating, float_ops=n
            ),
        )
    yield "int16x8", lambda: setting.convert(model, "int16x8", setting.calibrating, mode="int16x8")


def _equalised(setting: Setting, largest: Mapping[str, Array]) -> Path:
    try:
        copy, changed = equalised(setting.float_engine.model, largest)
    except (ValueError, TypeError, RuntimeError) as error:  # what Keras says of models it cannot copy
        raise InputError(f"the model cannot be copied ({type(error).__name__})") from error
    if not changed:
        raise InputError("no two layers have only homogeneous ones between them.")
    return setting.convert(copy, "equalised", setting.calibrating)


def _judged(name: str, file: Path, setting: Setting, right: Scores, baseline: float | None) -> Trial:
    """Measure a file; the scores are the ones before softmax where the float model's are."""
    graph = graphs.load(file)
    place = None if right.address is None else scoring_op(graph)
    sums, rows = Reals(), []
    with litert_xnnpack(file) as engine:
        feed = Feed(engine, setting.expected, graph.tensors[graph.inputs[0]])
        for batch in setting.judged.batches(CHUNK):
            for trace in feed.runs(batch.images, read=place is not None):
                tensor = trace.outputs[0] if place is None else trace.step(place).output
                rows.append(tensor.real.ravel())
                sums = metrics.add_reals(sums, right.values[len(rows) - 1], rows[-1])
    named = np.stack(rows).argmax(axis=1) if rows[0].size > 1 else None
    needs = footprint(graph)
    return Trial(
        name=name,
        sqnr_db=sums.sqnr_db,
        gain_db=0.0 if baseline is None else sums.sqnr_db - baseline,
        top1_agreement=None if named is None else float((named == right.values.argmax(axis=1)).mean()),
        accuracy=None if named is None or right.labels is None else float((named == right.labels).mean()),
        flash_bytes=len(graph.bytes) if needs.constant_bytes is None else needs.constant_bytes,
        ram_bytes=needs.arena_bytes,
        file=str(file),
        refusal=needs.refusal,
    )
