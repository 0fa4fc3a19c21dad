"""The machine that turns decisions into gesture events."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.event_types import EventSpec, EventTimes, GestureEvent
from semg.signals.model.gesture_events import PAUSE_US, EventMachine
from semg.signals.model.strength import AmplitudeRange, amplitudes_of, measure_range

HOP_US = 50_000
TIMES = EventTimes(dwell_ms=200, release_ms=100, cooldown_ms=0, min_ms=0, hold_ms=500)


def run(labels: Sequence[str | None], times: EventTimes = TIMES, **own: EventTimes) -> list[GestureEvent]:
    """Return the events of decisions, one each 50 ms, and of the silence after them."""
    machine, made = EventMachine(1, EventSpec(times, own), 3), []
    for index, label in enumerate(labels):
        made += machine.push(label, index * HOP_US, 0.8, 0.5)
    return [*made, *machine.lose(len(labels) * HOP_US + PAUSE_US)]


def told(events: Sequence[GestureEvent]) -> list[tuple]:
    """Return kind, gesture and time in hops."""
    return [(one.kind, one.gesture, one.at_us / HOP_US) for one in events]


def test_a_gesture_is_pressed_held_and_released() -> None:
    events = run([*["rest"] * 4, *["fist"] * 16, *["rest"] * 5])
    assert told(events) == [("press", "fist", 8), ("hold", "fist", 18), ("release", "fist", 22)]
    assert [one.begun_us for one in events] == [4 * HOP_US] * 3
    assert [one.duration_ms for one in events] == [0, 500, 700]
    assert [one.reason for one in events] == ["", "", "let go"]
    assert [one.confidence for one in events] == pytest.approx([0.8] * 3)
    assert {(one.strength, one.model_version, one.sequence) for one in events} == {(0.5, 3, 0)}


def test_a_short_lapse_is_bridged_and_a_short_flicker_is_nothing() -> None:
    lapse = [*["fist"] * 6, None, "open", *["fist"] * 6]
    assert told(run([*lapse, *["rest"] * 3])) == [("press", "fist", 4), ("release", "fist", 16)]
    assert run([*["rest"] * 3, *["fist"] * 4, "rest", *["open"] * 4, "rest"]) == []


def test_one_gesture_follows_another_without_rest_between() -> None:
    events = run([*["fist"] * 6, *["open"] * 6, *["rest"] * 4])
    assert told(events) == [
        ("press", "fist", 4), ("release", "fist", 8), ("press", "open", 10), ("release", "open", 14),
    ]  # fmt: skip


def test_minimum_time_cooldown_and_no_hold() -> None:
    again = [*["fist"] * 5, *["rest"] * 5, *["fist"] * 9, *["rest"] * 10]
    times = EventTimes(dwell_ms=200, release_ms=100, cooldown_ms=350, min_ms=250, hold_ms=0)
    assert told(run(again, times)) == [
        ("press", "fist", 4), ("release", "fist", 9), ("press", "fist", 16), ("release", "fist", 21),
    ]  # fmt: skip


def test_a_gesture_with_times_of_its_own() -> None:
    labels = [*["fist"] * 5, *["rest"] * 3, *["open"] * 5, *["rest"] * 3]
    assert [one.gesture for one in run(labels, TIMES, open=EventTimes(dwell_ms=400)) if one.kind == "press"] == ["fist"]


def test_what_is_pressed_is_released_when_nothing_comes_any_more() -> None:
    events = run(["fist"] * 6)
    assert told(events) == [("press", "fist", 4), ("release", "fist", 15)]
    assert events[-1].reason == "signal lost"
    machine = EventMachine(1, EventSpec(TIMES), 3)
    pressed = [one for index in range(6) for one in machine.push("fist", index * HOP_US, 1.0)]
    assert machine.lose(5 * HOP_US + PAUSE_US - 1) == []
    late = [*pressed, *machine.push("fist", 60 * HOP_US, 1.0)]  # the next decision tells it, with the same time
    assert told(late) == told(events)
    assert machine.pressed is None
    assert machine.lose(10**9) == []


def test_a_short_gesture_is_pressed_and_released_at_once_beside_a_held_one() -> None:
    machine = EventMachine(1, EventSpec(EventTimes(dwell_ms=0, cooldown_ms=100, release_ms=0, min_ms=0)), 3)
    made = [*machine.push("fist", 0, 0.5)]
    made += machine.push("snap", HOP_US, 0.9, 0.7, once=True)
    made += machine.push("snap", 2 * HOP_US, 0.9, once=True)  # within its cooldown
    made += machine.push("fist", 3 * HOP_US, 0.5)
    assert [(one.kind, one.gesture, one.strength) for one in made] == [
        ("press", "fist", None), ("press", "snap", 0.7), ("release", "snap", 0.7),
    ]  # fmt: skip
    assert machine.pressed == "fist"


LABELS = st.lists(st.sampled_from(["rest", None, "fist", "open"]), max_size=80)
MS = st.integers(0, 600)


@given(LABELS, MS, MS, MS, MS, MS)
@settings(max_examples=60)
def test_presses_and_releases_alternate_and_keep_the_times(
    labels: list[str | None], dwell: int, release: int, cooldown: int, least: int, hold: int
) -> None:
    times = EventTimes(dwell_ms=dwell, release_ms=release, cooldown_ms=cooldown, min_ms=least, hold_ms=hold)
    events = run(labels, times)
    marks = [one for one in events if one.kind != "hold"]
    assert [one.kind for one in marks] == ["press", "release"] * (len(marks) // 2)
    assert [one.at_us for one in events] == sorted(one.at_us for one in events)
    for press, done in zip(marks[::2], marks[1::2], strict=True):
        assert press.gesture == done.gesture
        assert press.at_us - press.begun_us >= 1000 * dwell
        assert done.reason == "signal lost" or done.duration_ms >= least
        held = [one for one in events if one.kind == "hold" and press.at_us <= one.at_us <= done.at_us]
        assert len(held) <= 1
        assert all(one.duration_ms >= hold > 0 for one in held)
    for gesture in ("fist", "open"):
        own = [one for one in marks if one.gesture == gesture]
        for done, again in zip(own[1::2], own[2::2], strict=False):
            assert again.at_us - done.at_us >= 1000 * cooldown


def test_strength_is_relative_to_the_persons_own_range() -> None:
    rng = np.random.default_rng(1)
    rest, strong = (level * rng.standard_normal((50, 2, 40)).astype(np.float32) for level in (1.0, 10.0))
    windows, is_rest = np.concatenate([rest, strong]), np.arange(100) < 50
    found = measure_range(windows, is_rest)
    assert found is not None
    assert AmplitudeRange.from_json(found.as_json()) == found
    strengths = np.array([found.strength(value) for value in amplitudes_of(windows).tolist()])
    assert strengths[is_rest].mean() < 0.05
    assert strengths[~is_rest].mean() > 0.8
    assert strengths.max() == 1.0
    assert found.strength((found.rest + found.full) / 2) == pytest.approx(0.5)
    assert measure_range(rest, is_rest[:50]) is None
    assert measure_range(np.concatenate([rest, rest]), is_rest) is None
    with pytest.raises(ValueError, match="below that of full"):
        AmplitudeRange.from_json({"rest": 2.0, "full": 1.0})
