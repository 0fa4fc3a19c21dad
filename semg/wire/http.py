"""JSON bodies of the API. OpenAPI is made from these models."""

from __future__ import annotations

from typing import Annotated

from pydantic import BaseModel, ConfigDict, Field

from semg.domain import MAX_CHANNELS
from semg.wire.messages import EventMessage

Value = Annotated[float, Field(allow_inf_nan=False, ge=-(1 << 24), le=1 << 24)]
SampleRow = Annotated[list[Value], Field(min_length=1, max_length=MAX_CHANNELS, fail_fast=True)]


class PredictRequest(BaseModel):
    """Raw samples of one profile, in time order at the device's rate, columns in the device's channel order."""

    model_config = ConfigDict(
        extra="forbid",
        json_schema_extra={"examples": [{"userid": 21, "data": [[12, -3, 0, 5], [10, -1, 2, 4]]}]},
    )

    userid: int = Field(ge=0)
    data: list[SampleRow] = Field(min_length=1, fail_fast=True)


class Prediction(BaseModel):
    """The model's raw output for the window that ends with sample ``end_index`` of the request."""

    label: str
    confidence: float
    end_index: int


class PredictResponse(BaseModel):
    """Predictions of every window in the request, oldest first."""

    model_config = ConfigDict(
        json_schema_extra={
            "examples": [
                {
                    "userid": 21,
                    "model_version": 3,
                    "classes": ["fist", "rest"],
                    "predictions": [{"label": "fist", "confidence": 0.94, "end_index": 69}],
                }
            ]
        }
    )

    userid: int
    model_version: int
    classes: list[str]
    predictions: list[Prediction]


class ReplayCounts(BaseModel):
    """Decisions against the labels that hold for all that they look at; ``between`` are not compared."""

    agreeing: int
    other: int
    rejected: int
    between: int


class ReplayEvents(BaseModel):
    """Presses of gestures against labels: those prompted and missed, and false ones on rest."""

    prompts: int
    missed: int
    false_on_rest: int
    rest_s: float
    false_per_hour: float | None
    median_latency_ms: float | None


class ReplayResponse(BaseModel):
    """Decisions on a part of a session, oldest first, as columns; a label is null where it was rejected."""

    userid: int
    session: int
    model_version: int
    classes: list[str]
    from_start: bool
    labels: list[str | None]
    confidences: list[float]
    ends_us: list[int]
    counts: ReplayCounts
    events: ReplayEvents
    gesture_events: list[EventMessage]


class Problem(BaseModel):
    """What a refused request gets: a sentence, and the field that it is about where there is one."""

    model_config = ConfigDict(
        json_schema_extra={"examples": [{"detail": "profile 21 has no active model", "field": "userid"}]}
    )

    detail: str
    field: str | None = None
