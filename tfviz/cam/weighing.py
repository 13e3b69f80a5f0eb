"""What the maps share that weigh a layer's channels by looking at scores alone."""

import dataclasses
from collections.abc import Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.cam.layer import spatial_layer
from tfviz.emptiness import warn_of_empty
from tfviz.passes import Scored, in_parts
from tfviz.tap import Batch, Tap, prepare
from tfviz.tap.derivative import as_answer
from tfviz.target import Plan, freeze, plan

Array = npt.NDArray[Any]
Maps = npt.NDArray[np.float32]


@dataclasses.dataclass(frozen=True)
class Weighing:
    """The images, the layer's tap, and the class that each unchanged image is explained for."""

    model: Any
    batch: Batch
    tap: Tap
    plan: Plan

    @classmethod
    def of(cls, model: Any, images: Any, target: Any, layer: Any, class_names: Sequence[str] | None) -> "Weighing":
        """Check everything once."""
        batch = prepare(model, images)
        tap = spatial_layer(model, layer)
        return cls(model, batch, tap, freeze(model, batch, plan(model, target, len(batch), class_names=class_names)))

    def activations(self, start: int, stop: int) -> tuple[Array, Array]:
        """The scores `(n,)` and the layer's activations `(n, h, w, channels)` of some images."""
        batch = self.batch.rows(start, stop)
        wanted = dataclasses.replace(self.plan, arrays=tuple(self.plan.rows(start, stop)))
        body = partial(_activations, Scored(batch, wanted), self.tap)
        scores, found = in_parts(self.model, ("activations", self.tap), body, batch, wanted)
        return scores, found


def _activations(scored: Scored, tap: Tap, model: Any, *tensors: Any) -> tuple[Any, list[Any]]:
    images, arguments = tensors[: scored.inputs], tensors[scored.inputs :]
    score, (activations,), doubtful = scored(model, images, arguments, (tap,), None)
    return doubtful, [score, as_answer(activations)]


def rectified(name: str, parts: Sequence[Array]) -> Maps:
    """The final ReLU over the signed maps of some images, with a warning where nothing is left."""
    maps = np.asarray(np.maximum(np.concatenate(parts), 0), np.float32)
    warn_of_empty(name, maps, "nothing in that layer speaks for the target; try another layer or target.")
    return maps


def weighted_sum(activations: Array, weights: Array) -> Array:
    """sum_k w_k A^k, `(B, h, w)`, of activations `(B, h, w, channels)` and weights `(B, channels)`."""
    return np.einsum("bijk,bk->bij", activations, weights)
