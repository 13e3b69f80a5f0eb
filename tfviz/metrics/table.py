"""The metrics as `tfviz.evaluate` asks them; what each of them is stands in `tfviz._metric_catalogue`."""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz import target
from tfviz._metric_catalogue import FACTS, Facts
from tfviz.errors import InputError
from tfviz.metrics.concentration import complexity, sparseness
from tfviz.metrics.curves import deletion, insertion
from tfviz.metrics.fidelity import infidelity, mu_fidelity
from tfviz.metrics.imputation import road
from tfviz.metrics.localisation import pointing_game, relevance_mass, relevance_rank
from tfviz.metrics.masking import average_drop, average_gain, average_increase
from tfviz.metrics.randomising import randomisation
from tfviz.metrics.scoring import fitted
from tfviz.metrics.sensitivity import max_sensitivity

Array = npt.NDArray[Any]


@dataclasses.dataclass(frozen=True, eq=False)
class Asked:
    """One method on one batch of pictures.

    Attributes:
        model, images: as everywhere.
        classes: (B,) the class that each picture is explained for.
        masks: (B, H, W) bool, or None.
        explain: the method.
        steps, samples, seed: of the metrics.
        batch: its number, from 0.
    """

    model: Any
    images: Array
    classes: Array
    masks: Array | None
    explain: Callable[[Any, Any, Any], Any]
    steps: int
    samples: int
    seed: int
    batch: int

    @functools.cached_property
    def maps(self) -> npt.NDArray[np.float32]:
        """The method's maps `(B, h, w)`, as it gave them."""
        return np.asarray(self.explain(self.model, self.images, self.classes), np.float32)

    @functools.cached_property
    def resized(self) -> npt.NDArray[np.float32]:
        """The maps at the images' resolution, so that coarse and fine ones are compared alike."""
        return fitted(self.maps, self.images.shape[:3])

    @property
    def probability(self) -> target.Target:
        """The probability of the explained class."""
        return target.probability(self.classes)

    def scored(self, metric: Callable[..., Any], wanted: Any, **options: Any) -> Any:
        """A metric that asks the model, on this batch."""
        return metric(self.model, self.images, self.resized, wanted, **options)


@dataclasses.dataclass(frozen=True, kw_only=True)
class Metric(Facts):
    """A metric's facts, and how it is asked."""

    function: Callable[[Asked], Any]


def _dependence(a: Asked) -> Any:
    """The mean rank correlation along the cascade."""
    steps = randomisation(a.model, a.images, a.maps, a.classes, explain=a.explain, seed=a.seed)
    return np.mean([step.spearman for step in steps], axis=0)


def _instability(a: Asked) -> Any:
    """Of maps scaled to length 1: one in the unit of exp(score), as Grad-CAM++'s, would change with the score alone."""

    def explain(model: Any, images: Any, classes: Any) -> Array:
        return _unit(np.asarray(a.explain(model, images, classes), np.float64))

    return max_sensitivity(a.model, a.images, _unit(a.maps.astype(np.float64)), a.classes, explain=explain, seed=a.seed)


def _unit(maps: Array) -> Array:
    norms = np.linalg.norm(maps.reshape(len(maps), -1), axis=1)[:, np.newaxis, np.newaxis]
    return np.asarray(maps / np.where(norms == 0, 1, norms))


_FUNCTIONS: dict[str, Callable[[Asked], Any]] = {
    "deletion": lambda a: a.scored(deletion, a.probability, steps=a.steps, seed=a.seed),
    "insertion": lambda a: a.scored(insertion, a.probability, steps=a.steps, seed=a.seed),
    "road": lambda a: a.scored(road, a.probability, seed=a.seed),
    "average-drop": lambda a: a.scored(average_drop, a.probability),
    "average-increase": lambda a: a.scored(average_increase, a.probability),
    "average-gain": lambda a: a.scored(average_gain, a.probability),
    "mu-fidelity": lambda a: a.scored(mu_fidelity, a.classes, samples=a.samples, seed=a.seed),
    "infidelity": lambda a: a.scored(infidelity, a.classes, samples=a.samples, seed=a.seed),
    "pointing-game": lambda a: pointing_game(a.maps, a.masks),
    "relevance-mass": lambda a: relevance_mass(a.maps, a.masks),
    "relevance-rank": lambda a: relevance_rank(a.maps, a.masks),
    "max-sensitivity": _instability,
    "randomisation": _dependence,
    "sparseness": lambda a: sparseness(a.resized),
    "complexity": lambda a: complexity(a.resized),
}
METRICS = {facts.name: Metric(**vars(facts), function=_FUNCTIONS[facts.name]) for facts in FACTS}


def find(name: str) -> Metric:
    """The metric called `name`; `_` is taken for `-`.

    Raises:
        InputError: there is none; the message lists near names.
    """
    wanted = name.lower().replace("_", "-")
    if wanted in METRICS:
        return METRICS[wanted]
    near: Sequence[str] = difflib.get_close_matches(wanted, METRICS, n=3, cutoff=0.5)
    raise InputError(
        f"There is no metric {name!r}; {'near names' if near else 'there are'}: {', '.join(near or METRICS)}."
    )
