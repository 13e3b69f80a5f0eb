"""What a rendered dog is made of: materials, parts and the proportions of one dog. No poses and no pixels here.

Units: the trunk's length is 1.
"""

import dataclasses

from tfviz.data._draws import Draws

Circle = tuple[float, float, float]  # x, y, radius
Point = tuple[float, float]

# What a part is made of; the painter gives each material its colour. 0 is "no dog".
MATERIALS = (
    "none",
    "far",
    "trunk",
    "belly",
    "near",
    "head",
    "muzzle",
    "ear",
    "dark",
    "patch",
    "crease",
    "paw",
    "tongue",
    "collar",
)
NONE, FAR, TRUNK, BELLY, NEAR, HEAD, MUZZLE, EAR, DARK, PATCH, CREASE, PAW, TONGUE, COLLAR = range(len(MATERIALS))


@dataclasses.dataclass(frozen=True)
class Part:
    """One piece of the dog: hull or line through circles, of one material."""

    material: int
    circles: tuple[Circle, ...]
    is_line: bool = False


@dataclasses.dataclass(frozen=True)
class Build:
    """Proportions of one dog, in trunk lengths."""

    leg: float
    leg_width: float
    chest: float
    waist: float
    hip: float
    head: float
    muzzle_length: float
    muzzle: float
    neck: float
    neck_width: float
    tail: float
    tail_width: float
    ear: float
    floppy: bool
    frontal: bool
    depth: float


def draw_build(draws: Draws) -> Build:
    """A dog's proportions, from terrier to greyhound."""
    chest = draws.uniform(0.17, 0.26)
    head = draws.uniform(0.14, 0.2)
    return Build(
        leg=draws.uniform(0.42, 0.78),
        leg_width=draws.uniform(0.05, 0.085),
        chest=chest,
        waist=chest * draws.uniform(0.62, 0.92),
        hip=chest * draws.uniform(0.78, 0.98),
        head=head,
        muzzle_length=draws.uniform(0.12, 0.27),
        muzzle=head * draws.uniform(0.42, 0.62),
        neck=draws.uniform(0.22, 0.38),
        neck_width=head * draws.uniform(0.6, 0.85),
        tail=draws.uniform(0.3, 0.65),
        tail_width=draws.uniform(0.022, 0.055),
        ear=head * draws.uniform(0.8, 1.25),
        floppy=draws.chance(0.5),
        frontal=draws.chance(0.25),
        depth=draws.uniform(0.03, 0.12),
    )


def line(material: int, width: float, *points: Point) -> Part:
    """A line of one width through the points."""
    return Part(material, tuple((x, y, width) for x, y in points), is_line=True)
