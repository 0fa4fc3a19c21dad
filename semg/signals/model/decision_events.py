"""Turn decisions into events, and compare decisions and events with labels.

An event is what a program acts on: a gesture that stays decided for ``DWELL_MS``. It is the one place that says so, for
replays and benchmarks.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST

DWELL_MS = 250.0
"""How long a gesture has to stay decided to be an event: five decisions at the usual hop."""
PAUSE_MS = 500.0
"""A step between two decisions from which on nothing stays decided across it."""
GRACE_MS = 500.0
"""Tolerance at the edges of labels, which follow prompts: a person reacts after them, and may begin too early."""


@dataclass(frozen=True, slots=True)
class Span:
    """A label from ``begin_us`` until before ``end_us``."""

    label: str
    begin_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class Event:
    """A gesture that was recognised: decided from ``begin_us`` on, an event at ``at_us``."""

    label: str
    begin_us: int
    at_us: int


@dataclass(frozen=True, slots=True)
class EventScore:
    """Events against labels.

    Attributes
    ----------
    prompts, hits
        Labelled gestures, and those whose event came while they were labelled.
    false_on_rest
        Events on rest that belong to no labelled gesture.
    rest_s
        Rest that was looked at, without the grace at its beginnings.
    latencies_ms
        From a label's begin to its event, one for each hit; not below 0.
    """

    prompts: int
    hits: int
    false_on_rest: int
    rest_s: float
    latencies_ms: tuple[float, ...] = ()

    @property
    def missed(self) -> int:
        """Labelled gestures without their event."""
        return self.prompts - self.hits

    @property
    def false_per_hour(self) -> float | None:
        """False events per hour of rest; None without rest."""
        return 3600 * self.false_on_rest / self.rest_s if self.rest_s > 0 else None

    @property
    def median_latency_ms(self) -> float | None:
        """Median latency; None without a hit."""
        return float(np.median(self.latencies_ms)) if self.latencies_ms else None

    def __add__(self, other: EventScore) -> EventScore:
        """Return the score of both together."""
        return EventScore(
            self.prompts + other.prompts,
            self.hits + other.hits,
            self.false_on_rest + other.false_on_rest,
            self.rest_s + other.rest_s,
            (*self.latencies_ms, *other.latencies_ms),
        )


@dataclass(frozen=True, slots=True)
class DecisionCounts:
    """Decisions against the labels that hold for the whole time they look at."""

    agreeing: int = 0
    other: int = 0
    rejected: int = 0
    between: int = 0
    """Across a label's edge, or on nothing labelled: not compared."""


def find_events(labels: Sequence[str | None], ends_us: NDArray[np.int64], dwell_ms: float = DWELL_MS) -> list[Event]:
    """Return the events of decisions.

    Parameters
    ----------
    labels
        Label of each decision, None for a rejected one; rest and rejection are no events.
    ends_us
        Time of each window's last sample, int64 ``(n,)``, rising.
    dwell_ms
        How long a gesture has to stay decided; 0: its first decision is the event.
    """
    events: list[Event] = []
    held: str | None = None
    begin_us = before_us = 0
    is_told = False
    for label, at_us in zip(labels, ends_us.tolist(), strict=True):
        if label != held or at_us - before_us >= 1000 * PAUSE_MS:
            held, begin_us, is_told = label, at_us, False
        before_us = at_us
        if held not in (None, REST) and not is_told and at_us - begin_us >= 1000 * dwell_ms:
            assert held is not None
            events.append(Event(held, begin_us, at_us))
            is_told = True
    return events


def score_events(
    events: Sequence[Event], spans: Sequence[Span], since_us: int, until_us: int, grace_ms: float = GRACE_MS
) -> EventScore:
    """Compare events with labels.

    A labelled gesture is hit by the first event of its own that comes from ``grace_ms`` before its begin until its end,
    and that hits no earlier one. Of rest the first ``grace_ms`` are left out, while the hand still lets go.

    Parameters
    ----------
    spans
        Labels that do not overlap, in time order; those that begin outside ``[since_us, until_us)`` are left out.
    """
    grace_us = round(1000 * grace_ms)
    used: set[int] = set()
    latencies: list[float] = []
    gestures = [one for one in spans if one.label != REST and since_us <= one.begin_us < until_us]
    for span in gestures:
        for number, event in enumerate(events):
            fits = event.label == span.label and span.begin_us - grace_us <= event.at_us < span.end_us
            if fits and number not in used:
                used.add(number)
                latencies.append(max(0.0, (event.at_us - span.begin_us) / 1000))
                break
    rest = [(max(one.begin_us + grace_us, since_us), min(one.end_us, until_us)) for one in spans if one.label == REST]
    rest = [(begin, end) for begin, end in rest if end > begin]
    false = sum(
        number not in used and any(begin <= event.at_us < end for begin, end in rest)
        for number, event in enumerate(events)
    )
    rest_s = sum(end - begin for begin, end in rest) / 1e6
    return EventScore(len(gestures), len(latencies), int(false), rest_s, tuple(latencies))


def count_decisions(
    labels: Sequence[str | None], ends_us: NDArray[np.int64], spans: Sequence[Span], reach_ms: float
) -> DecisionCounts:
    """Compare decisions with labels.

    Parameters
    ----------
    reach_ms
        Time that a decision looks back: its window and the windows that vote with it. It is compared when one label
        holds for all of it.
    """
    order = sorted(spans, key=lambda one: one.begin_us)
    begins = np.array([one.begin_us for one in order], np.int64)
    found = np.searchsorted(begins, ends_us, "right") - 1
    agreeing = other = rejected = between = 0
    for label, at_us, index in zip(labels, ends_us.tolist(), found.tolist(), strict=True):
        span = order[index] if index >= 0 else None
        if span is None or at_us >= span.end_us or at_us - 1000 * reach_ms < span.begin_us:
            between += 1
        elif label is None:
            rejected += 1
        elif label == span.label:
            agreeing += 1
        else:
            other += 1
    return DecisionCounts(agreeing, other, rejected, between)
