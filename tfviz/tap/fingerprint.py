"""A cheap fingerprint of a model's structure: equal as long as a compiled run of it is still true.

`pop()`, `add()`, `adapt()`, `layer.activation = ...` or a changed constant make it differ; new weights do not, since a
compiled run reads them anew.
"""

import functools
import operator
import weakref
from collections.abc import Callable
from typing import Any

import keras
import numpy as np
import tensorflow as tf

_PLAIN = frozenset({int, float, str, bool, type(None), complex, bytes})
# What training and calling write into a model without changing what it computes in inference.
_IGNORED = frozenset(vars(keras.Model())) - {"name", "_name", "dtype_policy", "_dtype_policy"} | {
    "stop_training",
    "history",
    "optimizer",
    "_compile_config",
    "_compiled_trainable_state",
    "_eval_epoch_iterator",
    "_called",
    "built",
}
_BY_IDENTITY = (tf.Tensor, np.ndarray, keras.Variable, keras.layers.Layer, keras.dtype_policies.DTypePolicy)
_kinds: dict[type, Callable[[Any], Any] | None] = {}


class Fingerprint:
    """Plain attributes compared by value; functions, arrays, variables and layers by identity, held weakly."""

    def __init__(self, model: Any) -> None:
        plain: list[Any] = []
        things: list[Any] = []
        self._glances = []
        self._gone: list[Any] = []
        """Fills when one of the things below dies."""
        self._alive: list[Any] = []
        for layer in model._flatten_layers():
            things.append(weakref.ref(layer))
            attributes = vars(layer)
            referred = []
            for name in _relevant(tuple(attributes)):
                value = attributes[name]
                kind = type(value)
                if kind in _PLAIN:
                    plain.append((len(things), name, value))
                elif kind is tuple:
                    plain.append((len(things), name, repr(value)))
                else:
                    reference = _reference(value, kind)
                    if reference is not None:
                        things.append(reference)
                        referred.append(name)
            self._alive += [weakref.ref(thing, self._gone.append) for thing in (layer, *map(attributes.get, referred))]
            self._glances.append(_Glance(layer, referred))
        self._plain = plain
        self._things = things

    def holds(self, model: Any) -> bool:
        """Whether nothing at all was changed since: quick, and when in doubt no. Then `same` decides."""
        layers = model._flatten_layers()
        try:
            return (
                not self._gone and len(layers) == len(self._glances) and all(map(_Glance.holds, self._glances, layers))
            )
        except KeyError:  # an attribute was taken away
            return False

    def same(self, other: "Fingerprint") -> bool:
        """Whether both were taken of the same structure. A weak reference to a thing is one object while it is held."""
        return (
            len(self._things) == len(other._things)
            and all(map(operator.is_, self._things, other._things))
            and self._plain == other._plain
        )


class _Glance:
    """One layer's attributes, compared by a few calls that run in C: every call of tfviz pays for this.

    A thing is known by its number, which is its own until it dies; nothing else of it is looked at, since what this
    costs on a large model is reading memory that the model's run has driven out of the caches.
    """

    def __init__(self, layer: Any, referred: list[str]) -> None:
        attributes = vars(layer)
        relevant = _relevant(tuple(attributes))
        plain = [name for name in relevant if _is_plain(attributes[name])]
        rest = [name for name in relevant if name not in referred and name not in plain]
        # A tuple of more than plain things may hold something that changes; then only `same` can tell.
        self._certain = all(type(attributes[name]) is not tuple for name in rest)
        self._layer = id(layer)
        # Keras takes none of its own attributes away, so that one more is one that was not looked at.
        self._count = len(attributes)
        self._plain = _getter(plain)(attributes)
        """Held, so that no other thing takes their numbers."""
        self._known, self._rest = _getter([*plain, *referred]), _getter(rest)
        self._numbers = tuple(map(id, self._known(attributes)))
        self._types = tuple(map(type, self._rest(attributes)))

    def holds(self, layer: Any) -> bool:
        """Whether this is the layer, and no attribute of it is another."""
        attributes = vars(layer)
        return (
            self._certain
            and id(layer) == self._layer
            and len(attributes) == self._count
            and tuple(map(id, self._known(attributes))) == self._numbers
            and tuple(map(type, self._rest(attributes))) == self._types
        )


def _is_plain(value: Any) -> bool:
    return type(value) in _PLAIN or (type(value) is tuple and all(map(_is_plain, value)))


def _getter(names: list[str]) -> Callable[[Any], tuple[Any, ...]]:
    """What these attributes are, as a tuple."""
    if not names:
        return lambda _: ()
    if len(names) == 1:
        return lambda attributes: (attributes[names[0]],)
    return operator.itemgetter(*names)


@functools.lru_cache(maxsize=4096)
def _relevant(names: tuple[str, ...]) -> tuple[str, ...]:
    """The attributes that say what a layer computes, in an order that does not hang on when each was set."""
    # `_self_...` is TensorFlow's bookkeeping of checkpoints.
    return tuple(sorted(name for name in names if name not in _IGNORED and not name.startswith("_self_")))


def _reference(value: Any, kind: type) -> Any:
    try:
        make = _kinds[kind]
    except KeyError:
        make = _kinds[kind] = _how_to_refer(value)
    return None if make is None else make(value)


def _how_to_refer(value: Any) -> Callable[[Any], Any] | None:
    if not (callable(value) or isinstance(value, _BY_IDENTITY)) or hasattr(value, "__self__"):
        return None
    try:
        weakref.ref(value)
    except TypeError:
        return None
    return weakref.ref
