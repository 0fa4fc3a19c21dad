"""Bodies of ``/v1``. Times are RFC 3339 in UTC with microseconds; numbers are the platform's own."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, PlainSerializer

from semg.domain import (
    ClassifierKind,
    GestureKind,
    JobStatus,
    Sensor,
    SessionOrigin,
    SessionStatus,
)


def _rfc3339(at: datetime) -> str:
    return at.astimezone(UTC).isoformat(timespec="microseconds").replace("+00:00", "Z")


At = Annotated[datetime, PlainSerializer(_rfc3339), Field(json_schema_extra={"format": "date-time"})]
_AT = "2026-03-02T09:00:00.000000Z"


class Decisions(BaseModel):
    """How predictions become decisions."""

    vote_n: int
    min_confidence: float
    hysteresis: float


class Device(BaseModel):
    """The device that a profile wears."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "userid": 21, "channels": ["a0", "a1"], "rate_hz": 1000, "sensor": "raw", "adc_min": 0,
                    "adc_max": 4095, "mains_hz": 50, "allow_v1": False,
                }
            ]
        }
    )  # fmt: skip

    userid: int
    channels: list[str]
    rate_hz: float
    sensor: Sensor
    adc_min: float
    adc_max: float
    mains_hz: float
    allow_v1: bool


class ProfileSummary(BaseModel):
    """A profile of a list, without its notes."""

    userid: int
    name: str
    handedness: str | None
    language: str
    created_at: At
    consents: list[str] = Field(
        description="What the person agrees to now: recording, video, shared_models, shared_data"
    )
    channels: list[str]
    rate_hz: float


class Profile(ProfileSummary):
    """A person whose muscles are recorded."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "userid": 21, "name": "Ada", "handedness": "right", "language": "en", "created_at": _AT,
                    "consents": ["recording"], "channels": ["a0", "a1"], "rate_hz": 1000, "notes": "",
                    "channels_used": None, "channel_purposes": {"a0": "flexor"},
                    "decision": {"vote_n": 3, "min_confidence": 0.4, "hysteresis": 0.1},
                }
            ]
        }
    )  # fmt: skip

    notes: str
    channels_used: list[str] | None = Field(description="What the next model is trained on; null: all")
    channel_purposes: dict[str, str]
    decision: Decisions


class Gesture(BaseModel):
    """A gesture of a profile's bank."""

    gesture_id: int
    name: str
    description: str
    position: int
    phrase: str
    kind: GestureKind
    has_picture: bool


class Bank(BaseModel):
    """A profile's gestures in their order."""

    items: list[Gesture]


class Session(BaseModel):
    """One sitting with one placement of the electrodes."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "session_id": 5, "userid": 21, "name": "Monday", "origin": "capture", "status": "completed",
                    "started_at": _AT, "ended_at": "2026-03-02T09:10:00.000000Z", "channels": ["a0", "a1"],
                    "rate_hz": 1000, "sensor": "raw", "mains_hz": 50, "simulated": False,
                }
            ]
        }
    )  # fmt: skip

    session_id: int
    userid: int
    name: str
    origin: SessionOrigin
    status: SessionStatus
    started_at: At
    ended_at: At | None
    channels: list[str]
    rate_hz: float
    sensor: Sensor
    mains_hz: float
    simulated: bool


class Figure(BaseModel):
    """A number behind a verdict."""

    name: str
    value: str
    meaning: str


class Verdict(BaseModel):
    """Whether something is good enough for use, in the words of the pages."""

    level: Literal["good", "usable", "do not use", "unknown"]
    code: str
    sentence: str
    next_step: str
    figures: list[Figure]


class GestureCount(BaseModel):
    """What a session holds of a gesture; excluded repetitions count in ``excluded`` only."""

    gesture: str
    repetitions: int
    excluded: int
    seconds: float


class Contents(BaseModel):
    """What a session holds."""

    session_id: int
    samples: int = Field(description="Stored for it; at an edge of the session it may be off by a block")
    labelled_s: float = Field(description="Seconds to train on")
    gestures: list[GestureCount] = Field(description="In the order of the bank; none without a repetition")


class RepetitionQuality(BaseModel):
    """How a repetition's signal was judged."""

    repetition_id: int
    level: str
    reason: str


class Quality(BaseModel):
    """How a session's signal was judged after its end; ``verdict`` is unknown until then."""

    session_id: int
    verdict: Verdict
    repetitions: list[RepetitionQuality]


class Repetition(BaseModel):
    """A label: one performance of a gesture, from ``started_at`` until before ``ended_at``."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "repetition_id": 77, "session_id": 5, "gesture": "fist", "number": 1, "started_at": _AT,
                    "ended_at": "2026-03-02T09:00:03.000000Z", "excluded": False, "exclude_reason": "",
                    "dynamic": False,
                }
            ]
        }
    )  # fmt: skip

    repetition_id: int
    session_id: int
    gesture: str
    number: int
    started_at: At
    ended_at: At
    excluded: bool
    exclude_reason: str
    dynamic: bool


class Decision(BaseModel):
    """A decision as it was published; no label: the vote was rejected."""

    decided_at: At
    window_end_at: At
    received_at: At
    label: str | None
    confidence: float
    model_version: int


class Job(BaseModel):
    """A training."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "job_id": 9, "userid": 21, "session_ids": [5], "classifier": "cnn", "options": {},
                    "status": "in-progress", "scheduled_at": _AT, "created_at": _AT, "started_at": _AT,
                    "ended_at": None, "progress": 40, "epoch": 7, "epochs": 18, "error": "",
                    "cancel_requested": False, "model_version": None,
                }
            ]
        }
    )  # fmt: skip

    job_id: int
    userid: int
    session_ids: list[int]
    classifier: ClassifierKind
    options: dict[str, Any]
    status: JobStatus
    scheduled_at: At
    created_at: At
    started_at: At | None
    ended_at: At | None
    progress: float = Field(description="Percent")
    epoch: int
    epochs: int
    error: str
    cancel_requested: bool
    model_version: int | None = Field(description="The version that it has made")


class JobLog(BaseModel):
    """What a job has said, and its networks' epochs."""

    job_id: int
    log: str
    epochs: list[dict[str, Any]]


class Model(BaseModel):
    """A version of a profile's model."""

    version: int
    userid: int
    job_id: int | None
    created_at: At
    active: bool
    model_bytes: int
    doubts: str = Field(description="Why it should not decide; empty when nothing speaks against it")


class Report(BaseModel):
    """What a version was trained on, and what it scored on data that was held out."""

    version: int
    userid: int
    metadata: dict[str, Any]
    report: dict[str, Any]


class ActiveModel(BaseModel):
    """Which version decides; null: none."""

    model_config = ConfigDict(json_schema_extra={"examples": [{"userid": 21, "version": 3, "activated_at": _AT}]})

    userid: int
    version: int | None
    activated_at: At | None


class StreamHealth(BaseModel):
    """Whether a profile's stream is fit for recognition, as the pages say it."""

    userid: int
    level: Literal["good", "fair", "bad", "silent"]
    code: str
    sentence: str
    figures: str
    blocks: bool = Field(description="Whether a recording of it would be of no use")
    measured: list[Figure]


class TakenIn(BaseModel):
    """What a recording held, and the session that it became; null with `dry_run`."""

    session_id: int | None
    samples: int
    seconds: float
    rate_hz: float
    repetitions: int
    channels: list[str]
    known_gestures: list[str]
    new_gestures: list[str] = Field(description="Those that the bank lacked")
    notes: list[str]
