"""The metrics as `tfviz.evaluate` uses them: one list of their names, what is better, and how they are asked."""

import dataclasses
import difflib
import functools
from collections.abc import Callable, Sequence
from typing import Any, Literal

import numpy as np
import numpy.typing as npt

from tfviz import target
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
Group = Literal["faithful", "on the object", "stable", "hangs on weights", "concentrated"]


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


@dataclasses.dataclass(frozen=True)
class Metric:
    """One metric: `group` is what it says of a map, `higher` that more is better; `line` and `source` for readers.

    `batches` limits a dear one to the first so many batches.
    """

    name: str
    group: Group
    higher: bool
    function: Callable[[Asked], Any]
    line: str
    source: str
    needs_masks: bool = False
    batches: int | None = None

    @property
    def merit(self) -> bool:
        """Whether it counts for the ranking, and random maps are the bar to pass.

        The others are conditions and properties that a worthless map may meet: one that is the same everywhere is
        perfectly stable, a random one keeps nothing when the weights change, one dot is as concentrated as can be.
        """
        return self.group in ("faithful", "on the object")


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


METRICS = {
    metric.name: metric
    for metric in (
        Metric(
            "deletion",
            "faithful",
            False,
            lambda a: a.scored(deletion, a.probability, steps=a.steps, seed=a.seed),
            "area under the probability while the most relevant pixels are blackened",
            "Petsiuk et al. 2018",
        ),
        Metric(
            "insertion",
            "faithful",
            True,
            lambda a: a.scored(insertion, a.probability, steps=a.steps, seed=a.seed),
            "area under the probability while the most relevant pixels come back into the blurred picture",
            "Petsiuk et al. 2018",
        ),
        Metric(
            "road",
            "faithful",
            True,
            lambda a: a.scored(road, a.probability, seed=a.seed),
            "probability left with the least less that with the most relevant pixels filled in, halved",
            "Rong et al. 2022",
        ),
        Metric(
            "average-drop",
            "faithful",
            False,
            lambda a: a.scored(average_drop, a.probability),
            "share of the probability lost when only the map's part is seen",
            "Chattopadhay et al. 2018",
        ),
        Metric(
            "average-increase",
            "faithful",
            True,
            lambda a: a.scored(average_increase, a.probability),
            "share of pictures whose probability rises when only the map's part is seen",
            "Chattopadhay et al. 2018",
        ),
        Metric(
            "average-gain",
            "faithful",
            True,
            lambda a: a.scored(average_gain, a.probability),
            "share of the missing probability won when only the map's part is seen",
            "Zhang et al. 2023",
        ),
        Metric(
            "mu-fidelity",
            "faithful",
            True,
            lambda a: a.scored(mu_fidelity, a.classes, samples=a.samples, seed=a.seed),
            "correlation of a map's sum over random cells with the logit's fall when they are blackened",
            "Bhatt et al. 2020",
        ),
        Metric(
            "infidelity",
            "faithful",
            False,
            lambda a: a.scored(infidelity, a.classes, samples=a.samples, seed=a.seed),
            "squared error of the best-scaled map as a forecast of the logit's change under noise",
            "Yeh et al. 2019",
        ),
        Metric(
            "pointing-game",
            "on the object",
            True,
            lambda a: pointing_game(a.maps, a.masks),
            "share of pictures whose largest value lies on the object",
            "Zhang et al. 2018",
            needs_masks=True,
        ),
        Metric(
            "relevance-mass",
            "on the object",
            True,
            lambda a: relevance_mass(a.maps, a.masks),
            "share of the positive relevance that lies on the object",
            "Arras et al. 2022",
            needs_masks=True,
        ),
        Metric(
            "relevance-rank",
            "on the object",
            True,
            lambda a: relevance_rank(a.maps, a.masks),
            "share of the largest values, as many as the object has pixels, that lies on it",
            "Arras et al. 2022",
            needs_masks=True,
        ),
        Metric(
            "max-sensitivity",
            "stable",
            False,
            _instability,
            "largest change of the map, scaled to length 1, while the picture changes by at most 2 % of its span",
            "Yeh et al. 2019",
            batches=1,
        ),
        Metric(
            "randomisation",
            "hangs on weights",
            False,
            _dependence,
            "rank correlation that is left while the weights are randomised from the output down",
            "Adebayo et al. 2018",
            batches=1,
        ),
        Metric(
            "sparseness",
            "concentrated",
            True,
            lambda a: sparseness(a.resized),
            "Gini index of the map",
            "Chalasani et al. 2020",
        ),
        Metric(
            "complexity",
            "concentrated",
            False,
            lambda a: complexity(a.resized),
            "entropy of the map, in nats",
            "Bhatt et al. 2020",
        ),
    )
}


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
