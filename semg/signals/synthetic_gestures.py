"""What the muscles of a synthetic forearm do for each gesture: activations that are held, and short courses of them."""

from __future__ import annotations

from semg.domain import REST

N_MUSCLES = 8
ACTIVATIONS: dict[str, tuple[float, ...]] = {
    # Flexors of the palm's side first, extensors of the back of the hand last, going around the forearm.
    REST: (0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02, 0.02),
    "fist": (0.55, 0.75, 0.65, 0.35, 0.25, 0.35, 0.30, 0.25),
    "open_hand": (0.12, 0.10, 0.15, 0.30, 0.55, 0.65, 0.50, 0.25),
    "flexion": (0.60, 0.50, 0.30, 0.12, 0.10, 0.12, 0.15, 0.40),
    "extension": (0.15, 0.10, 0.12, 0.20, 0.50, 0.45, 0.65, 0.45),
    "pinch": (0.25, 0.45, 0.50, 0.30, 0.15, 0.20, 0.15, 0.12),
}
SAME_AS = {"wrist_flexion": "flexion", "wrist_extension": "extension", "power_grip": "fist"}
_PRESS = (0.35, 0.60, 0.55, 0.25, 0.12, 0.15, 0.12, 0.10)
_SPREAD = (0.10, 0.12, 0.20, 0.40, 0.75, 0.60, 0.45, 0.20)
_TAP = (0.15, 0.55, 0.35, 0.15, 0.20, 0.25, 0.15, 0.10)
_FLICK = (0.10, 0.10, 0.15, 0.30, 0.60, 0.70, 0.50, 0.20)
COURSES: dict[str, tuple[tuple[float, tuple[float, ...]], ...]] = {
    "snap": ((0.25, _PRESS), (0.12, _SPREAD)),
    "tap": ((0.12, _TAP),),
    "double_tap": ((0.12, _TAP), (0.16, ACTIVATIONS[REST]), (0.12, _TAP)),
    "flick": ((0.14, _FLICK),),
}
"""Short dynamic gestures: how long, in seconds, each activation lasts, before the hand rests again."""
DURATION_SPREAD = 0.15
"""Spread of these lengths from trial to trial (natural logarithm)."""
LEVELS = (0.70, 0.55, 0.42, 0.28, 0.18, 0.12, 0.09, 0.08)
"""Activations of a gesture that has no typical ones, in an order of its own."""


def plain_name(gesture: str) -> str:
    """Return a gesture's name as the tables of activations write it."""
    return "_".join(gesture.casefold().replace("-", " ").replace("_", " ").split())
