"""Drift: the same pictures explained by the float model and by what was made of it, and numbers over a data set."""

import dataclasses
from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from firmware_tools.explain._maps import explained
from firmware_tools.explain._words import answer
from firmware_tools.graph import Graph
from firmware_tools.pictures import Expectation
from firmware_tools.reference.keras_engine import KerasEngine
from firmware_tools.results import Disagreement, Drift, Gaze, Growth
from tfviz.errors import InputError
from tfviz.trace import Engine

if TYPE_CHECKING:
    from tfviz.data import Dataset

Array = npt.NDArray[Any]
TOP_SHARE = 0.2
_BATCH = 16
_BOARDS = ("emulator", "qemu", "serial")


@dataclasses.dataclass(frozen=True)
class Looks:
    """One picture as every engine explains it: for the class that the float model names.

    `maps` are raw, `(h, w)` by engine in the order of `Drift.engines`; one colour scale fits them all. `said` is what
    each engine names.
    """

    name: str
    image: npt.NDArray[np.uint8]
    label: int | None
    said: tuple[int, ...]
    maps: tuple[npt.NDArray[np.float32], ...]


def drift(
    float_engine: KerasEngine,
    engines: Sequence[Engine],
    data: "Dataset",
    *,
    expected: Expectation,
    method: str = "cam",
    shown: int = 3,
    graph: Graph | None = None,
    options: Mapping[str, Any] | None = None,
    progress: Callable[[int], object] = lambda _: None,
) -> tuple[Drift, tuple[Looks, ...]]:
    """Explain every image by every engine, for the class that the float model names.

    Args:
        float_engine: before quantisation.
        engines: after it, open; each runs each image once (more often with score-cam, occlusion and rise).
        data: pictures; with masks it is also measured whether the map lies on the object.
        expected: what the model expects of pictures.
        method: one of `METHODS`.
        shown: how many of the first images are kept with their maps; those on which an engine disagrees come on top,
            as many again.
        graph: the `.tflite`, for engines that do not bring it.
        options: of the method.
        progress: told how many more images are done.

    Raises:
        InputError: data that are no pictures, a method that does not fit the model, engines whose maps differ in size.
    """
    everyone: list[Engine] = [float_engine, *engines]
    totals = [_Tally() for _ in everyone]
    kept: list[Looks] = []
    apart: list[Looks] = []
    object_shares: list[float] = []
    for batch in data.batches(_BATCH):
        pictures = expected.shown(batch.images)
        if pictures is None:
            raise InputError(f"{data.spec} holds no pictures (uint8 pixels); only those can be explained.")
        classes: Any = None
        maps, said = [], []
        for engine in everyone:
            made, names = explained(
                engine, pictures, classes, method=method, expected=expected, graph=graph, **(options or {})
            )
            classes = names if classes is None else classes
            maps.append(made)
            said.append(names)
        _check_sizes(everyone, maps)
        masks = _usable(batch.masks, pictures.shape)
        for tally, heat, names in zip(totals, maps, said, strict=True):
            tally.add(heat, maps[0], names == classes, masks)
        if masks is not None:
            object_shares += [float(mask.mean()) for mask in masks]
        for i, name in enumerate(batch.names):
            label = None if batch.labels is None else int(batch.labels[i])
            differs = any(names[i] != classes[i] for names in said)
            chosen = kept if len(kept) < shown else apart
            if chosen is kept or (differs and len(apart) < shown):
                chosen.append(
                    Looks(name, pictures[i], label, tuple(int(n[i]) for n in said), tuple(heat[i] for heat in maps))
                )
        progress(len(batch))
    looks = (*kept, *apart)
    gazes = tuple(
        tally.gaze(engine, index == 0) for index, (tally, engine) in enumerate(zip(totals, everyone, strict=True))
    )
    share = float(np.mean(object_shares)) if object_shares else None
    question, words, same = answer(gazes, thing=_thing(data.spec, share), share=share, images=len(data))
    odd = tuple(
        Disagreement(look.name, look.label, look.said[0], engine.name, name)
        for look in looks
        for engine, name in zip(everyone[1:], look.said[1:], strict=True)
        if name != look.said[0]
    )
    return Drift(question, words, same, method, len(data), share, gazes, odd), looks


def with_growth(
    found: Drift,
    looks: Sequence[Looks],
    float_engine: KerasEngine,
    engines: Sequence[Engine],
    *,
    expected: Expectation,
) -> Drift:
    """The disagreements with how far each layer is from the float model's on that image: where the error grows."""
    from firmware_tools._compare import compare

    pictures = {look.name: look.image for look in looks}
    opened = {engine.name: engine for engine in engines}
    told = []
    for one in found.disagreements:
        ops = compare(
            opened[one.engine], opened[one.engine], pictures[one.image][np.newaxis], float_engine=float_engine,
            expected=expected, samples=0,
        ).ops  # fmt: skip
        growth = tuple(Growth(op.index, op.keras_layer or op.name, op.sqnr_db) for op in ops)
        told.append(dataclasses.replace(one, growth=growth))
    return dataclasses.replace(found, disagreements=tuple(told))


def top_overlap(maps: Array, others: Array, *, share: float = TOP_SHARE) -> npt.NDArray[np.float64]:
    """Of the highest `share` of places of one map, how much the other has among its own, `(B,)`.

    Of equal values at the border each place is in by the part that a lot would give it; so equal maps have 1.

    >>> top_overlap(np.array([[[4.0, 3, 2, 1, 0]]]), np.array([[[0.0, 3, 2, 1, 4]]]), share=0.4)
    array([0.5])
    """
    one, other = (_membership(np.asarray(m, np.float64).reshape(len(m), -1), share) for m in (maps, others))
    return np.asarray(np.minimum(one, other).sum(axis=1) / one.sum(axis=1))


def _membership(values: Array, share: float) -> Array:
    count = max(1, round(share * values.shape[1]))
    limit = -np.partition(-values, count - 1, axis=1)[:, count - 1 : count]
    above, level = values > limit, values == limit
    part = (count - above.sum(axis=1, keepdims=True)) / level.sum(axis=1, keepdims=True)
    return np.asarray(above + level * part)


class _Tally:
    """One engine's figures, an image after the other; keeps numbers alone."""

    def __init__(self) -> None:
        self.spearman: list[float] = []
        self.overlap: list[float] = []
        self.pointing: list[float] = []
        self.mass: list[float] = []
        self.same: list[bool] = []
        self.empty = 0

    def add(self, maps: Array, floats: Array, same: Array, masks: Array | None) -> None:
        from tfviz import metrics

        # An order needs values that differ: a map without any has none, and is counted instead.
        varied = [i for i in range(len(maps)) if np.ptp(maps[i]) > 0 and np.ptp(floats[i]) > 0]
        self.empty += int(np.sum(maps.max(axis=(1, 2)) <= 0))
        if varied:
            self.spearman += metrics.spearman(maps[varied], floats[varied]).tolist()
            self.overlap += top_overlap(maps[varied], floats[varied]).tolist()
        if masks is not None:
            self.pointing += metrics.pointing_game(maps, masks).tolist()
            self.mass += metrics.relevance_mass(maps, masks).tolist()
        self.same += same.tolist()

    def gaze(self, engine: Engine, is_float: bool) -> Gaze:
        kind = engine.name.partition(":")[0]
        role = "float" if is_float else "device" if kind in _BOARDS else "int8"
        return Gaze(
            engine.name,
            role,
            _mean(self.spearman),
            min(self.spearman, default=None),
            _mean(self.overlap),
            _mean(self.pointing),
            _mean(self.mass),
            float(np.mean(self.same)),
            self.empty,
        )


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None


def _check_sizes(engines: Sequence[Engine], maps: Sequence[Array]) -> None:
    for engine, made in zip(engines[1:], maps[1:], strict=True):
        if made.shape != maps[0].shape:
            raise InputError(
                f"The map of {engine.name} is {made.shape[1]} x {made.shape[2]}, the float model's "
                f"{maps[0].shape[1]} x {maps[0].shape[2]}; is it the same model? Else use occlusion or rise."
            )


def _usable(masks: Array | None, shape: Sequence[int]) -> Array | None:
    """Masks at the pictures' size, or None where there are none or one is empty."""
    if masks is None or tuple(masks.shape[1:3]) != tuple(shape[1:3]) or not masks.any(axis=(1, 2)).all():
        return None
    return masks


def _thing(spec: str, share: float | None) -> str | None:
    if share is None:
        return None
    return "the dog" if spec == "dog-poses" else "the object"
