"""What an objective is, and how two become one."""

import dataclasses
import operator
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any, Union

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.tap import Tap
from tfviz.tap.derivative import as_answer

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True)
class Scene:
    """What an objective sees in one step; `picture` is `(B, H, W, C)` before the transforms, black 0 and white 1."""

    picture: Any
    outputs: Any
    tapped: Mapping[Tap, Any]
    arrays: Sequence[Any]
    variations: int

    def maps(self, tap: Tap) -> Any:
        """A layer's output as `(B, places, channels)`; of a layer without places, one place."""
        values = as_answer(self.tapped[tap])
        return tf.reshape(values, [tf.shape(values)[0], -1, values.shape[-1]])

    def given(self, arrays: Sequence[Any]) -> "Scene":
        """The same scene with other arrays."""
        return dataclasses.replace(self, arrays=arrays)


@dataclasses.dataclass(frozen=True)
class Bound:
    """An objective checked against a model: what to keep, what to feed (a row for each picture), what builds it."""

    key: Hashable
    build: Callable[[Scene], Any]
    taps: tuple[Tap, ...] = ()
    arrays: tuple[Array, ...] = ()
    outputs: bool = False


Bind = Callable[[Any, int], Bound]


@dataclasses.dataclass(frozen=True, eq=False)
class Objective:
    """One number for each picture. `subjects` says how many different pictures it speaks of, None that it fits any.

    >>> from tfviz.objective import channel, logit, total_variation
    >>> both = 0.5 * channel("conv", [1, 2]) + logit(0) - 0.1 * total_variation()
    >>> both.subjects
    2
    """

    bind: Bind
    """`bind(model, subjects)` checks it against a model; its arrays have one row for each subject."""
    subjects: int | None = None
    compares: bool = False
    """Whether it compares the variations of one subject, as `diversity` does."""

    def __add__(self, other: Union["Objective", float]) -> "Objective":
        return _combined("+", operator.add, self, other)

    def __sub__(self, other: Union["Objective", float]) -> "Objective":
        return _combined("-", operator.sub, self, other)

    def __mul__(self, other: Union["Objective", float]) -> "Objective":
        return _combined("*", operator.mul, self, other)

    def __truediv__(self, other: float) -> "Objective":
        return self * (1 / other)

    def __radd__(self, other: float) -> "Objective":
        return _combined("+", operator.add, other, self)

    def __rsub__(self, other: float) -> "Objective":
        return _combined("-", operator.sub, other, self)

    def __rmul__(self, other: float) -> "Objective":
        return _combined("*", operator.mul, other, self)

    def __neg__(self) -> "Objective":
        return self * -1.0


def _number(value: float) -> Objective:
    def bind(_model: Any, subjects: int) -> Bound:
        return Bound("number", lambda scene: scene.arrays[0], (), (np.full(subjects, value, np.float32),))

    return Objective(bind)


def _combined(sign: str, operation: Callable[[Any, Any], Any], *parts: Objective | float) -> Objective:
    one, two = (part if isinstance(part, Objective) else _number(part) for part in parts)
    counts = {part.subjects for part in (one, two)} - {None}
    if len(counts) > 1:
        raise InputError(
            f"The objectives speak of {' and '.join(map(str, counts))} pictures; give each the same number."
        )

    def bind(model: Any, subjects: int) -> Bound:
        left, right = one.bind(model, subjects), two.bind(model, subjects)
        # The compiled steps keep these closures: they hold neither the model nor the parts.
        build_left, build_right, cut = left.build, right.build, len(left.arrays)

        def build(scene: Scene) -> Any:
            return operation(build_left(scene.given(scene.arrays[:cut])), build_right(scene.given(scene.arrays[cut:])))

        taps = tuple(dict.fromkeys(left.taps + right.taps))
        return Bound(
            (sign, left.key, right.key), build, taps, left.arrays + right.arrays, left.outputs or right.outputs
        )

    return Objective(bind, counts.pop() if counts else None, one.compares or two.compares)
