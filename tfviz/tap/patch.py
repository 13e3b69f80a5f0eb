"""Run a model and keep what chosen layers produce on the way, leaving no mark on the model.

While a run is traced (or executed eagerly), the instances' `call` is shadowed; afterwards every layer's `__dict__` is
put back, also when the run raised. One lock for all models: layers may be shared between models.
"""

import dataclasses
import threading
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import keras
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.tap.address import Tap
from tfviz.tap.folding import Folding

_LOCK = threading.RLock()
_ACTIVATION_LAYERS = (
    keras.layers.ReLU,
    keras.layers.LeakyReLU,
    keras.layers.PReLU,
    keras.layers.ELU,
    keras.layers.Softmax,
)


class _EnoughError(BaseException):
    """Every tap has fired: nothing more needs to be computed. Not an Exception, so that no model's code swallows it."""


@dataclasses.dataclass(frozen=True)
class Run:
    """What a run gave: the model's outputs (None where it was stopped after the last tap) and the taps' tensors."""

    outputs: Any
    tapped: tuple[Any, ...]


@dataclasses.dataclass(frozen=True)
class Seen:
    """A layer's call as it happened: along which path, which call of that path, by which layer, with what result."""

    path: str
    call: int
    layer: Any
    output: Any
    reachable: bool


def run(
    model: Any,
    inputs: Any,
    taps: Sequence[Tap] = (),
    *,
    stop: bool = False,
    watch: Callable[[Any], None] | None = None,
    instead: Callable[[Any], Any] | None = None,
    folded: bool = False,
) -> Run:
    """Run `model` in inference mode on `inputs`, in the structure that its `call` takes, and keep the taps' tensors.

    The tensor that a tap keeps is the one that the rest of the model goes on with, so a gradient with respect to it is
    the gradient with respect to that call's output and nothing else. With `stop`, nothing after the last tap runs.
    `watch` is told of each kept tensor before the model goes on. `instead` gives what is kept, and what the model goes
    on with, in the place of a tapped tensor; compiled, what only that tensor hung on is then not computed at all.
    `folded` folds batch norms into convolutions that are not tapped, where the run is compiled and until a tensor is
    watched; sums are then rounded otherwise.

    Raises:
        InputError: a tap did not fire; the message says why.
    """
    folding = None
    if folded and not tf.executing_eagerly():
        with _LOCK:  # no layer's `call` is shadowed now
            folding = Folding(model._flatten_layers())
    wanted = {tap: position for position, tap in enumerate(taps)}
    kept: dict[int, Any] = {}

    def keep(tap: Tap, value: Any) -> Any:
        position = wanted.get(tap)
        if position is None:
            return value
        value = keras.tree.map_structure(_own if instead is None else instead, value)
        if watch is not None:
            keras.tree.map_structure(watch, value)
            if folding is not None:
                folding.stop()
        kept[position] = value
        if stop and len(kept) == len(wanted):
            raise _EnoughError
        return value

    outputs = None
    watched = _Taps(keep, frozenset(tap for tap in taps if tap.pre), folding=folding)
    with _patched(model, watched), suppress(_EnoughError):
        outputs = model(inputs, training=False)
    for tap, position in wanted.items():
        if position not in kept:
            raise InputError(_silent(tap))
    return Run(outputs, tuple(kept[position] for position in range(len(wanted))))


def watch_calls(model: Any, inputs: Any) -> tuple[Any, list[Seen]]:
    """Run `model` and list every layer's call in the order in which the calls end, the model's own left out."""
    seen: list[Seen] = []
    with _patched(model, _Taps(lambda _, value: value, frozenset(), seen)):
        outputs = model(inputs, training=False)
    return outputs, seen


@dataclasses.dataclass(frozen=True)
class _Taps:
    keep: Callable[[Tap, Any], Any]
    before_activation: frozenset[Tap]
    seen: list[Seen] | None = None
    folding: Folding | None = None


def _silent(tap: Tap) -> str:
    place = f"{tap.path}@{tap.call}" if tap.call else tap.path
    return (
        f"The tap on {place!r}{' before its activation' if tap.pre else ''} never fired: the layer does not run as a "
        "plain Keras call here (an input layer, a quantised layer, a layer inside a tf.function of the model's own, "
        "or one whose activation is not called as `self.activation`); tap a layer beside it."
    )


def _own(tensor: Any) -> Any:
    """A tensor of its own with the same values and Keras's marks, or the thing itself where it is no tensor."""
    if not tf.is_tensor(tensor):
        return tensor
    own = tf.identity(tensor)
    for mark in ("_keras_logits", "_keras_mask"):
        if hasattr(tensor, mark):
            setattr(own, mark, getattr(tensor, mark))
    return own


def _graph() -> Any:
    return None if tf.executing_eagerly() else tf.compat.v1.get_default_graph()


@contextmanager
def _patched(model: Any, taps: _Taps) -> Iterator[None]:
    """Shadow the `call` of every layer below `model` for this thread; put everything back at the end."""
    layers = model._flatten_layers(include_self=True)
    with _LOCK:
        before = [(layer, _Memory(layer)) for layer in layers]
        watcher = _Watcher(taps)
        try:
            for layer in layers[1:]:
                vars(layer)["call"] = watcher.around(layer, layer.call)
            with keras.StatelessScope(collect_losses=False):
                yield
        finally:
            for layer, memory in before:
                memory.restore(layer)


class _Memory:
    """What a layer's `__dict__` held, and what its lists, dicts and sets held."""

    def __init__(self, layer: Any) -> None:
        self._attributes = dict(vars(layer))
        self._contents = [(value, value.copy()) for value in self._attributes.values() if type(value) in _FILLED]
        self._contents += [(v, list(v)) for v in self._attributes.values() if _is_tracked_list(v)]

    def restore(self, layer: Any) -> None:
        """Put everything back, past Keras's attribute tracking."""
        now = vars(layer)
        for name in now.keys() - self._attributes.keys():
            del now[name]
        for name, value in self._attributes.items():
            if name not in now or now[name] is not value:
                now[name] = value
        for container, content in self._contents:
            if isinstance(container, list):
                list.__setitem__(container, slice(None), content)
            elif _changed(container, content):
                container.clear()
                container.update(content)


_FILLED = (list, dict, set)


def _changed(container: Any, content: Any) -> bool:
    if isinstance(container, set):
        return container != content
    return container.keys() != content.keys() or any(container[key] is not content[key] for key in content)


def _is_tracked_list(value: Any) -> bool:
    return isinstance(value, list) and type(value) is not list


class _Watcher:
    """The state of one run: which thread it is of, on which graph, and the stack of calls that it is inside of."""

    def __init__(self, taps: _Taps) -> None:
        self._taps = taps
        self._thread = threading.get_ident()
        self._graph = _graph()
        self._stack: list[str] = []
        self._counts: Counter[str] = Counter()

    def around(self, layer: Any, original: Callable[..., Any]) -> Callable[..., Any]:
        def call(*args: Any, **kwargs: Any) -> Any:
            if threading.get_ident() != self._thread:
                return original(*args, **kwargs)
            self._stack.append(layer.name)
            try:
                path = "/".join(self._stack)
                number = self._counts[path]
                self._counts[path] += 1
                return self._observe(layer, original, Tap(path, number), args, kwargs)
            finally:
                self._stack.pop()

        return call

    def _observe(self, layer: Any, original: Callable[..., Any], tap: Tap, args: Any, kwargs: Any) -> Any:
        # A call inside a graph of the model's own (its tf.function, a loop's body) cannot be reached from outside.
        reachable = _graph() is self._graph
        before = dataclasses.replace(tap, pre=True)
        if reachable and before in self._taps.before_activation:
            output = self._with_activation_tapped(layer, original, before, args, kwargs)
        else:
            output = self._output(layer, original, reachable, args, kwargs)
        if self._taps.seen is not None:
            self._taps.seen.append(Seen(tap.path, tap.call, layer, output, reachable))
        if not reachable:
            return output
        kept = self._taps.keep(tap, output)
        if self._taps.folding is not None and kept is output:
            self._taps.folding.note(layer, args, output)
        return kept

    def _output(self, layer: Any, original: Callable[..., Any], reachable: bool, args: Any, kwargs: Any) -> Any:
        folding = self._taps.folding if reachable else None
        folded = None if folding is None else folding.output(layer, args, kwargs)
        return original(*args, **kwargs) if folded is None else folded

    def _with_activation_tapped(
        self, layer: Any, original: Callable[..., Any], tap: Tap, args: Any, kwargs: Any
    ) -> Any:
        if isinstance(layer, _ACTIVATION_LAYERS):
            return original(self._taps.keep(tap, args[0]), *args[1:], **kwargs)
        activation = vars(layer).get("activation")
        if not callable(activation):
            raise InputError(f"The layer {tap.path!r} ({type(layer).__name__}) has no activation, so no ':pre'.")
        vars(layer)["activation"] = lambda x, *rest, **options: activation(self._taps.keep(tap, x), *rest, **options)
        try:
            return original(*args, **kwargs)
        finally:
            vars(layer)["activation"] = activation
