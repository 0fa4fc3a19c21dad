"""Where electrodes go on a right forearm: its palm side, its back, and a cut across it, with the muscles named.

Positions of the muscles follow the surface anatomy that SENIAM and textbooks of kinesiological EMG describe: bellies in
the upper third of the forearm, a pair of electrodes along the fibres, the reference over bone. A drawing for
orientation, not a measure.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from semg.domain import Sensor
from semg.pictures.hand import Posture, hand_pieces
from semg.pictures.postures import FLAT
from semg.pictures.shapes import INK, MOVE, SKIN, Screen, element, tile, words
from semg.pictures.skeleton import Vector, see, turned, view_of

WIDTH, HEIGHT = 700, 350
MOST_PAIRS = 4
"""With more channels, the electrodes are worn as a band around the forearm."""
MOST_IN_SIGHT = 8
"""Of more, the names are in the cut only."""
_MUSCLE, _BONE, _PLATE = "#d98c7a", "#fdf6e8", "#26333d"
_SCALE, _WRIST_X, _PALM_Y, _BACK_Y = 76.0, 262.0, 92.0, 250.0
_CENTRE, _RADIUS = (580.0, 172.0), 66.0
_BAND_Y = -2.1
"""Along the arm, in lengths of the palm from the wrist: the thickest part."""


@dataclass(frozen=True, slots=True)
class Muscle:
    """A belly near the skin.

    Attributes
    ----------
    across
        Its middle, from the middle line of the arm to the thumb's side, in lengths of the palm.
    on_back
        Whether it is seen from the back of the forearm.
    degrees
        In the cut, seen from the elbow with the palm up: 0 to the thumb's side, 90 to the palm's.
    """

    name: str
    short: str
    across: float
    on_back: bool
    degrees: float


FLEXOR_RADIALIS = Muscle("flexor carpi radialis", "FCR", 0.12, False, 68.0)
FLEXOR_ULNARIS = Muscle("flexor carpi ulnaris", "FCU", -0.2, False, 152.0)
EXTENSOR_DIGITORUM = Muscle("extensor digitorum", "ED", -0.02, True, 270.0)
EXTENSOR_RADIALIS = Muscle("extensor carpi radialis", "ECR", 0.19, True, 338.0)
EXTENSOR_ULNARIS = Muscle("extensor carpi ulnaris", "ECU", -0.2, True, 222.0)
FLEXOR_DIGITORUM = Muscle("flexor digitorum", "FD", -0.04, False, 110.0)
MUSCLES = (
    FLEXOR_RADIALIS, FLEXOR_DIGITORUM, FLEXOR_ULNARIS, EXTENSOR_ULNARIS, EXTENSOR_DIGITORUM, EXTENSOR_RADIALIS,
)  # fmt: skip
PAIRS = (FLEXOR_RADIALIS, EXTENSOR_DIGITORUM, FLEXOR_ULNARIS, EXTENSOR_RADIALIS)
"""Which muscle the first, second, … channel of separate sensors is for."""


def placement_svg(sensor: Sensor, channels: Sequence[str]) -> str:
    """Return where the electrodes of a device go, as the text of an SVG file.

    Parameters
    ----------
    sensor
        Sensors that send an envelope carry their electrodes below the board; raw ones have a pair each.
    channels
        Their names, in the device's order; at most ``MOST_PAIRS`` are pairs over muscles, more are a band.
    """
    names = [name if len(name) <= 3 else str(number) for number, name in enumerate(channels, 1)]
    band = len(names) > MOST_PAIRS
    pieces = [_arm(False), _arm(True), _cut()]
    pieces += [_belly(muscle) for muscle in MUSCLES]
    if band:
        pieces += _band(names)
    else:
        pieces += [_pair(muscle, name) for muscle, name in zip(PAIRS, names, strict=False)]
        pieces.append(_reference())
    pieces += _words(names, band, sensor)
    return tile(WIDTH, "Electrode placement on the forearm", pieces, HEIGHT)


def _screen(on_back: bool) -> Screen:
    return Screen(_SCALE, _WRIST_X, _BACK_Y if on_back else _PALM_Y)


def _spot(muscle: Muscle, along: float) -> tuple[float, float]:
    """Return where a point over a muscle lies in the picture, ``along`` the arm from the wrist."""
    return _screen(muscle.on_back).at(turned(_view(muscle.on_back), (muscle.across, along, 0.0)))


def _view(on_back: bool) -> tuple[Vector, Vector, Vector]:
    return view_of(180.0 if on_back else 0.0, 0.0, -90.0)


def _arm(on_back: bool) -> str:
    posture = Posture(FLAT, (180.0 if on_back else 0.0, 0.0, -90.0))
    return "".join(hand_pieces(_screen(on_back), see(FLAT, _view(on_back)), posture))


def _belly(muscle: Muscle) -> str:
    """Return a muscle in its view of the arm, with its name, and its place in the cut."""
    x, y = _spot(muscle, -2.0)
    made = element(
        "ellipse", cx=x, cy=y, rx=62, ry=8.5, fill=_MUSCLE, fill_opacity=0.55, stroke=_MUSCLE, stroke_width=1
    )  # fmt: skip
    made += words(round(x + 66, 1), round(y + 3.5, 1), f"{muscle.name} ({muscle.short})", size=10, anchor="start")
    angle = math.radians(muscle.degrees)
    cx, cy = _CENTRE[0] + 45 * math.cos(angle), _CENTRE[1] - 45 * math.sin(angle)
    made += element(
        "ellipse", cx=round(cx, 1), cy=round(cy, 1), rx=12.5, ry=18, fill=_MUSCLE, fill_opacity=0.8,
        transform=f"rotate({-muscle.degrees:.0f} {cx:.1f} {cy:.1f})",
    )  # fmt: skip
    return made + words(round(cx, 1), round(cy + 3, 1), muscle.short, size=8.5)


def _cut() -> str:
    """Return the cut: skin, the two bones."""
    x, y = _CENTRE
    made = element("circle", cx=x, cy=y, r=_RADIUS, fill=SKIN, stroke=INK, stroke_width=2.4)
    for cx, cy, name in ((x + 17, y + 8, "radius"), (x - 21, y + 12, "ulna")):
        made += element("circle", cx=cx, cy=cy, r=14.5, fill=_BONE, stroke=INK, stroke_width=1.4)
        made += words(cx, cy + 3, name, size=8.5)
    return made


def _pair(muscle: Muscle, name: str) -> str:
    """Return two electrodes along a muscle, and one in the cut."""
    made = ""
    for along in (-1.78, -2.16):
        x, y = _spot(muscle, along)
        made += element("circle", cx=x, cy=y, r=8.5, fill=_PLATE, stroke="#ffffff", stroke_width=1.5)
        made += words(x, y + 3.4, name, size=9.5, fill="#ffffff", bold=True)
    return made + _on_skin(muscle.degrees, name)


def _band(names: Sequence[str]) -> list[str]:
    """Return a band around the arm, which begins over the extensor digitorum and goes on to the thumb's side."""
    step = 360.0 / len(names)
    made = []
    for on_back in (False, True):
        screen = _screen(on_back)
        x, y = screen.at(turned(_view(on_back), (0.0, _BAND_Y, 0.0)))
        made.append(
            element("rect", x=x - 11, y=round(y - 33, 1), width=22, height=66, rx=5, fill=_PLATE, fill_opacity=0.9)
        )
    for number, name in enumerate(names):
        degrees = (EXTENSOR_DIGITORUM.degrees + number * step) % 360.0
        made.append(_on_skin(degrees, name))
        on_back = degrees > 180.0
        if len(names) > MOST_IN_SIGHT or abs(math.cos(math.radians(degrees))) > 0.8:
            continue
        across = 0.36 * math.cos(math.radians(degrees))
        x, y = _screen(on_back).at(turned(_view(on_back), (across, _BAND_Y, 0.0)))
        made.append(element("rect", x=round(x - 8, 1), y=round(y - 5.5, 1), width=16, height=11, rx=3, fill="#ffffff"))
        made.append(words(x, y + 3, name, size=8.5, bold=True))
    return made


def _on_skin(degrees: float, name: str) -> str:
    """Return an electrode on the skin of the cut."""
    angle = math.radians(degrees)
    x, y = _CENTRE[0] + (_RADIUS + 7) * math.cos(angle), _CENTRE[1] - (_RADIUS + 7) * math.sin(angle)
    made = element("circle", cx=round(x, 1), cy=round(y, 1), r=10, fill=_PLATE, stroke="#ffffff", stroke_width=1.5)
    return made + words(round(x, 1), round(y + 3.4, 1), name, size=9.5, fill="#ffffff", bold=True)


def _reference() -> str:
    x, y = _screen(True).at(turned(_view(True), (-0.05, -3.1, 0.0)))
    made = element("circle", cx=x, cy=y, r=10, fill="#ffffff", stroke=MOVE, stroke_width=3)
    return made + words(x, y + 3, "ref", size=8.5, bold=True)


def _words(names: Sequence[str], band: bool, sensor: Sensor) -> list[str]:
    """Return headings, directions, and the sentence below."""
    x, y = _CENTRE
    said = [
        words(14, 24, "Palm side", size=12, anchor="start", bold=True),
        words(14, 186, "Back of the forearm", size=12, anchor="start", bold=True),
        words(x, 24, "Cut, seen from the elbow", size=12, bold=True),
        words(x, 66, "palm side", size=10),
        words(x, y + _RADIUS + 34, "back", size=10),
        words(x + _RADIUS + 34, y - 14, "thumb", size=10),
        words(x - _RADIUS - 32, y + 4, "little", size=10),
        words(x - _RADIUS - 32, y + 15, "finger", size=10),
    ]
    if band:
        hint = (
            f"{names[0]} lies over the extensor digitorum, in line with the middle finger; "
            "the next is on the thumb's side."
        )
    elif sensor == "envelope":
        hint = "The board lies along the muscle; its reference lead (ref) is over the bone of the elbow."
    else:
        hint = "Each pair lies along its muscle, 2 cm apart; the reference (ref) is over the bone of the elbow."
    return [*said, words(WIDTH / 2, HEIGHT - 12, hint, size=11.5)]
