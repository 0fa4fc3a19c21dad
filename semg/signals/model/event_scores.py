"""Compare decisions and gesture events with labels."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST
from semg.event_types import GestureEvent

GRACE_MS = 500.0
"""Tolerance at the edges of labels, which follow prompts: a person reacts after them, and may begin too early."""


@dataclass(frozen=True, slots=True)
class Span:
    """A label from ``begin_us`` until before ``end_us``."""

    label: str
    begin_us: int
    end_us: int


@dataclass(frozen=True, slots=True)
class EventScore:
    """Presses against labels.

    Attributes
    ----------
    prompts, hits
        Labelled gestures, and those whose press came while they were labelled.
    false_on_rest
        Presses on rest that belong to no labelled gesture.
    rest_s
        Rest that was looked at, without the grace at its beginnings.
    latencies_ms
        From a label's begin to its press, one for each hit; not below 0.
    """

    prompts: int
    hits: int
    false_on_rest: int
    rest_s: float
    latencies_ms: tuple[float, ...] = ()

    @property
    def missed(self) -> int:
        """Labelled gestures without their press."""
        return self.prompts - self.hits

    @property
    def false_per_hour(self) -> float | None:
        """False presses per hour of rest; None without rest."""
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


def score_events(
    events: Sequence[GestureEvent], spans: Sequence[Span], since_us: int, until_us: int, grace_ms: float = GRACE_MS
) -> EventScore:
    """Compare presses with labels; what is held or released does not count.

    A labelled gesture is hit by the first press of its own that comes from ``grace_ms`` before its begin until its end,
    and that hits no earlier one. Of rest the first ``grace_ms`` are left out, while the hand still lets go.

    Parameters
    ----------
    spans
        Labels that do not overlap, in time order; those that begin outside ``[since_us, until_us)`` are left out.
    """
    grace_us = round(1000 * grace_ms)
    presses = [one for one in events if one.kind == "press"]
    used: set[int] = set()
    latencies: list[float] = []
    gestures = [one for one in spans if one.label != REST and since_us <= one.begin_us < until_us]
    for span in gestures:
        for number, event in enumerate(presses):
            fits = event.gesture == span.label and span.begin_us - grace_us <= event.at_us < span.end_us
            if fits and number not in used:
                used.add(number)
                latencies.append(max(0.0, (event.at_us - span.begin_us) / 1000))
                break
    rest = [(max(one.begin_us + grace_us, since_us), min(one.end_us, until_us)) for one in spans if one.label == REST]
    rest = [(begin, end) for begin, end in rest if end > begin]
    false = sum(
        number not in used and any(begin <= event.at_us < end for begin, end in rest)
        for number, event in enumerate(presses)
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
