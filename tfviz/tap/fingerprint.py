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
        for layer in model._flatten_layers():
            things.append(weakref.ref(layer))
            attributes = vars(layer)
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
        self._plain = plain
        self._things = things

    def same(self, other: "Fingerprint") -> bool:
        """Whether both were taken of the same structure. A weak reference to a thing is one object while it is held."""
        return (
            len(self._things) == len(other._things)
            and all(map(operator.is_, self._things, other._things))
            and self._plain == other._plain
        )


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
