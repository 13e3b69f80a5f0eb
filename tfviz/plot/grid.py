"""A layer's maps, or a convolution's kernels, each in a place of its own."""

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.plot.canvas import Scale, columns_for, maps_of_one, mark_empty, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
_CELL = 1.35


def feature_map_grid(
    maps: Array,
    *,
    columns: int | None = None,
    title: str = "",
    titles: Sequence[str] | None = None,
    colour_map: str | None = None,
    limit: int = 64,
) -> "Figure":
    """One layer's maps in a grid: 8 maps as 2 x 4.

    All maps share one colour scale, whose ends the colour bar states: from 0 up, or the same on both sides of 0 where
    there are negative values; where it is pointed, a few outliers lie beyond.

    Args:
        maps: `(h, w, channels)`, or the same with a batch axis of one image.
        columns: how many maps in a row; chosen by their number if None.
        title: above all, such as the layer's address.
        titles: one for each map; their channel numbers if None.
        colour_map: a matplotlib name; "gray" (for signed maps "PuOr_r") if None, "viridis" for colour.
        limit: how many maps are drawn at most; of more, the first ones, and the title says so.

    Raises:
        InputError: maps of another shape, or a wrong number of titles.
    """
    values = maps_of_one(maps)
    count = values.shape[-1]
    if titles is not None and len(titles) != count:
        raise InputError(f"{len(titles)} titles were given for {count} maps.")
    shown = min(count, limit)
    across = min(columns or columns_for(shown), shown)
    down = -(-shown // across)
    aspect = values.shape[0] / values.shape[1]
    figure = new_figure(max(3.2, _CELL * across + 0.9), max(1.9, (_CELL * aspect + 0.22) * down + 0.5))
    scale = Scale.of_maps(values[..., :shown], colour_map)
    drawn: Any = None
    places = np.atleast_1d(figure.subplots(down, across, squeeze=False)).ravel()
    for channel, axes in enumerate(places):
        if channel >= shown:
            axes.axis("off")
            continue
        drawn = scale.draw(axes, values[..., channel])
        axes.set_title(titles[channel] if titles else str(channel), fontsize=8, pad=2)
        if not values[..., channel].any():
            mark_empty(axes)
    scale.bar(figure, drawn, list(places), "activation", fraction=0.05, pad=0.02)
    _head(figure, title, f"the first {shown} of {count} maps" if shown < count else "")
    return figure


def _head(figure: "Figure", title: str, note: str) -> None:
    text = f"{title}: {note}" if title and note else title or note
    if text:
        figure.suptitle(text, fontsize=10)


def kernel_grid(kernels: Array, *, title: str = "", limit: int = 16) -> "Figure":
    """A convolution's kernels: a column for each output channel, a row for each input channel, one signed scale.

    Args:
        kernels: `(kh, kw, cin, cout)`, as `tfviz.kernels` gives them.
        title: above all, such as the layer's address.
        limit: how many rows and columns at most; the title says so where there are more.

    Raises:
        InputError: kernels of another shape.
    """
    values = np.asarray(kernels, np.float32)
    if values.ndim != 4 or not values.size:
        raise InputError(f"Kernels of shape {values.shape} were given; expected (kh, kw, cin, cout).")
    cin, cout = min(values.shape[2], limit), min(values.shape[3], limit)
    scale = Scale.of(np.concatenate([values.ravel(), -values.ravel()]), None)
    figure = new_figure(max(3.2, 0.72 * cout + 1.4), max(1.7, 0.76 * cin + 0.6))
    places = figure.subplots(cin, cout, squeeze=False)
    drawn: Any = None
    for into in range(cin):
        for out in range(cout):
            drawn = scale.draw(places[into, out], values[:, :, into, out])
        places[into, 0].set_ylabel(f"in {into}", fontsize=8)
    for out in range(cout):
        places[0, out].set_title(f"out {out}", fontsize=8, pad=2)
    scale.bar(figure, drawn, list(places.ravel()), "weight", fraction=0.05, pad=0.02)
    cut = (cin, cout) != values.shape[2:]
    _head(figure, title, f"{cin} of {values.shape[2]} inputs, {cout} of {values.shape[3]} outputs" if cut else "")
    return figure


def side_by_side(
    stages: Mapping[str, Array],
    *,
    channels: Sequence[int] | None = None,
    title: str = "",
    colour_map: str | None = None,
) -> "Figure":
    """The same channels at several stages under each other: before and after the ReLU, before and after pooling.

    All stages share one colour scale, so that what a stage takes away is seen.

    Args:
        stages: maps `(h, w, channels)` by the stage's name, such as what `feature_maps` gives for
            `["conv:pre", "conv", "pool"]`.
        channels: which channels; the first 8 if None.

    Raises:
        InputError: stages with different numbers of channels, or a channel that is not there.
    """
    values = {name: maps_of_one(maps) for name, maps in stages.items()}
    counts = {name: maps.shape[-1] for name, maps in values.items()}
    if len(set(counts.values())) != 1:
        raise InputError(f"Stages beside each other have the same number of channels; these have {counts}.")
    count = next(iter(counts.values()))
    shown = list(range(min(count, 8))) if channels is None else list(channels)
    if not shown or min(shown) < 0 or max(shown) >= count:
        raise InputError(f"Channels {shown} were asked for; there are 0 to {count - 1}.")
    scale = Scale.of_maps(np.concatenate([maps[..., shown].ravel() for maps in values.values()]), colour_map)
    figure = new_figure(_CELL * len(shown) + 1.6, (_CELL + 0.12) * len(values) + 0.6)
    places = figure.subplots(len(values), len(shown), squeeze=False)
    drawn: Any = None
    for row, (name, maps) in enumerate(values.items()):
        for column, channel in enumerate(shown):
            axes = places[row, column]
            drawn = scale.draw(axes, maps[..., channel])
            if row == 0:
                axes.set_title(str(channel), fontsize=8, pad=2)
            if column == 0:
                axes.set_ylabel(f"{name}\n{maps.shape[0]} x {maps.shape[1]}", fontsize=8)
            if not maps[..., channel].any():
                mark_empty(axes)
    scale.bar(figure, drawn, list(places.ravel()), "activation", fraction=0.03, pad=0.01)
    _head(figure, title, "")
    return figure
