"""The numbers that are explained, and the classes that the target None stands for."""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt

from tfviz.heads import heads
from tfviz.stream import chunk_size
from tfviz.tap.images import Batch, prepare
from tfviz.tap.patch import run
from tfviz.tap.program import execute, steady
from tfviz.target._kinds import Target
from tfviz.target._plan import plan
from tfviz.target._score import Plan, Scorer


def freeze(model: Any, batch: Batch, wanted: Plan) -> Plan:
    """Put each image's own prediction, found by one run, in the place of None.

    Methods that change the image go on explaining the class that the unchanged image was taken for.
    """
    if not wanted.predicted:
        return wanted
    classes = [
        np.asarray(execute(model, ("predictions", wanted.output), _Predictions(batch.structure, wanted.output), images))
        for _, images in batch.parts(chunk_size(batch.arrays[0].shape[1:]))
    ]
    return dataclasses.replace(wanted, predicted=False, arrays=(np.concatenate(classes), *wanted.arrays))


class _Predictions:
    def __init__(self, structure: Any, position: int) -> None:
        self._structure = structure
        self._position = position

    def __call__(self, model: Any, *tensors: Any) -> Any:
        outcome = run(model, keras.tree.map_structure(lambda position: tensors[position], self._structure))
        return heads(outcome.outputs)[self._position].prediction()


def scores(
    model: Any, images: Any, target: Any = None, *, class_names: Sequence[str] | None = None
) -> npt.NDArray[np.float32]:
    """The numbers that are explained, `(B,)`: of None, each image's own class's logit. Arguments as of `plan`."""
    with steady(model):
        batch = prepare(model, images)
        wanted = plan(model, target, len(batch), class_names=class_names)
        body = _Scores(batch.structure, len(batch.arrays), wanted.scorer())
        parts = []
        size = chunk_size(batch.arrays[0].shape[1:])
        for start, arrays in batch.parts(size):
            arguments = [*arrays, *wanted.rows(start, start + size)]
            parts.append(execute(model, ("scores", wanted.key), body, arguments, function=wanted.function))
        return np.concatenate([np.asarray(part, np.float32) for part in parts])


def predictions(model: Any, images: Any, *, output: str | int | None = None) -> npt.NDArray[np.int32]:
    """Each image's own class, `(B,)`: what the target None stands for."""
    with steady(model):
        batch = prepare(model, images)
        return freeze(model, batch, plan(model, Target("logit", (None,), output), len(batch))).arrays[0]


class _Scores:
    def __init__(self, structure: Any, inputs: int, scorer: Scorer) -> None:
        self._structure, self._inputs, self._scorer = structure, inputs, scorer

    def __call__(self, model: Any, *tensors: Any) -> Any:
        outcome = run(model, keras.tree.map_structure(lambda position: tensors[position], self._structure))
        return self._scorer(outcome.outputs, tensors[self._inputs :])[0]
