"""Gesture events: what a program acts on, made of the decisions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Literal, get_args

EventKind = Literal["press", "hold", "release"]
EVENT_KINDS: tuple[EventKind, ...] = get_args(EventKind)
EndReason = Literal["", "let go", "signal lost", "another model", "restarted"]
"""Why a gesture was released; empty in events that are no release."""
LIMITS_MS = {"dwell_ms": 5000, "release_ms": 5000, "cooldown_ms": 60_000, "min_ms": 10_000, "hold_ms": 60_000}
"""The largest value of each time."""


@dataclass(frozen=True, slots=True, kw_only=True)
class EventTimes:
    """When decisions become an event, in milliseconds of the windows' ends.

    Attributes
    ----------
    dwell_ms
        How long a gesture has to stay decided until it is pressed: five decisions at the usual hop.
    release_ms
        How long something else has to stay decided until it is released: a lapse of the decisions is bridged.
    cooldown_ms
        How long after its release the same gesture is not pressed again.
    min_ms
        A gesture is not released earlier than this after it was pressed.
    hold_ms
        A gesture that stays pressed for so long is held; 0: holding is no event.
    """

    dwell_ms: int = 250
    release_ms: int = 150
    cooldown_ms: int = 0
    min_ms: int = 100
    hold_ms: int = 1000

    def with_changes(self, changes: Mapping[str, int]) -> EventTimes:
        """Return these times with some replaced; unknown names are ignored."""
        return EventTimes(**{one.name: int(changes.get(one.name, getattr(self, one.name))) for one in fields(self)})


@dataclass(frozen=True, slots=True)
class EventSpec:
    """A profile's event times, and those of gestures that differ; labels as in the decisions."""

    times: EventTimes = EventTimes()
    own: Mapping[str, EventTimes] = field(default_factory=dict)

    def of(self, label: str) -> EventTimes:
        """Return the times of a gesture."""
        return self.own.get(label, self.times)


@dataclass(frozen=True, slots=True, kw_only=True)
class GestureEvent:
    """A gesture was pressed, is held, or was released. Times are the server's, in microseconds.

    Attributes
    ----------
    sequence
        Number of the event among its profile's: each is one more than the one before. 0 until it is stored.
    at_us
        End of the window whose decision made it.
    begun_us
        End of the first window of the run of decisions that pressed it.
    pressed_us
        ``at_us`` of its press.
    confidence, strength
        Mean over the decisions on this gesture since it began; ``strength`` from 0, rest, to 1, as strong as the person
        performed it at most in the training, or None where the model does not know that.
    """

    user_id: int
    kind: EventKind
    gesture: str
    at_us: int
    begun_us: int
    pressed_us: int
    confidence: float
    strength: float | None
    model_version: int
    reason: EndReason = ""
    sequence: int = 0

    @property
    def duration_ms(self) -> float:
        """How long it has been pressed."""
        return (self.at_us - self.pressed_us) / 1000
