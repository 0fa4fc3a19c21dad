"""Decisions and gesture events are compared with labels."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from semg.event_types import GestureEvent
from semg.signals.model.event_scores import DecisionCounts, EventScore, Span, count_decisions, score_events
from testing.kits.events import gesture_event


def press(gesture: str, begun_us: int, at_us: int) -> GestureEvent:
    return replace(gesture_event(1, at_us, gesture=gesture), begun_us=begun_us)


SPANS = [Span("rest", 0, 5_000_000), Span("fist", 5_000_000, 8_000_000), Span("rest", 8_000_000, 13_000_000),
         Span("open", 13_000_000, 16_000_000)]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "hits", "false", "latency_ms"),
    [
        (press("fist", 5_200_000, 5_450_000), 1, 0, 450.0),
        (press("fist", 4_500_000, 4_800_000), 1, 0, 0.0),  # a little before the prompt
        (press("fist", 4_000_000, 4_400_000), 0, 1, None),
        (press("open", 6_000_000, 6_300_000), 0, 0, None),  # another gesture: missed, and not on rest
        (press("fist", 7_900_000, 8_300_000), 0, 0, None),  # while the hand lets go
        (press("open", 9_000_000, 9_300_000), 0, 1, None),
    ],
)
def test_an_event_is_a_hit_or_false_on_rest(
    event: GestureEvent, hits: int, false: int, latency_ms: float | None
) -> None:
    score = score_events([event], SPANS, 0, 16_000_000, 500)
    assert (score.prompts, score.hits, score.missed, score.false_on_rest) == (2, hits, 2 - hits, false)
    assert score.rest_s == pytest.approx(9.0)
    assert score.median_latency_ms == latency_ms
    assert score.false_per_hour == pytest.approx(400.0 * false)


def test_a_second_event_on_a_prompt_is_no_second_hit_and_not_false() -> None:
    events = [press("fist", 5_000_000, 5_500_000), press("fist", 6_000_000, 6_500_000)]
    score = score_events(events, SPANS, 0, 16_000_000)
    assert (score.hits, score.false_on_rest) == (1, 0)
    released = replace(press("fist", 9_000_000, 9_300_000), kind="release")
    assert score_events([*events, released], SPANS, 0, 16_000_000) == score


def test_scores_add_up_and_nothing_measured_is_none() -> None:
    nothing = score_events([], [], 0, 1)
    assert (nothing.false_per_hour, nothing.median_latency_ms) == (None, None)
    assert EventScore(2, 1, 3, 10.0, (5.0,)) + EventScore(1, 1, 0, 2.0, (7.0,)) == EventScore(3, 2, 3, 12.0, (5.0, 7.0))


def test_decisions_are_compared_where_one_label_holds_throughout() -> None:
    spans = [Span("rest", 0, 1_000_000), Span("fist", 1_000_000, 2_000_000)]
    times = np.array([100_000, 400_000, 900_000, 1_200_000, 1_500_000, 1_600_000, 2_500_000], np.int64)
    labels = ["rest", "rest", None, "rest", "fist", "rest", "rest"]
    assert count_decisions(labels, times, spans, 350) == DecisionCounts(2, 1, 1, 3)
    assert count_decisions([], times[:0], [], 350) == DecisionCounts()
