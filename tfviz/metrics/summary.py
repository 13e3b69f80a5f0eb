"""From one number for each picture to a ranking: means, bootstrap intervals, what beats random maps, ranks."""

import dataclasses
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.metrics.ranking import mean_ranks
from tfviz.metrics.table import Metric

Doubles = npt.NDArray[np.float64]

_RESAMPLES = 2000
_TAILS = (2.5, 97.5)


@dataclasses.dataclass
class Scores:
    """What one method got so far: its numbers by metric, a part for each batch."""

    parts: dict[str, list[Doubles]] = dataclasses.field(default_factory=dict)
    seconds: float = 0.0
    images: int = 0
    empty: int = 0

    def add(self, metric: str, values: Any) -> None:
        """One number more for each picture of a batch."""
        self.parts.setdefault(metric, []).append(np.asarray(values, np.float64))

    def of(self, metric: str) -> Doubles:
        """All numbers of a metric."""
        return np.concatenate(self.parts[metric])


@dataclasses.dataclass(frozen=True)
class Estimate:
    """A mean over pictures with its 95 % bootstrap interval.

    `beats_random`: it is better than each random row, and the interval of the difference to it, picture by picture,
    leaves out 0. None where the metric is no merit, or the row is a random one.
    """

    mean: float
    low: float
    high: float
    images: int
    beats_random: bool | None


@dataclasses.dataclass(frozen=True)
class Row:
    """One method: its estimates by metric, its mean rank (lower is better; None for random rows), cost, empty maps."""

    method: str
    estimates: Mapping[str, Estimate]
    rank: float | None
    milliseconds: float
    empty_share: float


@dataclasses.dataclass(frozen=True)
class Evaluation:
    """Methods by metrics, the best first, random maps last."""

    rows: tuple[Row, ...]
    metrics: tuple[Metric, ...]
    images: int
    seed: int

    def to_json(self) -> dict[str, Any]:
        """Everything as plain JSON data."""
        return {
            "images": self.images,
            "seed": self.seed,
            "interval": "95 %, percentile bootstrap over pictures, 2000 resamples",
            "ranking": "mean rank over the ranked metrics of each group, then over the groups; 1 is best",
            "metrics": [
                {
                    "name": metric.name,
                    "group": metric.group,
                    "better": "higher" if metric.higher else "lower",
                    "ranked": metric.merit,
                    "what": metric.line,
                    "source": metric.source,
                }
                for metric in self.metrics
            ],
            "methods": [
                {
                    "method": row.method,
                    "rank": row.rank,
                    "milliseconds_an_image": row.milliseconds,
                    "empty_share": row.empty_share,
                    "metrics": {name: dataclasses.asdict(estimate) for name, estimate in row.estimates.items()},
                }
                for row in self.rows
            ],
        }


def summarise(
    scores: Mapping[str, Scores], metrics: Sequence[Metric], *, blind: Sequence[str], seed: int
) -> Evaluation:
    """Means, intervals and ranks of what was gathered; `blind` names the random rows."""
    estimates: dict[str, dict[str, Estimate]] = {name: {} for name in scores}
    for metric in metrics:
        values = {name: one.of(metric.name) for name, one in scores.items()}
        for name, estimate in _estimates(values, metric, blind, seed).items():
            estimates[name][metric.name] = estimate
    methods = [name for name in scores if name not in blind]
    ranks = dict(zip(methods, _ranks([estimates[name] for name in methods], metrics), strict=True))
    order = [*sorted(methods, key=lambda name: ranks[name]), *(name for name in blind if name in scores)]
    rows = tuple(
        Row(
            name,
            estimates[name],
            ranks.get(name),
            1000 * scores[name].seconds / scores[name].images,
            scores[name].empty / scores[name].images,
        )
        for name in order
    )
    return Evaluation(rows, tuple(metrics), max(one.images for one in scores.values()), seed)


def _estimates(values: Mapping[str, Doubles], metric: Metric, blind: Sequence[str], seed: int) -> dict[str, Estimate]:
    """One metric's estimates for every row; all rows are resampled alike, so differences are picture by picture."""
    names = list(values)
    table = np.stack([values[name] for name in names], axis=1)
    means = resampled_means(table, seed)
    low, high = np.percentile(means, _TAILS, axis=0)
    sign = 1 if metric.higher else -1
    bars = [names.index(name) for name in blind if name in names]
    found = {}
    for i, name in enumerate(names):
        beats = None
        if metric.merit and bars and name not in blind:
            beats = all(np.percentile(sign * (means[:, i] - means[:, bar]), _TAILS[0]) > 0 for bar in bars)
        found[name] = Estimate(float(table[:, i].mean()), float(low[i]), float(high[i]), len(table), beats)
    return found


def resampled_means(values: Doubles, seed: int, *, resamples: int = _RESAMPLES) -> Doubles:
    """The means of `(n, k)` values over n rows drawn with replacement, `(resamples, k)` (Efron 1979)."""
    draws = np.random.default_rng(seed)
    n = len(values)
    parts = []
    for start in range(0, resamples, 100):
        counts = draws.multinomial(n, np.full(n, 1 / n), size=min(100, resamples - start))
        parts.append(counts @ values / n)
    return np.concatenate(parts)


def _ranks(rows: Sequence[Mapping[str, Estimate]], metrics: Sequence[Metric]) -> list[float]:
    """Each row's mean rank, from 1: over a group's metrics of merit, then over the groups, none weighing more."""
    groups: dict[str, list[Doubles]] = {}
    for metric in metrics:
        if metric.merit:
            sign = -1 if metric.higher else 1
            means = np.array([[sign * row[metric.name].mean for row in rows]])
            groups.setdefault(metric.group, []).append(mean_ranks(means)[0] + 1)
    if not groups:
        return [1.0] * len(rows)
    return [float(rank) for rank in np.mean([np.mean(ranks, axis=0) for ranks in groups.values()], axis=0)]
