"""Feature maps as one picture: all channels of a layer side by side, at one colour scale that is stated in numbers."""

import dataclasses
import math
from collections.abc import Sequence
from typing import Any

import numpy as np
import numpy.typing as npt

from tfviz.image import scale_end
from tfviz.report.album import DIVERGING, LEVELS, SEQUENTIAL, Album, Levels, Palette, bars_svg, indexed_png

Real = npt.NDArray[np.floating[Any]]
GAP = 1  # transparent pixels between two maps
LARGEST_SIDE = 64  # of one map in the picture; larger maps are averaged down by a whole factor
MOST_BARS = 256


@dataclasses.dataclass(frozen=True)
class Scale:
    """The colour scale of one layer: `low`..`high` in the tensor's own units; diverging about zero if `low` < 0.

    `clipped`: some values lie beyond an end and have its colour.
    """

    low: float
    high: float
    clipped: bool = False

    @classmethod
    def of(cls, tensors: Sequence[Real]) -> "Scale":
        """The one scale for all these tensors. It begins at zero; tensors with negatives get a symmetric one, so that
        zero has the neutral colour. Outliers may lie beyond its end (`tfviz.image.scale_end`).

        >>> Scale.of([np.array([0.0, 2.0]), np.array([1.0, 3.0])])
        Scale(low=0.0, high=3.0, clipped=False)
        >>> Scale.of([np.array([-1.0, 3.0])])
        Scale(low=-3.0, high=3.0, clipped=False)
        """
        end, clipped = scale_end(np.concatenate([tensor.ravel() for tensor in tensors] or [np.zeros(1)]))
        negative = any(bool((tensor < 0).any()) for tensor in tensors)
        return cls(-end if negative else 0.0, end, clipped)

    @property
    def colours(self) -> Palette:
        """The palette that goes with the scale."""
        return DIVERGING if self.low < 0 else SEQUENTIAL

    def levels(self, values: Real) -> Levels:
        """Values as palette indices 0..LEVELS-1; what is not a number gets LEVELS, drawn in its own colour."""
        share = (values - self.low) / (self.high - self.low)
        indices = np.clip(np.nan_to_num(share, nan=0.0, posinf=1.0, neginf=0.0) * (LEVELS - 1) + 0.5, 0, LEVELS - 1)
        return np.where(np.isfinite(values), indices, LEVELS).astype(np.uint8)


@dataclasses.dataclass(frozen=True)
class Grid:
    """Where the channels are in a tiled picture: `shown` of `channels` maps of `width` x `height` pixels, each pixel
    the mean of `reduced` x `reduced` values."""

    channels: int
    shown: int
    columns: int
    width: int
    height: int
    reduced: int = 1

    @property
    def rows(self) -> int:
        """Rows of the picture."""
        return math.ceil(self.shown / self.columns)

    @classmethod
    def of(cls, shape: Sequence[int], pixels: int = 65536, aspect: float = 4 / 3) -> "Grid":
        """A grid for maps (h, w, channels): a picture of about that aspect with about as many pixels as allowed.

        >>> Grid.of((32, 32, 8))
        Grid(channels=8, shown=8, columns=4, width=32, height=32, reduced=1)
        >>> Grid.of((128, 128, 4)).reduced
        2
        """
        height, width, channels = (int(length) for length in shape)
        reduced = max(1, math.ceil(max(height, width) / LARGEST_SIDE))
        high, wide = -(-height // reduced), -(-width // reduced)
        shown = min(channels, max(8, pixels // (high * wide)))
        columns = _columns(shown, aspect * high / wide)
        return cls(channels, shown, columns, wide, high, reduced)


def _columns(shown: int, aspect: float) -> int:
    """As many columns as make `aspect` times as many of them as rows, preferring full rows."""
    ideal = min(max(1.0, math.sqrt(shown * aspect)), shown)
    candidates = range(1, shown + 1)
    return min(candidates, key=lambda count: (abs(math.log(count / ideal)) + (0.35 if shown % count else 0.0), count))


def tile(maps: Real, grid: Grid) -> Real:
    """The maps (h, w, channels) as one array (rows * (height + GAP) - GAP, ...); NaN between them is transparent.

    Averaged down by `grid.reduced` where the maps are large.
    """
    shown = np.moveaxis(np.asarray(maps, np.float32), -1, 0)[: grid.shown]
    shown = _reduce(shown, grid)
    pitch_y, pitch_x = grid.height + GAP, grid.width + GAP
    sheet = np.full((grid.rows * pitch_y - GAP, grid.columns * pitch_x - GAP), np.nan, np.float32)
    for channel, values in enumerate(shown):
        top, left = channel // grid.columns * pitch_y, channel % grid.columns * pitch_x
        sheet[top : top + grid.height, left : left + grid.width] = values
    return sheet


def _reduce(maps: Real, grid: Grid) -> Real:
    """Means of `reduced` x `reduced` blocks; the edge is repeated where a side is not a multiple."""
    step = grid.reduced
    if step == 1:
        return maps
    bottom, right = grid.height * step - maps.shape[1], grid.width * step - maps.shape[2]
    padded = np.pad(maps, ((0, 0), (0, bottom), (0, right)), mode="edge")
    return padded.reshape(len(maps), grid.height, step, grid.width, step).mean(axis=(2, 4), dtype=np.float32)


def draw(album: Album, values: Real, scale: Scale, grid: Grid | None) -> str:
    """Put one tensor into the album: tiled maps with a grid, bars without. Returns the picture's key."""
    if grid is None:
        return album.add(bars_svg(np.ravel(values)[:MOST_BARS], scale.low, scale.high))
    sheet = tile(values, grid)
    colours = np.concatenate([scale.colours, np.array([[255, 0, 255]], np.uint8)])
    gaps = _gaps(grid)
    levels = scale.levels(sheet)
    levels[gaps] = LEVELS + 1
    colours = np.concatenate([colours, np.zeros((1, 3), np.uint8)])
    alpha = np.full(LEVELS + 2, 255, np.uint8)
    alpha[LEVELS + 1] = 0
    return album.add(indexed_png(levels, colours, alpha))


def _gaps(grid: Grid) -> npt.NDArray[np.bool_]:
    """Which pixels of the picture belong to no map."""
    covered = tile(np.zeros((grid.height * grid.reduced, grid.width * grid.reduced, grid.shown), np.float32), grid)
    return np.isnan(covered)
