"""Everything of a rendered picture that is not the dog: ground, wall, clutter, shadow, what hides it, light, camera."""

import math

import numpy as np
import numpy.typing as npt

from tfviz._opencv import cv2
from tfviz.data._dog_paint import Colour, Dog, coat_colour
from tfviz.data._draws import Draws
from tfviz.data._textures import Textures

Pixels = npt.NDArray[np.uint8]
SHIFT = 3

_WALLS: tuple[Colour, ...] = (
    (214, 206, 190),
    (186, 196, 204),
    (168, 178, 158),
    (206, 180, 160),
    (150, 146, 150),
    (120, 134, 152),
    (226, 222, 214),
)
_FLOORS: tuple[Colour, ...] = (
    (156, 116, 78),
    (120, 88, 62),
    (176, 170, 164),
    (118, 118, 124),
    (150, 88, 76),
    (94, 104, 124),
)
_SKIES: tuple[Colour, ...] = ((150, 188, 226), (188, 202, 214), (206, 210, 212), (128, 160, 204))
_GROUNDS: tuple[Colour, ...] = (
    (96, 130, 62),
    (122, 146, 78),
    (150, 140, 92),
    (178, 162, 128),
    (140, 134, 126),
    (224, 224, 228),
)
_THINGS: tuple[Colour, ...] = (
    (176, 62, 56),
    (62, 92, 150),
    (70, 120, 84),
    (206, 176, 84),
    (112, 80, 130),
    (90, 90, 94),
)


def background(height: int, width: int, horizon: int, draws: Draws, textures: Textures) -> Pixels:
    """Wall and floor, or sky and ground, with their grain."""
    indoors = draws.chance(0.5)
    above, below = (_WALLS, _FLOORS) if indoors else (_SKIES, _GROUNDS)
    scene = np.empty((height, width, 3), np.uint8)
    scene[:horizon] = _jittered(draws.pick(above), draws)
    scene[horizon:] = _jittered(draws.pick(below), draws)
    grain = np.empty_like(scene)
    upper = ("plain", "plaster", "cloth", "tiles") if indoors else ("plain", "plain", "plain", "leaves")
    lower = ("boards", "carpet", "tiles", "plain") if indoors else ("grass", "grass", "gravel", "leaves")
    grain[:horizon] = textures.crop(draws.pick(upper), horizon, width, draws)
    grain[horizon:] = textures.crop(draws.pick(lower), height - horizon, width, draws)
    scene = cv2.multiply(scene, grain, scale=1 / 128)
    if indoors and draws.chance(0.6):
        thickness = max(1, round(height * 0.02))
        cv2.line(scene, (0, horizon), (width, horizon), _jittered(draws.pick(_WALLS), draws), thickness)
    return scene


def clutter(scene: Pixels, horizon: int, dog: Dog, draws: Draws) -> None:
    """Two to six things on the floor and at the wall; more than half of them in the colours of dogs.

    They are drawn before the dog, so what would stand in front of it is moved behind its feet.
    """
    height, width = scene.shape[:2]
    unit = min(height, width)
    ground = min(dog.feet - 0.02 * height, height)
    for _ in range(draws.integer(2, 7)):
        colour = _jittered(coat_colour(draws) if draws.chance(0.6) else draws.pick(_THINGS), draws)
        x, foot = draws.uniform(0, width), draws.uniform(horizon, height)
        if dog.left - 0.2 * unit < x < dog.right + 0.2 * unit and foot > ground:
            foot = horizon + (foot - horizon) / max(height - horizon, 1) * max(ground - horizon, 0)
        draws.pick(_KINDS)(scene, x, foot, unit, colour, draws)


def _box(scene: Pixels, x: float, foot: float, unit: int, colour: Colour, draws: Draws) -> None:
    w, h = unit * draws.uniform(0.08, 0.3), unit * draws.uniform(0.08, 0.3)
    _rectangle(scene, x - w / 2, foot - h, x + w / 2, foot, colour)
    _rectangle(scene, x - w / 2, foot - h, x + w / 2, foot - 0.75 * h, _dimmed(colour, 1.15))


def _cushion(scene: Pixels, x: float, foot: float, unit: int, colour: Colour, draws: Draws) -> None:
    w, h = unit * draws.uniform(0.1, 0.25), unit * draws.uniform(0.05, 0.13)
    _ellipse(scene, x, foot - h, w, h, draws.uniform(-15, 15), _dimmed(colour, 0.75))
    _ellipse(scene, x, foot - 1.15 * h, w * 0.94, h * 0.9, draws.uniform(-15, 15), colour)


def _log(scene: Pixels, x: float, foot: float, unit: int, colour: Colour, draws: Draws) -> None:
    """A trunk lying, leaning or standing: the size and colour of a dog's body."""
    length, thick = unit * draws.uniform(0.2, 0.5), unit * draws.uniform(0.06, 0.13)
    angle = math.radians(draws.pick((0, 0, 20, 60, 90)) + draws.uniform(-8, 8))
    dx, dy = length / 2 * math.cos(angle), length / 2 * math.sin(angle)
    y = foot - thick / 2 - abs(dy)
    _line(scene, (x - dx, y + dy), (x + dx, y - dy), thick, _dimmed(colour, 0.8))
    _line(scene, (x - dx, y + dy - thick * 0.2), (x + dx, y - dy - thick * 0.2), thick * 0.5, colour)


def _pole(scene: Pixels, x: float, foot: float, unit: int, colour: Colour, draws: Draws) -> None:
    tall, thick = unit * draws.uniform(0.15, 0.6), unit * draws.uniform(0.02, 0.06)
    _line(scene, (x, foot), (x + unit * draws.uniform(-0.05, 0.05), foot - tall), thick, colour)


def _table(scene: Pixels, x: float, foot: float, unit: int, colour: Colour, draws: Draws) -> None:
    """A top on four legs: as leggy as a standing dog."""
    w, h, thick = unit * draws.uniform(0.2, 0.4), unit * draws.uniform(0.12, 0.28), unit * draws.uniform(0.02, 0.05)
    for share, dark in ((0.2, 0.7), (0.8, 0.7), (0.03, 1.0), (0.97, 1.0)):
        _line(
            scene,
            (x - w / 2 + share * w, foot - (0 if dark == 1 else 0.03 * unit)),
            (x - w / 2 + share * w, foot - h),
            thick,
            _dimmed(colour, dark),
        )
    _rectangle(scene, x - w / 2, foot - h - 2 * thick, x + w / 2, foot - h, colour)


def _ball(scene: Pixels, x: float, foot: float, unit: int, colour: Colour, draws: Draws) -> None:
    r = unit * draws.uniform(0.03, 0.12)
    _ellipse(scene, x, foot - r, r, r, 0, _dimmed(colour, 0.8))
    _ellipse(scene, x - 0.2 * r, foot - 1.2 * r, r * 0.6, r * 0.6, 0, _dimmed(colour, 1.1))


def _frame(scene: Pixels, x: float, foot: float, unit: int, colour: Colour, draws: Draws) -> None:
    """A window or a picture on the wall, whatever the foot."""
    w, h = unit * draws.uniform(0.1, 0.3), unit * draws.uniform(0.1, 0.3)
    y = draws.uniform(-0.05, 0.3) * unit + 0 * foot
    _rectangle(scene, x - w / 2, y, x + w / 2, y + h, _dimmed(colour, 0.7))
    _rectangle(
        scene,
        x - w / 2 + 0.02 * unit,
        y + 0.02 * unit,
        x + w / 2 - 0.02 * unit,
        y + h - 0.02 * unit,
        _dimmed(colour, 1.2),
    )


def _bush(scene: Pixels, x: float, foot: float, unit: int, colour: Colour, draws: Draws) -> None:
    green = draws.chance(0.7)
    base: Colour = (70 + draws.uniform(-20, 30), 110 + draws.uniform(-25, 30), 56) if green else colour
    for _ in range(draws.integer(3, 7)):
        r = unit * draws.uniform(0.04, 0.1)
        _ellipse(
            scene,
            x + draws.uniform(-0.1, 0.1) * unit,
            foot - draws.uniform(0.3, 2.2) * r,
            r,
            r * 0.8,
            0,
            _dimmed(base, draws.uniform(0.75, 1.15)),
        )


_KINDS = (_box, _cushion, _log, _log, _pole, _table, _ball, _frame, _bush)


def shadow(scene: Pixels, dog: Dog, draws: Draws) -> Pixels:
    """The ground under the dog, darker; a blurred ellipse at its feet."""
    height, width = scene.shape[:2]
    unit = min(height, width)
    dark = np.full((height, width), 128, np.uint8)
    half, flat = (dog.right - dog.left) / 2, unit * draws.uniform(0.02, 0.05)
    x = (dog.left + dog.right) / 2 + draws.uniform(-0.15, 0.15) * unit
    strength = round(128 * draws.uniform(0.4, 0.85))
    _ellipse(dark, x, dog.feet - 0.4 * flat, half * draws.uniform(0.75, 1.0), flat, 0, (strength, strength, strength))
    kernel = 2 * round(0.03 * unit) + 1
    return cv2.multiply(scene, cv2.merge([cv2.blur(dark, (kernel, kernel))] * 3), scale=1 / 128)


def occlude(scene: Pixels, mask: Pixels, dog: Dog, draws: Draws) -> None:
    """Sometimes something stands before the dog: blades of grass, a post or a box; it is taken out of the mask too."""
    height, width = mask.shape
    unit = min(height, width)
    kind = draws.uniform(0, 1)
    if kind < 0.2:
        _grass(scene, mask, dog, unit, draws)
    elif kind < 0.3:
        x, thick = draws.uniform(dog.left, dog.right), unit * draws.uniform(0.02, 0.05)
        colour = _jittered(coat_colour(draws) if draws.chance(0.5) else draws.pick(_THINGS), draws)
        for canvas, value in ((scene, colour), (mask, (0.0, 0.0, 0.0))):
            _rectangle(canvas, x - thick / 2, 0, x + thick / 2, height, value)
    elif kind < 0.4:
        w, h = unit * draws.uniform(0.08, 0.18), unit * draws.uniform(0.05, 0.14)
        x, foot = draws.uniform(dog.left, dog.right), dog.feet + unit * draws.uniform(0.0, 0.05)
        colour = _jittered(coat_colour(draws) if draws.chance(0.5) else draws.pick(_THINGS), draws)
        for canvas, value in ((scene, colour), (mask, (0.0, 0.0, 0.0))):
            _rectangle(canvas, x - w / 2, foot - h, x + w / 2, foot, value)


def _grass(scene: Pixels, mask: Pixels, dog: Dog, unit: int, draws: Draws) -> None:
    count = draws.integer(8, 24)
    roots = np.array(
        [(draws.uniform(dog.left, dog.right), dog.feet + draws.uniform(0, 0.05) * unit) for _ in range(count)]
    )
    tips = roots + [(draws.uniform(-0.04, 0.04) * unit, -draws.uniform(0.05, 0.16) * unit) for _ in range(count)]
    blades = list(np.rint(np.stack([roots, tips], axis=1) * (1 << SHIFT)).astype(np.int32))
    colour = _jittered((92, 128, 58), draws)
    thickness = max(1, round(unit / 64))
    cv2.polylines(scene, blades, False, colour, thickness, cv2.LINE_AA, SHIFT)
    cv2.polylines(mask, blades, False, 0, thickness, cv2.LINE_8, SHIFT)


def light(scene: Pixels, draws: Draws, textures: Textures) -> Pixels:
    """A brighter and a darker side of the picture, in any direction."""
    angle, strength = draws.uniform(0, 2 * math.pi), 128 * draws.uniform(0.0, 0.3)
    across, down = textures.ramps
    field = (across * (strength * math.cos(angle)) + (down * (strength * math.sin(angle)) + 128)).astype(np.uint8)
    return cv2.multiply(scene, cv2.merge([field] * 3), scale=1 / 128)


def camera(scene: Pixels, draws: Draws, textures: Textures) -> Pixels:
    """White balance, exposure and contrast, blur, sensor noise."""
    height, width = scene.shape[:2]
    if draws.chance(0.6):
        scene = cv2.GaussianBlur(scene, (0, 0), draws.uniform(0.3, 0.8) * min(height, width) / 64)
    contrast, middle = draws.uniform(0.7, 1.15), draws.uniform(95, 150)
    balance = [contrast * draws.uniform(0.94, 1.06) for _ in range(3)]
    ramp = np.arange(256, dtype=np.float32)[:, None]
    table = np.clip((ramp - 122) * balance + middle, 0, 255).astype(np.uint8)
    scene = cv2.LUT(scene, table.reshape(256, 1, 3))
    grain = draws.uniform(0.02, 0.3)  # of a tile with deviation 32: 0.6 to 10 grey levels
    return cv2.addWeighted(scene, 1.0, textures.crop("noise", height, width, draws), grain, -128 * grain)


def _jittered(colour: Colour, draws: Draws) -> Colour:
    factor = draws.uniform(0.8, 1.2)
    red, green, blue = (min(255.0, channel * factor + draws.uniform(-8, 8)) for channel in colour)
    return red, green, blue


def _dimmed(colour: Colour, factor: float) -> Colour:
    red, green, blue = (min(255.0, channel * factor) for channel in colour)
    return red, green, blue


def _fixed(value: float) -> int:
    return round(value * (1 << SHIFT))


def _rectangle(canvas: Pixels, left: float, top: float, right: float, bottom: float, colour: Colour) -> None:
    cv2.rectangle(
        canvas, (_fixed(left), _fixed(top)), (_fixed(right), _fixed(bottom)), colour, cv2.FILLED, cv2.LINE_AA, SHIFT
    )


def _ellipse(
    canvas: Pixels, x: float, y: float, half_width: float, half_height: float, angle: float, colour: Colour
) -> None:
    axes = (_fixed(half_width), _fixed(half_height))
    cv2.ellipse(canvas, (_fixed(x), _fixed(y)), axes, angle, 0, 360, colour, cv2.FILLED, cv2.LINE_AA, SHIFT)


def _line(canvas: Pixels, start: tuple[float, float], end: tuple[float, float], thick: float, colour: Colour) -> None:
    points = [(_fixed(x), _fixed(y)) for x, y in (start, end)]
    cv2.line(canvas, points[0], points[1], colour, max(1, round(thick)), cv2.LINE_AA, SHIFT)
