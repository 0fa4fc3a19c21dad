"""Bodies that change something by ``/v1``: what is missing stays, and what is unknown is refused."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, StringConstraints

from semg.domain import MAX_CHANNELS, MAX_RATE_HZ, MIN_RATE_HZ, ClassifierKind, Sensor

_CLOSED = ConfigDict(extra="forbid")
Name = Annotated[str, StringConstraints(max_length=400)]


class NewDecisions(BaseModel):
    """New values; what is missing stays."""

    model_config = _CLOSED

    vote_n: int | None = Field(default=None, ge=1, le=99)
    min_confidence: float | None = Field(default=None, ge=0, le=1)
    hysteresis: float | None = Field(default=None, ge=0, le=1)


class ProfileChange(BaseModel):
    """New values of a profile; what is missing stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"notes": "left arm"}]})

    name: Name | None = None
    handedness: Literal["left", "right", "both"] | None = None
    language: str | None = Field(default=None, max_length=10)
    notes: str | None = Field(default=None, max_length=20_000)
    channels_used: list[Name] | None = Field(default=None, max_length=MAX_CHANNELS, description="null: all")
    channel_purposes: dict[Name, Name] | None = Field(default=None, max_length=MAX_CHANNELS)
    decision: NewDecisions | None = None


class DeviceChange(BaseModel):
    """New values of a device; what is missing stays."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"rate_hz": 1000}]})

    channels: list[Name] | None = Field(default=None, min_length=1, max_length=MAX_CHANNELS)
    rate_hz: float | None = Field(default=None, ge=MIN_RATE_HZ, le=MAX_RATE_HZ)
    sensor: Sensor | None = None
    adc_min: float | None = Field(default=None, ge=-1e9, le=1e9)
    adc_max: float | None = Field(default=None, ge=-1e9, le=1e9)
    mains_hz: Literal[0, 50, 60] | None = None
    allow_v1: bool | None = None


class RepetitionChange(BaseModel):
    """New values of a repetition; what is missing stays. ``excluded`` false also clears the reason."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"excluded": True, "exclude_reason": "coughed"}]}
    )

    gesture: Name | None = None
    started_at: AwareDatetime | None = None
    ended_at: AwareDatetime | None = None
    excluded: bool | None = None
    exclude_reason: str | None = Field(default=None, max_length=1000)


class SessionChange(BaseModel):
    """A new name of a session."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"name": "Monday"}]})

    name: Name


class NewJob(BaseModel):
    """A training to be queued."""

    model_config = ConfigDict(
        extra="forbid", json_schema_extra={"examples": [{"session_ids": [5], "classifier": "cnn", "options": {}}]}
    )

    session_ids: list[Annotated[int, Field(ge=1, lt=1 << 63)]] = Field(min_length=1, max_length=1000)
    classifier: ClassifierKind = "cnn"
    options: dict[str, Any] = Field(default_factory=dict, max_length=50)
    scheduled_at: AwareDatetime | None = None


class Activation(BaseModel):
    """Which version shall decide; an older one is a rollback."""

    model_config = ConfigDict(extra="forbid", json_schema_extra={"examples": [{"version": 3}]})

    version: int = Field(ge=1, lt=1 << 31)
    despite_doubts: bool = Field(default=False, description="The version's `doubts` have been read")
