"""Which gesture is drawn how: postures by name, with the names that people use for the same."""

from __future__ import annotations

from dataclasses import replace

from semg.pictures.hand import Posture
from semg.pictures.skeleton import Bend, Finger, Joints, Thumb

_PALM, _BACK = (0.0, 0.0, 0.0), (180.0, 0.0, 0.0)
_THUMB_SIDE = (-90.0, 0.0, 90.0)
"""The forearm lies level, the hand points to the left, the palm looks down."""
_STRAIGHT = (Bend(4), Bend(1), Bend(-2), Bend(-6))
_SPREAD = (Bend(16, 2, 3), Bend(3, 1, 3), Bend(-10, 2, 3), Bend(-26, 3, 3))
_FOLDED = (Bend(0, 82, 104, 62), Bend(0, 85, 104, 62), Bend(0, 87, 104, 62), Bend(0, 88, 102, 62))
_LOOSE = (Bend(3, 22, 26, 14), Bend(1, 27, 30, 16), Bend(-2, 32, 34, 18), Bend(-5, 36, 36, 20))
_FANNED = (Bend(), Bend(0, 24, 14, 6), Bend(-4, 4, 8, 4), Bend(-10, -16, 4, 2))
"""The three last fingers apart when they are seen from the thumb's side."""
_OUT = Thumb((62.0, 54.0, 48.0), (12.0, 6.0, 4.0))
_BESIDE = Thumb((40.0, 12.0, 4.0), (16.0, 6.0, 2.0))
_ACROSS = Thumb((30.0, -32.0, -72.0), (42.0, 42.0, 2.0))
"""Over the folded fingers."""
_IN_PALM = Thumb((30.0, -30.0, -62.0), (38.0, 24.0, 8.0))
_UP = Thumb((62.0, 80.0, 96.0), (12.0, 4.0, 2.0))

_OPPOSED: dict[Finger, Thumb] = {
    "index": Thumb((40.0, 20.0, 10.0), (42.0, 40.0, 40.0)),
    "middle": Thumb((36.0, 0.0, 0.0), (50.0, 40.0, 40.0)),
    "ring": Thumb((26.0, 0.0, 0.0), (58.0, 40.0, 40.0)),
    "little": Thumb((12.0, 0.0, 0.0), (58.0, 40.0, 40.0)),
}
"""Where the first bone of the thumb points when it meets a finger's tip; the others follow."""

FLAT = Joints(_STRAIGHT, _BESIDE)
OPEN = Joints(_SPREAD, _OUT)
FIST = Joints(_FOLDED, _ACROSS)
LOOSE = Joints(_LOOSE, Thumb((38.0, 16.0, 6.0), (30.0, 22.0, 14.0)))


def _only(*stretched: Finger, thumb: Thumb = _ACROSS, spread: float = 0.0) -> Joints:
    """Return a fist with some fingers stretched."""
    order: tuple[Finger, ...] = ("index", "middle", "ring", "little")
    sides = {"index": spread, "middle": -spread * 0.6, "ring": -spread * 0.8, "little": -spread * 1.2}
    one, two, three, four = (
        Bend(sides[finger], 2, 3) if finger in stretched else _FOLDED[index] for index, finger in enumerate(order)
    )
    return Joints((one, two, three, four), thumb)


def _bent(finger: Finger) -> Posture:
    """Return the movement of one finger alone, seen into the palm."""
    order: tuple[Finger, ...] = ("index", "middle", "ring", "little")
    start = Joints(_SPREAD, _OUT)
    if finger == "thumb":
        return Posture(replace(start, thumb=_IN_PALM), _PALM, start, ("thumb",), ("thumb",))
    one, two, three, four = (
        Bend(_SPREAD[index].spread * 0.4, 72, 78, 40) if one == finger else _SPREAD[index]
        for index, one in enumerate(order)
    )
    return Posture(Joints((one, two, three, four), _OUT), (-14.0, -6.0, 0.0), start, (finger,), (finger,))


def _raised(finger: Finger) -> Posture:
    """Return a finger stretched out of a loosely closed hand."""
    posture = _bent(finger)
    assert posture.start is not None
    return replace(posture, joints=posture.start, start=posture.joints, stretches=True)


def _meeting(finger: Finger, others: tuple[Bend, Bend, Bend, Bend], bend: Bend) -> Joints:
    """Return a hand whose thumb meets the tip of a finger."""
    order: tuple[Finger, ...] = ("index", "middle", "ring", "little")
    one, two, three, four = (bend if one == finger else others[index] for index, one in enumerate(order))
    return Joints((one, two, three, four), _OPPOSED[finger], finger)


def _wrist(flexed: float) -> Posture:
    fingers = (Bend(2, 8, 10, 6), Bend(0, 9, 11, 6), Bend(0, 10, 12, 6), Bend(0, 12, 12, 6))
    start = Joints(fingers, Thumb((26.0, 10.0, 4.0), (30.0, 22.0, 18.0)))
    return Posture(replace(start, flexed=flexed), _THUMB_SIDE, start)


def _tilt(deviated: float) -> Posture:
    return Posture(replace(FLAT, deviated=deviated), _BACK, FLAT)


POSTURES: dict[str, Posture] = {
    "rest": Posture(LOOSE, (-90.0, 0.0, 82.0), prop="table"),
    "fist": Posture(FIST, (-18.0, 6.0, 0.0)),
    "open hand": Posture(OPEN, _PALM),
    "fingers together": Posture(FLAT, _PALM, OPEN, ("little", "thumb")),
    "wrist flexion": _wrist(62.0),
    "wrist extension": _wrist(-58.0),
    "radial deviation": _tilt(24.0),
    "ulnar deviation": _tilt(-32.0),
    "pronation": Posture(FLAT, (158.0, 0.0, 0.0), turning=-1),
    "supination": Posture(FLAT, (-22.0, 0.0, 0.0), turning=1),
    "pinch": Posture(_meeting("index", _FOLDED, Bend(0, 50, 56, 28)), (-80.0, 0.0, 30.0)),
    "ok": Posture(_meeting("index", _FANNED, Bend(4, 52, 56, 28)), (-76.0, 0.0, -8.0)),
    "middle pinch": Posture(
        _meeting("middle", _SPREAD, Bend(4, 58, 60, 30)), (-34.0, 0.0, 0.0), acting=("thumb", "middle")),
    "ring pinch": Posture(
        _meeting("ring", _SPREAD, Bend(4, 62, 62, 30)), (-26.0, 0.0, 0.0), acting=("thumb", "ring")),
    "little pinch": Posture(
        _meeting("little", _SPREAD, Bend(14, 66, 50, 24)), (-16.0, 0.0, 0.0), acting=("thumb", "little")),
    "tripod grip": Posture(
        Joints((Bend(0, 52, 44, 24), Bend(0, 54, 46, 24), Bend(0, 74, 84, 40), Bend(0, 78, 84, 40)),
               _OPPOSED["index"], "index"), (-80.0, 0.0, 66.0), prop="pen"),
    "key grip": Posture(
        Joints((Bend(0, 46, 82, 40), Bend(0, 60, 88, 45), Bend(0, 66, 90, 45), Bend(0, 70, 90, 45)),
               Thumb((48.0, 14.0, -2.0), (30.0, 34.0, 26.0))), (-76.0, 0.0, 90.0), prop="key"),
    "power grip": Posture(
        Joints((Bend(2, 48, 62, 36), Bend(0, 50, 64, 36), Bend(-2, 52, 66, 36), Bend(-4, 54, 68, 36)),
               Thumb((36.0, 10.0, -26.0), (58.0, 52.0, 20.0))), (-24.0, 0.0, 90.0), prop="glass"),
    "ball grip": Posture(
        Joints((Bend(14, 34, 46, 26), Bend(2, 30, 46, 26), Bend(-10, 34, 46, 26), Bend(-22, 40, 46, 26)),
               Thumb((62.0, 34.0, 4.0), (44.0, 48.0, 30.0))), (-30.0, 0.0, 0.0), prop="ball"),
    "hook grip": Posture(
        Joints((Bend(0, 12, 92, 60), Bend(0, 12, 92, 60), Bend(0, 12, 92, 60), Bend(0, 12, 92, 60)), _BESIDE),
        (-30.0, 0.0, 180.0), prop="bag"),
    "point": Posture(_only("index"), (-18.0, 0.0, 0.0)),
    "victory": Posture(_only("index", "middle", spread=14.0), (-10.0, 0.0, 0.0)),
    "three": Posture(_only("index", "middle", "ring", spread=12.0), _PALM),
    "four": Posture(Joints(_SPREAD, _IN_PALM), _PALM),
    "thumb up": Posture(replace(FIST, thumb=_UP), (-18.0, 0.0, 90.0)),
    "thumb down": Posture(replace(FIST, thumb=_UP), (-18.0, 0.0, -90.0)),
    "horns": Posture(_only("index", "little", spread=8.0), (-10.0, 0.0, 0.0)),
    "little finger up": Posture(_only("little"), (-10.0, 0.0, 0.0)),
    "middle finger up": Posture(_only("middle"), (-10.0, 0.0, 0.0)),
    "telephone": Posture(_only("little", thumb=_UP, spread=18.0), (-10.0, 0.0, 0.0)),
    "finger gun": Posture(_only("index", thumb=_UP), (-18.0, 0.0, 90.0)),
    "love": Posture(_only("index", "little", thumb=_OUT, spread=10.0), (-10.0, 0.0, 0.0)),
    "thumb": _bent("thumb"),
    "index finger": _bent("index"),
    "middle finger": _bent("middle"),
    "ring finger": _bent("ring"),
    "little finger": _bent("little"),
    "thumb extension": _raised("thumb"),
    "index finger extension": _raised("index"),
    "middle finger extension": _raised("middle"),
    "ring finger extension": _raised("ring"),
    "little finger extension": _raised("little"),
}  # fmt: skip
