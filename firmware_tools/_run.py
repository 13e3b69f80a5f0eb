"""What a comparison does with each image: both engines, the float model, and a forced run where something differs.

The reference runs first; the engine is given its trace, so that a device sends digests and only what differs. Where an
image differs, a second run is forced, op by op, onto the reference's tensors: what is left is each op's own error.
"""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firmware_tools._classes import Classes
from firmware_tools._crew import Crew
from firmware_tools._feed import Feed, one
from firmware_tools._tally import Tally
from firmware_tools.align import align
from firmware_tools.engines import input_tensors
from firmware_tools.pictures import Expectation, input_notes
from firmware_tools.reference.keras_engine import KerasEngine
from firmware_tools.results import Sample
from tfviz.errors import InputError, LinkError
from tfviz.trace import Engine, Trace

if TYPE_CHECKING:
    from tfviz.data import Batch

Array = npt.NDArray[Any]
ALIGNED_ON = 8
DIAGNOSED_ON = 8


class Run:
    """A comparison while it lasts."""

    def __init__(
        self,
        reference: Engine,
        engine: Engine,
        float_engine: KerasEngine | None,
        expected: Expectation,
        samples: int,
        crew: Crew,
    ) -> None:
        self.crew = crew
        keras = [side for side in (reference, engine) if isinstance(side, KerasEngine)]
        if float_engine is None and len(keras) == 1:  # a Keras model on one side is the float side too
            float_engine = keras[0]
        integers = next((found[0] for found in map(input_tensors, (engine, reference)) if found), None)
        self.reference, self.engine = Feed(reference, expected, integers), Feed(engine, expected, integers)
        self.float = None if float_engine is None else Feed(float_engine, expected, integers)
        self.expected = expected
        self.kept = samples
        self.count = 0
        self.tallies: list[Tally] = []
        self.samples: list[Sample] = []
        self.layers: Mapping[int, str] = {}
        self.unpaired: tuple[str, ...] = ()
        self.in_steps = len(keras) != 1
        self.forcing = not keras
        self.cause: str | None = None
        self.apart: list[tuple[int, Array]] = []  # first divergent op and image, of those where it comes earliest
        self.missing = 0  # ops that a trace lacks because its link broke
        self.class_tally = Classes()
        self.notes: list[str] = []
        self.batch: tuple[list[Trace], list[Trace], list[Trace]] = ([], [], [])  # of reference, engine, float model

    def known(self, images: Array) -> tuple[list[Trace], list[Trace]]:
        """Traces of the float model and of the reference: what several runs of the same images share."""
        floats = self._floats(images)
        return floats, self._side(self.reference, images, floats)

    def add(self, batch: "Batch", known: tuple[list[Trace], list[Trace]] | None = None) -> None:
        """Take one batch in."""
        floats, references = known or self.known(batch.images)
        engines = self._engine_traces(batch.images, references, floats)
        self.batch = references, engines, floats
        if not self.tallies:
            self._prepare(references, engines, floats)
            self.notes += input_notes(self.expected, batch.images, [*engines, *references])
        for i, (right, judged) in enumerate(zip(references, engines, strict=True)):
            real = floats[i] if floats else None
            local = self._local(batch.images[i : i + 1], right, judged)
            self._remember(batch.images[i : i + 1], right, judged)
            for tally in self.tallies:
                tally.add(self.count, right, judged, local, real)
            self.class_tally.add(right, judged, real, None if batch.labels is None else int(batch.labels[i]))
            if len(self.samples) < self.kept:
                self._keep(batch, i, right, judged, real)
            self.count += 1

    def _floats(self, images: Array) -> list[Trace]:
        if self.float is None:
            return []
        # Until the layers are aligned, and for the samples of the page, all of them are kept.
        everything = not self.tallies or len(self.samples) < self.kept
        layers = None if everything else tuple(dict.fromkeys(self.layers.values()))
        return list(self.float.runs(images, read=True, layers=layers))

    def _side(self, feed: Feed, images: Array, floats: list[Trace]) -> list[Trace]:
        if floats and self.float is not None and feed.engine is self.float.engine:
            return floats
        return list(feed.runs(images, read=True))

    def _engine_traces(self, images: Array, references: list[Trace], floats: list[Trace]) -> list[Trace]:
        if isinstance(self.engine.engine, KerasEngine):
            return self._side(self.engine, images, floats)
        inputs = self.engine.inputs(images)
        # Of the first images everything is read, whatever the digests say.
        known = [right if self.in_steps and self.count + i >= self.kept else None for i, right in enumerate(references)]
        return self.crew.run((one(inputs, i), right) for i, right in enumerate(known))

    def _prepare(self, references: list[Trace], engines: list[Trace], floats: list[Trace]) -> None:
        """With the first batch: which op is compared with what."""
        if self.in_steps:
            self.missing = _same_ops(references[0], engines[0])
        listed = engines if not isinstance(self.engine.engine, KerasEngine) else references
        if self.missing:
            listed = min(references, engines, key=lambda side: len(side[0].steps))
            broken = listed[0]
            self.notes.append(
                f"{broken.engine} ends after {len(broken.steps)} of {len(broken.steps) + self.missing} ops: its link "
                "broke there. What follows was not compared."
            )
        if floats and listed is not floats:
            graph = getattr(self.engine.engine, "graph", None) or getattr(self.reference.engine, "graph", None)
            found = align(listed[:ALIGNED_ON], floats[:ALIGNED_ON], graph=graph)
            self.layers = found.layers
            names = [f"op {index} ({listed[0].step(index).op})" for index in found.unpaired_ops]
            self.unpaired = (*names, *found.unpaired_layers)
        self.tallies = [
            Tally(step, self.layers.get(step.index), against_float=bool(floats), in_steps=self.in_steps)
            for step in listed[0].steps
        ]
        if not self.tallies:
            raise InputError(f"{self.engine.engine.name} shows no intermediate tensors, so no op can be compared.")

    def _remember(self, image: Array, right: Trace, judged: Trace) -> None:
        """Keep the images that tell most of why the two differ, for a diagnosis."""
        if not self.in_steps or self.reference.engine is self.engine.engine:
            return
        pairs = zip(right.steps, judged.steps, strict=False)
        first = next((a.index for a, b in pairs if not np.array_equal(a.output.values, b.output.values)), None)
        if first is not None:
            self.apart = sorted([*self.apart, (first, image.copy())], key=lambda kept: kept[0])[:DIAGNOSED_ON]

    def _local(self, image: Array, right: Trace, judged: Trace) -> Trace | None:
        """A forced run, where something differs and the engine can be forced."""
        if not self.forcing or _equal(right, judged):
            return judged if self.forcing else None
        try:
            return self.crew.one(one(self.engine.inputs(image), 0), right, forced=True)
        except InputError as error:
            self.notes.append(f"Local errors are unknown: {error}")
        except LinkError as error:
            if not isinstance(error, _overwritten()):
                raise
            self.cause = str(error)
        self.forcing = False
        for tally in self.tallies:
            tally.forget_local()
        return None

    def _keep(self, batch: "Batch", i: int, right: Trace, judged: Trace, real: Trace | None) -> None:
        shown = self.expected.shown(batch.images[i : i + 1])
        self.samples.append(
            Sample(
                name=batch.names[i],
                image=None if shown is None else shown[0],
                label=None if batch.labels is None else int(batch.labels[i]),
                reference=right,
                engine=judged,
                float=real,
            )
        )


def _same_ops(reference: Trace, engine: Trace) -> int:
    """How many ops one of the two lacks because its link broke, with InputError where they run different models."""

    def table(trace: Trace) -> list[tuple[str, tuple[int, ...]]]:
        return [(step.op, step.output.values.shape) for step in trace.steps]

    here, there = table(reference), table(engine)
    short = engine if len(there) < len(here) else reference
    if here == there:
        return 0
    if not short.outputs and here[: len(short.steps)] == there[: len(short.steps)]:
        return abs(len(here) - len(there))
    for right, judged in zip(reference.steps, engine.steps, strict=False):
        if (right.op, right.output.values.shape) != (judged.op, judged.output.values.shape):
            where = f"op {right.index} is {right.op} {right.output.values.shape} here and {judged.op} "
            raise InputError(
                f"{reference.engine} and {engine.engine} run different models: {where}{judged.output.values.shape} "
                "there; compare each of them with keras:MODEL instead."
            )
    raise InputError(
        f"{reference.engine} and {engine.engine} run different models, of {len(reference.steps)} and "
        f"{len(engine.steps)} ops; compare each of them with keras:MODEL instead."
    )


def _equal(right: Trace, judged: Trace) -> bool:
    pairs = zip(right.steps, judged.steps, strict=False)  # a trace whose link broke is shorter
    return all(np.array_equal(a.output.values, b.output.values, equal_nan=True) for a, b in pairs)


def _overwritten() -> type[Exception]:
    from firmware_tools.devices.device import OverwrittenError

    return OverwrittenError
