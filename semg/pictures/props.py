"""Things that hands hold or touch in the pictures: a glass, a ball, a key, a card, a table."""

from __future__ import annotations

from semg.pictures.shapes import INK, THING, Screen, capsule, element, hull
from semg.pictures.skeleton import Seen, Vector, turned

_LINE = 0.036
_GLASS: tuple[Vector, Vector] = ((0.82, 0.72, 0.42), (-0.72, 0.72, 0.42))
_BALL: Vector = (0.05, 0.95, 0.55)
_HANDLE: Vector = (0.0, 1.1, 0.2)


def prop_shapes(prop: str | None, screen: Screen, seen: Seen) -> list[tuple[float, str]]:
    """Return the shapes of a thing, each with its depth.

    Parameters
    ----------
    prop
        ``glass``, ``ball``, ``key``, ``card``, ``bag``, ``pen``, ``table``, or None.
    """
    if prop is None:
        return []
    return {
        "glass": _glass, "ball": _ball, "key": _key, "card": _card, "bag": _bag, "pen": _pen, "table": _table,
    }[prop](screen, seen)  # fmt: skip


def prop_spots(prop: str | None, seen: Seen) -> list[tuple[Vector, float]]:
    """Return what of a thing must lie in the picture: points, and how far it reaches around them."""
    if prop == "glass":
        return [(point, 0.1) for point in _at(seen, *_GLASS)]
    if prop == "bag":
        (handle,) = _at(seen, _HANDLE)
        return [((handle[0], handle[1] - 0.95, handle[2]), 0.1)]
    if prop == "pen":
        tip = seen.bones["thumb"][2].end
        return [((tip[0] - 0.36, tip[1] - 0.5, 0.0), 0.05), ((tip[0] + 0.62, tip[1] + 0.86, 0.0), 0.1)]
    return [(one, 0.42) for one in _at(seen, _BALL)] if prop == "ball" else []


def _line(screen: Screen) -> dict[str, object]:
    return {"fill": THING, "stroke": INK, "stroke_width": screen.length(_LINE), "stroke_linejoin": "round"}


def _at(seen: Seen, *points: Vector) -> list[Vector]:
    return [turned(seen.hand, point) for point in points]


def _glass(screen: Screen, seen: Seen) -> list[tuple[float, str]]:
    """Draw a glass across the palm, under the fingers."""
    top, bottom = _at(seen, *_GLASS)
    (ax, ay), (bx, by) = screen.at(top), screen.at(bottom)
    wide, narrow, flat = screen.length(0.33), screen.length(0.27), screen.length(0.09)
    body = (
        f"M{ax - wide:.1f} {ay}A{wide} {flat} 0 0 1 {ax + wide:.1f} {ay}L{bx + narrow:.1f} {by}"
        f"A{narrow} {flat} 0 0 1 {bx - narrow:.1f} {by}z"
    )
    mouth = element("ellipse", cx=ax, cy=ay, rx=wide, ry=flat, **{**_line(screen), "fill": "#d9e8ef"})
    return [(_mean(top, bottom), element("path", d=body, **_line(screen)) + mouth)]


def _ball(screen: Screen, seen: Seen) -> list[tuple[float, str]]:
    (centre,) = _at(seen, _BALL)
    x, y = screen.at(centre)
    return [(centre[2], element("circle", cx=x, cy=y, r=screen.length(0.42), **_line(screen)))]


def _key(screen: Screen, seen: Seen) -> list[tuple[float, str]]:
    """Draw a key between the thumb and the side of the index finger; it sticks out beyond the tip of the thumb."""
    tip = seen.bones["thumb"][2].end
    base = seen.bones["thumb"][2].begin
    way = (tip[0] - base[0], tip[1] - base[1], tip[2] - base[2])
    length = sum(one * one for one in way) ** 0.5
    along = (way[0] / length, way[1] / length, way[2] / length)

    def on(by: float, side: float = 0.0) -> Vector:
        return (tip[0] + along[0] * by - along[1] * side, tip[1] + along[1] * by + along[0] * side, tip[2] - 0.12)

    line = _line(screen)
    shaft = capsule(screen, on(-0.1), on(0.62), (0.045, 0.045))
    teeth = "".join(
        element("path", d=capsule(screen, on(by), on(by, -0.13), (0.04, 0.04)), **line) for by in (0.45, 0.6)
    )
    x, y = screen.at(on(-0.12))
    bow = element("circle", cx=x, cy=y, r=screen.length(0.19), **line)
    return [(tip[2] - 0.13, teeth + element("path", d=shaft, **line) + bow)]


def _card(screen: Screen, seen: Seen) -> list[tuple[float, str]]:
    tip = seen.bones["index"][2].end
    corners = [(tip[0] - 0.05, tip[1] - 0.1, tip[2]), (tip[0] + 0.1, tip[1] + 0.7, tip[2]),
               (tip[0] - 0.45, tip[1] + 0.7, tip[2]), (tip[0] - 0.5, tip[1], tip[2])]  # fmt: skip
    return [(tip[2] - 0.01, element("path", d=hull(screen, corners), **_line(screen)))]


def _bag(screen: Screen, seen: Seen) -> list[tuple[float, str]]:
    """Draw a bag whose handle lies in the bent fingers of a hand that hangs down."""
    (handle,) = _at(seen, _HANDLE)
    x, y = screen.at(handle)
    wide, deep, thick = screen.length(0.62), screen.length(0.55), screen.length(0.1)
    top = y + deep
    loop = f"M{x - 0.6 * wide:.1f} {top:.1f}C{x - 0.5 * wide:.1f} {y - 2} {x + 0.5 * wide:.1f} {y - 2} "
    loop += f"{x + 0.6 * wide:.1f} {top:.1f}"
    line = _line(screen)
    body = element(
        "rect", x=round(x - wide, 1), y=round(top, 1), width=round(2 * wide, 1), height=screen.length(0.8), rx=6, **line
    )
    outer = element(
        "path", d=loop, fill="none", stroke=INK, stroke_width=round(thick + 2 * float(str(line["stroke_width"])), 1)
    )
    return [(handle[2], outer + element("path", d=loop, fill="none", stroke=THING, stroke_width=thick) + body)]


def _pen(screen: Screen, seen: Seen) -> list[tuple[float, str]]:
    """Draw a pen that touches the paper left of and below the tips."""
    tip = seen.bones["thumb"][2].end
    point, neck = (tip[0] - 0.36, tip[1] - 0.5, tip[2]), (tip[0] - 0.22, tip[1] - 0.3, tip[2])
    end = (tip[0] + 0.62, tip[1] + 0.86, tip[2])
    line = _line(screen)
    nib = element("path", d=capsule(screen, point, neck, (0.015, 0.075)), **{**line, "fill": INK})
    return [(tip[2] - 0.06, nib + element("path", d=capsule(screen, neck, end, (0.075, 0.075)), **line))]


def _table(screen: Screen, seen: Seen) -> list[tuple[float, str]]:
    """Draw the edge of a table below everything."""
    points = [point for bones in seen.bones.values() for bone in bones for point in (bone.begin, bone.end)]
    low = min([point[1] - 0.09 for point in points] + [point[1] - 0.15 for point in seen.palm])
    _, y = screen.at((0.0, low - 0.02, 0.0))
    return [(-9.0, element("path", d=f"M8 {y + 4}H192", stroke=THING, stroke_width=8, stroke_linecap="round"))]


def _mean(a: Vector, b: Vector) -> float:
    return (a[2] + b[2]) / 2
