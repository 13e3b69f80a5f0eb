"""Drift as a picture: each image, every engine's map in one colour scale, and where an error grows."""

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from firmware_tools.explain._drift import Looks
from firmware_tools.results import Disagreement, Drift

if TYPE_CHECKING:
    from matplotlib.figure import Figure


def drift_figure(found: Drift, looks: Sequence[Looks], class_names: Sequence[str]) -> "Figure":
    """A row for each image: the image, then each engine's map; all maps share one colour scale from 0 up.

    Rows on which an engine names another class end in a chart: each layer's signal to quantisation noise against the
    float model, in dB, falling where the error grows.
    """
    from tfviz.plot.canvas import new_figure

    odd = {one.image: one for one in reversed(found.disagreements) if one.growth}
    columns = 1 + len(found.engines)
    wide = columns + (1.6 if odd else 0)
    figure = new_figure(2.1 * wide + 0.8, 2.25 * len(looks) + 0.9)
    ratios = [1.0] * columns + ([1.6] if odd else [])
    spec = figure.add_gridspec(len(looks), len(ratios), width_ratios=ratios)
    top = max((float(heat.max()) for look in looks for heat in look.maps), default=1.0) or 1.0
    drawn: Any = None
    places = []
    for row, look in enumerate(looks):
        axes = figure.add_subplot(spec[row, 0])
        axes.imshow(look.image.squeeze(), cmap="gray")
        label = "" if look.label is None else f"is {_name(class_names, look.label)}"
        _bare(axes, f"{look.name}\n{label}")
        for column, (gaze, heat, said) in enumerate(zip(found.engines, look.maps, look.said, strict=True), 1):
            axes = figure.add_subplot(spec[row, column])
            drawn = axes.imshow(heat, vmin=0, vmax=top, cmap="viridis")
            places.append(axes)
            _bare(axes, f"{short(gaze.engine, gaze.role)}\nsays {_name(class_names, said)}")
        if look.name in odd:
            _chart(figure.add_subplot(spec[row, columns]), odd[look.name])
    bar = figure.colorbar(drawn, ax=places, location="bottom", fraction=0.03, pad=0.02, aspect=50)
    bar.set_label(f"{found.method}, for the class that the float model names; one scale for all", fontsize=8)
    bar.ax.tick_params(labelsize=7)
    figure.suptitle(f"{found.question} {found.answer.partition(':')[0]}.", fontsize=12)
    return figure


def short(engine: str, role: str) -> str:
    """An engine as a head of a column.

    >>> short("emulator:nano33ble", "device"), short("keras", "float")
    ('device, nano33ble', 'float, Keras')
    """
    kind, _, rest = engine.partition(":")
    return f"{role}, {'Keras' if kind == 'keras' else rest or kind}"


def _chart(axes: Any, one: Disagreement) -> None:
    values = [np.nan if g.sqnr_db is None or not math.isfinite(g.sqnr_db) else g.sqnr_db for g in one.growth]
    axes.plot(range(len(values)), values, marker="o", markersize=3, linewidth=1)
    axes.set_title("SQNR to float, dB: falls where the error grows", fontsize=7)
    axes.set_xticks(range(len(values)), [g.layer[-18:] for g in one.growth], rotation=90, fontsize=5)
    axes.tick_params(axis="y", labelsize=6)
    axes.grid(visible=True, linewidth=0.3)


def _bare(axes: Any, title: str) -> None:
    axes.set_xticks([])
    axes.set_yticks([])
    axes.set_title(title, fontsize=7)


def _name(class_names: Sequence[str], index: int) -> str:
    return class_names[index] if index < len(class_names) else str(index)
