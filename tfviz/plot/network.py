"""Every layer of a network in one figure."""

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.plot.bars import draw_bars, units_of_one
from tfviz.plot.canvas import Scale, maps_of_one, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
_WIDTH = 9.0


def layer_maps(
    maps: Mapping[str, Array], *, title: str = "", colour_map: str | None = None, limit: int = 16
) -> "Figure":
    """Every layer's maps, from the input's side down, each layer on its own scale (stated beside it).

    Args:
        maps: what `feature_maps(model, image)` gives for one image: `(1, h, w, channels)` or `(1, units)` by address.
        title: above all.
        colour_map: a matplotlib name; "gray" (for signed maps "PuOr_r") if None.
        limit: how many maps of a layer are drawn at most; the layer's label says of how many.

    Raises:
        InputError: the maps of several images, or no layer that can be drawn.
    """
    drawable = {address: np.asarray(values, np.float32) for address, values in maps.items() if not _nested(values)}
    if not drawable:
        raise InputError("There is no layer to draw.")
    rows = {address: _row(values, limit) for address, values in drawable.items()}
    heights = [_height(row) for row in rows.values()]
    figure = new_figure(_WIDTH + 1.9, sum(heights) + 0.5)
    places = figure.subplots(
        len(rows), 2, squeeze=False, gridspec_kw={"height_ratios": heights, "width_ratios": (1.7, _WIDTH)}
    )
    for (label, axes), (address, row) in zip(places, rows.items(), strict=True):
        _label(label, address, drawable[address], row)
        _draw(axes, row, colour_map)
    if title:
        figure.suptitle(title, fontsize=11)
    return figure


def _nested(values: Any) -> bool:
    return isinstance(values, (list, tuple, dict))


def _row(values: Array, limit: int) -> Array:
    """The maps that are drawn `(h, w, shown)`, or the units `(units,)`."""
    if values.ndim == 4 and values.shape[1] * values.shape[2] > 1:
        return maps_of_one(values)[..., :limit]
    return units_of_one(values)


def _height(row: Array) -> float:
    if row.ndim == 1:
        return 1.25
    across = max(row.shape[-1], 8)
    return float(np.clip(_WIDTH / across * row.shape[0] / row.shape[1], 0.55, 2.2)) + 0.12


def _label(axes: Any, address: str, values: Array, row: Array) -> None:
    axes.axis("off")
    shape = " x ".join(map(str, values.shape[1:]))
    lines = [shape]
    if row.ndim == 3 and row.shape[-1] < values.shape[-1]:
        lines.append(f"first {row.shape[-1]} maps")
    lines.append(f"{float(values.min()):.3g} to {float(values.max()):.3g}")
    if not values.any():
        lines.append("zero everywhere")
    axes.text(1, 0.5, _broken(address), ha="right", va="bottom", fontsize=9, transform=axes.transAxes)
    axes.text(1, 0.47, "\n".join(lines), ha="right", va="top", fontsize=7, color="#444444", transform=axes.transAxes)


def _broken(address: str, width: int = 24) -> str:
    """An address over several lines, broken at its slashes."""
    lines = [""]
    for part in address.replace("/", "/\0").split("\0"):
        if lines[-1] and len(lines[-1]) + len(part) > width:
            lines.append("")
        lines[-1] += part
    return "\n".join(lines)


def _draw(axes: Any, row: Array, colour_map: str | None) -> None:
    if row.ndim == 1:
        draw_bars(axes, row)
        return
    scale = Scale.of_maps(row, colour_map)
    scale.draw(axes, _strip(row))
    axes.set_anchor("W")
    for spine in axes.spines.values():
        spine.set_visible(False)


def _strip(row: Array) -> Array:
    """The maps of one layer beside each other with a gap between them, masked where nothing is."""
    height, width, count = row.shape
    gap = max(1, round(width * 0.06))
    strip = np.ma.masked_all((height, (width + gap) * max(count, 8) - gap), np.float32)
    for channel in range(count):
        left = channel * (width + gap)
        strip[:, left : left + width] = row[..., channel]
    return strip
