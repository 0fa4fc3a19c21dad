"""Status of each profile's stream as udpserver and nat_inference report it in the metrics of their heartbeats."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any, TypeVar

RECENT_S, SHORT_S, LONG_S = 3.0, 10.0, 60.0
"""Shares and rates are those of the last ``SHORT_S`` seconds, gaps and segments those of ``LONG_S``; a loss is looked
for in the last ``RECENT_S`` as well, so that it is named when it begins."""

T = TypeVar("T", bound="ReceivedStatus | DecidedStatus")


@dataclass(frozen=True, slots=True, kw_only=True)
class ReceivedStatus:
    """Status of a profile's stream from udpserver.

    Attributes
    ----------
    channels
        How many values the last readable datagram had in a sample.
    age_s
        Since the last datagram for the profile, refused or not.
    seconds
        How long ``datagrams``, ``samples``, ``missing``, ``late`` and ``refused`` were counted.
    datagrams, samples
        Datagrams that named the profile; samples that were taken.
    refused
        Number of dropped datagrams (or samples of accepted ones), by drop code.
    missing, late
        Samples that did not arrive; samples that came when their position had passed.
    recent_samples, recent_missing
        As ``samples`` and ``missing``, of the last ``RECENT_S`` seconds.
    long_s, runs, segments
        Runs and segments that began in the last ``long_s`` seconds: a run begins with each segment and behind each gap.
    low, high
        Least and greatest value; None when nothing was taken.
    address
        Who sent last.
    clock_error_ms
        How far the times of the samples may be off; None when that is not known.
    battery_percent, lead_off
        What the board told last: its battery, None when it does not know; one bit a channel without contact, the first
        channel lowest.
    """

    age_s: float = 0.0
    seconds: float = 0.0
    datagrams: int = 0
    samples: int = 0
    refused: dict[str, int] = field(default_factory=dict)
    missing: int = 0
    late: int = 0
    recent_samples: int = 0
    recent_missing: int = 0
    long_s: float = 0.0
    runs: int = 0
    segments: int = 0
    low: float | None = None
    high: float | None = None
    address: str = ""
    clock_error_ms: float | None = None
    channels: int = 0
    battery_percent: int | None = None
    lead_off: int = 0


@dataclass(frozen=True, slots=True)
class DecidedStatus:
    """Status of a profile's stream from nat_inference: windows and decisions of the last ``seconds``."""

    seconds: float = 0.0
    windows: int = 0
    decisions: int = 0


def as_metrics(statuses: Mapping[int, ReceivedStatus] | Mapping[int, DecidedStatus]) -> dict[str, dict[str, Any]]:
    """Return the statuses by profile as JSON-ready values."""
    return {str(user_id): asdict(status) for user_id, status in statuses.items()}


def read_statuses(kind: type[T], metrics: Mapping[str, Any]) -> dict[int, T]:
    """Return the statuses by profile of a service's metrics; fields that are not known are left out."""
    names = kind.__dataclass_fields__.keys()
    found: Mapping[str, Mapping[str, Any]] = metrics.get("streams", {})
    return {
        int(user_id): kind(**{name: value for name, value in fields.items() if name in names})
        for user_id, fields in found.items()
    }
