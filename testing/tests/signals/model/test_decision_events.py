"""Decisions become events, and events and decisions are compared with labels."""

from __future__ import annotations

import numpy as np
import pytest

from semg.signals.model.decision_events import (
    DecisionCounts,
    Event,
    EventScore,
    Span,
    count_decisions,
    find_events,
    score_events,
)

HOP_US = 50_000


def at(n: int) -> np.ndarray:
    return HOP_US * np.arange(n, dtype=np.int64)


def test_a_gesture_that_stays_for_the_dwell_time_is_one_event() -> None:
    labels = [*["rest"] * 4, *["fist"] * 10, None, *["fist"] * 3, *["open"] * 6]
    assert find_events(labels, at(len(labels)), 250) == [
        Event("fist", 4 * HOP_US, 9 * HOP_US), Event("open", 18 * HOP_US, 23 * HOP_US),
    ]  # fmt: skip
    assert [one.label for one in find_events(labels, at(len(labels)), 0)] == ["fist", "fist", "open"]
    assert find_events(["rest", None] * 20, at(40), 0) == []


def test_nothing_is_held_across_a_pause() -> None:
    times = at(8)
    times[4:] += 600_000
    assert find_events(["fist"] * 8, times, 250) == []
    assert len(find_events(["fist"] * 8, at(8), 250)) == 1


SPANS = [Span("rest", 0, 5_000_000), Span("fist", 5_000_000, 8_000_000), Span("rest", 8_000_000, 13_000_000),
         Span("open", 13_000_000, 16_000_000)]  # fmt: skip


@pytest.mark.parametrize(
    ("event", "hits", "false", "latency_ms"),
    [
        (Event("fist", 5_200_000, 5_450_000), 1, 0, 450.0),
        (Event("fist", 4_500_000, 4_800_000), 1, 0, 0.0),  # a little before the prompt
        (Event("fist", 4_000_000, 4_400_000), 0, 1, None),
        (Event("open", 6_000_000, 6_300_000), 0, 0, None),  # another gesture: missed, and not on rest
        (Event("fist", 7_900_000, 8_300_000), 0, 0, None),  # while the hand lets go
        (Event("open", 9_000_000, 9_300_000), 0, 1, None),
    ],
)
def test_an_event_is_a_hit_or_false_on_rest(event: Event, hits: int, false: int, latency_ms: float | None) -> None:
    score = score_events([event], SPANS, 0, 16_000_000, 500)
    assert (score.prompts, score.hits, score.missed, score.false_on_rest) == (2, hits, 2 - hits, false)
    assert score.rest_s == pytest.approx(9.0)
    assert score.median_latency_ms == latency_ms
    assert score.false_per_hour == pytest.approx(400.0 * false)


def test_a_second_event_on_a_prompt_is_no_second_hit_and_not_false() -> None:
    events = [Event("fist", 5_000_000, 5_500_000), Event("fist", 6_000_000, 6_500_000)]
    score = score_events(events, SPANS, 0, 16_000_000)
    assert (score.hits, score.false_on_rest) == (1, 0)


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
