"""Figures without a screen: made, scaled, marked and written. Imports matplotlib when used."""

import dataclasses
import functools
import io
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.files import whole_file
from tfviz.image import scale_end

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
_SUFFIXES = (".png", ".pdf", ".svg", ".jpg", ".jpeg", ".webp")


def new_figure(width: float, height: float) -> "Figure":
    """An empty figure of a size in inches, laid out so that nothing overlaps. Jupyter shows it as it is."""
    return _shown_in_notebooks()(figsize=(width, height), layout="constrained")


@functools.cache
def _shown_in_notebooks() -> "type[Figure]":
    """A figure that tells a notebook how to show it: matplotlib's own does so only after `%matplotlib inline`."""
    from matplotlib.figure import Figure

    class Shown(Figure):
        def _repr_png_(self) -> bytes:
            file = io.BytesIO()
            self.savefig(file, format="png", dpi=100)
            return file.getvalue()

    return Shown


def save(figure: "Figure", path: str | os.PathLike[str], *, dpi: int = 150) -> Path:
    """Write a figure; the format follows the suffix. Whole or not at all.

    Raises:
        InputError: the suffix names no format, or the file cannot be written.
    """
    target = Path(path)
    if target.suffix.lower() not in _SUFFIXES:
        raise InputError(f"{target.name!r} names no format of a picture; end it with one of {', '.join(_SUFFIXES)}.")
    with whole_file(target) as temporary:
        figure.savefig(temporary, dpi=dpi)
    return target


@dataclasses.dataclass(frozen=True)
class Scale:
    """One colour scale: its ends and its colour map."""

    low: float
    high: float
    colour_map: str
    clipped: bool = False
    """Some values lie beyond an end and have its colour."""

    @classmethod
    def of_maps(cls, values: Array, colour_map: str | None) -> "Scale":
        """As `of`, but a few outliers may lie beyond its ends (`tfviz.image.scale_end`)."""
        whole = cls.of(values, colour_map)
        end, clipped = scale_end(values)
        return dataclasses.replace(whole, low=-end if whole.low < 0 else 0.0, high=end, clipped=clipped)

    @classmethod
    def of(cls, values: Array, colour_map: str | None) -> "Scale":
        """From 0 up for values that are never negative, else the same on both sides of a neutral 0."""
        high = float(np.max(values, initial=0.0))
        low = float(np.min(values, initial=0.0))
        if not np.isfinite([low, high]).all():
            raise InputError("The values to draw hold NaN or infinity; the model's output overflowed before them.")
        if low < 0:
            extent = max(high, -low)
            return cls(-extent, extent, colour_map or "PuOr_r")
        return cls(0.0, high or 1.0, colour_map or "gray")

    def bar(self, figure: "Figure", drawn: Any, places: Any, label: str, *, fraction: float, pad: float) -> None:
        """Draw the colour bar of what `draw` gave beside `places`; its pointed ends say that values lie beyond."""
        extend = "neither" if not self.clipped else "both" if self.low < 0 else "max"
        bar = figure.colorbar(drawn, ax=places, extend=extend, fraction=fraction, pad=pad)
        bar.set_label(label, fontsize=8)
        bar.ax.tick_params(labelsize=7)

    def draw(self, axes: Any, picture: Array) -> Any:
        """Draw a map on this scale, without ticks."""
        axes.set_xticks([])
        axes.set_yticks([])
        return axes.imshow(picture, vmin=self.low, vmax=self.high, cmap=self.colour_map, interpolation="nearest")


def mark_empty(axes: Any) -> None:
    """Say on a map that it is zero everywhere."""
    axes.text(
        0.5,
        0.5,
        "zero\neverywhere",
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=7,
        color="#7a1f1f",
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "#ffe9e3", "edgecolor": "#c0583f", "linewidth": 0.6},
    )


def maps_of_one(maps: Array) -> Array:
    """`(h, w, channels)` from that, from `(1, h, w, channels)`, or from one map `(h, w)`.

    Raises:
        InputError: another shape, several images, or nothing.
    """
    values = np.asarray(maps, np.float32)
    if values.ndim == 4 and len(values) > 1:
        raise InputError(f"The maps of {len(values)} images were given; draw one image's at a time: maps[0].")
    if values.ndim == 4:
        values = values[0]
    if values.ndim == 2:
        values = values[..., np.newaxis]
    if values.ndim != 3 or not values.size:
        raise InputError(f"Maps of shape {np.shape(maps)} were given; expected (h, w, channels).")
    return values


def columns_for(count: int) -> int:
    """How many columns look well: 4 for 8 maps, 8 for 32.

    >>> [columns_for(count) for count in (1, 3, 8, 13, 16, 32, 64)]
    [1, 3, 4, 6, 4, 8, 8]
    """
    side = int(np.ceil(np.sqrt(count)))
    for columns in range(side, 2 * side + 1):
        if count % columns == 0:
            return columns
    return int(np.ceil(np.sqrt(2 * count)))
