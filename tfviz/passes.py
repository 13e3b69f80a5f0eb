"""One pass of a model over a batch, in parts, with a score for each image: what every explanation is built on."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz.errors import ProbabilityWarning, warn
from tfviz.stream import chunk_size
from tfviz.tap import Batch, Tap, execute, run
from tfviz.tap.derivative import Derivative
from tfviz.target import Plan, Scorer

Array = npt.NDArray[Any]
Body = Callable[..., Any]


class Scored:
    """Runs the model inside a compiled body and scores its outputs.

    Picklable facts alone (no model, no array), so that a compiled body that holds it does not keep the model alive.
    """

    def __init__(self, batch: Batch, plan: Plan) -> None:
        self.inputs = len(batch.arrays)
        self._structure = batch.structure
        self._scorer: Scorer = plan.scorer()

    def __call__(
        self, model: Any, images: Sequence[Any], arguments: Sequence[Any], taps: Sequence[Tap], d: Derivative | None
    ) -> tuple[Any, tuple[Any, ...], Any]:
        """The scores `(B,)`, the taps' tensors, and for each image whether a probability was explained."""
        inputs = keras.tree.map_structure(lambda position: images[position], self._structure)
        watch = None if d is None else d.watch
        differentiated = d is not None and d.watches
        outcome = run(model, inputs, taps, watch=watch, folded=not differentiated)
        score, doubtful = self._scorer(outcome.outputs, arguments)
        return score, outcome.tapped, doubtful


def in_parts(
    model: Any, key: Hashable, body: Body, batch: Batch, plan: Plan, *, batch_size: int | None = None
) -> list[Array]:
    """Run `body(model, *images, *plan's arrays) -> (doubtful, results)` over the batch and join each result's parts."""
    size = chunk_size(batch.arrays[0].shape[1:], batch_size)
    parts: list[Any] = []
    doubtful = False
    for start, images in batch.parts(size):
        arguments = plan.rows(start, start + len(images[0]))
        doubt, results = execute(model, (key, plan.key), body, [*images, *arguments], function=plan.function)
        doubtful = doubtful or bool(np.asarray(doubt).any())
        parts.append([np.asarray(result) for result in results])
    warn_of_probabilities(doubtful)
    if len(parts) == 1:
        return list(parts[0])
    return [np.concatenate(pieces) for pieces in zip(*parts, strict=True)]


def warn_of_probabilities(doubtful: bool) -> None:
    """Say that what was explained seems to be a probability."""
    if doubtful:
        warn(
            "The outputs look like probabilities and no softmax or sigmoid was found behind which the logits are: "
            "probabilities are being explained, whose gradients vanish where the model is sure.",
            ProbabilityWarning,
        )
