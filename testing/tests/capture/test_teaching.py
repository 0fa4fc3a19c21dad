"""Seconds of the live stream that get a label afterwards: stored whole, or refused with what to do."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from semg.capture.teaching import LEAD_S, SITTING_S, Taught, teach
from semg.domain import Block, ConditioningSpec, WindowSpec, us_from_utc
from semg.errors import ConflictError, ConsentError, InvalidValueError
from semg.privacy.consent import TEST_PERSON
from semg.recordings.session_data import load_session
from semg.signals.dataset import make_windows
from semg.simulation import arms
from semg.store import blocks, consents, gestures, profiles, session_quality, session_summaries, sessions
from semg.store.audit import Actor
from semg.store.pool import Pool, Transaction
from testing.kits.store_data import T0

pytestmark = pytest.mark.servers
RATE_HZ = 200
STEP_US = 1_000_000 // RATE_HZ


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.fixture
def user_id(pool: Pool) -> int:
    with pool.transaction() as tx:
        made = profiles.insert_profile(tx, "Ada", channels=("a0", "a1"), rate_hz=RATE_HZ, consent=TEST_PERSON)
        for name in ("fist", "open hand"):
            gestures.insert_gesture(tx, made, name)
        store(tx, made, 0, 20)
    return made


def store(tx: Transaction, user_id: int, begin_s: float, end_s: float) -> None:
    """Store samples whose first channel counts from T0 on; each call is a run."""
    first, last = round(begin_s * RATE_HZ), round(end_s * RATE_HZ)
    numbers = np.arange(first, last)
    device_us = us_from_utc(T0) + STEP_US * numbers.astype(np.int64)
    samples = np.stack([numbers, -numbers], 1).astype(np.float32)
    blocks.copy_blocks(tx, [Block(user_id, 1, True, False, 0, device_us, device_us, samples)])


def taught(tx: Transaction, user_id: int, end_s: float, length_s: float = 2.0, name: str = "fist") -> Taught:
    bank = {one.name: one for one in gestures.list_gestures(tx, user_id)}
    device = profiles.get_profile(tx, user_id).device
    return teach(tx, bank[name], device, at(end_s), length_s, now=at(end_s + 1), name=f"Taught at {end_s}")


def test_taught_seconds_are_those_that_were_performed(pool: Pool, user_id: int) -> None:
    with pool.transaction() as tx:
        made = taught(tx, user_id, 10)
        session = sessions.get_session(tx, made.session_id)
        labelled = load_session(tx, session)
        (one,) = sessions.list_repetitions(tx, made.session_id)
        (summary,) = session_summaries.list_summaries(tx, user_id)
    assert (session.origin, session.status, session.plan) == ("taught", "completed", None)
    assert (one.gesture, one.number, one.started_at, one.ended_at) == ("fist", 1, at(8), at(10))
    assert labelled.samples[labelled.stretch == 0, 0].tolist() == list(range(8 * RATE_HZ, 10 * RATE_HZ))
    assert session.started_at == at(8 - LEAD_S)
    assert (summary.repetitions, summary.n_samples) == (1, round((2 + LEAD_S) * RATE_HZ))
    window = WindowSpec(float(RATE_HZ))
    found = make_windows([labelled], ("a0", "a1"), ConditioningSpec("raw", float(RATE_HZ)), window)
    assert len(found) >= (2 * RATE_HZ - window.window_samples) // window.hop_samples, "no second is lost to settling"


def test_a_sitting_is_one_session_and_is_judged_anew(pool: Pool, user_id: int) -> None:
    with pool.transaction() as tx:
        first = taught(tx, user_id, 4)
        session_quality.save_quality(tx, first.session_id, session_quality.SessionQuality("good", "quiet"))
        again, other = taught(tx, user_id, 8), taught(tx, user_id, 12, name="open hand")
        assert first.session_id == again.session_id == other.session_id
        found = [(one.gesture, one.number) for one in sessions.list_repetitions(tx, first.session_id)]
        assert found == [("fist", 1), ("fist", 2), ("open hand", 1)]
        assert session_quality.find_quality(tx, first.session_id) is None
        with pytest.raises(ConflictError, match="have a label already"):
            taught(tx, user_id, 13)
        later = 12 + SITTING_S + 3
        store(tx, user_id, later - 5, later)
        assert taught(tx, user_id, later).session_id != first.session_id


def test_what_a_simulated_arm_performed_is_marked_and_kept_apart(pool: Pool, user_id: int) -> None:
    with pool.transaction() as tx:
        own = taught(tx, user_id, 4)
        arms.start(tx, "k" * 48, user_id, Actor("ada"), arms.Limits(8, 3))
        simulated = taught(tx, user_id, 8)
        assert own.session_id != simulated.session_id
        marked = [sessions.get_session(tx, one.session_id).simulated for one in (own, simulated)]
        assert marked == [False, True]


def test_what_is_missing_is_refused_in_words(pool: Pool, user_id: int) -> None:
    with pool.transaction() as tx:
        store(tx, user_id, 20.1, 30)
        with pytest.raises(ConflictError, match="nothing is stored"):
            taught(tx, user_id, 40)
        with pytest.raises(ConflictError, match="105 ms of these seconds are missing"):
            taught(tx, user_id, 21)
        with pytest.raises(ConflictError, match="are missing"):
            taught(tx, user_id, 30.5)
        with pytest.raises(InvalidValueError, match="between 1 and 5 s"):
            taught(tx, user_id, 10, 6)
        bank, device = gestures.list_gestures(tx, user_id), profiles.get_profile(tx, user_id).device
        for now in (at(100), at(0)):
            with pytest.raises(InvalidValueError, match="only the last 60 s"):
                teach(tx, bank[0], device, at(10), 2, now=now, name="Taught")
        profiles.update_device(tx, replace(device, channels=("a0", "a1", "a2")))
        with pytest.raises(ConflictError, match="another number of channels"):
            taught(tx, user_id, 10)


def test_seconds_of_another_session_and_of_nobody_who_agreed_are_refused(pool: Pool, user_id: int) -> None:
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        sessions.insert_session(tx, user_id, "morning", "capture", at(2), at(5), status="completed", device=device)
        with pytest.raises(ConflictError, match="belong to the session “morning”"):
            taught(tx, user_id, 6)
        beside = taught(tx, user_id, 7.5)
        assert sessions.get_session(tx, beside.session_id).started_at == at(5), "the lead ends where the other one does"
        sessions.insert_session(tx, user_id, "now", "capture", at(9), status="recording", device=device)
        with pytest.raises(ConflictError, match="end the capture first"):
            taught(tx, user_id, 12)
        consents.insert_consent(tx, user_id, replace(TEST_PERSON, scopes=()))
        with pytest.raises(ConsentError):
            taught(tx, user_id, 12)
