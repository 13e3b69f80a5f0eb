"""Pictures in rows, each with a line beneath and a label at the left; what the figures of units are made of."""

import dataclasses
import textwrap
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

import numpy as np
import numpy.typing as npt

from tfviz.errors import InputError
from tfviz.plot.canvas import columns_for, new_figure

if TYPE_CHECKING:
    from matplotlib.figure import Figure

Array = npt.NDArray[Any]
RIGHT, WRONG, SEEN = "#31688e", "#b2622a", "#ff2d8b"
_CELL, _LABEL = 1.25, 1.5


@dataclasses.dataclass(frozen=True)
class Tile:
    """One picture `(H, W, 3 or 1)`, the line beneath it, a frame's colour, and a box (top, left, bottom, right)."""

    picture: Array
    line: str = ""
    frame: str = ""
    box: tuple[int, int, int, int] | None = None


def picture_grid(
    pictures: Array,
    *,
    titles: Sequence[str] | None = None,
    title: str = "",
    columns: int | None = None,
    silent: Sequence[bool] | None = None,
) -> "Figure":
    """Pictures in a grid, such as what units want to see (`tfviz.maximize`, shown by `Preprocess.display`).

    Args:
        pictures: uint8 `(n, H, W, 3)`, or `(n, H, W, 1)`.
        titles: one above each.
        title: above all.
        columns: how many in a row; chosen by their number if None.
        silent: which of them excite nothing; they are marked.

    Raises:
        InputError: other pictures, or a wrong number of titles.
    """
    values = np.asarray(pictures)
    if values.dtype != np.uint8 or values.ndim != 4 or not len(values) or values.shape[-1] not in (1, 3):
        raise InputError(f"{values.dtype} pictures of shape {values.shape} were given; expected uint8 (n, H, W, 3).")
    for name, given in (("titles", titles), ("marks", silent)):
        if given is not None and len(given) != len(values):
            raise InputError(f"{len(given)} {name} were given for {len(values)} pictures.")
    across = min(columns or columns_for(len(values)), len(values))
    down = -(-len(values) // across)
    aspect = values.shape[1] / values.shape[2]
    width = max(3.2, 1.6 * across + 0.2)
    head = _wrapped(title, width)
    figure = new_figure(width, (1.55 * aspect + 0.22) * down + _height(head))
    places = figure.subplots(down, across, squeeze=False).ravel()
    for axes in places:
        axes.axis("off")
    for number, (axes, picture) in enumerate(zip(places, values, strict=False)):
        draw_tile(axes, Tile(picture))
        axes.set_title(titles[number] if titles else str(number), fontsize=8, pad=2)
        if silent is not None and silent[number]:
            _mark_silent(axes)
    if head:
        figure.suptitle(head, fontsize=10)
    return figure


def tile_rows(rows: Sequence[tuple[str, Sequence[Tile]]], *, heads: Sequence[str] = (), title: str = "") -> "Figure":
    """Rows of tiles, each with a label at its left.

    Args:
        rows: label and tiles; a row may be shorter than the others.
        heads: one above each column.
        title: above all.

    Raises:
        InputError: no tile at all.
    """
    across = max((len(tiles) for _, tiles in rows), default=0)
    if not across:
        raise InputError("There is no picture to draw.")
    aspect = next(t.picture.shape[0] / t.picture.shape[1] for _, tiles in rows for t in tiles)
    width = _LABEL + _CELL * across
    head = _wrapped(title, width)
    figure = new_figure(width, (_CELL * aspect + 0.18) * len(rows) + _height(head) + (0.2 if heads else 0))
    places = figure.subplots(
        len(rows), across + 1, squeeze=False, gridspec_kw={"width_ratios": (_LABEL, *([_CELL] * across))}
    )
    for row, (label, tiles) in zip(places, rows, strict=True):
        for axes in row:
            axes.axis("off")
        row[0].text(1, 0.5, label, ha="right", va="center", fontsize=8, transform=row[0].transAxes, linespacing=1.4)
        for axes, tile in zip(row[1:], tiles, strict=False):
            draw_tile(axes, tile)
    for axes, text in zip(places[0, 1:], heads, strict=False):
        axes.set_title(text, fontsize=8, pad=4)
    if head:
        figure.suptitle(head, fontsize=10)
    return figure


def _wrapped(title: str, width: float) -> str:
    """A title over as many lines as a figure of a width in inches needs; about 13 letters of 10 points in an inch.

    >>> _wrapped("what it wants to see", 0.8).splitlines()
    ['what it', 'wants to', 'see']
    """
    return textwrap.fill(title, max(8, int(13 * (width - 0.2))))


def _height(head: str) -> float:
    return 0.1 + 0.2 * (len(head.splitlines()) + 0.5) if head else 0.1


def draw_tile(axes: Any, tile: Tile) -> None:
    """Draw a tile into axes, pixel by pixel."""
    from matplotlib.patches import Rectangle

    axes.axis("on")
    axes.set_xticks([])
    axes.set_yticks([])
    picture = shown(tile.picture)
    axes.imshow(picture, interpolation="nearest")
    for spine in axes.spines.values():
        spine.set_visible(bool(tile.frame))
        spine.set_color(tile.frame or "black")
        spine.set_linewidth(2)
    if tile.box is not None:
        top, left, bottom, right = tile.box
        corner, sides = (left - 0.5, top - 0.5), (right - left, bottom - top)
        axes.add_patch(Rectangle(corner, *sides, fill=False, edgecolor=SEEN, linewidth=1.4))
    if tile.line:
        axes.set_xlabel(tile.line, fontsize=7, labelpad=2)


def shown(picture: Array) -> npt.NDArray[np.uint8]:
    """uint8 RGB of a picture; of other numbers than uint8, from its smallest to its largest."""
    values = np.asarray(picture)
    if values.dtype != np.uint8:
        low, high = float(values.min()), float(values.max())
        values = np.rint((values.astype(np.float64) - low) * (255 / ((high - low) or 1))).astype(np.uint8)
    if values.shape[-1] == 3:
        return values
    return np.repeat(values[..., :1], 3, axis=-1)


def _mark_silent(axes: Any) -> None:
    axes.text(
        0.5,
        0.5,
        "stays silent",
        transform=axes.transAxes,
        ha="center",
        va="center",
        fontsize=7,
        color="#7a1f1f",
        bbox={"boxstyle": "round,pad=0.3", "facecolor": "#ffe9e3", "edgecolor": "#c0583f", "linewidth": 0.6},
    )
