"""Which method to believe: methods of explanation ranked by metrics over a data set, beside maps that know nothing.

Streamed: pictures, their maps and their copies exist for one batch at a time; what stays is one number for each
picture, method and metric. Which metrics there are is in `tfviz.metrics.table`, what becomes of their numbers (means,
intervals, ranks) in `tfviz.metrics.summary`.
"""

import time
import warnings
from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz import registry
from tfviz.data import Dataset
from tfviz.errors import EmptyMapWarning, InputError
from tfviz.metrics.baseline import random_maps
from tfviz.metrics.summary import Evaluation, Scores, summarise
from tfviz.metrics.table import METRICS, Asked, Metric, find
from tfviz.target import predictions

Array = npt.NDArray[Any]
Explain = Callable[[Any, Any, Any], Any]
Advance = Callable[[int, str], None]

BATCH = 32
COARSE = 8


def evaluate(
    model: Any,
    data: Any,
    methods: Sequence[str] | Mapping[str, Explain],
    *,
    metrics: Sequence[str] | None = None,
    target: Any = None,
    layer: Any = None,
    preprocess: Callable[[Array], Array] | None = None,
    steps: int = 20,
    samples: int = 64,
    seed: int = 0,
    advance: Advance | None = None,
) -> Evaluation:
    """Judge methods on data: methods x metrics, each a mean with its interval, ranked, with random maps as rows.

    Each picture is explained for one class (by default the one that the model predicts). Deletion, insertion, ROAD,
    drop, increase and gain are of that class's probability, mu-fidelity and infidelity of its logit. Masks of the data,
    where it has them, are used for the pointing game and relevance accuracies; without masks these are left out.

    Two rows know nothing: `random` is noise pixel by pixel, `random-coarse` noise of 8 x 8 places, the fair comparison
    for coarse maps. Both are drawn anew at each call.

    Args:
        model: a built Keras model of pictures.
        data: a `tfviz.data.Dataset`; its batches, or anything with `images` (B, H, W, C) and perhaps `masks`
            (B, H, W) bool; or one array of images.
        methods: names of `tfviz.registry`; or functions `explain(model, images, classes) -> maps` by name.
        metrics: names of `tfviz.metrics.table.METRICS`; None for all that the data allows.
        target: a class for all pictures, or None.
        layer: address for the CAMs; None for the last layer with places.
        preprocess: from the data's images to the model's; None: as they are.
        steps: of deletion and insertion.
        samples: of mu-fidelity and infidelity.
        seed: of everything random, the bootstrap included.
        advance: told `(1, method)` after each method on each batch.

    Raises:
        InputError: an unknown method or metric, no pictures, or a method that does not apply to the model.
    """
    explainers = _explainers(methods, layer, seed)
    wanted = [find(name) for name in metrics] if metrics is not None else None
    scores: dict[str, Scores] = {name: Scores() for name in explainers}
    judged: list[Metric] = []
    for number, batch in enumerate(_batches(data)):
        pictures = np.asarray(getattr(batch, "images", batch))
        images = pictures if preprocess is None else preprocess(pictures)
        masks = getattr(batch, "masks", None)
        if number == 0:
            judged = _usable(wanted, masks is not None)
        classes = predictions(model, images) if target is None else np.full(len(images), target)
        for name, explain in explainers.items():
            asked = Asked(model, images, classes, masks, explain, steps=steps, samples=samples, seed=seed, batch=number)
            _judge(asked, judged, scores[name])
            if advance is not None:
                advance(1, name)
    if not judged:
        raise InputError("There are no pictures to judge the methods on.")
    return summarise(scores, judged, blind=tuple(BLIND), seed=seed)


def _batches(data: Any) -> Iterable[Any]:
    if isinstance(data, Dataset):
        return data.batches(BATCH)
    return [data] if isinstance(data, np.ndarray) else data


def _judge(asked: Asked, metrics: Sequence[Metric], into: Scores) -> None:
    """One method on one batch."""
    with warnings.catch_warnings():
        # Empty maps are counted and told in the table, instead of once for each batch.
        warnings.simplefilter("ignore", EmptyMapWarning)
        started = time.perf_counter()
        maps = asked.maps
        into.seconds += time.perf_counter() - started
        into.images += len(maps)
        into.empty += int((~np.any(maps, axis=(1, 2))).sum())
        for metric in metrics:
            if metric.batches is None or asked.batch < metric.batches:
                into.add(metric.name, metric.function(asked))


def _usable(wanted: Sequence[Metric] | None, masked: bool) -> list[Metric]:
    if wanted is None:
        return [metric for metric in METRICS.values() if masked or not metric.needs_masks]
    blind = [metric.name for metric in wanted if metric.needs_masks and not masked]
    if blind:
        raise InputError(f"{blind[0]} needs masks of the objects, and this data has none; dog-poses has.")
    return list(wanted)


def _explainers(methods: Sequence[str] | Mapping[str, Explain], layer: Any, seed: int) -> dict[str, Explain]:
    if isinstance(methods, str) or not methods:
        raise InputError(f"Methods are a list of names, or functions by name, not {methods!r}.")
    found = dict(methods) if isinstance(methods, Mapping) else dict(_registered(name, layer) for name in methods)
    return found | {name: make(seed) for name, make in BLIND.items()}


def _registered(name: str, layer: Any) -> tuple[str, Explain]:
    method = registry.find(name)
    options = {"layer": layer} if method.kind == "layer" and layer is not None else {}
    return method.name, partial(method.function, **options)


def applicable(
    model: Any, images: Array, methods: Sequence[str], *, target: Any = None, layer: Any = None
) -> tuple[list[str], dict[str, str]]:
    """Which of the methods apply to the model, and of the others why not; each is tried on the images."""
    usable, refused = [], {}
    for name in methods:
        _, explain = _registered(name, layer)
        try:
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")
                explain(model, images, target)
            usable.append(name)
        except InputError as error:
            refused[name] = str(error)
    return usable, refused


def _random(seed: int, *, grid: int | None = None) -> Explain:
    draws = np.random.default_rng([seed, 0 if grid is None else grid])

    def explain(_: Any, images: Any, __: Any) -> Any:
        return random_maps(images, grid=grid, seed=int(draws.integers(2**32)))

    return explain


BLIND: dict[str, Callable[[int], Explain]] = {"random": _random, "random-coarse": partial(_random, grid=COARSE)}
