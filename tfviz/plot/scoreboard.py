"""Methods judged by metrics: one panel for each metric, one dot with its interval for each method."""

from typing import TYPE_CHECKING, Any

import numpy as np

from tfviz.errors import InputError
from tfviz.plot.canvas import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

_ACROSS = 5
_GOOD, _PLAIN, _BLIND = "#31688e", "#8a8a8a", "#b2622a"


def scoreboard(evaluation: Any, *, title: str = "") -> "Figure":
    """Panels of a `tfviz.evaluate`: dots are means over the pictures, bars 95 % intervals, the best method on top.

    Blue methods beat random maps on that metric, grey ones do not; orange are the random maps themselves, with a dashed
    line at the better of them. Each panel's title says which way is better.

    Args:
        evaluation: what `tfviz.evaluate` gave.
        title: above all.

    Raises:
        InputError: an evaluation without rows or metrics.
    """
    rows, metrics = evaluation.rows, evaluation.metrics
    if not rows or not metrics:
        raise InputError("There is no method or no metric to draw.")
    across = min(_ACROSS, len(metrics))
    down = -(-len(metrics) // across)
    figure = new_figure(2.3 * across + 1.4, down * (0.23 * len(rows) + 0.9) + 0.7)
    panels = figure.subplots(down, across, sharey=True, squeeze=False)
    for axes in panels.flat[len(metrics) :]:
        axes.set_axis_off()
    for axes, metric in zip(panels.flat, metrics, strict=False):
        _panel(axes, rows, metric)
    panels[0, 0].set_yticks(np.arange(len(rows)), [_label(row) for row in rows], fontsize=8)
    panels[0, 0].invert_yaxis()
    figure.suptitle(title or f"{len(rows)} rows judged on {evaluation.images} pictures", fontsize=11)
    figure.supxlabel(
        "dot: mean, bar: 95 % interval; blue: better than random maps, grey: not shown to be (or no comparison), "
        "orange: random maps",
        fontsize=8,
    )
    return figure


def _label(row: Any) -> str:
    empty = f" ({row.empty_share:.0%} empty)" if row.empty_share > 0 else ""
    return f"{row.method}{empty}"


def _panel(axes: Any, rows: Any, metric: Any) -> None:
    better = max if metric.higher else min
    blind = [row.estimates[metric.name].mean for row in rows if row.rank is None]
    if blind and metric.merit:
        axes.axvline(better(blind), color=_BLIND, linewidth=0.8, linestyle="--")
    for height, row in enumerate(rows):
        estimate = row.estimates[metric.name]
        colour = _BLIND if row.rank is None else _GOOD if estimate.beats_random else _PLAIN
        axes.plot([estimate.low, estimate.high], [height, height], color=colour, linewidth=1.6)
        axes.plot([estimate.mean], [height], "o", color=colour, markersize=4)
    way = f"{'higher' if metric.higher else 'lower'} is better" if metric.merit else "tells, does not rank"
    axes.set_title(f"{metric.name}\n{way}", fontsize=8)
    axes.spines[["top", "right", "left"]].set_visible(False)
    axes.tick_params(labelsize=7, left=False)
    axes.grid(axis="y", color="#eeeeee", linewidth=0.6)
    axes.margins(x=0.08)
