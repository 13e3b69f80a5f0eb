"""Tensors to panels: one layer from several engines, over several images, at one scale."""

from collections.abc import Sequence

import numpy as np

from tfviz.report.album import Album
from tfviz.report.tiles import MOST_BARS, Grid, Real, Scale, draw
from tfviz.report.views import Panel

PAGE_PIXELS = 12_000_000  # of all tiled pictures together, which keeps a page of 60 layers within some megabytes
LEAST_PIXELS, MOST_PIXELS = 4096, 65536  # of one picture


def pixel_budget(pictures: int) -> int:
    """How many pixels each of so many pictures may have.

    >>> pixel_budget(10), pixel_budget(1000), pixel_budget(100_000)
    (65536, 12000, 4096)
    """
    return max(LEAST_PIXELS, min(MOST_PIXELS, PAGE_PIXELS // max(pictures, 1)))


def layer_panels(
    album: Album, engines: Sequence[tuple[str, str, Sequence[Real]]], *, pixels: int = MOST_PIXELS, unit: str = ""
) -> tuple[Panel, ...]:
    """One panel for each engine, at the one scale that holds them all.

    Args:
        album: gets the pictures.
        engines: (title, subtitle, one tensor for each image), each tensor (h, w, C) or a vector, of real numbers.
        pixels: that one picture may have.
        unit: written behind the ends of the scale.
    """
    scale = Scale.of([tensor for _, _, tensors in engines for tensor in tensors])
    aspect = {1: 4.0, 2: 2.0}.get(len(engines), 4 / 3)  # few panels have a wide place each
    return tuple(
        _panel(album, head, subtitle, tensors, scale, pixels, unit, aspect=aspect)
        for head, subtitle, tensors in engines
    )


def difference_panel(
    album: Album,
    title: str,
    subtitle: str,
    differences: Sequence[Real],
    *,
    pixels: int = MOST_PIXELS,
    unit: str = "LSB",
) -> Panel:
    """The difference of two engines for each image, at a symmetric scale of its own, its largest value in words."""
    largest = max((float(np.abs(each).max(initial=0.0)) for each in differences), default=0.0)
    scale = Scale(-max(largest, 1.0), max(largest, 1.0))
    captions = tuple(_differing(each, unit) for each in differences)
    return _panel(album, title, subtitle, differences, scale, pixels, unit, captions, tone="" if largest else "good")


def _differing(difference: Real, unit: str) -> str:
    count = int(np.count_nonzero(difference))
    if not count:
        return f"none: all {difference.size:,} values are the same"
    return (
        f"{count:,} of {difference.size:,} values differ, at most by {number(float(np.abs(difference).max()))} {unit}"
    )


def _panel(
    album: Album,
    title: str,
    subtitle: str,
    tensors: Sequence[Real],
    scale: Scale,
    pixels: int,
    unit: str,
    captions: tuple[str, ...] = (),
    tone: str = "",
    aspect: float = 4 / 3,
) -> Panel:
    shape = tensors[0].shape
    grid = Grid.of(shape, pixels, aspect) if _is_map(shape) else None
    return Panel(
        title=title,
        subtitle=subtitle,
        pictures=tuple(draw(album, np.reshape(tensor, shape), scale, grid) for tensor in tensors),
        grid=grid,
        low=f"{'≤ ' if scale.clipped and scale.low else ''}{number(scale.low)} {unit}".strip(),
        high=f"{'≥ ' if scale.clipped else ''}{number(scale.high)} {unit}".strip(),
        colours="diverging" if scale.low < 0 else "sequential",
        captions=captions,
        tone=tone,
    )


def _is_map(shape: Sequence[int]) -> bool:
    return len(shape) == 3 and shape[0] * shape[1] > 1


def without_batch(tensor: Real) -> Real:
    """One image's tensor as a panel takes it: (1, h, w, C) -> (h, w, C), everything else flat."""
    inside = np.asarray(tensor)[0] if np.ndim(tensor) > 1 and len(tensor) == 1 else np.asarray(tensor)
    return inside if _is_map(inside.shape) else inside.reshape(-1)


def limits(grid: Grid | None, size: int) -> str:
    """What the picture leaves out, in words, or "".

    >>> limits(Grid(channels=256, shown=64, columns=8, width=8, height=8), 0)
    'The first 64 of 256 maps are shown.'
    """
    if grid is None:
        return f"The first {MOST_BARS} of {size:,} values are shown." if size > MOST_BARS else ""
    parts = []
    if grid.shown < grid.channels:
        parts.append(f"The first {grid.shown} of {grid.channels} maps are shown.")
    if grid.reduced > 1:
        parts.append(f"Each pixel is the mean of {grid.reduced} x {grid.reduced} values.")
    return " ".join(parts)


def number(value: float) -> str:
    """A number for people: three significant digits, a real minus sign, no trailing zeros.

    >>> number(0.0), number(3.14159), number(12345.6), number(0.000123)
    ('0', '3.14', '12,346', '0.000123')
    """
    if not np.isfinite(value):
        return str(value)
    text = f"{value:,.0f}" if abs(value) >= 1000 else f"{value:.3g}"
    return text.replace("-", "\N{MINUS SIGN}") if "e" not in text else text
