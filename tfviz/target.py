"""What is explained: a class, a probability, a loss, a difference or a function of the outputs; one number an image.

A target is plain data (`Target`); `plan` checks it against a model and turns it into a `Plan`, whose `score` builds the
number inside a compiled run. The class is an argument of that run, so a new class compiles nothing.
"""

import dataclasses
import difflib
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.heads import Head, heads
from tfviz.stream import chunk_size
from tfviz.tap._survey import Survey, survey
from tfviz.tap.images import Batch, prepare
from tfviz.tap.patch import run
from tfviz.tap.program import Weak, execute, steady

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Target:
    """A quantity of a model's output; made by the functions of this module, accepted wherever a target is."""

    quantity: str
    classes: tuple[Any, ...] = ()
    name: str | int | None = None
    mask: Any = None
    function: Callable[..., Any] | None = None


def logit(k: Any = None) -> Target:
    """The logit of class `k`, the same as giving `k` itself; None is each image's own prediction."""
    return Target("logit", (k,))


def probability(k: Any = None) -> Target:
    """The probability of class `k`: the softmax (of a one-unit or sigmoid head, the sigmoid) of the logits, at `k`."""
    return Target("probability", (k,))


def cross_entropy(label: Any) -> Target:
    """The loss of an image that is of class `label`: -log probability; of a sigmoid head, the sum over its units."""
    return Target("cross_entropy", (label,))


def difference(a: Any, b: Any) -> Target:
    """Why `a` and not `b`: logit of `a` minus logit of `b`."""
    return Target("difference", (a, b))


def output(name: str | int, k: Any = None) -> Target:
    """Class `k`, or any other target, on the output called `name` (or at that position) of a model with several."""
    inner = _as_target(k)
    return dataclasses.replace(inner, name=name)


def masked(mask: Any, k: Any) -> Target:
    """The sum of class `k`'s logits over a mask, for outputs such as `(B, H, W, K)` of a segmentation model.

    Args:
        mask: of the output's spatial shape `(H, W)`, or `(B, H, W)` for a mask of each image's own; weights or bools.
        k: the class, or one for each image.
    """
    return dataclasses.replace(_as_target(k), mask=np.asarray(mask))


def _as_target(target: Any) -> Target:
    if isinstance(target, Target):
        return target
    if callable(target):
        return Target("function", function=target)
    return logit(target)


@dataclasses.dataclass(frozen=True)
class Plan:
    """A target, checked against a model and a batch."""

    quantity: str
    output: int
    predicted: bool
    arrays: tuple[Array, ...]
    """One row for each image: the classes as int32, then the mask as float32."""
    function: Callable[..., Any] | None = None

    @property
    def key(self) -> Hashable:
        """Says which score is compiled; the classes are no part of it."""
        return "target", self.quantity, self.output, self.predicted, len(self.arrays)

    def rows(self, start: int, stop: int) -> list[Array]:
        """The arrays of some images."""
        return [array[start:stop] for array in self.arrays]

    def repeated(self, rows: Sequence[int] | Array) -> list[Array]:
        """The arrays of these images, in this order."""
        return [array[rows] for array in self.arrays]

    def scorer(self) -> "Scorer":
        """What builds the score while compiling; it holds the user's function weakly and no array."""
        function = None if self.function is None else Weak(self.function)
        return Scorer(self.quantity, self.output, self.predicted, function)


@dataclasses.dataclass(frozen=True)
class Scorer:
    """Builds the score `(B,)` from a model's outputs."""

    quantity: str
    output: int
    predicted: bool
    function: Weak | None

    def __call__(self, outputs: Any, arrays: Sequence[Any]) -> tuple[Any, Any]:
        """The score and, for each image, whether it seems to be a probability for want of logits."""
        if self.function is not None:
            return _of_function(self.function.thing, outputs), tf.zeros_like(_first(outputs), tf.bool)
        head = heads(outputs)[self.output]
        classes = [array for array in arrays if array.dtype == tf.int32]
        masks = [array for array in arrays if array.dtype != tf.int32]
        if masks:
            head = head.under(masks[0])
        if self.predicted:
            classes = [head.prediction()]
        return QUANTITIES[self.quantity](head, classes), head.seems_probability()


QUANTITIES: Mapping[str, Callable[[Head, Sequence[Any]], Any]] = {
    "logit": lambda head, classes: head.logit(classes[0]),
    "probability": lambda head, classes: head.probability(classes[0]),
    "cross_entropy": lambda head, classes: head.cross_entropy(classes[0]),
    "difference": lambda head, classes: head.logit(classes[0]) - head.logit(classes[1]),
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


def plan(model: Any, target: Any, images: int, *, class_names: Sequence[str] | None = None) -> Plan:
    """Check `target` against `model` for a batch of `images` images.

    Args:
        model: a built Keras model.
        target: None (each image's own prediction), a class index, one index for each image, a class name, a function
            of the model's outputs that returns `(B,)`, or a `Target`.
        images: how many images there are.
        class_names: the names of the classes, in order; needed for targets by name.

    Raises:
        InputError: a class out of range, an unknown name, a wrong number of classes, an output not said or not there,
            a mask missing or of the wrong shape.
    """
    wanted = _as_target(target)
    if wanted.function is not None:
        return Plan(wanted.quantity, 0, False, (), wanted.function)
    outputs = survey(model)
    position = _output(outputs, wanted.name)
    shape = outputs.output_shapes[position]
    units = 1 if len(shape) < 2 else shape[-1]
    predicted = len(wanted.classes) == 1 and wanted.classes[0] is None
    if len(shape) > 2 and (wanted.mask is None or predicted):
        raise InputError(
            f"The model's output has shape {shape}; say where and of which class: target.masked(mask, k), the mask of "
            f"shape {shape[1:-1]}."
        )
    classes = () if predicted else tuple(_classes(k, units, images, class_names) for k in wanted.classes)
    masks = () if wanted.mask is None else (_mask(wanted.mask, shape, images),)
    return Plan(wanted.quantity, position, predicted, (*classes, *masks))


def _output(outputs: Survey, name: str | int | None) -> int:
    names = outputs.output_names
    if name is None:
        if len(names) > 1:
            raise InputError(f"The model has the outputs {', '.join(names)}; say which: target.output(name, k).")
        return 0
    if isinstance(name, int) and not isinstance(name, bool) and 0 <= name < len(names):
        return name
    if name in names:
        return names.index(str(name))
    raise InputError(f"There is no output {name!r}; the model's are {', '.join(map(repr, names))}.")


def _classes(k: Any, units: int | None, images: int, names: Sequence[str] | None) -> Array:
    if k is None:
        raise InputError("A class was expected here and None was given; give its index.")
    if isinstance(k, str):
        k = _index_of(k, names)
    elif isinstance(k, (list, tuple)) and any(isinstance(one, str) for one in k):
        k = [_index_of(one, names) if isinstance(one, str) else one for one in k]
    indices = np.asarray(k)
    if indices.dtype.kind not in "iu":
        raise InputError(f"{k!r} is no target; expected None, a class index, one for each image, a name or a function.")
    if indices.ndim == 0:
        indices = np.full(images, indices)
    if indices.shape != (images,):
        raise InputError(f"{indices.size} classes of shape {indices.shape} were given for {images} images.")
    count = 2 if units == 1 else units
    if indices.min() < 0 or (count is not None and indices.max() >= count):
        raise InputError(f"Class {indices.min() if indices.min() < 0 else indices.max()} is not one of 0 to {count}-1.")
    return indices.astype(np.int32)


def _index_of(name: str, names: Sequence[str] | None) -> int:
    if names is None:
        raise InputError(f"The class {name!r} was asked for by name, and the names are not known; give its index.")
    if name in names:
        return list(names).index(name)
    near = difflib.get_close_matches(name, names, n=3, cutoff=0.4)
    raise InputError(f"There is no class {name!r}; {'near names' if near else 'classes'}: {', '.join(near or names)}.")


def _mask(mask: Array, shape: Sequence[int | None], images: int) -> Array:
    inner = shape[1:-1]
    if mask.ndim == len(inner):
        mask = np.broadcast_to(mask, (images, *mask.shape))
    if mask.shape[0] != images or any(w not in (None, g) for w, g in zip(inner, mask.shape[1:], strict=False)):
        raise InputError(f"The mask has shape {mask.shape}; the output's places have shape {tuple(inner)}.")
    return mask.astype(np.float32)


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
