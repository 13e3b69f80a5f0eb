"""The shape of a rendered dog: a skeleton in a pose, dressed in circles. No pixels here.

Units: the trunk's length is 1, the ground is y = 0, y points up, the dog looks to the right. A part is the convex hull
of its circles, or a thick line through them; parts are listed from the far side to the near one.
"""

import math
from collections.abc import Callable

from tfviz.data._dog_build import (
    BELLY,
    COLLAR,
    CREASE,
    DARK,
    EAR,
    FAR,
    HEAD,
    MUZZLE,
    NEAR,
    PAW,
    TONGUE,
    TRUNK,
    Build,
    Part,
    Point,
    line,
)
from tfviz.data._draws import Draws

CLASS_NAMES = ("sit", "stand", "lie")


def pose_parts(pose: int, build: Build, draws: Draws) -> list[Part]:
    """The dog's parts in the pose of class index `pose`."""
    return _POSES[pose](build, draws)


def _stand(b: Build, d: Draws) -> list[Part]:
    shoulder = (0.42, b.leg + 0.55 * b.chest)
    hip = (-0.42, shoulder[1] + d.uniform(-0.05, 0.04))
    stride = d.uniform(0.0, 0.2)
    parts = []
    for side, material in ((-1.0, FAR), (1.0, NEAR)):
        lift = b.depth * 0.6 if material == FAR else 0.0  # the far feet stand a little higher in the picture
        front = [
            *_front_leg(b, shoulder, (0.4 + side * stride + d.uniform(-0.05, 0.05) - side * 0.02, lift), material),
        ]
        hind = _hind_leg(b, hip, -side * stride * 0.8 + d.uniform(-0.05, 0.05), lift, material)
        parts.append([*hind, *front])
    far, near = parts
    grazing = d.chance(0.12)
    neck = d.uniform(-55, -20) if grazing else d.uniform(18, 72)
    tail = _tail(b, (hip[0] - 0.85 * b.hip, hip[1] + 0.4 * b.hip), d.pick((-70, -45, 10, 45, 80)), d)
    return [*far, tail, *_trunk(b, shoulder, hip), *near, *_head(b, shoulder, neck, d)]


def _sit(b: Build, d: Draws) -> list[Part]:
    hip = (-0.28, b.hip + 0.02)
    length = d.uniform(0.78, 0.92)
    # The front legs set how high the shoulder comes; a back is never flatter or steeper than this.
    rise = min(max((1.12 * (b.leg + 0.55 * b.chest) - hip[1]) / length, 0.62), 0.92) + d.uniform(-0.03, 0.03)
    shoulder = (hip[0] + length * math.sqrt(1 - rise**2), hip[1] + length * rise)
    foot = shoulder[0] + d.uniform(-0.03, 0.12)
    far = [
        *_front_leg(b, shoulder, (foot + d.uniform(0.03, 0.1), b.depth * 0.6), FAR),
        line(FAR, b.leg_width * 1.1, (hip[0] + 0.15, 0.06 + b.depth * 0.5), (hip[0] + 0.47, 0.05 + b.depth * 0.5)),
    ]
    tail = _tail(b, (hip[0] - 0.85 * b.hip, 0.09), d.pick((-3, 4, 15, 55)), d, ground=True)
    near = _front_leg(b, shoulder, (foot, 0.0), NEAR)
    return [
        *far,
        tail,
        *_trunk(b, shoulder, hip),
        *near,
        *_haunch(b, hip, d),
        *_head(b, shoulder, d.uniform(38, 80), d),
    ]


def _lie(b: Build, d: Draws) -> list[Part]:
    hip = (-0.38, b.hip * 0.98)
    shoulder = (0.34, b.chest * d.uniform(1.0, 1.4))  # on its elbows, the chest a little off the ground
    reach = d.uniform(0.2, 0.42)
    flat = d.chance(0.15)  # on its side: legs stretched out instead of folded
    far = [_flat_leg(b, shoulder, reach + d.uniform(-0.08, 0.1), b.depth * 0.6, FAR)]
    near = [_flat_leg(b, shoulder, reach, 0.0, NEAR)]
    if flat:
        near += [_flat_leg(b, hip, d.uniform(0.3, 0.45), 0.0, NEAR)]
    else:
        near += _haunch(b, hip, d)
    if d.chance(0.25):
        neck, nod = d.uniform(-32, -5), d.uniform(-12, 8)  # head on the paws or on the ground
    else:
        neck, nod = d.uniform(28, 78), None
    tail = _tail(b, (hip[0] - 0.85 * b.hip, 0.08), d.pick((-4, 3, 12)), d, ground=True)
    return [*far, tail, *_trunk(b, shoulder, hip), *near, *_head(b, shoulder, neck, d, nod=nod, floor=True)]


_POSES: tuple[Callable[[Build, Draws], list[Part]], ...] = (_sit, _stand, _lie)


def _trunk(b: Build, shoulder: Point, hip: Point) -> list[Part]:
    """Chest and hips joined at the waist, which is drawn in on the belly's side; a paler belly below."""
    dx, dy = shoulder[0] - hip[0], shoulder[1] - hip[1]
    length = math.hypot(dx, dy)
    up = (-dy / length, dx / length)  # towards the back
    tuck = b.hip - b.waist
    middle = (hip[0] + 0.42 * dx + up[0] * tuck * 0.8, hip[1] + 0.42 * dy + up[1] * tuck * 0.8)
    belly = 0.45 * b.chest
    return [
        Part(TRUNK, ((*shoulder, b.chest), (*middle, b.waist))),
        Part(TRUNK, ((*middle, b.waist), (*hip, b.hip))),
        Part(
            BELLY,
            (
                (shoulder[0] - up[0] * belly, shoulder[1] - up[1] * belly, b.chest * 0.5),
                (middle[0] - up[0] * b.waist * 0.6, middle[1] - up[1] * b.waist * 0.6, b.waist * 0.35),
            ),
        ),
    ]


def _front_leg(b: Build, shoulder: Point, foot: Point, material: int) -> list[Part]:
    x, y = shoulder
    elbow = (x - 0.05, y - 0.75 * b.chest)
    ankle = (foot[0] - 0.01, foot[1] + 0.11)
    width = b.leg_width
    paw = PAW if material == NEAR else FAR
    return [
        Part(material, ((x, y - 0.2 * b.chest, b.chest * 0.5), (*elbow, width * 1.35))),
        Part(material, ((*elbow, width * 1.25), (*ankle, width * 0.8))),
        Part(paw, ((*ankle, width * 0.8), (foot[0] + 0.05, foot[1] + width * 0.7, width * 0.85))),
    ]


def _hind_leg(b: Build, hip: Point, swing: float, lift: float, material: int) -> list[Part]:
    x, y = hip
    width = b.leg_width
    knee = (x + 0.1 + 0.4 * swing, 0.56 * y + lift)
    hock = (x - 0.13 + 0.8 * swing, 0.27 * y + lift)
    foot = (x - 0.08 + swing, lift)
    paw = PAW if material == NEAR else FAR
    return [
        Part(material, ((x + 0.01, y - 0.1 * b.hip, b.hip * 0.82), (*knee, width * 1.4))),
        Part(material, ((*knee, width * 1.35), (*hock, width * 0.8))),
        Part(material, ((*hock, width * 0.8), (foot[0], foot[1] + 0.07, width * 0.75))),
        Part(paw, ((foot[0], foot[1] + 0.07, width * 0.75), (foot[0] + 0.07, foot[1] + width * 0.7, width * 0.85))),
    ]


def _haunch(b: Build, hip: Point, d: Draws) -> list[Part]:
    """The folded hind leg of a dog that sits or lies: a round thigh with a crease around it, and the foot before it."""
    x, y = hip
    knee = (x + d.uniform(0.24, 0.34), 0.8 * y + 0.04, b.hip * 0.42)
    thigh = (x + 0.05, y * 0.98, b.hip * 1.02)
    grow = 0.022
    foot = (x + d.uniform(0.4, 0.52), b.leg_width * 0.85)
    outline = tuple((cx, cy, r + grow) for cx, cy, r in (thigh, knee))
    return [
        Part(CREASE, outline),
        Part(NEAR, (thigh, knee)),
        Part(PAW, ((x + 0.08, b.leg_width * 0.85, b.leg_width * 0.9), (*foot, b.leg_width * 0.85))),
    ]


def _flat_leg(b: Build, joint: Point, reach: float, lift: float, material: int) -> Part:
    """A leg on the ground, stretched forward from below its joint."""
    y = b.leg_width * 0.9 + lift
    return Part(
        PAW if material == NEAR else FAR,
        ((joint[0] - 0.02, y + 0.02, b.leg_width * 1.15), (joint[0] + reach, y, b.leg_width * 0.85)),
    )


def _tail(b: Build, base: Point, angle: float, d: Draws, *, ground: bool = False) -> Part:
    """A curved line backwards from the hip; `angle` in degrees above the horizontal."""
    bend = d.uniform(-60, 60) if not ground else d.uniform(-6, 40)
    points = [base]
    heading = angle
    for _ in range(4):
        heading += bend / 4
        x, y = points[-1]
        step = b.tail / 4
        y = y + step * math.sin(math.radians(heading))
        points.append((x - step * math.cos(math.radians(heading)), max(y, b.tail_width)))
    return line(TRUNK, b.tail_width, *points)


def _head(
    b: Build, shoulder: Point, neck_angle: float, d: Draws, *, nod: float | None = None, floor: bool = False
) -> list[Part]:
    """Neck, skull, muzzle with nose, eye, ears; in profile, or turned to the viewer."""
    rise = math.radians(neck_angle)
    base = (shoulder[0] + 0.05, shoulder[1] + 0.25 * b.chest)
    reach = b.neck + 0.35 * b.chest
    x, y = base[0] + reach * math.cos(rise), base[1] + reach * math.sin(rise)
    if floor:
        y = max(y, b.head * 0.95)
    neck = Part(TRUNK, ((base[0] - 0.02, base[1] - 0.1 * b.chest, b.chest * 0.72), (x - 0.02, y - 0.02, b.neck_width)))
    collar = _collar(base, (x, y), b) if d.chance(0.3) else []
    if b.frontal:
        return [neck, *collar, *_frontal_face(b, x, y)]
    pitch = math.radians(nod if nod is not None else d.uniform(-32, 12) - 0.15 * max(-neck_angle, 0))
    return [neck, *collar, *_profile(b, x, y, pitch, open_mouth=d.chance(0.3))]


def _collar(base: Point, head: Point, b: Build) -> list[Part]:
    dx, dy = head[0] - base[0], head[1] - base[1]
    x, y = base[0] + 0.62 * dx, base[1] + 0.62 * dy
    length = math.hypot(dx, dy)
    across = (-dy / length * b.neck_width * 0.95, dx / length * b.neck_width * 0.95)
    return [line(COLLAR, 0.022, (x - across[0], y - across[1]), (x + across[0], y + across[1]))]


def _profile(b: Build, x: float, y: float, pitch: float, *, open_mouth: bool) -> list[Part]:
    c, s = math.cos(pitch), math.sin(pitch)

    def at(forward: float, up: float) -> Point:
        return x + forward * c - up * s, y + forward * s + up * c

    r = b.head
    tip = at(r * 0.55 + b.muzzle_length, -r * 0.28)
    parts = [Part(HEAD, ((x, y, r), (*at(r * 0.3, -r * 0.1), r * 0.85)))]
    if open_mouth:
        parts.append(
            Part(TONGUE, ((*at(r * 0.9, -r * 0.75), 0.03), (*at(r * 0.55 + b.muzzle_length * 0.7, -r * 0.85), 0.03)))
        )
    parts += [
        Part(MUZZLE, ((*at(r * 0.45, -r * 0.25), b.muzzle * 1.15), (*tip, b.muzzle * 0.8))),
        Part(DARK, ((*at(r * 0.55 + b.muzzle_length + b.muzzle * 0.55, -r * 0.1), b.muzzle * 0.42),)),
        Part(DARK, ((*at(r * 0.45, r * 0.22), r * 0.14),)),
    ]
    far_ear, near_ear = (-0.05, -0.4)
    for offset, material in ((far_ear, FAR), (near_ear, EAR)):
        if b.floppy:
            root, end = at(r * offset, r * 0.65), at(r * (offset - 0.35), r * 0.5 - b.ear)
            ear = Part(material, ((*root, r * 0.2), (*end, r * 0.32)))
        else:
            root, end = at(r * offset, r * 0.6), at(r * (offset - 0.15), r * 0.6 + b.ear)
            ear = Part(material, ((*root, r * 0.36), (*end, r * 0.05)))
        parts = [ear, *parts] if material == FAR else [*parts, ear]
    return parts


def _frontal_face(b: Build, x: float, y: float) -> list[Part]:
    r = b.head * 1.02
    ears = []
    for side in (-1, 1):
        if b.floppy:
            circles = (
                (x + side * r * 0.75, y + r * 0.55, r * 0.22),
                (x + side * r * 1.0, y + r * 0.4 - b.ear, r * 0.28),
            )
        else:
            circles = (
                (x + side * r * 0.6, y + r * 0.6, r * 0.34),
                (x + side * r * 0.85, y + r * 0.6 + b.ear, r * 0.05),
            )
        ears.append(Part(EAR, circles))
    eyes = [Part(DARK, ((x + side * r * 0.4, y + r * 0.18, r * 0.15),)) for side in (-1, 1)]
    return [
        *([] if b.floppy else ears),
        Part(HEAD, ((x, y, r), (x, y - r * 0.2, r * 0.85))),
        Part(MUZZLE, ((x, y - r * 0.35, r * 0.5), (x, y - r * 0.55, r * 0.42))),
        Part(DARK, ((x, y - r * 0.28, r * 0.2),)),
        *eyes,
        *(ears if b.floppy else []),
    ]
