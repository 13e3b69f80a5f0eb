"""Which Keras layer is which op of a `.tflite`.

The converter fuses batch norm and activations, folds constants and renames tensors, so a name is only a hint. The proof
is numeric: each op is replayed over real numbers on what the float model says that it should have been given, and the
layer's float tensor is held against what it makes of that. All that is left of 8 bits is the rounding of the weights.
The noise of the ops before does not add up: op 300 of a deep network is proved as well as op 3, and an op whose
integers say nothing (a saturated gate, a signal below one step) as well as any. What has no partner is listed, not
guessed.
"""

import dataclasses
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.trace import Step, Tensor, Trace

if TYPE_CHECKING:
    from firmware_tools.graph import Graph

Array = npt.NDArray[Any]
# Measured: with weights rounded to 8 bits the right pairs of all families of keras.applications keep 27 dB and more. An
# op that is no layer's reaches 8 dB with the one most like it (gates of EfficientNetV2B0; MobileNetV2 and V3 less), a
# tensor against itself before ReLU about 3 dB. Layers like an op's own come nearer (30 dB); its own is better by far.
LEAST_SQNR_DB = 20.0
# Without the graph only the accumulated error can be looked at, where less has to do. A name that fits is half a proof.
LEAST_SQNR_DB_ACCUMULATED = 6.0
LEAST_SQNR_DB_ACCUMULATED_NAMED = 2.0
# An op that fits a layer so much better than an earlier one takes it over: the earlier was a part of the way there.
TAKE_OVER_DB = 6.0
# A calibrated range cuts off less than this share of an op's values, a range that is an activation more.
MUCH = 0.05
# Layers whose tensors are closer to each other than this cannot be told apart beneath the noise of 8 bits.
TWINS_DB = 50.0
# Layers whose batch norm the converter folds into them.
FOLDING = ("Conv2D", "DepthwiseConv2D", "Conv1D", "SeparableConv2D", "Dense")
# So many values of a tensor are looked at, drawn once: comparing is quick however large the maps are.
SKETCH = 4096


@dataclasses.dataclass(frozen=True)
class Alignment:
    """`layers` is the address by op index; `sqnr_db` how well each pair agrees over the images looked at."""

    layers: Mapping[int, str]
    sqnr_db: Mapping[int, float]
    unpaired_ops: tuple[int, ...]
    unpaired_layers: tuple[str, ...]


def align(quantised: Sequence[Trace], floats: Sequence[Trace], *, graph: "Graph | None" = None) -> Alignment:
    """Pair the ops of a `.tflite` with the layers of the float model that it was made from.

    Args:
        quantised: traces of a few images.
        floats: traces of the same images by the float model, its steps named by layer addresses.
        graph: the `.tflite`; with it each op is judged by itself. Without it (traces of a file that is not at hand)
            by what has accumulated until there, which proves less in deep networks.
    """
    from firmware_tools._real_graph import in_reals, trace_in_reals
    from firmware_tools._replay import Replay

    layers: dict[int, str] = {}
    proofs: dict[int, float] = {}
    known = _Layers(floats)
    replay = None if graph is None else Replay(in_reals(graph), list(map(trace_in_reals, quantised, floats)))
    bounds = (LEAST_SQNR_DB, LEAST_SQNR_DB) if replay else (LEAST_SQNR_DB_ACCUMULATED, LEAST_SQNR_DB_ACCUMULATED_NAMED)
    for position, step in enumerate(quantised[0].steps):
        judged = [trace.steps[position].output for trace in quantised]
        for made in [judged] if replay is None else _readings(replay.run(step.index), judged[0]):
            proved = known.alike(made)
            taken = set(layers.values())
            if replay is not None and not replay.hands_on(step.index):
                taken -= _outdone(layers, proofs, proved)
            chosen = _choose(step, proved, known, taken, bounds)
            if chosen is not None:
                break
        if chosen is not None:
            for index in [index for index, layer in layers.items() if layer == chosen]:
                del layers[index], proofs[index]
            layers[step.index], proofs[step.index] = chosen, proved[chosen]
        if replay is not None:
            if chosen is not None:
                replay.put(step.index, known.reals(chosen))
            replay.forget(step.index)
    paired = set(layers.values())
    return Alignment(
        layers=layers,
        sqnr_db=proofs,
        unpaired_ops=tuple(step.index for step in quantised[0].steps if step.index not in layers),
        unpaired_layers=tuple(
            step.name for step in floats[0].steps if step.name not in paired and not step.name.endswith(":pre")
        ),
    )


def named(tensor_name: str, address: str) -> bool:
    """Whether a tensor's name tells of a layer; TensorFlow appends `_1`, `_2` to names that it has seen before.

    >>> named("dog_cnn_1/conv1_1/Relu;dog_cnn_1/conv1_1/convolution", "conv1")
    True
    >>> named("model/conv2d_1/BiasAdd", "conv2d_2")
    False
    """
    leaf = address.removesuffix(":pre").split("@")[0].rsplit("/", 1)[-1]
    pattern = re.compile(rf"{re.escape(leaf)}(_\d+)*")
    return any(pattern.fullmatch(part) for part in re.split("[;/]", tensor_name))


def _readings(made: Sequence[Tensor], written: Tensor) -> Iterator[Sequence[Tensor]]:
    """What an op makes over real numbers; before it, where they cut much, as the ends of the integers' range leave it.

    A file may have its ReLU as a range that begins at zero, and as nothing else; or it was badly calibrated.
    """
    if written.scale is not None:
        limits = np.iinfo(written.values.dtype)
        low, high = (written.scale * (int(end) - written.zero_point) for end in (limits.min, limits.max))
        cut = [dataclasses.replace(one, values=np.clip(one.values, low, high)) for one in made]
        changed = [np.abs(a.values - b.values) > written.scale for a, b in zip(cut, made, strict=True)]
        if np.mean(changed) > MUCH:
            yield cut
    yield made


def _outdone(layers: Mapping[int, str], proofs: Mapping[int, float], proved: Mapping[str, float]) -> set[str]:
    """Layers that an op fits better than the one that has them."""
    return {
        layer for index, layer in layers.items() if layer in proved and proved[layer] > proofs[index] + TAKE_OVER_DB
    }


class _Layers:
    """The float model's tensors: all that were given, and a sketch of each, stacked by shape."""

    def __init__(self, floats: Sequence[Trace]) -> None:
        self._floats = floats
        self._place = {step.name: place for place, step in enumerate(floats[0].steps)}
        self._kind = {step.name: step.op for step in floats[0].steps}
        self._by_sizes: dict[tuple[int, ...], list[str]] = {}
        for step in floats[0].steps:
            self._by_sizes.setdefault(_sizes(step.output), []).append(step.name)
        self._stacks = {
            sizes: np.stack([_sketch(self.reals(name)) for name in names]) for sizes, names in self._by_sizes.items()
        }

    def reals(self, address: str) -> list[Array]:
        """A layer's tensor of each image."""
        return [trace.steps[self._place[address]].output.values for trace in self._floats]

    def alike(self, made: Sequence[Tensor]) -> dict[str, float]:
        """SQNR in dB of every layer whose tensor has that shape (axes of length 1 aside); one with NaN is left out."""
        sizes = _sizes(made[0])
        if sizes not in self._stacks:
            return {}
        return _decibels(self._by_sizes[sizes], self._stacks[sizes], _sketch([tensor.real for tensor in made]))

    def twins(self, address: str) -> dict[str, float]:
        """Layers whose tensors are the same as this one's or hardly differ, and how much: infinite dB are the same."""
        sizes = _sizes(self._floats[0].steps[self._place[address]].output)
        names, stack = self._by_sizes[sizes], self._stacks[sizes]
        found = _decibels(names, stack, stack[names.index(address)])
        return {name: sqnr for name, sqnr in found.items() if sqnr >= TWINS_DB}

    def silent(self, address: str) -> bool:
        """Whether a layer's tensor is zero everywhere."""
        return not any(values.any() for values in self.reals(address))

    def normalised(self, address: str, twins: Sequence[str]) -> str:
        """A convolution's batch norm among its twins (a new one changes nothing), since the op has it folded in."""
        if self._kind[address] not in FOLDING or f"{address}:pre" in self._place:
            return address
        later = [
            twin
            for twin in twins
            if self._kind[twin] == "BatchNormalization" and self._place[twin] > self._place[address]
        ]
        return min(later, key=self.order, default=address)

    def order(self, address: str) -> int:
        """When a layer was called."""
        return self._place[address]


def _sizes(tensor: Tensor) -> tuple[int, ...]:
    return tuple(size for size in tensor.values.shape if size != 1)


def _sketch(images: Sequence[Array]) -> Array:
    """The same few thousand values of each image, in one row."""
    size = images[0].size
    if size <= SKETCH:
        return np.concatenate([values.ravel() for values in images]).astype(np.float64)
    drawn = np.random.default_rng(size).choice(size, SKETCH, replace=False)
    return np.concatenate([values.ravel()[drawn] for values in images]).astype(np.float64)


def _decibels(names: Sequence[str], rows: Array, y: Array) -> dict[str, float]:
    """10 log10(sum x^2 / sum (y - x)^2) of each row x."""
    with np.errstate(invalid="ignore", over="ignore", divide="ignore"):
        error2, x2 = ((rows - y) ** 2).sum(axis=1), (rows**2).sum(axis=1)
        found = np.where(error2 == 0, np.inf, 10 * np.log10(x2 / error2))
    return {name: float(value) for name, value in zip(names, found, strict=True) if not np.isnan(value)}


def _choose(
    step: Step, proved: Mapping[str, float], known: _Layers, taken: set[str], bounds: tuple[float, float]
) -> str | None:
    """The layer that fits best; among layers that numbers cannot tell apart the name decides, then their order."""
    name = step.output.name
    least, least_named = bounds
    fits = {a: sqnr for a, sqnr in proved.items() if sqnr >= (least_named if named(name, a) else least)}
    if not fits:
        return None
    best = max(fits, key=lambda address: fits[address])
    twins = {a: sqnr for a, sqnr in known.twins(best).items() if a in fits} or {best: np.inf}
    free = [address for address in twins if address not in taken]
    if known.silent(best):  # tensors that are all zero prove nothing
        free = [address for address in free if named(name, address)]

    def preference(address: str) -> tuple[bool, bool, int, int]:
        # Of layers that are nearly the same (a convolution and its batch norm, both new) an op gives the last; of
        # those that are the very same (Dropout, Flatten and what they read) it is the first that computed.
        same = min(known.order(other) for other, sqnr in known.twins(address).items() if sqnr == np.inf)
        return not named(name, address), address.endswith(":pre"), -same, known.order(address)

    chosen = min(free, key=preference, default=None)
    return chosen if chosen is None else known.normalised(chosen, free)
