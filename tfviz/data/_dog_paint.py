"""Paint a dog's parts: place them in the frame, fill them, dress them in a coat and shade them."""

import dataclasses
import math

import numpy as np
import numpy.typing as npt

from tfviz._opencv import cv2
from tfviz.data import _dog_build as build
from tfviz.data._draws import Draws
from tfviz.data._textures import Textures

Pixels = npt.NDArray[np.uint8]
Colour = tuple[float, float, float]

OVERSAMPLING = 2
SHIFT = 3  # fractional bits of OpenCV's coordinates
_ANGLES = np.arange(16) * (np.pi / 8)
_UNIT = np.stack([np.cos(_ANGLES), np.sin(_ANGLES)], axis=1)  # a circle is drawn as a polygon of 16 corners

# Coat colours, RGB; things in the scene take theirs from the same list.
COATS: tuple[Colour, ...] = (
    (42, 38, 38),
    (78, 52, 38),
    (112, 74, 48),
    (152, 92, 52),
    (186, 142, 96),
    (206, 164, 104),
    (226, 206, 174),
    (234, 230, 222),
    (128, 126, 128),
    (86, 90, 98),
)


@dataclasses.dataclass(frozen=True)
class Dog:
    """A painted dog: RGB and cover (0..255) of the frame's size, and where its feet and box are (pixels)."""

    rgb: Pixels
    cover: Pixels
    left: float
    right: float
    feet: float


def coat_colour(draws: Draws) -> Colour:
    """One of the coats, a little lighter, darker, warmer or colder."""
    red, green, blue = draws.pick(COATS)
    light, warm = draws.uniform(0.85, 1.15), draws.uniform(-8, 8)
    return red * light + warm, green * light, blue * light - warm


def paint(parts: list[build.Part], height: int, width: int, coat: Colour, draws: Draws, textures: Textures) -> Dog:
    """The dog somewhere in a frame, at a size and a place that do not depend on its pose.

    The geometric mean of the box's sides is drawn, and the box's place within the frame: both are independent of
    the pose, whose box alone is flatter or taller.
    """
    circles = np.array([circle for part in parts for circle in part.circles])
    circles = _placed(circles, height, width, draws)
    canvas = np.zeros((height * OVERSAMPLING, width * OVERSAMPLING), np.uint8)
    _fill(canvas, parts, circles * OVERSAMPLING)
    _patches(canvas, draws)
    cover = cv2.resize(cv2.min(canvas, 1) * 255, (width, height), interpolation=cv2.INTER_AREA)
    dressed = cv2.applyColorMap(canvas, _palette(coat, draws))
    rgb = cv2.resize(dressed, (width, height), interpolation=cv2.INTER_AREA)
    # Where the dog covers a part of a pixel, the mean above took in the "no dog" colour, which is the coat's.
    rgb = _shaded(rgb, cover, draws, textures)
    return Dog(
        rgb=rgb,
        cover=cover,
        left=float((circles[:, 0] - circles[:, 2]).min()),
        right=float((circles[:, 0] + circles[:, 2]).max()),
        feet=float((circles[:, 1] + circles[:, 2]).max()),
    )


def _placed(circles: npt.NDArray[np.float64], height: int, width: int, draws: Draws) -> npt.NDArray[np.float64]:
    """Turn, mirror, stretch, scale and move body units into pixels (y down)."""
    stretch = draws.uniform(0.74, 1.1)  # seen a little from the front or the back: a shorter dog
    angle = math.radians(draws.uniform(-7, 7))
    mirror = -1 if draws.chance(0.5) else 1
    x, y, r = circles[:, 0] * stretch * mirror, circles[:, 1], circles[:, 2] * math.sqrt(min(stretch, 1.0))
    x, y = x * math.cos(angle) - y * math.sin(angle), -(x * math.sin(angle) + y * math.cos(angle))
    low_x, high_x, low_y, high_y = (x - r).min(), (x + r).max(), (y - r).min(), (y + r).max()
    box = high_x - low_x, high_y - low_y
    scale = draws.uniform(0.46, 0.68) * min(height, width) / math.sqrt(box[0] * box[1])
    scale = min(scale, 0.95 * width / box[0], 0.95 * height / box[1])
    left = draws.uniform(0.02 * width, 0.98 * width - box[0] * scale)
    top = draws.uniform(0.02 * height, 0.98 * height - box[1] * scale)
    return np.stack([(x - low_x) * scale + left, (y - low_y) * scale + top, r * scale], axis=1)


def _fill(canvas: Pixels, parts: list[build.Part], circles: npt.NDArray[np.float64]) -> None:
    """Draw the parts in order, each in the number of its material."""
    factor = 1 << SHIFT
    centres = np.rint(circles[:, :2] * factor).astype(np.int32)
    rims = np.rint((circles[:, None, :2] + circles[:, None, 2:] * _UNIT) * factor).astype(np.int32)
    first = 0
    for part in parts:
        last = first + len(part.circles)
        if part.is_line:
            thickness = max(1, round(2 * float(circles[first, 2])))
            cv2.polylines(canvas, [centres[first:last]], False, part.material, thickness, cv2.LINE_8, SHIFT)
        else:
            hull = cv2.convexHull(rims[first:last].reshape(-1, 2)) if last - first > 1 else rims[first]
            cv2.fillConvexPoly(canvas, hull, part.material, cv2.LINE_8, SHIFT)
        first = last


def _patches(canvas: Pixels, draws: Draws) -> None:
    """Spots on trunk and near legs, or a saddle: ellipses that only colour what is dog."""
    if not draws.chance(0.45):
        return
    spots = np.zeros_like(canvas)
    box = cv2.boundingRect(canvas)
    for _ in range(draws.integer(2, 6)):
        centre = round(box[0] + draws.uniform(0, 1) * box[2]), round(box[1] + draws.uniform(0, 0.8) * box[3])
        axes = round(draws.uniform(0.06, 0.16) * box[2]) + 1, round(draws.uniform(0.06, 0.16) * box[3]) + 1
        cv2.ellipse(spots, centre, axes, draws.uniform(0, 180), 0, 360, 1, cv2.FILLED)
    body = (canvas == build.TRUNK) | (canvas == build.HEAD) | (canvas == build.NEAR)
    canvas[body & (spots > 0)] = build.PATCH


def _palette(coat: Colour, draws: Draws) -> Pixels:
    """A colour for each material as a table for `applyColorMap`, RGB in its three places."""
    second = coat_colour(draws) if draws.chance(0.6) else coat
    paws = second if draws.chance(0.4) else coat
    colours: dict[int, Colour] = dict.fromkeys(range(256), coat)
    dim = draws.uniform(0.6, 0.78)
    colours |= {
        build.FAR: _times(coat, dim),
        build.BELLY: _mix(coat, second, 0.7) if draws.chance(0.5) else _times(coat, 1.06),
        build.NEAR: _times(coat, 1.04),
        build.MUZZLE: second if draws.chance(0.5) else _times(coat, 1.08),
        build.EAR: _times(second if draws.chance(0.4) else coat, 0.8),
        build.PATCH: second,
        build.CREASE: _times(coat, 0.62),
        build.PAW: _times(paws, 1.02),
        build.DARK: (26, 22, 24),
        build.TONGUE: (206, 96, 104),
        build.COLLAR: draws.pick(((188, 40, 44), (40, 80, 176), (52, 140, 72), (220, 180, 50))),
    }
    table = np.array([colours[material] for material in range(16)])
    full = np.repeat(table[:1], 256, axis=0)
    full[:16] = table
    return np.clip(full, 0, 255).astype(np.uint8).reshape(256, 1, 3)


def _times(colour: Colour, factor: float) -> Colour:
    return colour[0] * factor, colour[1] * factor, colour[2] * factor


def _mix(first: Colour, second: Colour, share: float) -> Colour:
    red, green, blue = (a + share * (b - a) for a, b in zip(first, second, strict=True))
    return red, green, blue


def _shaded(rgb: Pixels, cover: Pixels, draws: Draws, textures: Textures) -> Pixels:
    """Fur, and light from above and one side: the blurred cover, moved against the light, darkens the far rim."""
    height, width = cover.shape
    unit = min(height, width) / 64
    kernel = 2 * round(2.5 * unit) + 1
    soft = cv2.blur(cover, (kernel, kernel))
    across, down = round(draws.uniform(-3, 3) * unit), round(draws.uniform(0.5, 3) * unit)
    moved = np.zeros_like(soft)
    moved[: height - down, max(0, -across) : width - max(0, across)] = soft[
        down:, max(0, across) : width - max(0, -across)
    ]
    depth = draws.uniform(0.25, 0.6)
    shade = cv2.convertScaleAbs(moved, alpha=depth * 128 / 255, beta=128 * (1.06 - depth))
    rgb = cv2.multiply(rgb, cv2.merge([shade] * 3), scale=1 / 128)
    return cv2.multiply(rgb, textures.crop("fur", height, width, draws), scale=1 / 128)
