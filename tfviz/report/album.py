"""Pictures of a page: indexed PNGs, bar charts, and the album that embeds each of them once.

A page shows hundreds of feature maps. Each is one small PNG with a palette (a third of true colour), made without a
plotting library, and two engines that computed the same bytes share one picture.
"""

import base64
import dataclasses
import hashlib
import struct
import zlib
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

Levels = npt.NDArray[np.uint8]
Palette = npt.NDArray[np.uint8]
LEVELS = 64  # steps of a palette: finer than the eye sees in a map, and a quarter smaller in the file than 256

# Anchors from low to high. Sequential: dark blue to yellow, equal steps in lightness, safe for colour-blind readers.
_SEQUENTIAL = ("#10132e", "#2a2f73", "#1f6390", "#2c9a86", "#86c35a", "#f7e35a")
# Diverging: blue below zero, red above, zero in the middle a light grey that stands on a white and on a black page.
_DIVERGING = ("#123f7a", "#3c86c6", "#a9cbe6", "#efeeec", "#f2b79c", "#d65a43", "#85162b")
_HEAT = ("#ffd166", "#ffb000", "#ff7a00", "#e8240c", "#a3001f")
_GLOW = ("#008f7a", "#00c2a0", "#3dffc5", "#b8ffe4", "#ffffff")


def palette(anchors: Sequence[str]) -> Palette:
    """`LEVELS` colours (LEVELS, 3) uint8 RGB, linear between the anchors.

    >>> palette(("#000000", "#ffffff"))[[0, -1]].tolist()
    [[0, 0, 0], [255, 255, 255]]
    """
    colours = np.array([[int(anchor[at : at + 2], 16) for at in (1, 3, 5)] for anchor in anchors], float)
    at = np.linspace(0, len(anchors) - 1, LEVELS)
    channels = [np.interp(at, np.arange(len(anchors)), colours[:, channel]) for channel in range(3)]
    return np.stack(channels, axis=1).round().astype(np.uint8)


SEQUENTIAL, DIVERGING, HEAT, GLOW = map(palette, (_SEQUENTIAL, _DIVERGING, _HEAT, _GLOW))


def indexed_png(levels: Levels, colours: Palette, alpha: npt.NDArray[np.uint8] | None = None) -> bytes:
    """A PNG with a palette (PNG specification, third edition, sections 10 and 11).

    Args:
        levels: (H, W) uint8, indices into the palette.
        colours: (n, 3) uint8 RGB, n up to 256.
        alpha: (n,) uint8, the opacity of each colour.
    """

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    height, width = levels.shape
    scanlines = np.zeros((height, width + 1), np.uint8)  # each line begins with its filter type, 0: none
    scanlines[:, 1:] = levels
    return b"".join(
        (
            b"\x89PNG\r\n\x1a\n",
            chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 3, 0, 0, 0)),
            chunk(b"PLTE", colours.tobytes()),
            chunk(b"tRNS", alpha.tobytes()) if alpha is not None else b"",
            chunk(b"IDAT", zlib.compress(scanlines.tobytes(), 9)),
            chunk(b"IEND", b""),
        )
    )


def bars_svg(values: npt.NDArray[np.floating], low: float, high: float) -> bytes:
    """A bar for each value, from zero, at the scale `low`..`high`, as a small SVG. NaN and infinity leave a gap."""
    low, high = min(low, 0.0), max(high, 0.0)
    span = (high - low) or 1.0
    height, width = 60.0, 160.0
    pitch = width / max(len(values), 1)
    zero = height * high / span
    bars: dict[str, list[str]] = {"#2f7fc1": [], "#d0553f": []}
    for position, value in enumerate(np.asarray(values, float)):
        if np.isfinite(value) and value != 0:
            top = height * (high - value) / span
            bars["#2f7fc1" if value > 0 else "#d0553f"].append(
                f"M{position * pitch:.2f} {zero:.2f}V{top:.2f}h{pitch * 0.82:.2f}V{zero:.2f}z"
            )
    paths = "".join(f'<path fill="{colour}" d="{"".join(parts)}"/>' for colour, parts in bars.items() if parts)
    axis = f'<path stroke="#8a929a" stroke-width=".5" d="M0 {zero:.2f}H{width:.0f}"/>'
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 -1 {width:.0f} {height + 2:.0f}" '
        f'width="{width:.0f}" height="{height + 2:.0f}">{paths}{axis}</svg>'
    ).encode()


@dataclasses.dataclass
class Album:
    """The pictures of a page by key; the same bytes are kept once. It grows while a page is built."""

    pictures: dict[str, str] = dataclasses.field(default_factory=dict)

    def add(self, data: bytes) -> str:
        """Keep a picture and return its key."""
        key = hashlib.sha256(data).hexdigest()[:12]
        if key not in self.pictures:
            self.pictures[key] = data_uri(data)
        return key


def data_uri(data: bytes) -> str:
    """The picture as a `data:` address, PNG or SVG.

    >>> data_uri(b"<svg/>")
    'data:image/svg+xml;base64,PHN2Zy8+'
    """
    kind = "svg+xml" if data.startswith(b"<svg") else "png"
    return f"data:image/{kind};base64,{base64.b64encode(data).decode()}"
