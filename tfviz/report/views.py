"""What a page shows, as frozen records: the templates read these and nothing else.

Everything that depends on the chosen image is a tuple with one entry for each image, in the page's order.
"""

import dataclasses
from collections.abc import Mapping

from tfviz.report.tiles import Grid


@dataclasses.dataclass(frozen=True)
class Fact:
    """A key number with its name; `share` of 0..1 draws a bar under it; `tone` is good, bad, warn or empty."""

    label: str
    value: str
    note: str = ""
    share: float | None = None
    tone: str = ""


@dataclasses.dataclass(frozen=True)
class Headline:
    """The first lines of a page: one sentence, what it rests on, and a mark (`tone` good, bad, warn or empty)."""

    sentence: str
    details: tuple[str, ...] = ()
    mark: str = ""
    tone: str = ""


@dataclasses.dataclass(frozen=True)
class Overlay:
    """A picture with a heat map over it, both keys of the album; `heat` is None for the bare picture."""

    title: str
    caption: str
    picture: str
    heat: str | None = None
    aspect: float = 1.0


@dataclasses.dataclass(frozen=True)
class Scores:
    """What the engines said of one image: `rows` of (class, is the label, one share of 0..1 for each column)."""

    columns: tuple[str, ...]
    rows: tuple[tuple[str, bool, tuple[float | None, ...]], ...]
    note: str = ""


@dataclasses.dataclass(frozen=True)
class Shot:
    """One image: its name, what it is and what was said of it, its overlays and scores."""

    name: str
    title: str
    tone: str
    picture: str
    overlays: tuple[Overlay, ...]
    scores: Scores | None = None


@dataclasses.dataclass(frozen=True)
class Panel:
    """One engine's tensor of a layer: a picture for each image, tiled by `grid` (bars where it is None).

    `low` and `high` are the ends of the colour scale, the same for all panels of a layer; `captions` say what is to be
    known about each image's picture.
    """

    title: str
    subtitle: str
    pictures: tuple[str, ...]
    grid: Grid | None
    low: str
    high: str
    colours: str
    captions: tuple[str, ...] = ()
    tone: str = ""


@dataclasses.dataclass(frozen=True)
class Bars:
    """One number for each channel as bars: `heights` 0..1 of the tallest, `words` what each says, `note` the scale."""

    title: str
    heights: tuple[float, ...]
    words: tuple[str, ...]
    note: str


@dataclasses.dataclass(frozen=True)
class Layer:
    """One layer of the column: `chips` are (text, tone), `facts` are (name, value), `bars` an error by channel."""

    anchor: str
    number: str
    name: str
    kind: str
    shape: str
    panels: tuple[Panel, ...] = ()
    chips: tuple[tuple[str, str], ...] = ()
    facts: tuple[tuple[str, str], ...] = ()
    notes: tuple[str, ...] = ()
    tone: str = ""
    bars: Bars | None = None


@dataclasses.dataclass(frozen=True)
class Section:
    """A finished part of a page: HTML that is safe to put in, and the pictures that it names."""

    anchor: str
    title: str
    html: str
    pictures: Mapping[str, str] = dataclasses.field(default_factory=dict)
