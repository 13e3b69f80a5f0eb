"""A target that was checked, and the number that it builds from a model's outputs inside a compiled run."""

import dataclasses
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import keras
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.heads import heads, raw
from tfviz.tap.program import Weak

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Plan:
    """A target, checked against a model and a batch."""

    quantity: str
    output: int
    predicted: bool
    arrays: tuple[Array, ...]
    """One row for each image: the classes as int32, then a mask or a reference as float32."""
    function: Callable[..., Any] | None = None
    options: tuple[Hashable, ...] = ()

    @property
    def key(self) -> Hashable:
        """Says which score is compiled; the classes are no part of it."""
        return "target", self.quantity, self.output, self.predicted, len(self.arrays), self.options

    def rows(self, start: int, stop: int) -> list[Array]:
        """The arrays of some images."""
        return [array[start:stop] for array in self.arrays]

    def repeated(self, rows: Sequence[int] | Array) -> list[Array]:
        """The arrays of these images, in this order."""
        return [array[rows] for array in self.arrays]

    def scorer(self) -> "Scorer":
        """What builds the score while compiling; it holds the user's function weakly and no array."""
        function = None if self.function is None else Weak(self.function)
        return Scorer(self.quantity, self.output, self.predicted, function, self.options)


@dataclasses.dataclass(frozen=True)
class Scorer:
    """Builds the score `(B,)` from a model's outputs."""

    quantity: str
    output: int
    predicted: bool
    function: Weak | None
    options: tuple[Any, ...] = ()

    def __call__(self, outputs: Any, arrays: Sequence[Any]) -> tuple[Any, Any]:
        """The score and, for each image, whether it seems to be a probability for want of logits."""
        if self.function is not None:
            return _of_function(self.function.thing, outputs), tf.zeros_like(_first(outputs), tf.bool)
        head = (raw if self.quantity in _OF_THE_OUTPUT_ITSELF else heads)(outputs)[self.output]
        classes = [array for array in arrays if array.dtype == tf.int32]
        others = [array for array in arrays if array.dtype != tf.int32]
        if self.quantity == "similarity":
            return head.similarity(others[0]), head.seems_probability()
        if others:
            head = head.under(others[0])
        if self.predicted:
            classes = [head.prediction()]
        return QUANTITIES[self.quantity](head, classes, *self.options), head.seems_probability()


_OF_THE_OUTPUT_ITSELF = ("value", "similarity")
QUANTITIES: Mapping[str, Callable[..., Any]] = {
    "logit": lambda head, classes: head.logit(classes[0]),
    "probability": lambda head, classes: head.probability(classes[0]),
    "cross_entropy": lambda head, classes: head.cross_entropy(classes[0]),
    "difference": lambda head, classes: head.logit(classes[0]) - head.logit(classes[1]),
    "rivals": lambda head, classes, count, strength: head.against_rivals(classes[0], count, strength),
    "value": lambda head, classes: head.unit(classes[0]),
}


def _first(outputs: Any) -> Any:
    tensor = keras.tree.flatten(outputs)[0]
    return tensor[(slice(None), *([0] * (tensor.shape.rank - 1)))]


def _of_function(function: Callable[..., Any], outputs: Any) -> Any:
    score = tf.convert_to_tensor(function(outputs))
    if score.shape.rank != 1:
        raise InputError(
            f"The target function returned shape {tuple(score.shape)}; expected (B,), one number for each image."
        )
    return score if score.dtype == tf.float64 else tf.cast(score, tf.float32)
