"""Gesture events for the tests of what stores, sends and keeps them."""

from __future__ import annotations

from semg.event_types import EventKind, GestureEvent


def gesture_event(
    user_id: int, at_us: int, kind: EventKind = "press", gesture: str = "fist", *, strength: float | None = None
) -> GestureEvent:
    """Return an event without a number that began a quarter of a second earlier."""
    return GestureEvent(
        user_id=user_id,
        kind=kind,
        gesture=gesture,
        at_us=at_us,
        begun_us=at_us - 250_000,
        pressed_us=at_us,
        confidence=0.5,
        strength=strength,
        model_version=1,
    )
