"""The bones of a right hand: where its joints are in a posture, seen from a chosen side.

Lengths are in lengths of the palm, from the middle of the wrist to the knuckle of the middle finger. Axes of the hand:
x to the thumb's side, y to the finger tips, z out of the palm. A viewer who looks into the palm has them on the screen
as right, up, and towards the eye.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

Vector = tuple[float, float, float]
Matrix = tuple[Vector, Vector, Vector]
Finger = Literal["thumb", "index", "middle", "ring", "little"]
FINGERS: tuple[Finger, ...] = ("index", "middle", "ring", "little")

_KNUCKLES: dict[Finger, Vector] = {
    "index": (0.30, 0.97, 0.0),
    "middle": (0.095, 1.02, 0.0),
    "ring": (-0.105, 0.98, 0.0),
    "little": (-0.29, 0.88, 0.0),
}
_LENGTHS: dict[Finger, Vector] = {
    "index": (0.45, 0.28, 0.19),
    "middle": (0.50, 0.31, 0.20),
    "ring": (0.46, 0.29, 0.20),
    "little": (0.35, 0.21, 0.17),
}
_THICKNESS: dict[Finger, float] = {"thumb": 0.125, "index": 0.105, "middle": 0.108, "ring": 0.103, "little": 0.092}
_THUMB_BASE: Vector = (0.2, 0.2, 0.08)
_THUMB_LENGTHS: Vector = (0.44, 0.33, 0.26)
_TAPER = (1.0, 0.95, 0.88, 0.8)
"""Thickness at the three joints and at the tip."""
PALM_RADIUS = 0.13
_PALM: tuple[Vector, ...] = (
    (0.15, 0.0, 0.0), (-0.15, 0.0, 0.0), (-0.27, 0.35, 0.02), (-0.28, 0.86, 0.0), (-0.105, 0.95, 0.0),
    (0.095, 0.98, 0.0), (0.29, 0.93, 0.0), (0.26, 0.4, 0.02),
)  # fmt: skip
ARM_RADIUS = 0.17
_ARM: tuple[Vector, ...] = (
    (0.11, -0.02, 0.0), (-0.11, -0.02, 0.0), (0.14, -0.6, 0.04), (-0.14, -0.6, 0.04), (0.14, -0.6, -0.04),
    (-0.14, -0.6, -0.04), (0.26, -3.0, 0.16), (-0.26, -3.0, 0.16), (0.26, -3.0, -0.16), (-0.26, -3.0, -0.16),
)  # fmt: skip
_THENAR: tuple[Vector, ...] = ((0.16, 0.12, 0.05), (0.2, 0.5, 0.06))


@dataclass(frozen=True, slots=True)
class Bend:
    """How a finger is held, in degrees: spread to the thumb's side, and the bends of its three joints."""

    spread: float = 0.0
    knuckle: float = 0.0
    middle: float = 0.0
    end: float = 0.0

    def between(self, other: Bend, share: float) -> Bend:
        """Return a bend on the way to another one, ``share`` of it done."""
        return Bend(
            _between(self.spread, other.spread, share),
            _between(self.knuckle, other.knuckle, share),
            _between(self.middle, other.middle, share),
            _between(self.end, other.end, share),
        )


@dataclass(frozen=True, slots=True)
class Thumb:
    """Where the three bones of the thumb point, in degrees.

    ``sideways`` is from the direction of the fingers to the thumb's side, ``out`` is out of the plane of the palm.
    """

    sideways: Vector = (42.0, 30.0, 24.0)
    out: Vector = (18.0, 10.0, 6.0)

    def between(self, other: Thumb, share: float) -> Thumb:
        """Return a thumb on the way to another one, ``share`` of it done."""
        return Thumb(_mixed(self.sideways, other.sideways, share), _mixed(self.out, other.out, share))


@dataclass(frozen=True, slots=True)
class Joints:
    """All angles of a hand.

    Attributes
    ----------
    fingers
        Index to little finger.
    touches
        The finger whose tip the thumb's tip meets; ``thumb`` then only says where its first bone points.
    flexed, deviated
        The wrist, in degrees: towards the palm, towards the thumb.
    """

    fingers: tuple[Bend, Bend, Bend, Bend]
    thumb: Thumb = Thumb()
    touches: Finger | None = None
    flexed: float = 0.0
    deviated: float = 0.0

    def between(self, other: Joints, share: float) -> Joints:
        """Return joints on the way to others, ``share`` of it done; the thumb meets what it meets there."""
        one, two, three, four = (a.between(b, share) for a, b in zip(self.fingers, other.fingers, strict=True))
        return Joints(
            (one, two, three, four),
            self.thumb.between(other.thumb, share),
            other.touches,
            _between(self.flexed, other.flexed, share),
            _between(self.deviated, other.deviated, share),
        )


@dataclass(frozen=True, slots=True)
class Bone:
    """One bone as it is seen: two ends with their thickness (radius), and where its back looks."""

    begin: Vector
    end: Vector
    radii: tuple[float, float]
    back: Vector


@dataclass(frozen=True, slots=True)
class Seen:
    """A hand as it is seen: x right, y up, z towards the eye.

    ``facing`` is where the palm looks.
    """

    bones: dict[Finger, tuple[Bone, Bone, Bone]]
    palm: tuple[Vector, ...]
    thenar: tuple[Vector, ...]
    arm: tuple[Vector, ...]
    facing: Vector
    hand: Matrix
    view: Matrix


def view_of(turn: float, tilt: float, roll: float) -> Matrix:
    """Return how a hand is turned, in degrees: around its length, towards the eye, and in the plane of the screen."""
    return _product(_about_z(roll), _product(_about_x(tilt), _about_y(turn)))


def see(joints: Joints, view: Matrix) -> Seen:
    """Return where everything of a hand is."""
    wrist = _product(_about_x(joints.flexed), _about_z(-joints.deviated))
    hand = _product(view, wrist)
    bones: dict[Finger, tuple[Bone, Bone, Bone]] = {}
    chains = {
        finger: _finger_chain(finger, bend) for finger, bend in zip(FINGERS, joints.fingers, strict=True)
    }  # fmt: skip
    target = chains[joints.touches][0][3] if joints.touches in chains else None
    chains["thumb"] = _thumb_chain(joints.thumb, target)
    for finger, (points, backs) in chains.items():
        thick = _THICKNESS[finger]
        one, two, three = (
            Bone(
                turned(hand, points[index]),
                turned(hand, points[index + 1]),
                (thick * _TAPER[index], thick * _TAPER[index + 1]),
                turned(hand, backs[index]),
            )
            for index in range(3)
        )
        bones[finger] = (one, two, three)
    return Seen(
        bones,
        tuple(turned(hand, point) for point in _PALM),
        tuple(turned(hand, point) for point in _THENAR),
        tuple(turned(view, point) for point in _ARM),
        turned(hand, (0.0, 0.0, 1.0)),
        hand,
        view,
    )


def turned(matrix: Matrix, point: Vector) -> Vector:
    """Return a point turned by a matrix."""
    x, y, z = (sum(a * b for a, b in zip(row, point, strict=True)) for row in matrix)
    return x, y, z


def _finger_chain(finger: Finger, bend: Bend) -> tuple[list[Vector], list[Vector]]:
    """Return the four points of a finger, and where the backs of its three bones look."""
    side, along = math.sin(math.radians(bend.spread)), math.cos(math.radians(bend.spread))
    points, backs, angle = [_KNUCKLES[finger]], [], 0.0
    for length, more in zip(_LENGTHS[finger], (bend.knuckle, bend.middle, bend.end), strict=True):
        angle += more
        flat, out = math.cos(math.radians(angle)), math.sin(math.radians(angle))
        points.append(_moved(points[-1], (side * flat, along * flat, out), length))
        backs.append((side * out, along * out, -flat))
    return points, backs


def _thumb_chain(thumb: Thumb, target: Vector | None) -> tuple[list[Vector], list[Vector]]:
    """Return the four points of the thumb, and where the backs of its bones look."""
    directions = [
        _direction(sideways, out) for sideways, out in zip(thumb.sideways, thumb.out, strict=True)
    ]  # fmt: skip
    points = [_THUMB_BASE]
    for direction, length in zip(directions, _THUMB_LENGTHS, strict=True):
        points.append(_moved(points[-1], direction, length))
    if target is not None:
        pad = _moved(target, (0.35, -0.5, 0.0), _THICKNESS["thumb"])
        points[2:] = _reach(points[1], pad, _THUMB_LENGTHS[1], _THUMB_LENGTHS[2], (0.9, -0.2, 0.5))
    backs = []
    for begin, end in zip(points, points[1:], strict=False):
        along = _unit(_minus(end, begin))
        backs.append(_unit(_across((0.85, -0.1, -0.5), along)))
    return points, backs


def _reach(begin: Vector, target: Vector, first: float, second: float, outwards: Vector) -> list[Vector]:
    """Return joint and end of two bones that reach for a target, the joint outwards."""
    way = _minus(target, begin)
    distance = min(max(math.hypot(*way), abs(first - second) + 1e-6), first + second - 1e-6)
    along = _unit(way)
    share = (first**2 - second**2 + distance**2) / (2 * distance)
    height = math.sqrt(max(first**2 - share**2, 0.0))
    joint = _moved(_moved(begin, along, share), _unit(_across(outwards, along)), height)
    return [joint, _moved(joint, _unit(_minus(_moved(begin, along, distance), joint)), second)]


def _direction(sideways: float, out: float) -> Vector:
    a, b = math.radians(sideways), math.radians(out)
    return math.sin(a) * math.cos(b), math.cos(a) * math.cos(b), math.sin(b)


def _moved(point: Vector, direction: Vector, by: float) -> Vector:
    return point[0] + direction[0] * by, point[1] + direction[1] * by, point[2] + direction[2] * by


def _minus(a: Vector, b: Vector) -> Vector:
    return a[0] - b[0], a[1] - b[1], a[2] - b[2]


def _unit(a: Vector) -> Vector:
    length = math.hypot(*a) or 1.0
    return a[0] / length, a[1] / length, a[2] / length


def _across(a: Vector, along: Vector) -> Vector:
    """Return the part of ``a`` that is at a right angle to the unit vector ``along``."""
    return _moved(a, along, -sum(p * q for p, q in zip(a, along, strict=True)))


def _between(a: float, b: float, share: float) -> float:
    return a + (b - a) * share


def _mixed(a: Vector, b: Vector, share: float) -> Vector:
    return _between(a[0], b[0], share), _between(a[1], b[1], share), _between(a[2], b[2], share)


def _about_x(degrees: float) -> Matrix:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (1.0, 0.0, 0.0), (0.0, c, -s), (0.0, s, c)


def _about_y(degrees: float) -> Matrix:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (c, 0.0, s), (0.0, 1.0, 0.0), (-s, 0.0, c)


def _about_z(degrees: float) -> Matrix:
    c, s = math.cos(math.radians(degrees)), math.sin(math.radians(degrees))
    return (c, -s, 0.0), (s, c, 0.0), (0.0, 0.0, 1.0)


def _product(a: Matrix, b: Matrix) -> Matrix:
    columns = tuple(zip(*b, strict=True))
    one, two, three = (tuple(sum(p * q for p, q in zip(row, column, strict=True)) for column in columns) for row in a)
    return (
        (one[0], one[1], one[2]),
        (two[0], two[1], two[2]),
        (three[0], three[1], three[2]),
    )
