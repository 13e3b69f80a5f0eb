"""Objectives of layers and outputs: channels, neurons, directions, classes, and how much pictures differ in them."""

from collections.abc import Callable, Hashable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz import target as targets
from tfviz.errors import InputError
from tfviz.objective.algebra import Bound, Objective, Scene
from tfviz.tap import Tap, locate
from tfviz.tap.derivative import as_answer

Array = npt.NDArray[Any]
Unit = int | Sequence[int]


def as_objective(thing: Any) -> Objective:
    """An objective as it is; anything else is a target, such as a class."""
    return thing if isinstance(thing, Objective) else target(thing)


def channel(layer: Any, k: Unit) -> Objective:
    """The mean over all places of channel `k` of a layer, mean_xy a_k(x, y); of a Dense layer, unit `k`.

    Args:
        layer: an address, an index into `model.layers`, or a Layer; `address:pre` often works better for units that
            start dead, since a ReLU that is off has no gradient.
        k: the channel, or several, one picture for each.
    """
    return _unit_of("channel", layer, k, lambda maps: tf.reduce_mean(maps, axis=1))


def neuron(layer: Any, k: Unit, place: tuple[int, int] | None = None) -> Objective:
    """One unit, a_k at a place (row, column) of the layer's output; the middle one if None.

    Raises (when it meets the model):
        InputError: the layer has no places, or not this one.
    """

    def bind(model: Any, subjects: int) -> Bound:
        address, tap, shape = _layer(model, layer)
        if len(shape) != 4:
            raise InputError(f"The output of {address!r} has shape {shape}, no places; maximise channel(...) of it.")
        ks = _units(k, subjects, shape[-1], address)
        if place is not None and not all(
            at >= 0 and (size is None or at < size) for at, size in zip(place, shape[1:3], strict=True)
        ):
            raise InputError(f"Place {place} is not in the maps of {address!r}, which are {shape[1]} x {shape[2]}.")
        wanted = np.full((subjects, 2), -1 if place is None else place, np.int32)

        def build(scene: Scene) -> Any:
            units, places = scene.arrays
            maps = as_answer(scene.tapped[tap])
            middle = tf.shape(maps)[1:3] // 2
            at = tf.where(places < 0, middle[tf.newaxis], places)
            return tf.gather_nd(maps, tf.concat([at, units[:, tf.newaxis]], axis=1), batch_dims=1)

        return Bound(("neuron", tap), build, (tap,), (ks, wanted))

    return Objective(bind, _count(k))


def direction(layer: Any, vector: Any, *, power: float = 0.0) -> Objective:
    """A direction v in a layer's channels: mean_xy <a, v> max(0.1, cos(a, v)) ** power.

    Args:
        layer: as of `channel`.
        vector: `(channels,)`, or `(pictures, channels)` for several pictures.
        power: above 0, prefers what points only there. Source: Carter et al. 2019, Activation Atlas.
    """
    directions = np.atleast_2d(np.asarray(vector, np.float32))
    several = np.ndim(vector) == 2

    def bind(model: Any, subjects: int) -> Bound:
        address, tap, shape = _layer(model, layer)
        if directions.ndim != 2 or directions.shape[1] != shape[-1]:
            raise InputError(
                f"A direction of shape {np.shape(vector)} was given; {address!r} has {shape[-1]} channels."
            )
        rows = np.array(np.broadcast_to(directions, (subjects, directions.shape[1])))

        def build(scene: Scene) -> Any:
            v, exponent = scene.arrays
            maps = scene.maps(tap)
            along = tf.einsum("bpc,bc->bp", maps, tf.cast(v, maps.dtype))
            cosine = along / (tf.norm(maps, axis=-1) * tf.norm(v, axis=-1)[:, tf.newaxis] + 1e-6)
            return tf.reduce_mean(along * tf.maximum(cosine, 0.1) ** exponent[:, tf.newaxis], axis=1)

        return Bound(("direction", tap), build, (tap,), (rows, np.full(subjects, power, np.float32)))

    return Objective(bind, len(directions) if several else None)


def deep_dream(layer: Any) -> Objective:
    """Whatever a layer already sees, more of it: mean a ** 2. Source: Mordvintsev, Olah and Tyka 2015."""

    def bind(model: Any, _subjects: int) -> Bound:
        _, tap, _ = _layer(model, layer)
        return Bound(("deep dream", tap), lambda scene: tf.reduce_mean(scene.maps(tap) ** 2, axis=(1, 2)), (tap,))

    return Objective(bind)


def logit(k: Unit) -> Objective:
    """The logit of class `k`, also behind a softmax or sigmoid; several classes are several pictures."""
    return target(k if isinstance(k, int) else list(k))


def target(wanted: Any) -> Objective:
    """Anything that `tfviz.target` names: a class, `target.difference(a, b)`, `target.output(name, k)`, a function."""

    def bind(model: Any, subjects: int) -> Bound:
        plan = targets.plan(model, wanted, subjects)
        if plan.predicted:
            raise InputError("There is no picture yet whose prediction could be meant; name the class to maximise.")
        scorer = plan.scorer()
        key: Hashable = (plan.key, scorer.function)
        return Bound(key, lambda s: as_answer(scorer(s.outputs, s.arrays)[0]), (), plan.arrays, outputs=True)

    return Objective(bind, None if isinstance(wanted, targets.Target) or callable(wanted) else _count(wanted))


def diversity(layer: Any) -> Objective:
    """How much the variations of one subject differ in style: minus the mean cosine of their Gram matrices.

        G = a^T a / |a^T a| of each picture; -mean over the other variations of <G_i, G_j>

    Needs `count` above 1 in `tfviz.maximize`. Source: Olah, Mordvintsev and Schubert 2017.
    """

    def bind(model: Any, _subjects: int) -> Bound:
        _, tap, _ = _layer(model, layer)

        def build(scene: Scene) -> Any:
            maps = scene.maps(tap)
            gram = tf.einsum("bpc,bpd->bcd", maps, maps)
            size = gram.shape[-1] ** 2
            flat = tf.math.l2_normalize(tf.reshape(gram, [-1, scene.variations, size]), axis=-1)
            alike = tf.reduce_sum(tf.einsum("unc,umc->unm", flat, flat), axis=2) - tf.reduce_sum(flat**2, axis=2)
            return -tf.reshape(alike, [-1]) / max(scene.variations - 1, 1)

        return Bound(("diversity", tap), build, (tap,))

    return Objective(bind, compares=True)


def _unit_of(name: str, layer: Any, k: Unit, over_places: Callable[[Any], Any]) -> Objective:
    def bind(model: Any, subjects: int) -> Bound:
        address, tap, shape = _layer(model, layer)
        ks = _units(k, subjects, shape[-1], address)

        def build(scene: Scene) -> Any:
            return tf.gather(over_places(scene.maps(tap)), scene.arrays[0], axis=1, batch_dims=1)

        return Bound((name, tap), build, (tap,), (ks,))

    return Objective(bind, _count(k))


def _layer(model: Any, layer: Any) -> tuple[str, Tap, tuple[int | None, ...]]:
    address, tap, call = locate(model, layer)
    if len(call.shapes) != 1 or len(call.shapes[0]) < 2 or call.shapes[0][-1] is None:
        raise InputError(f"The output of {address!r} has shape {call.shapes}, no channels on a last axis to maximise.")
    return address, tap, call.shapes[0]


def _count(k: Any) -> int | None:
    return None if np.ndim(k) == 0 else len(k)


def _units(k: Unit, subjects: int, channels: int | None, address: str) -> Array:
    units = np.asarray(k)
    if units.dtype.kind not in "iu" or units.ndim > 1 or not units.size:
        raise InputError(f"{k!r} is no channel of {address!r}; expected a number or a sequence of numbers.")
    if units.min() < 0 or (channels is not None and units.max() >= channels):
        worst = units.min() if units.min() < 0 else units.max()
        raise InputError(f"{address!r} has the channels 0 to {(channels or 1) - 1}; {worst} is not one of them.")
    return np.array(np.broadcast_to(units, (subjects,)), np.int32)
