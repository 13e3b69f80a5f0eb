"""Activation maximisation: a picture made from noise to please an objective, in one compiled loop.

`tfviz.objective` says what is maximised, `tfviz.parametrisation` how the picture is written down, `tfviz.transform`
what it must hold up to; this module brings them together and steps.
"""

import dataclasses
from collections.abc import Sequence
from typing import Any

import keras
import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz import parametrisation as parametrisations
from tfviz import transform
from tfviz.errors import InputError
from tfviz.objective import Bound, Objective, Scene, as_objective, roughness
from tfviz.parametrisation import Parametrisation, Shape
from tfviz.preprocess import Preprocess
from tfviz.stream import chunk_size
from tfviz.tap import execute, prepare, run, steady
from tfviz.tap.checks import check_model
from tfviz.tap.derivative import as_answer, derivative
from tfviz.tap.images import InputSpec, input_specs
from tfviz.transform import Transform

Array = npt.NDArray[Any]
# Adam's, as in its paper.
_MOMENTUM, _SQUARES, _TINY = 0.9, 0.999, 1e-8


def maximize(
    model: Any,
    objective: Any,
    *,
    parametrisation: Parametrisation | None = None,
    transforms: Sequence[Transform] | None = None,
    smoothness: float = 5.0,
    steps: int = 200,
    rate: float | None = None,
    count: int = 1,
    size: tuple[int, int] | None = None,
    preprocess: Preprocess | None = None,
    seed: int = 0,
) -> npt.NDArray[np.float32]:
    """Make pictures that maximise an objective of `model`.

        z <- Adam step up the gradient of y - smoothness |y| TV(u), `steps` times
        y = objective(model(transforms(u))), u = picture(z), TV = mean |du/dx| + |du/dy|, |y| taken for a number

    so that how much smoothness counts does not hang on how large the model's numbers are. The step size falls to zero
    along half a cosine, so that the picture comes to rest. Adam: Kingma and Ba 2015.

    The defaults were chosen by looking at a CNN of five convolutions trained on dog-poses: without transforms, or in
    pixels, its classes are noise; a start of little contrast leaves deep ReLUs shut; below a smoothness of 3 what is
    seen is buried in speckle, above 10 small patterns of early layers are lost.

    Args:
        model: a built Keras model with one input, pictures `(B, H, W, C)`.
        objective: made by `tfviz.objective`, such as `0.2 * channel("conv1", 3) + 0.8 * logit(2)`; or a class.
        parametrisation: made by `tfviz.parametrisation`; None is `fourier()`.
        transforms: made by `tfviz.transform`; None is jitter, scale and rotate by a little, `()` is none.
        smoothness: how much a rough picture is held against it, relative to the objective; 0 is the objective alone.
        steps: how many.
        rate: the first step size; None is the parametrisation's own.
        count: how many variations of each subject (see `objective.diversity`), from different noise.
        size: height and width, for models that take any.
        preprocess: what the model expects of pixels; None is 0 for black to 1 for white. `Preprocess()` is 0 to 255.
        seed: of the noise at the start and of the transforms; the same seed gives the same pictures.

    Returns:
        float32 `(subjects * count, H, W, C)` in the model's own input units, the variations of a subject side by side;
        `Preprocess.display` makes pictures of them.

    Raises:
        InputError: a unit or class that is not there, a model that does not take one picture, a size that is not given.

    >>> model = keras.Sequential([keras.Input((2, 2, 1)), keras.layers.Flatten(), keras.layers.Dense(1)])
    >>> model.set_weights([np.array([[0.4], [-0.2], [0.6], [0.0]]), np.zeros(1)])
    >>> from tfviz.objective import norm, target
    >>> from tfviz.parametrisation import pixels
    >>> x = maximize(model, 1 - norm() + target(1), parametrisation=pixels(bounded=False), transforms=(), smoothness=0)
    >>> bool(np.allclose(x[0, ..., 0], [[0.2, -0.1], [0.3, 0.0]], atol=1e-3))  # w / (2 lambda)
    True
    """
    check_model(model)
    _check(steps, count, rate, smoothness, seed)
    wanted = as_objective(objective)
    if wanted.compares and count < 2:
        raise InputError("diversity compares variations of a picture; give count=2 or more.")
    spec = _picture_input(model)
    shape = _shape(spec, size)
    units = _Units.of(preprocess, shape[2])
    way = parametrisations.fourier() if parametrisation is None else parametrisation
    changes = tuple(transform.usual(min(shape[:2])) if transforms is None else transforms)
    with steady(model):
        subjects = wanted.subjects or 1
        bound = wanted.bind(model, subjects)
        job = _Steps(bound, way, changes, shape, spec.dtype, units, smoothness > 0, count, input_specs(model)[0])
        first_rate = np.float32(way.rate if rate is None else rate)
        numbers = np.int32(steps), first_rate, np.float32(smoothness), np.int32(seed & 0x7FFFFFFF)
        rest = [*map(np.asarray, numbers), units.factor, units.offset, *way.constants(shape)]
        starts = np.stack([way.start(shape, np.random.default_rng([seed, number])) for number in range(count)])
        at_once = min(max(1, chunk_size(shape) // count), subjects)
        variable = np.tile(starts, (at_once, *([1] * (starts.ndim - 1))))
        found = []
        for first in range(0, subjects, at_once):
            # The last part is filled up with its last subject, so that it is no other size to compile for.
            chosen = np.repeat(np.minimum(np.arange(first, first + at_once), subjects - 1), count)
            rows = [array[chosen] for array in bound.arrays]
            pictures = execute(model, job.key, job, [variable, *rest, *rows], rows=False, any_number=False)
            found.append(np.asarray(pictures, np.float32))
    return np.concatenate(found)[: subjects * count]


def activations(model: Any, objective: Any, pictures: Any) -> npt.NDArray[np.float32]:
    """The objective of pictures as they are, `(B,)`: how much those of `maximize` excite what they were made for.

    Args:
        model: a built Keras model of one picture.
        objective: as of `maximize`; of several subjects, whose pictures follow one another.
        pictures: `(B, H, W, C)` in the model's own units, which priors read too; B is a multiple of the subjects.

    Raises:
        InputError: a unit or class that is not there, or a number of pictures that does not go with the subjects.
    """
    wanted = as_objective(objective)
    with steady(model):
        batch = prepare(model, pictures)
        subjects = wanted.subjects or 1
        if len(batch) % subjects:
            raise InputError(f"{len(batch)} pictures were given for an objective of {subjects} subjects.")
        variations = len(batch) // subjects
        bound = wanted.bind(model, subjects)
        body = _Reading(bound, variations, batch.structure)
        found = []
        at_once = max(1, chunk_size(batch.arrays[0].shape[1:]) // variations) * variations
        for start, arrays in batch.parts(at_once):
            rows = [np.repeat(array, variations, axis=0)[start : start + at_once] for array in bound.arrays]
            read = execute(model, ("activations", bound.key, variations), body, [*arrays, *rows], rows=False)
            found.append(np.asarray(read, np.float32))
    return np.concatenate(found)


@dataclasses.dataclass(frozen=True)
class _Units:
    """From black 0 and white 1 to the model's own units: factor * u + offset, for each channel."""

    factor: Array
    offset: Array
    reverse: bool
    """Whether the model takes blue first."""

    @property
    def plain(self) -> bool:
        """Whether the model's units are those of the picture itself."""
        return not self.reverse and bool(np.all(self.factor == 1) and np.all(self.offset == 0))

    @classmethod
    def of(cls, rule: Preprocess | None, channels: int) -> "_Units":
        if rule is None:
            return cls(np.ones(channels, np.float32), np.zeros(channels, np.float32), False)
        if rule.channels != channels:
            raise InputError(f"The Preprocess gives {rule.channels} channels and the model takes {channels}.")
        mean, std = (np.broadcast_to(np.asarray(values, np.float64), channels) for values in (rule.mean, rule.std))
        return cls(
            np.asarray(255 * rule.scale / std, np.float32),
            np.asarray(-mean / std, np.float32),
            rule.colour == "bgr",
        )


class _Steps:
    """The compiled loop. It holds neither the model nor the user's objective, only what builds the number."""

    def __init__(
        self,
        bound: Bound,
        way: Parametrisation,
        transforms: tuple[Transform, ...],
        shape: Shape,
        dtype: str,
        units: _Units,
        smooth: bool,
        variations: int,
        structure: Any,
    ) -> None:
        # What costs an operation in each step is left out of the loop where it would change nothing.
        kind = (units.plain, units.reverse, smooth, variations)
        self.key = ("maximize", bound.key, way.key, tuple(t.key for t in transforms), shape, *kind)
        self._build, self._look = bound.build, _Reading(bound, variations, structure).look
        self._pictures, self._constants = way.pictures, len(way.constants(shape))
        self._transforms, self._shape, self._dtype = transforms, shape, dtype
        self._plain, self._reverse, self._smooth = units.plain, units.reverse, smooth

    def __call__(
        self, model: Any, variable: Any, steps: Any, rate: Any, smoothness: Any, seed: Any, *arrays: Any
    ) -> Any:
        factor, offset = arrays[:2]
        constants, rows = arrays[2 : 2 + self._constants], arrays[2 + self._constants :]

        def pictures(z: Any) -> Any:
            return self._pictures(z, constants, self._shape)

        def inputs(u: Any) -> Any:
            if self._plain:
                return tf.cast(u, self._dtype)
            return tf.cast((tf.reverse(u, [3]) if self._reverse else u) * factor + offset, self._dtype)

        def gradient(step: Any, z: Any) -> Any:
            with derivative() as d:
                d.watch(z)
                u = pictures(z)
                seen = self._look(model, inputs(transform.chain(self._transforms, u, seed, step)), u, rows)
                score = self._build(seen)
                if self._smooth:
                    score -= tf.cast(smoothness * tf.stop_gradient(tf.abs(score)) * roughness(u), score.dtype)
            return d.of(score, [z])[0]

        def step(number: Any, z: Any, mean: Any, square: Any, unit: Any) -> tuple[Any, Any, Any, Any, Any]:
            g = gradient(number, z)
            # In units of the picture's first gradient, or its square leaves float32 where the model's numbers are odd.
            unit = tf.where(unit > 0, unit, tf.reduce_max(tf.abs(g), axis=axes, keepdims=True))
            g = tf.math.divide_no_nan(g, unit)
            t = tf.cast(number, tf.float32)
            mean = _MOMENTUM * mean + (1 - _MOMENTUM) * g
            square = _SQUARES * square + (1 - _SQUARES) * g * g
            along = mean / (1 - _MOMENTUM ** (t + 1))
            size = tf.sqrt(square / (1 - _SQUARES ** (t + 1))) + _TINY
            now = rate * (0.5 + 0.5 * tf.cos(np.pi * t / tf.cast(steps, tf.float32)))
            return number + 1, z + now * along / size, mean, square, unit

        axes = list(range(1, variable.shape.rank))
        zeros = tf.zeros_like(variable)
        start = (tf.constant(0), variable, zeros, zeros, tf.reduce_max(zeros, axis=axes, keepdims=True))
        _, z, *_ = tf.while_loop(lambda number, *_: number < steps, step, start, parallel_iterations=1)
        return inputs(pictures(z))


class _Reading:
    """The compiled body of `activations`."""

    def __init__(self, bound: Bound, variations: int, structure: Any) -> None:
        self._build, self._taps, self._outputs = bound.build, bound.taps, bound.outputs
        self._variations, self._structure = variations, structure

    def __call__(self, model: Any, x: Any, *rows: Any) -> Any:
        return self._build(self.look(model, x, as_answer(x), rows))

    def look(self, model: Any, x: Any, u: Any, rows: Sequence[Any]) -> Scene:
        """Run the model as far as the objective needs it."""
        outputs, tapped = None, {}
        if self._outputs or self._taps:
            given = keras.tree.map_structure(lambda _: x, self._structure)
            outcome = run(model, given, self._taps, stop=not self._outputs)
            outputs, tapped = outcome.outputs, dict(zip(self._taps, outcome.tapped, strict=True))
        return Scene(u, outputs, tapped, rows, self._variations)


def _check(steps: int, count: int, rate: float | None, smoothness: float, seed: int) -> None:
    for name, value, fits, expected in (
        ("steps", steps, steps >= 1, "at least 1"),
        ("count", count, count >= 1, "at least 1"),
        ("rate", rate, rate is None or 0 < rate < np.inf, "a number above 0"),
        ("smoothness", smoothness, 0 <= smoothness < np.inf, "a number of at least 0"),
        ("seed", seed, seed >= 0, "a whole number of at least 0"),
    ):
        if not fits:
            raise InputError(f"{name}={value} was given; expected {expected}.")


def _picture_input(model: Any) -> InputSpec:
    _, specs = input_specs(model)
    if len(specs) != 1 or len(specs[0].shape) != 3:
        taken = ", ".join(f"{spec.name} {spec.shape}" for spec in specs)
        raise InputError(f"{model.name!r} takes {taken}; a picture can be made for a model of one input (H, W, C).")
    if not tf.as_dtype(specs[0].dtype).is_floating:
        raise InputError(f"The model's input is of dtype {specs[0].dtype}, which has no gradient to climb.")
    return specs[0]


def _shape(spec: InputSpec, size: tuple[int, int] | None) -> Shape:
    height, width, channels = spec.shape
    if size is None and (height is None or width is None):
        raise InputError(f"The model takes {spec.shape}, pictures of any size; say which: size=(height, width).")
    sides = (height, width) if size is None else size
    if channels is None or any(own not in (None, side) for own, side in zip(spec.shape, sides, strict=False)):
        raise InputError(f"Pictures of size {size} do not fit the model, which takes {spec.shape}.")
    return int(sides[0] or 0), int(sides[1] or 0), channels


__all__ = ["Objective", "activations", "maximize"]
