"""Recorded sessions are judged after their end, repetition by repetition."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
import pytest

from semg.domain import REST, Block, Device, us_from_utc
from semg.maintenance import session_quality
from semg.maintenance.session_quality import judge_sessions
from semg.privacy.consent import TEST_PERSON
from semg.recordings.overview import Recorded, read_recorded
from semg.signals.repetition_quality import (
    RepetitionQuality,
    compare_with_rest,
    join_portions,
    judge_repetition,
    judge_session,
)
from semg.store import access, accounts, blocks, gestures, profiles, sessions
from semg.store.pool import Pool, Transaction
from semg.store.session_quality import SessionQuality, find_quality, list_quality, list_unjudged, save_quality

RATE_HZ, STEP_US = 200.0, 5000
DEVICE = Device(1, ("a0", "a1"), RATE_HZ, "raw", 0, 4095, 50)
T0 = datetime(2026, 3, 1, 10, 0, tzinfo=UTC)


def block(seconds: float, spread: float, *, start_us: int = us_from_utc(T0), user_id: int = 1) -> Block:
    n = round(seconds * RATE_HZ)
    times = start_us + STEP_US * np.arange(n, dtype=np.int64)
    samples = 2048 + spread * np.random.default_rng(n).standard_normal((n, 2))
    return Block(user_id, 1, True, False, 0, times, times, samples.astype(np.float32))


def judged(gesture: str, level: str = "good", reason: str = "good", rms: float = 100.0) -> RepetitionQuality:
    return RepetitionQuality(gesture, level, reason, np.array([rms, rms]))  # type: ignore[arg-type]


def test_good_repetition_is_good_and_faults_are_named_with_their_channel() -> None:
    assert judge_repetition([block(3, 100)], "fist", 3.0, DEVICE, RATE_HZ).level == "good"
    flat = block(3, 100)
    flat.samples[:, 1] = 7
    assert judge_repetition([flat], "fist", 3.0, DEVICE, RATE_HZ).reason.startswith("a1: flat")
    nothing = judge_repetition([], "fist", 3.0, DEVICE, RATE_HZ)
    assert (nothing.level, nothing.reason) == ("bad", "no samples")
    half = judge_repetition(
        [block(1, 100), block(1, 100, start_us=us_from_utc(T0) + 2_000_000)], "fist", 3.0, DEVICE, RATE_HZ
    )
    assert half.level == "bad"
    assert "lost in transit" in half.reason


def test_repeated_and_held_samples_are_found_in_a_repetition() -> None:
    twice, stalled = block(3, 100), block(3, 100)
    twice.samples[1::2] = twice.samples[::2]
    stalled.samples[200:241] = stalled.samples[200]
    assert judge_repetition([twice], "fist", 3.0, DEVICE, RATE_HZ).reason == (
        "50% of the samples repeat the one before"
    )
    found = judge_repetition([stalled], "fist", 3.0, DEVICE, RATE_HZ)
    assert (found.level, found.reason) == ("fair", "all channels stand still for up to 0.2 s")


def test_strong_contraction_is_not_taken_for_noise() -> None:
    assert judge_repetition([block(3, 450)], "fist", 3.0, DEVICE, RATE_HZ).level == "good"
    assert judge_repetition([block(3, 450)], REST, 3.0, DEVICE, RATE_HZ).level == "fair"


def test_performance_as_quiet_as_rest_is_marked() -> None:
    found = compare_with_rest({1: judged(REST, rms=10), 2: judged("fist", rms=12), 3: judged("fist", rms=50)})
    assert [found[number].level for number in (1, 2, 3)] == ["good", "fair", "good"]
    assert "was it performed" in found[2].reason
    assert compare_with_rest({2: judged("fist", rms=1)})[2].level == "good"


def test_session_has_the_level_that_its_repetitions_speak_for() -> None:
    good, bad = judged("fist"), judged("fist", "bad", "a1: flat")
    assert judge_session([good] * 10)[0] == "good"
    assert judge_session([good] * 9 + [bad]) == ("fair", "1 of 10 intervals: a1: flat")
    assert judge_session([good] * 5 + [bad] * 5) == ("bad", "5 of 10 intervals: a1: flat")
    assert judge_session([]) == ("fair", "nothing is labelled")


def test_one_finding_with_other_figures_is_counted_as_one() -> None:
    lost = [judged("fist", "bad", f"{share}.0% of the samples are lost in transit") for share in (7, 8, 9)]
    flat = [judged("fist", "bad", f"a{number}: flat") for number in (1, 1, 2, 2)]
    assert judge_session(lost + flat) == ("bad", "3 of 7 intervals: 7.0% of the samples are lost in transit")


@pytest.mark.servers
def test_ended_session_is_judged_once_and_a_running_one_is_not(pool: Pool) -> None:
    now = T0 + timedelta(minutes=10)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0", "a1"], rate_hz=RATE_HZ, consent=TEST_PERSON)
        device = profiles.get_profile(tx, user_id).device
        ids = gestures.ensure_gestures(tx, user_id, [REST, "fist"])
        blocks.copy_blocks(tx, [block(3, 20, user_id=user_id)])
        blocks.copy_blocks(tx, [block(3, 300, start_us=us_from_utc(T0) + 3_000_000, user_id=user_id)])
        made = sessions.insert_session(
            tx, user_id, "one", "capture", T0, T0 + timedelta(seconds=9), status="completed", device=device
        )
        sessions.insert_session(tx, user_id, "two", "capture", now, status="recording", device=device)
        numbers = [
            sessions.insert_repetition(
                tx, made, ids[gesture], 1, T0 + timedelta(seconds=3 * n), T0 + timedelta(seconds=3 * n + 3)
            )
            for n, gesture in enumerate([REST, "fist", REST])
        ]
    assert judge_sessions(pool, threading.Event(), now) == 1
    assert judge_sessions(pool, threading.Event(), now) == 0
    with pool.transaction() as tx:
        quality = find_quality(tx, made)
        assert quality is not None
        assert list_quality(tx, [made, made + 1]) == {made: SessionQuality(quality.level, quality.reason)}
    assert (quality.level, quality.reason) == ("bad", "1 of 3 intervals: no samples")
    assert [quality.repetitions[number][0] for number in numbers] == ["good", "good", "bad"]
    with pool.transaction() as tx:
        sessions.delete_session(tx, made)
        assert not save_quality(tx, made, quality)
        assert list_quality(tx, [made]) == {}


def ended_session(pool: Pool, name: str, seconds: float, *, label: str = "fist") -> tuple[int, int]:
    """A profile's session with one label over all of it: the session's number and the label's."""
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, name, channels=["a0", "a1"], rate_hz=RATE_HZ, consent=TEST_PERSON)
        device = profiles.get_profile(tx, user_id).device
        number = gestures.ensure_gestures(tx, user_id, [label])[label]
        blocks.copy_blocks(tx, [block(seconds, 300, user_id=user_id)])
        until = T0 + timedelta(seconds=seconds)
        made = sessions.insert_session(tx, user_id, "one", "capture", T0, until, status="completed", device=device)
        return made, sessions.insert_repetition(tx, made, number, 1, T0, until)


@pytest.mark.servers
def test_session_that_cannot_be_assessed_is_marked_and_the_next_one_is_assessed(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole, _ = ended_session(pool, "whole", 3)
    broken, _ = ended_session(pool, "broken", 3, label="point")

    def judge(found: list[Block], gesture: str, *rest: Any) -> RepetitionQuality:
        if gesture == "point":
            raise OverflowError("date value out of range")
        return judge_repetition(found, gesture, *rest)

    monkeypatch.setattr(session_quality, "judge_repetition", judge)
    assert judge_sessions(pool, threading.Event(), T0 + timedelta(minutes=10)) == 2
    assert judge_sessions(pool, threading.Event(), T0 + timedelta(minutes=10)) == 0
    with pool.transaction() as tx:
        found = list_quality(tx, [whole, broken])
    assert found[whole].level == "good"
    assert found[broken] == session_quality.NOT_ASSESSED


@pytest.mark.servers
def test_owners_take_turns(pool: Pool) -> None:
    made = [ended_session(pool, name, 3)[0] for name in ("Ada", "Ben", "Cleo")]
    with pool.transaction() as tx:
        one, other = (accounts.insert_account(tx, login, "", "researcher") for login in ("one", "other"))
        for session_id, owner in zip(made, (other, one, one), strict=True):
            access.set_owner(tx, sessions.get_session(tx, session_id).user_id, owner)
        assert [each.session_id for each in list_unjudged(tx, T0 + timedelta(hours=1), 2)] == [made[2], made[0]]


def test_what_is_read_of_a_session_is_bounded_by_the_number_of_its_labels() -> None:
    for most in (1, 2, 7):
        found = session_quality.portions_of(T0, T0 + timedelta(hours=5), most)
        assert len(found) == most
        assert found[0] == (T0, T0 + session_quality.PORTION)
    assert len(session_quality.portions_of(T0, T0 + timedelta(seconds=1), 1)) == 1


@pytest.mark.servers
def test_long_label_is_read_in_portions(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    made, label = ended_session(pool, "Ada", 100)
    read: list[tuple[float, float]] = []

    def reading(tx: Transaction, source: Recorded, since: datetime, until: datetime) -> list[Block]:
        read.append(((since - T0).total_seconds(), (until - T0).total_seconds()))
        return read_recorded(tx, source, since, until)

    monkeypatch.setattr(session_quality, "read_recorded", reading)
    assert judge_sessions(pool, threading.Event(), T0 + timedelta(minutes=10)) == 1
    assert read == [(0.0, 25.0), (25.0, 50.0), (50.0, 75.0), (75.0, 100.0)]
    with pool.transaction() as tx:
        quality = find_quality(tx, made)
    assert quality is not None
    assert quality.repetitions[label] == ("good", "good")


@pytest.mark.parametrize("hours", [0.001, 1, 24 * 7])
def test_what_is_read_of_a_label_of_any_length_is_bounded(hours: float) -> None:
    found = session_quality.portions_of(T0, T0 + timedelta(hours=hours))
    assert len(found) <= session_quality.MOST_PORTIONS
    assert max(until - since for since, until in found) <= session_quality.PORTION + timedelta(microseconds=1)
    assert (found[0][0], found[-1][1]) == (T0, T0 + timedelta(hours=hours))
    assert all(one[1] <= other[0] for one, other in zip(found, found[1:], strict=False))


def test_label_has_the_level_that_most_of_its_portions_speak_for() -> None:
    good, bad = judged("fist"), judged("fist", "bad", "a1: flat", rms=0)
    assert join_portions([bad]) is bad
    assert (join_portions([good] * 9 + [bad]).level, join_portions([good] * 9 + [bad]).reason) == ("fair", "a1: flat")
    assert join_portions([good] * 3 + [bad]).level == "bad"
    assert join_portions([judged("fist", rms=3), judged("fist", rms=4)]).rms == pytest.approx(np.sqrt([12.5, 12.5]))
