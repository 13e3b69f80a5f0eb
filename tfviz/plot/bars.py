"""The activations of a layer without places, such as a Dense one, as bars."""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.plot.canvas import new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
POSITIVE, NEGATIVE = "#31688e", "#b2622a"


def dense_bars(values: Array, *, names: Sequence[str] | None = None, title: str = "") -> "Figure":
    """One bar for each unit of a layer, in the units' order; the largest is labelled with its value.

    Args:
        values: `(units,)`, or `(1, units)`.
        names: the units' names, such as the class names.

    Raises:
        InputError: another shape, or a wrong number of names.
    """
    heights = units_of_one(values)
    if names is not None and len(names) != len(heights):
        raise InputError(f"{len(names)} names were given for {len(heights)} units.")
    figure = new_figure(float(np.clip(0.32 * len(heights) + 1.4, 3.6, 11)), 2.4)
    axes = figure.subplots()
    draw_bars(axes, heights, names)
    if title:
        figure.suptitle(title, fontsize=10)
    return figure


def units_of_one(values: Array) -> npt.NDArray[np.float32]:
    """`(units,)` from that or from `(1, ..., units)` with nothing but ones between."""
    units = np.asarray(values, np.float32)
    if units.ndim < 1 or units.size != units.shape[-1] or not units.size:
        raise InputError(f"Activations of shape {units.shape} were given; expected (units,) of one image.")
    return units.reshape(-1)


def draw_bars(axes: Any, heights: npt.NDArray[np.float32], names: Sequence[str] | None = None) -> None:
    """Draw the bars into axes of a figure."""
    places = np.arange(len(heights))
    axes.bar(places, heights, width=0.8, color=[POSITIVE if h >= 0 else NEGATIVE for h in heights])
    axes.axhline(0, color="black", linewidth=0.6)
    axes.spines[["top", "right"]].set_visible(False)
    axes.tick_params(labelsize=7)
    axes.set_xlim(-0.6, len(heights) - 0.4)
    axes.margins(y=0.18)
    axes.set_ylabel("activation", fontsize=8)
    if names is not None:
        axes.set_xticks(places, list(names), rotation=0 if len(names) <= 6 else 45, ha="center", fontsize=8)
    elif len(heights) <= 32:
        axes.set_xticks(places)
    top = int(np.argmax(heights))
    below = heights[top] < 0
    axes.annotate(
        f"{heights[top]:.3g}",
        (top, heights[top]),
        ha="center",
        va="top" if below else "bottom",
        fontsize=7,
        xytext=(0, -2 if below else 2),
        textcoords="offset points",
    )
