"""The few shapes that pictures are made of, as text of SVG."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape

from semg.pictures.skeleton import Vector

INK, SKIN, SKIN_ACTING, NAIL = "#4a352b", "#f2c6a2", "#f29f67", "#fbe3d3"
GHOST, MOVE, TILE, THING = "#d3dbe1", "#0b6e8f", "#f3f7f9", "#8fb9cc"
"""``MOVE`` is the accent colour of the pages."""


@dataclass(frozen=True, slots=True)
class Screen:
    """Where points lie in a picture: a scale, and the position of the wrist."""

    scale: float
    x: float
    y: float

    def at(self, point: Vector) -> tuple[float, float]:
        """Return the position of a point."""
        return round(self.x + self.scale * point[0], 1), round(self.y - self.scale * point[1], 1)

    def length(self, length: float) -> float:
        """Return a length in the picture."""
        return round(self.scale * length, 1)


def element(kind: str, content: str = "", /, **attributes: object) -> str:
    """Return an element; ``_`` in the name of an attribute stands for ``-``."""
    said = "".join(f' {name.replace("_", "-")}="{escape(str(value))}"' for name, value in attributes.items())
    return f"<{kind}{said}>{content}</{kind}>" if content else f"<{kind}{said}/>"


def words(
    x: float, y: float, text: str, *, size: float, anchor: str = "middle", fill: str = "#1c2833", bold: bool = False
) -> str:
    """Return a line of text."""
    return element(
        "text", escape(text), x=x, y=y, font_family="sans-serif", font_size=size, text_anchor=anchor, fill=fill,
        font_weight="700" if bold else "400",
    )  # fmt: skip


def tile(size: int, title: str, pieces: Sequence[str], height: int | None = None) -> str:
    """Return a whole picture on its tile."""
    tall = size if height is None else height
    back = element("rect", width=size, height=tall, rx=14, fill=TILE)
    inside = element("title", escape(title)) + back + "".join(pieces)
    sizes = f'width="{size}" height="{tall}" viewBox="0 0 {size} {tall}"'
    return f'<svg xmlns="http://www.w3.org/2000/svg" {sizes} role="img">{inside}</svg>'


def capsule(screen: Screen, begin: Vector, end: Vector, radii: tuple[float, float]) -> str:
    """Return the path around two circles."""
    (ax, ay), (bx, by) = screen.at(begin), screen.at(end)
    ra, rb = screen.length(radii[0]), screen.length(radii[1])
    distance = math.hypot(bx - ax, by - ay)
    if distance <= abs(ra - rb) + 0.3:
        x, y, r = (ax, ay, ra) if ra >= rb else (bx, by, rb)
        return f"M{x - r:.1f} {y:.1f}a{r} {r} 0 1 1 {2 * r:.1f} 0a{r} {r} 0 1 1 {-2 * r:.1f} 0z"
    along = math.atan2(by - ay, bx - ax)
    lean = math.acos((ra - rb) / distance)
    one, two = along + lean, along - lean
    first, second = (1, 0) if lean < math.pi / 2 else (0, 1)
    return (
        f"M{ax + ra * math.cos(one):.1f} {ay + ra * math.sin(one):.1f}"
        f"A{ra} {ra} 0 {first} 1 {ax + ra * math.cos(two):.1f} {ay + ra * math.sin(two):.1f}"
        f"L{bx + rb * math.cos(two):.1f} {by + rb * math.sin(two):.1f}"
        f"A{rb} {rb} 0 {second} 1 {bx + rb * math.cos(one):.1f} {by + rb * math.sin(one):.1f}z"
    )


def hull(screen: Screen, points: Sequence[Vector]) -> str:
    """Return the path of the smallest convex outline of points (Andrew's monotone chain)."""
    spots = sorted({screen.at(point) for point in points})
    if len(spots) < 3:
        return "M" + "L".join(f"{x} {y}" for x, y in spots) + "z"

    def half(ordered: Sequence[tuple[float, float]]) -> list[tuple[float, float]]:
        made: list[tuple[float, float]] = []
        for spot in ordered:
            while len(made) > 1 and _turn(made[-2], made[-1], spot) <= 0:
                made.pop()
            made.append(spot)
        return made[:-1]

    return "M" + "L".join(f"{x} {y}" for x, y in half(spots) + half(spots[::-1])) + "z"


def smooth(screen: Screen, points: Sequence[Vector]) -> str:
    """Return a path through points: three of them as one curve, more as a line of curves."""
    spots = [screen.at(point) for point in points]
    if len(spots) == 3:
        (ax, ay), (bx, by), (cx, cy) = spots
        return f"M{ax} {ay}Q{2 * bx - (ax + cx) / 2:.1f} {2 * by - (ay + cy) / 2:.1f} {cx} {cy}"
    made = f"M{spots[0][0]} {spots[0][1]}"
    for (ax, ay), (bx, by) in zip(spots[1:-1], spots[2:], strict=True):
        made += f"Q{ax} {ay} {(ax + bx) / 2:.1f} {(ay + by) / 2:.1f}"
    return made + f"L{spots[-1][0]} {spots[-1][1]}"


def arrow(screen: Screen, points: Sequence[Vector], width: float = 6.0, head: float = 13.0) -> str:
    """Return an arrow along points, in the colour of movements, with a light border."""
    (ax, ay), (bx, by) = screen.at(points[-3]), screen.at(points[-1])
    angle = math.atan2(by - ay, bx - ax)
    tip = (bx + 0.6 * head * math.cos(angle), by + 0.6 * head * math.sin(angle))
    wings = [
        (bx - head * 0.35 * math.cos(angle) + way * head * 0.75 * math.sin(angle),
         by - head * 0.35 * math.sin(angle) - way * head * 0.75 * math.cos(angle))
        for way in (1, -1)
    ]  # fmt: skip
    point = "M" + "L".join(f"{x:.1f} {y:.1f}" for x, y in (wings[0], tip, wings[1])) + "z"
    shaft = smooth(screen, points)
    return element(
        "g",
        element("path", d=shaft, fill="none", stroke=TILE, stroke_width=width + 4)
        + element("path", d=point, fill=TILE, stroke=TILE, stroke_width=6)
        + element("path", d=shaft, fill="none", stroke=MOVE, stroke_width=width)
        + element("path", d=point, fill=MOVE, stroke=MOVE, stroke_width=2),
        stroke_linecap="round",
        stroke_linejoin="round",
    )


def _turn(a: tuple[float, float], b: tuple[float, float], c: tuple[float, float]) -> float:
    return (b[0] - a[0]) * (c[1] - a[1]) - (b[1] - a[1]) * (c[0] - a[0])
