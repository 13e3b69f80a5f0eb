"""What there is to tap in a model: every layer's call, in order, with the address that names it."""

import dataclasses
import difflib
import functools
import weakref
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import keras
import numpy as np
import tensorflow as tf

from tfviz.errors import InputError
from tfviz.tap.address import Tap, parse
from tfviz.tap.checks import check_model
from tfviz.tap.images import InputSpec, input_specs
from tfviz.tap.patch import Seen, watch_calls
from tfviz.tap.program import remembered

_ACTIVATIONS_AS_LAYERS = ("ReLU", "LeakyReLU", "PReLU", "ELU", "Softmax")


@dataclasses.dataclass(frozen=True)
class LayerInfo:
    """One call of a layer.

    `address` names it for every function of the package; `output_shape` has None for the batch axis and for what the
    model leaves open (a tuple of shapes where the layer has several outputs); `dtype` is the output's; `parameters` is
    the number of weights of the layer (counted at each call of a shared layer); `activation` is the name of the
    activation at its end, empty where it has none, so `address + ":pre"` exists where it is not empty.
    """

    address: str
    class_name: str
    output_shape: tuple[Any, ...]
    dtype: str
    parameters: int
    activation: str


@dataclasses.dataclass(frozen=True)
class Call:
    """A layer's call as the package remembers it: the layer is held weakly, or the model would never be freed."""

    path: str
    call: int
    times: int
    """How many calls go along this path."""
    layer: "weakref.ref[Any]"
    shapes: tuple[tuple[int | None, ...], ...]
    dtype: str

    @property
    def address(self) -> str:
        """The shortest address that names this call."""
        return self.path if self.times == 1 else f"{self.path}@{self.call}"

    @property
    def tap(self) -> Tap:
        """The tap on this call's output."""
        return Tap(self.path, self.call)


@dataclasses.dataclass(frozen=True)
class Survey:
    """Every call of a model in the order in which the calls end, and the shapes and names of its outputs."""

    calls: tuple[Call, ...]
    output_names: tuple[str, ...]
    output_shapes: tuple[tuple[int | None, ...], ...]

    @functools.cached_property
    def by_path(self) -> dict[str, list[Call]]:
        """The calls along each path, in order."""
        found: dict[str, list[Call]] = {}
        for call in self.calls:
            found.setdefault(call.path, []).append(call)
        return found


def layers(model: Any) -> list[LayerInfo]:
    """List every call of a layer that can be tapped, in the order in which the calls end.

    Args:
        model: a built Keras model of any kind. Nested models are listed after the layers inside them.

    Raises:
        InputError: the model is not built.

    >>> import keras
    >>> model = keras.Sequential([keras.Input((8, 8, 1)), keras.layers.Conv2D(2, 3, activation="relu", name="conv")])
    >>> [(info.address, info.class_name, info.output_shape, info.activation) for info in layers(model)]
    [('conv', 'Conv2D', (None, 6, 6, 2), 'relu')]
    """
    infos = []
    for call in survey(model).calls:
        layer: Any = call.layer()
        shape = call.shapes[0] if len(call.shapes) == 1 else call.shapes
        infos.append(
            LayerInfo(call.address, type(layer).__name__, shape, call.dtype, layer.count_params(), _activation(layer))
        )
    return infos


def _activation(layer: Any) -> str:
    if type(layer).__name__ in _ACTIVATIONS_AS_LAYERS:
        return type(layer).__name__.lower()
    activation = vars(layer).get("activation")
    name = getattr(activation, "__name__", type(activation).__name__) if callable(activation) else ""
    return "" if name == "linear" else name


def survey(model: Any) -> Survey:
    """The calls and outputs of `model`, found once for each structure of it.

    A graph of Keras layers is read off; anything else (a `call` written in Python) is traced.
    """
    check_model(model)
    return remembered(model, "survey", lambda: _survey(model))


def _survey(model: Any) -> Survey:
    calls = list(_calls_of_graph(model, ""))
    if None in calls:
        return _traced_survey(model)
    functional = _graph_of(model)
    found = [call for call in calls if call is not None]
    names = _output_names(functional, functional._outputs_struct)
    return Survey(_numbered(found), names, tuple(tuple(t.shape) for t in functional.outputs))


def _graph_of(layer: Any) -> Any:
    """The Functional model that a layer runs, where its `call` is Keras's own and so says nothing more."""
    if type(layer).call is keras.Sequential.call:
        return layer._functional
    if type(layer).call.__qualname__ == "Functional.call" and type(layer).call.__module__.startswith("keras."):
        return layer
    return None


_Found = tuple[str, Any, tuple[tuple[int | None, ...], ...], str]


def _calls_of_graph(model: Any, prefix: str) -> Iterator[_Found | None]:
    """Every call below `model`, or None where a layer's own Python code decides."""
    graph = _graph_of(model)
    if graph is None:
        yield None
        return
    for depth in sorted(graph._nodes_by_depth, reverse=True):
        for node in graph._nodes_by_depth[depth]:
            layer = node.operation
            if node.is_input or not isinstance(layer, keras.layers.Layer) or _quantised(layer):
                continue
            path = prefix + layer.name
            if layer._layers:
                yield from _calls_of_graph(layer, f"{path}/")
            yield path, layer, tuple(tuple(t.shape) for t in node.outputs), node.outputs[0].dtype


def _quantised(layer: Any) -> bool:
    return getattr(layer, "quantization_mode", None) is not None


def _traced_survey(model: Any) -> Survey:
    structure, specs = input_specs(model)

    def look(*tensors: Any) -> tuple[Any, list[Seen]]:
        return watch_calls(model, keras.tree.map_structure(lambda position: tensors[position], structure))

    outputs, seen = _symbolically(look, specs)
    flat = keras.tree.flatten(outputs)
    found: list[_Found] = []
    for event in seen:
        tensors = [t for t in keras.tree.flatten(event.output) if tf.is_tensor(t)]
        if event.reachable and tensors and not _quantised(event.layer):
            shapes = tuple((None, *t.shape[1:]) for t in tensors)
            found.append((event.path, event.layer, shapes, tensors[0].dtype.name))
    return Survey(_numbered(found), _output_names(model, outputs), tuple((None, *t.shape[1:]) for t in flat))


def _symbolically(look: Any, specs: Sequence[InputSpec]) -> Any:
    """Call `look` on tensors without values: for any batch, else for a batch of one; else on zeros."""
    for batch in (None, 1):
        found: list[Any] = []
        signature = [tf.TensorSpec([batch, *spec.shape], spec.dtype) for spec in specs]
        try:
            tf.function(_into(found, look), autograph=False).get_concrete_function(*signature)
        except InputError:
            raise
        except Exception:
            continue
        return found[0]
    return look(*(tf.zeros([1, *(size or 1 for size in spec.shape)], spec.dtype) for spec in specs))


def _into(found: list[Any], look: Any) -> Any:
    def traced(*tensors: Any) -> None:
        found.append(look(*tensors))

    return traced


def _numbered(found: Sequence[_Found]) -> tuple[Call, ...]:
    times = Counter(path for path, *_ in found)
    count: Counter[str] = Counter()
    calls = []
    for path, layer, shapes, dtype in found:
        calls.append(Call(path, count[path], times[path], weakref.ref(layer), shapes, dtype))
        count[path] += 1
    return tuple(calls)


def _output_names(model: Any, outputs: Any) -> tuple[str, ...]:
    if isinstance(outputs, dict):
        return tuple(sorted(outputs))
    names = getattr(model, "output_names", None)
    count = len(keras.tree.flatten(outputs))
    return tuple(names) if names and len(names) == count else tuple(map(str, range(count)))


def spatial(call: Call) -> bool:
    """Whether a call's output is `(B, H, W, C)` with H x W > 1."""
    shape = call.shapes[0]
    return (
        len(call.shapes) == 1 and len(shape) == 4 and (shape[1] is None or shape[2] is None or shape[1] * shape[2] > 1)
    )


def locate(model: Any, layer: Any) -> tuple[str, Tap, Call]:
    """Find what `layer` names: its canonical address, its tap and its call.

    Args:
        model: a built Keras model.
        layer: an address, an index into `model.layers`, a Layer, or None for the last call whose output has
            H x W > 1.

    Raises:
        InputError: nothing is named so, or several calls are; the message lists the candidates or near names.
    """
    known = survey(model)
    calls = known.calls
    if layer is None:
        return _last_spatial(model, calls)
    if isinstance(layer, str):
        path, number, pre = parse(layer)
        along = known.by_path.get(path, [])
        if not along:
            raise InputError(_unknown(model, layer, path, calls))
        return _one(layer, along, number, pre)
    if isinstance(layer, (int, np.integer)) and not isinstance(layer, bool):
        layer = _by_index(model, int(layer))
    if not isinstance(layer, keras.layers.Layer):
        raise InputError(f"{layer!r} names no layer; expected an address, an index into model.layers, or a Layer.")
    along = [call for call in calls if call.layer() is layer]
    if not along:
        raise InputError(_unknown(model, layer.name, layer.name, calls))
    return _one(layer.name, along, None, False)


def _last_spatial(model: Any, calls: Sequence[Call]) -> tuple[str, Tap, Call]:
    for call in reversed(calls):
        if spatial(call):
            return call.address, call.tap, call
    raise InputError(
        f"No layer of {model.name!r} has an output (B, H, W, C) with H x W > 1, so there is nothing to map."
    )


def _one(given: str, along: Sequence[Call], number: int | None, pre: bool) -> tuple[str, Tap, Call]:
    if number is not None:
        along = [call for call in along if call.call == number] or _no_such_call(given, along)
    if len(along) > 1:
        names = ", ".join(repr(call.address) for call in along)
        raise InputError(f"{given!r} is called {len(along)} times; say which call is meant: {names}.")
    call = along[0]
    if pre and not (_activation(call.layer()) or callable(vars(call.layer()).get("activation"))):
        raise InputError(f"{call.path!r} ({type(call.layer()).__name__}) has no activation of its own, so no ':pre'.")
    return call.address + (":pre" if pre else ""), Tap(call.path, call.call, pre), call


def _no_such_call(given: str, along: Sequence[Call]) -> list[Call]:
    raise InputError(f"{given!r} names a call that there is not; {along[0].path!r} has {len(along)}, counted from 0.")


def _by_index(model: Any, index: int) -> Any:
    try:
        return model.layers[index]
    except IndexError:
        raise InputError(f"Layer {index} was asked for; {model.name!r} has {len(model.layers)} layers.") from None


def _unknown(model: Any, given: str, path: str, calls: Sequence[Call]) -> str:
    for layer in model._flatten_layers(include_self=False):
        if layer.name != path.rsplit("/", 1)[-1]:
            continue
        if isinstance(layer, keras.layers.InputLayer):
            return f"{given!r} is an input layer, which computes nothing that could be tapped; name a layer after it."
        if _quantised(layer):
            return f"{given!r} is quantised by Keras, and what it computes cannot be tapped; use the float model."
        if all(call.layer() is not layer for call in calls):
            return (
                f"{given!r} does not run as a plain Keras call here (it is inside a tf.function or a loop of the "
                "model's own, or unused), so it cannot be tapped; name a layer beside it."
            )
    names = [call.address for call in calls]
    near = [name for name in names if name.rsplit("/", 1)[-1] == path]
    near += [name for name in difflib.get_close_matches(path, names, n=5, cutoff=0.5) if name not in near]
    if near:
        return f"There is no layer {given!r} in {model.name!r}; near names: {', '.join(map(repr, near))}."
    shown = ", ".join(map(repr, names[:20])) + (f" and {len(names) - 20} more" if len(names) > 20 else "")
    return f"There is no layer {given!r} in {model.name!r}; its layers are {shown or 'none that can be tapped'}."
