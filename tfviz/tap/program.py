"""Compiled runs of a model, cached for as long as the model lives and its structure stays the same.

A run is a body, `body(model, *tensors) -> tensors`, compiled once for each body, each sort of input and each structure
of the model: a new class, a last partial batch or new weights compile nothing. What TensorFlow cannot compile for any
number of images is compiled for one number of them, to which partial batches are padded; what cannot be compiled at
all is run eagerly.
"""

import logging
import threading
import weakref
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np
import numpy.typing as npt
import tensorflow as tf

from tfviz.errors import InputError, RetracingWarning, warn
from tfviz.tap.checks import check_layout, check_model
from tfviz.tap.fingerprint import Fingerprint

Array = npt.NDArray[Any]
Body = Callable[..., Any]

_log = logging.getLogger(__name__)
_PROGRAMS_KEPT = 64
_FRESH_FUNCTIONS_BORNE = 3
_lock = threading.RLock()


class _State:
    """What is known of one model: compiled programs and surveys, true for one fingerprint."""

    def __init__(self) -> None:
        self.fingerprint: Fingerprint | None = None
        self.programs: OrderedDict[Hashable, _Program] = OrderedDict()
        self.notes: dict[Hashable, Any] = {}
        self.functions: Counter[Any] = Counter()


_states: weakref.WeakKeyDictionary[Any, _State] = weakref.WeakKeyDictionary()
_traces = 0


def traces() -> int:
    """How many runs were compiled so far in this process; constant over calls that compile nothing."""
    return _traces


class _Held(threading.local):
    """The model whose structure was looked at when this thread's running call began."""

    model: Any = None
    state: Any = None


_held = _Held()


@contextmanager
def steady(model: Any) -> Iterator[None]:
    """Look at the model's structure once for everything that runs inside; each public function is one such block."""
    check_model(model)
    state = _state(model)
    before = _held.model, _held.state
    _held.model, _held.state = model, state
    try:
        yield
    finally:
        _held.model, _held.state = before


def _state(model: Any) -> _State:
    if _held.model is model:
        return _held.state
    with _lock:
        state = _states.get(model)
        if state is None:
            state = _states[model] = _State()
        if state.fingerprint is not None and state.fingerprint.holds(model):
            return state
        fingerprint = Fingerprint(model)
        if state.fingerprint is None or not state.fingerprint.same(fingerprint):
            check_layout(model)
            state.programs.clear()
            state.notes.clear()
        state.fingerprint = fingerprint
        return state


def remembered(model: Any, key: Hashable, make: Callable[[], Any]) -> Any:
    """`make()`, made once for each structure of the model. What is kept must not hold the model."""
    notes = _state(model).notes
    if key not in notes:
        notes[key] = make()
    return notes[key]


def execute(
    model: Any,
    key: Hashable,
    body: Body,
    arguments: Sequence[Any],
    *,
    rows: bool = True,
    any_number: bool = True,
    function: Callable[..., Any] | None = None,
) -> Any:
    """Run `body(model, *arguments)`, compiled where that can be done, and return its tensors.

    Args:
        model: the model; the body must get it from its argument, never hold it.
        key: says which body this is; two bodies that compute different things have different keys.
        body: called while compiling, with one tensor for each argument.
        arguments: arrays or tensors; the first axis of each may differ from call to call.
        rows: every argument and every result has one row for each image, so that padding can be cut off again.
        any_number: False compiles anew for each number of images, which spares a loop of many small steps a tenth.
        function: the user's function that the body calls, held weakly; the program is dropped with it.
    """
    state = _state(model)
    whole_key = (key, *((tuple(a.shape)[1:], a.dtype.name) for a in arguments), _identity(function))
    with _lock:
        program = state.programs.get(whole_key)
        if program is None:
            program = state.programs[whole_key] = _Program(model, body, rows, any_number)
            _note_function(state, whole_key, function)
            while len(state.programs) > _PROGRAMS_KEPT:
                state.programs.popitem(last=False)
        else:
            state.programs.move_to_end(whole_key)
    return program(model, arguments)


def _identity(function: Callable[..., Any] | None) -> Hashable:
    if function is None:
        return None
    try:
        return Weak(function)
    except TypeError:
        return id(function)


class Weak:
    """A weak reference equal only to references to the very same object, whatever the object thinks of equality."""

    def __init__(self, thing: Any) -> None:
        # A bound method is made anew by each look-up: its function and its object stand for it.
        make = weakref.WeakMethod if hasattr(thing, "__self__") and hasattr(thing, "__func__") else weakref.ref
        self._reference = make(thing)
        self._number = id(getattr(thing, "__func__", thing)), id(getattr(thing, "__self__", None))

    @property
    def thing(self) -> Any:
        """The object, None once it is gone."""
        return self._reference()

    def __hash__(self) -> int:
        return hash(self._number)

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Weak) or self._number != other._number:
            return False
        mine = self._reference()
        return mine is not None and mine == other._reference()


def _note_function(state: _State, key: Hashable, function: Callable[..., Any] | None) -> None:
    """Drop the program when the user's function dies; say once when each call brings a new one."""
    if function is None:
        return
    owner = getattr(function, "__self__", function)
    try:
        weakref.finalize(owner, _drop, weakref.ref(state), key).atexit = False
    except TypeError:
        return
    code = getattr(function, "__code__", type(function))
    state.functions[code] += 1
    if state.functions[code] == _FRESH_FUNCTIONS_BORNE:
        name = getattr(function, "__qualname__", type(function).__name__)
        warn(
            f"The target {name} is a new function at each call, so each call compiles anew; define it once and pass "
            "the same function.",
            RetracingWarning,
        )


def _drop(state: weakref.ref[_State], key: Hashable) -> None:
    alive = state()
    if alive is not None:
        alive.programs.pop(key, None)


class _Program:
    """One body compiled for one model."""

    def __init__(self, model: Any, body: Body, rows: bool, any_number: bool) -> None:
        self._model = weakref.ref(model)
        self._body = body
        self._rows = rows
        self._any_size: Any = None
        self._fixed: dict[tuple[Any, ...], Any] = {}
        self._way = self._compiled if any_number else self._for_one_size

    def __call__(self, model: Any, arguments: Sequence[Any]) -> Any:
        return self._way(model, arguments)

    def _traced(self, *tensors: Any) -> Any:
        global _traces
        _traces += 1
        return self._body(self._model(), *tensors)

    def _compile(self, arguments: Sequence[Any], batch: bool) -> Any:
        specs = [
            tf.TensorSpec(([None, *a.shape[1:]] if not batch and a.ndim else a.shape), tf.as_dtype(a.dtype))
            for a in arguments
        ]
        with _lock:
            return tf.function(self._traced, autograph=False).get_concrete_function(*specs)

    def _compiled(self, model: Any, arguments: Sequence[Any]) -> Any:
        if self._any_size is None:
            try:
                self._any_size = self._compile(arguments, batch=False)
            except InputError:
                raise
            except Exception as error:
                _log.debug("Not compiled for any number of images: %s", error)
                self._way = self._for_one_size
                return self._way(model, arguments)
        return self._any_size(*map(tf.convert_to_tensor, arguments))

    def _for_one_size(self, model: Any, arguments: Sequence[Any]) -> Any:
        """For models that read their batch size as a number, and for bodies that are asked for so."""
        given = len(arguments[0])
        if self._rows and self._fixed:
            size = next(iter(self._fixed))[0][0]
            if given > size:
                pieces = [
                    self._for_one_size(model, [a[i : i + size] for a in arguments]) for i in range(0, given, size)
                ]
                return tf.nest.map_structure(lambda *parts: tf.concat(parts, 0), *pieces)
            arguments = [np.concatenate([a, np.repeat(a[-1:], size - given, axis=0)]) for a in arguments]
        shapes = tuple(tuple(a.shape) for a in arguments)
        if shapes not in self._fixed:
            try:
                self._fixed[shapes] = self._compile(arguments, batch=True)
            except InputError:
                raise
            except Exception as error:
                _log.warning(
                    "The model %r cannot be compiled and runs eagerly, which is slower: %s",
                    model.name,
                    str(error).strip().split("\n")[0],
                )
                self._way = self._eager
                return self._way(model, [a[:given] for a in arguments] if self._rows else arguments)
        results = self._fixed[shapes](*map(tf.convert_to_tensor, arguments))
        return tf.nest.map_structure(lambda t: t[:given] if t.shape.rank else t, results) if self._rows else results

    def _eager(self, model: Any, arguments: Sequence[Any]) -> Any:
        return self._body(model, *map(tf.convert_to_tensor, arguments))
