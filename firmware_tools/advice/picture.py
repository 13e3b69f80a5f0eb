"""The trials as a picture: what each gains, and what it costs in flash and RAM. Pareto's front is joined by a line."""

from collections.abc import Sequence
from typing import TYPE_CHECKING

from firmware_tools.advice.records import Advice, Trial
from tfviz.errors import InputError

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure


def pareto(advice: Advice) -> "Figure":
    """Two panels, flash and RAM, with the scores' SQNR upwards.

    Raises:
        InputError: nothing was tried.
    """
    from tfviz.plot.canvas import new_figure

    if not advice.trials:
        raise InputError("There are no trials to draw; ask for them by --try.")
    figure = new_figure(12, 5.5)
    panels = figure.subplots(1, 2, sharey=True)
    for axes, costs, label in (
        (panels[0], [trial.flash_bytes / 1000 for trial in advice.trials], "constants in flash, kB"),
        (panels[1], [trial.ram_bytes / 1000 for trial in advice.trials], "arena in RAM, kB"),
    ):
        _panel(axes, advice.trials, costs, label)
    panels[0].set_ylabel("SQNR of the scores, dB (higher is nearer to float)")
    figure.suptitle("Other ways to quantise: up and left is better; nothing beats a filled one in both")
    return figure


def front(costs: Sequence[float], gains: Sequence[float]) -> list[int]:
    """Positions that nothing beats in both, the cheapest first.

    >>> front([1, 2, 3, 2], [10, 20, 15, 12])
    [0, 1]
    """
    best, kept = float("-inf"), []
    for place in sorted(range(len(costs)), key=lambda k: (costs[k], -gains[k])):
        if gains[place] > best:
            best = gains[place]
            kept.append(place)
    return kept


def _panel(axes: "Axes", trials: Sequence[Trial], costs: Sequence[float], label: str) -> None:
    decibels = [trial.sqnr_db for trial in trials]
    kept = front(costs, decibels)
    axes.plot([costs[k] for k in kept], [decibels[k] for k in kept], color="tab:blue", linewidth=1, zorder=1)
    for place in range(len(trials)):
        on_front = place in kept
        axes.scatter(
            costs[place], decibels[place], s=50, zorder=2,
            color="tab:blue" if on_front else "white", edgecolor="tab:blue" if on_front else "grey",
        )  # fmt: skip
    for place, height in _apart(decibels, 0.055 * (max(decibels) - min(decibels) or 1)):
        axes.annotate(
            trials[place].name, (costs[place], decibels[place]), (1.03, height), fontsize=8, va="center",
            textcoords=axes.get_yaxis_transform(), annotation_clip=False,
            arrowprops={"arrowstyle": "-", "color": "lightgrey", "linewidth": 0.7, "zorder": 0},
        )  # fmt: skip
    axes.set_xlabel(label)
    axes.set_xlim(left=0)
    axes.grid(visible=True, color="0.92")
    axes.set_axisbelow(True)


def _apart(heights: Sequence[float], least: float) -> list[tuple[int, float]]:
    """Places for labels near their heights and at least so far apart, from below."""
    placed: list[tuple[int, float]] = []
    for place in sorted(range(len(heights)), key=lambda k: heights[k]):
        height = max(heights[place], placed[-1][1] + least) if placed else heights[place]
        placed.append((place, height))
    return placed
