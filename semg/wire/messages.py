"""JSON messages on the bus and the WebSocket, and the names of the subjects."""

from __future__ import annotations

from typing import Annotated, Any, Literal, TypeVar

import numpy as np
import orjson
from numpy.typing import NDArray
from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, FiniteFloat, ValidationError

from semg.domain import Block, Decision, utc_from_us
from semg.errors import WireError
from semg.event_types import EventKind, GestureEvent

JOURNAL_STREAM = "SEMG_JOURNAL"
JOURNAL_SUBJECTS = "semg.journal.*"
SHARES_STREAM = "SEMG_SHARES"
SHARES_SUBJECTS = "semg.shares.>"
PROFILES_SUBJECT = "semg.profiles"
WATCH_S = 10.0
"""How long a profile's samples are published after a viewer requested them."""

PROBABILITY_DIGITS = 3
"""Decimals of the probabilities in a decision's message: finer than anybody sees."""

MAX_DEVICE_MS = 1e15
"""Device time counts from the device's start or is wall-clock time: nothing real is beyond this."""

Ids = TypeVar("Ids", int, NDArray[np.int64])


def samples_subject(user_id: int | str) -> str:
    """Subject of a profile's live blocks (``*`` for all)."""
    return f"semg.samples.{user_id}"


def live_subject(partition: int | str) -> str:
    """Subject of the live blocks of all profiles of a partition (``*`` for all)."""
    return f"semg.live.{partition}"


def journal_subject(partition: int) -> str:
    """Subject of a partition of the journal."""
    return f"semg.journal.{partition}"


def partition_of(user_id: Ids, partitions: int) -> Ids:
    """Partition that carries a profile; the publisher chooses it, so that a server needs no configuration."""
    return user_id % partitions


def share_subject(kind: str, *parts: str) -> str:
    """Subject of a worker's claim: ``member`` and its name, or ``lease`` and a partition."""
    return ".".join(["semg.shares", kind, *parts])


def watch_subject(user_id: int | str) -> str:
    """Subject by which a viewer requests a profile's samples for ``WATCH_S`` seconds (``*`` for all)."""
    return f"semg.watch.{user_id}"


def watched_profile(subject: str) -> int:
    """Return the profile that a ``watch_subject`` names.

    Raises
    ------
    WireError
        With reason ``subject``.
    """
    name = subject.rpartition(".")[2]
    if not (name.isascii() and name.isdigit() and len(name) < 19):
        raise WireError("subject", f"expected semg.watch.<userid>, got {subject!r}")
    return int(name)


def decisions_subject(user_id: int | str) -> str:
    """Subject of a profile's decisions (``*`` for all)."""
    return f"semg.decisions.{user_id}"


def events_subject(user_id: int | str) -> str:
    """Subject of a profile's gesture events (``*`` for all)."""
    return f"semg.events.{user_id}"


def models_subject(user_id: int | str) -> str:
    """Subject that announces a profile's newly activated model (``*`` for all)."""
    return f"semg.models.{user_id}"


def sessions_subject(user_id: int | str) -> str:
    """Subject that announces a session's edges (``*`` for all)."""
    return f"semg.sessions.{user_id}"


def inbox_prefix(service: str) -> str:
    """Subject of the replies to a service's requests, below its own prefix, so that no other service reads them."""
    return f"_INBOX_{service}"


class Message(BaseModel):
    """Base of the JSON messages: unknown fields are refused, so that a misspelt one is noticed."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    def to_bytes(self) -> bytes:
        """Return the JSON text."""
        return self.model_dump_json().encode()

    @classmethod
    def from_bytes(cls, data: bytes) -> Any:
        """Read the JSON text.

        Raises
        ------
        WireError
            With reason ``message``.
        """
        try:
            return cls.model_validate_json(data)
        except ValidationError as exc:
            first = exc.errors()[0]
            raise WireError("message", f"{cls.__name__}: {first['loc']}: {first['msg']}") from exc


class ModelActivated(Message):
    """A model version was activated."""

    userid: int
    model_version: int


class ProfileChanged(Message):
    """A profile or its device was made, changed or deleted; listeners read it again."""

    userid: int


class SessionEdge(Message):
    """A session starts or ends at a server time; conditioning is reset at the first sample from then on."""

    userid: int
    session_id: int
    at: AwareDatetime


class DecisionMessage(Message):
    """A decision as other programs see it. ``label`` is null when the vote was rejected."""

    type: Literal["decision"] = "decision"
    userid: int
    label: str | None
    confidence: FiniteFloat
    model_version: int
    window_end_device_ms: Annotated[float, Field(ge=-MAX_DEVICE_MS, le=MAX_DEVICE_MS)]
    window_end_at: AwareDatetime
    received_at: AwareDatetime
    decided_at: AwareDatetime
    probabilities: dict[str, FiniteFloat] | None = None
    needed: FiniteFloat | None = None
    once: bool = False

    @staticmethod
    def encode(decision: Decision) -> bytes:
        """Return the bytes of a decision's message, many times faster than ``to_bytes`` of one.

        ``probabilities`` and ``needed`` are left out without a watcher. Of the probabilities those that round to
        nothing are left out, so that a bank of a hundred gestures costs little. ``once`` is left out where it is false.
        """
        fields = {
            "type": "decision",
            "userid": decision.user_id,
            "label": decision.label,
            "confidence": decision.confidence,
            "model_version": decision.model_version,
            "window_end_device_ms": decision.window_end_device_us / 1000,
            "window_end_at": utc_from_us(decision.window_end_us),
            "received_at": utc_from_us(decision.received_us),
            "decided_at": utc_from_us(decision.decided_us),
        }
        if decision.once:
            fields["once"] = True
        if decision.probabilities is not None:
            rounded = {name: round(value, PROBABILITY_DIGITS) for name, value in decision.probabilities.items()}
            fields["probabilities"] = {name: value for name, value in rounded.items() if value > 0}
            fields["needed"] = decision.needed
        return orjson.dumps(fields, option=orjson.OPT_UTC_Z)


class EventMessage(Message):
    """A gesture event as other programs see it.

    ``sequence`` grows by one from event to event of a profile; 0 in a replay, whose events are not stored.
    """

    type: Literal["event"] = "event"
    userid: int
    sequence: int
    kind: EventKind
    gesture: str
    at: AwareDatetime
    begun_at: AwareDatetime
    duration_ms: FiniteFloat
    confidence: FiniteFloat
    strength: FiniteFloat | None
    model_version: int
    reason: str = ""

    @classmethod
    def of(cls, event: GestureEvent) -> EventMessage:
        """Return an event's message; confidence and strength have as many digits as are stored."""
        return cls(
            userid=event.user_id,
            sequence=event.sequence,
            kind=event.kind,
            gesture=event.gesture,
            at=utc_from_us(event.at_us),
            begun_at=utc_from_us(event.begun_us),
            duration_ms=event.duration_ms,
            confidence=round(event.confidence, 6),
            strength=None if event.strength is None else round(event.strength, 6),
            model_version=event.model_version,
            reason=event.reason,
        )


def samples_json(block: Block, channels: tuple[str, ...]) -> bytes:
    """Return the WebSocket's ``{"type": "samples"}`` message of a block: times in ms, ``values`` per sample."""
    return orjson.dumps(
        {
            "type": "samples",
            "userid": block.user_id,
            "channels": channels,
            "starts_run": block.starts_run,
            "device_ms": block.device_us / 1000,
            "server_ms": block.server_us / 1000,
            "received_ms": block.received_us / 1000,
            "values": block.samples,
        },
        option=orjson.OPT_SERIALIZE_NUMPY,
    )
