"""Bodies of the gesture events of ``/v1``."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from semg.event_types import LIMITS_MS
from semg.wire.messages import EventMessage

Dwell = Annotated[int, Field(ge=0, le=LIMITS_MS["dwell_ms"], description="Decided for so long until it is pressed")]
Release = Annotated[int, Field(ge=0, le=LIMITS_MS["release_ms"], description="Something else for so long: released")]
Cooldown = Annotated[int, Field(ge=0, le=LIMITS_MS["cooldown_ms"], description="Not pressed again for so long")]
Least = Annotated[int, Field(ge=0, le=LIMITS_MS["min_ms"], description="Not released earlier than this")]
Hold = Annotated[int, Field(ge=0, le=LIMITS_MS["hold_ms"], description="Pressed for so long: held; 0: never")]


class Events(BaseModel):
    """Gesture events, the oldest first; ``last`` is the number of the profile's newest one, 0 before the first."""

    items: list[EventMessage]
    last: int


class EventTimes(BaseModel):
    """When decisions become an event, in ms."""

    model_config = ConfigDict(extra="forbid")

    dwell_ms: Dwell
    release_ms: Release
    cooldown_ms: Cooldown
    min_ms: Least
    hold_ms: Hold


class OwnTimes(BaseModel):
    """Times of one gesture where they differ from the profile's; null: they do not."""

    model_config = ConfigDict(extra="forbid")

    dwell_ms: Dwell | None = None
    release_ms: Release | None = None
    cooldown_ms: Cooldown | None = None
    min_ms: Least | None = None
    hold_ms: Hold | None = None


class Times(BaseModel):
    """Event times of a profile, and by gesture (its ``gesture_id``) those that differ."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={
            "examples": [
                {
                    "times": {"dwell_ms": 250, "release_ms": 150, "cooldown_ms": 0, "min_ms": 100, "hold_ms": 1000},
                    "gestures": {"7": {"dwell_ms": 500}},
                }
            ]
        },
    )

    times: EventTimes
    gestures: dict[Annotated[int, Field(ge=1, lt=1 << 63)], OwnTimes] = Field(default_factory=dict, max_length=500)
