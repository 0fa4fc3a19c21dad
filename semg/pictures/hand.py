"""A hand as SVG: filled bones with rounded ends, drawn from the back to the front.

Nothing is taken from elsewhere: shapes follow from the angles of the joints. Light and dark pages show the same
picture, since it brings its own tile.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from semg.pictures.props import prop_shapes, prop_spots
from semg.pictures.shapes import (
    GHOST,
    INK,
    NAIL,
    SKIN,
    SKIN_ACTING,
    Screen,
    arrow,
    capsule,
    element,
    hull,
    smooth,
    tile,
)
from semg.pictures.skeleton import (
    ARM_RADIUS,
    FINGERS,
    PALM_RADIUS,
    Bone,
    Finger,
    Joints,
    Matrix,
    Seen,
    Vector,
    see,
    turned,
    view_of,
)

LINE = 0.038
"""Of an outline, in lengths of the palm."""
SIZE = 200
"""Width and height of a picture in its own units."""
_MARGIN = 11
_LARGEST, _STEPS = 84.0, 10
_ROOTS: dict[Finger, Vector] = {
    "index": (0.27, 0.6, 0.0),
    "middle": (0.09, 0.6, 0.0),
    "ring": (-0.1, 0.6, 0.0),
    "little": (-0.25, 0.6, 0.0),
}
"""Where a finger goes on inside the palm; the first bone of the thumb is drawn with it."""


@dataclass(frozen=True, slots=True)
class Posture:
    """What a picture shows.

    Attributes
    ----------
    joints
        The hand as it is held, or at the end of the movement.
    view
        Turn around its length (0: into the palm, 180: its back), tilt towards the eye, roll; degrees.
    start
        Where a movement begins; drawn as a shadow, with an arrow from there.
    follows
        The fingers whose tips an arrow follows.
    acting
        Fingers in the colour of what moves.
    stretches
        Whether they stretch: the arrow then goes on where they point to.
    turning
        1 or -1: an arrow around the forearm, to the right or to the left of the picture.
    prop
        A thing that is held or touched: see ``semg.pictures.props``.
    """

    joints: Joints
    view: Vector = (0.0, 0.0, 0.0)
    start: Joints | None = None
    follows: tuple[Finger, ...] = ("middle",)
    acting: tuple[Finger, ...] = ()
    stretches: bool = False
    turning: int = 0
    prop: str | None = None


@dataclass(frozen=True, slots=True)
class _Piece:
    """A shape with its depth; larger is nearer to the eye."""

    depth: float
    svg: str


def draw(posture: Posture, title: str) -> str:
    """Return a posture as the text of an SVG file.

    Parameters
    ----------
    title
        What it shows, for those who do not see it; escaped here.
    """
    view = view_of(*posture.view)
    seen = see(posture.joints, view)
    shadow = see(posture.start, view) if posture.start is not None else None
    trails = [_trail(posture, finger, view) for finger in posture.follows if posture.start is not None]
    screen = _fit(seen, shadow, trails, posture)
    pieces: list[str] = []
    if shadow is not None:
        pieces.append(_shadow(screen, shadow))
    if posture.turning:
        ring = smooth(screen, _around_the_arm(posture.turning, 180.0))
        pieces.append(element("path", d=ring, fill="none", stroke=GHOST, stroke_width=6, stroke_linecap="round"))
    pieces.extend(hand_pieces(screen, seen, posture))
    pieces.extend(arrow(screen, trail) for trail in trails)
    if posture.turning:
        pieces.append(arrow(screen, _around_the_arm(posture.turning, 0.0)))
    return tile(SIZE, title, pieces)


def hand_pieces(screen: Screen, seen: Seen, posture: Posture) -> list[str]:
    """Return the shapes of a hand with its forearm, and of what it holds, from the back to the front."""
    bones: list[tuple[float, Finger, int]] = []
    for finger in ("thumb", *FINGERS):
        for index, bone in enumerate(seen.bones[finger]):
            bones.append((_depth((bone.begin, bone.end)), finger, index))
    body = _depth(seen.palm) + 0.06
    pieces = [_Piece(body, _body(screen, seen))]
    drawn: set[tuple[Finger, int]] = {("thumb", 0)}  # with the body
    for depth, finger, index in sorted(bones, key=lambda one: one[0]):
        if (finger, index) in drawn:
            continue
        skin = SKIN_ACTING if finger in posture.acting else SKIN
        root = turned(seen.hand, _ROOTS[finger]) if index == 0 and depth > body and skin == SKIN else None
        pieces.append(_Piece(depth, _bone(screen, seen.bones[finger], index, skin, drawn, finger, root)))
        drawn.add((finger, index))
    pieces.extend(_Piece(depth, svg) for depth, svg in prop_shapes(posture.prop, screen, seen))
    return [piece.svg for piece in sorted(pieces, key=lambda one: one.depth)]


def _body(screen: Screen, seen: Seen) -> str:
    """Return palm and forearm as one shape, with the lines of the palm where it is seen."""
    parts = [
        (hull(screen, seen.arm), ARM_RADIUS),
        (hull(screen, seen.palm), PALM_RADIUS),
        (hull(screen, seen.thenar), 0.13),
    ]
    ball = capsule(screen, seen.bones["thumb"][0].begin, seen.bones["thumb"][0].end, seen.bones["thumb"][0].radii)
    made = [
        element("path", d=d, fill=INK, stroke=INK, stroke_width=screen.length(2 * (radius + LINE / 2)))
        for d, radius in parts
    ]
    made += [
        element("path", d=d, fill=SKIN, stroke=SKIN, stroke_width=screen.length(2 * (radius - LINE / 2)))
        for d, radius in parts
    ]
    made.insert(3, element("path", d=ball, fill=INK, stroke=INK, stroke_width=screen.length(LINE)))
    made.append(element("path", d=ball, fill=SKIN, stroke=SKIN, stroke_width=0))
    if seen.facing[2] > 0.55:
        creases = (
            ((0.36, 0.74, 0.13), (0.08, 0.62, 0.13), (0.03, 0.1, 0.13)),
            ((-0.36, 0.68, 0.13), (-0.05, 0.66, 0.13), (0.1, 0.9, 0.13)),
        )
        made += [_crease(screen, seen.hand, points) for points in creases]
    elif seen.facing[2] < -0.55:
        for x, y in ((0.3, 0.93), (0.095, 0.98), (-0.105, 0.94), (-0.29, 0.84)):
            made.append(_crease(screen, seen.hand, ((x - 0.05, y, -0.13), (x, y + 0.05, -0.13), (x + 0.05, y, -0.13))))
    return element("g", "".join(made), stroke_linejoin="round")


def _crease(screen: Screen, hand: Matrix, points: Sequence[Vector]) -> str:
    d = smooth(screen, [turned(hand, point) for point in points])
    return element(
        "path", d=d, fill="none", stroke=INK, stroke_opacity=0.45, stroke_width=screen.length(LINE * 0.75),
        stroke_linecap="round",
    )  # fmt: skip


def _bone(
    screen: Screen,
    bones: tuple[Bone, Bone, Bone],
    index: int,
    skin: str,
    drawn: set[tuple[Finger, int]],
    finger: Finger,
    root: Vector | None,
) -> str:
    """Return a bone with its outline, and its joints to what was drawn before it without a line between."""
    bone = bones[index]
    made = [
        element(
            "path", d=capsule(screen, bone.begin, bone.end, bone.radii), fill=skin, stroke=INK,
            stroke_width=screen.length(LINE),
        )
    ]  # fmt: skip
    for other, joint, far in ((index - 1, bone.begin, 0), (index + 1, bone.end, 1)):
        if (finger, other) not in drawn:
            continue
        towards = bones[other].begin if far == 0 else bones[other].end
        near, there = bone.radii[far], bones[other].radii[far]
        length = math.dist(joint, towards)
        made.append(_joint(screen, joint, towards, (near, near + (there - near) * min(0.8 * near / length, 1.0)), skin))
    if root is not None and math.dist(screen.at(bone.begin), screen.at(bone.end)) > screen.length(0.22):
        near = bone.radii[0]
        made.append(_joint(screen, bone.begin, root, (near, near), SKIN))
    if index == 2:
        made.append(_nail(screen, bone))
    return "".join(made)


def _joint(screen: Screen, joint: Vector, towards: Vector, radii: tuple[float, float], skin: str) -> str:
    """Return what covers the line between two bones."""
    part = _part_way(joint, towards, radii[0] * 0.8)
    inside = (radii[0] - LINE * 0.5, radii[1] - LINE * 0.5)
    return element("path", d=capsule(screen, joint, part, inside), fill=skin)


def _nail(screen: Screen, bone: Bone) -> str:
    """Return the nail of a tip, when its back is seen."""
    if bone.back[2] < 0.25:
        return ""
    centre = _part_way(bone.end, bone.begin, -bone.radii[1] * 0.15)
    back = tuple(bone.back[axis] * bone.radii[1] * 0.55 for axis in range(3))
    x, y = screen.at((centre[0] + back[0], centre[1] + back[1], centre[2] + back[2]))
    along = (bone.end[0] - bone.begin[0], bone.end[1] - bone.begin[1], bone.end[2] - bone.begin[2])
    length = math.hypot(*along)
    flat = math.hypot(along[0], along[1])
    angle = math.degrees(math.atan2(-along[1], along[0]))
    wide = screen.length(bone.radii[1] * 0.62)
    return element(
        "ellipse", cx=x, cy=y, rx=round(wide * max(1.25 * flat / length, 0.35), 1),
        ry=round(wide * max(bone.back[2], 0.3), 1), fill=NAIL, stroke=INK, stroke_opacity=0.55,
        stroke_width=screen.length(LINE * 0.5), transform=f"rotate({angle:.0f} {x} {y})",
    )  # fmt: skip


def _shadow(screen: Screen, seen: Seen) -> str:
    """Return where the hand was, in one flat colour."""
    made = [
        element("path", d=hull(screen, seen.palm), stroke=GHOST, stroke_width=screen.length(2 * PALM_RADIUS))
    ]  # fmt: skip
    for bones in seen.bones.values():
        made += [element("path", d=capsule(screen, bone.begin, bone.end, bone.radii)) for bone in bones]
    return element("g", "".join(made), fill=GHOST, stroke_linejoin="round")


def _trail(posture: Posture, finger: Finger, view: Matrix) -> list[Vector]:
    """Return the way of a tip from where the movement starts."""
    assert posture.start is not None
    end = see(posture.joints, view).bones[finger]
    if finger in posture.acting and posture.stretches:
        return [_part_way(end[2].end, end[2].begin, -by) for by in (0.22, 0.35, 0.48, 0.6)]
    # Of a finger that bends, the first half: the rest would hide it.
    until = 0.5 if finger in posture.acting else 0.88
    way = []
    for step in range(_STEPS + 1):
        seen = see(posture.start.between(posture.joints, 0.06 + (until - 0.06) * step / _STEPS), view)
        last = seen.bones[finger][2]
        way.append(_part_way(last.end, last.begin, -0.28))
    return way


def _around_the_arm(way: int, middle: float) -> list[Vector]:
    """Return an arc around the forearm, which stands upright: its near side at 0 degrees, its far side at 180."""
    points = []
    for step in range(-10, 11):
        angle = math.radians(middle + step * 9.6 * way)
        points.append((0.6 * math.sin(angle), -0.34 - 0.22 * math.cos(angle), 0.6 * math.cos(angle)))
    return points


def _fit(seen: Seen, shadow: Seen | None, trails: Iterable[Sequence[Vector]], posture: Posture) -> Screen:
    """Return how the hand fills the picture; of the forearm, a part is enough."""
    spots: list[tuple[Vector, float]] = [(point, 0.12) for trail in trails for point in trail]
    for one in (seen, *([shadow] if shadow is not None else [])):
        spots += [(point, PALM_RADIUS) for point in one.palm]
        for bones in one.bones.values():
            spots += [(point, bone.radii[0]) for bone in bones for point in (bone.begin, bone.end)]
    spots.append((turned(seen.view, (0.0, -0.5 if posture.turning else -0.22, 0.0)), 0.26))
    spots += prop_spots(posture.prop, seen)
    left, right = min(p[0] - r for p, r in spots), max(p[0] + r for p, r in spots)
    low, high = min(p[1] - r for p, r in spots), max(p[1] + r for p, r in spots)
    scale = min(_LARGEST, (SIZE - 2 * _MARGIN) / max(right - left, high - low))
    return Screen(scale, SIZE / 2 - scale * (left + right) / 2, SIZE / 2 + scale * (low + high) / 2)


def _depth(points: Sequence[Vector]) -> float:
    return sum(point[2] for point in points) / len(points)


def _part_way(begin: Vector, end: Vector, by: float) -> Vector:
    """Return the point at a distance from the first to the second."""
    way = (end[0] - begin[0], end[1] - begin[1], end[2] - begin[2])
    share = by / (math.hypot(*way) or 1.0)
    return begin[0] + way[0] * share, begin[1] + way[1] * share, begin[2] + way[2] * share
