"""What somebody does with one profile for a long time delays nobody else."""

from __future__ import annotations

import threading
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta

import pytest

from semg.capture import CaptureConductor
from semg.consent_types import NewConsent
from semg.domain import CapturePlan, PlanStep
from semg.errors import ConsentError, StoreBusyError
from semg.privacy import consent
from semg.privacy.consent import TEST_PERSON
from semg.recordings import importing
from semg.recordings.importing import import_recording
from semg.simulation import arms
from semg.simulation.assignments import AssignmentReader, keep_in_order
from semg.store import boards, gestures, profiles, sessions, simulated_arms
from semg.store.audit import Actor
from semg.store.pool import Pool, Transaction, execute
from testing.tests.capture.test_conducting import PLAN, after, start_capture, written
from testing.tests.recordings.test_importing import alternating

pytestmark = pytest.mark.servers
KEYS, ADA, LIMITS = "k" * 48, Actor("ada"), arms.Limits(8, 8)


def person(pool: Pool, name: str, channels: Sequence[str] = ("a0", "a1")) -> int:
    with pool.transaction() as tx:
        return profiles.insert_profile(tx, name, channels=channels, rate_hz=200.0, consent=TEST_PERSON)


@contextmanager
def locked(pool: Pool, user_id: int) -> Iterator[None]:
    """Hold a profile's row as an erasure does."""
    with pool.transaction() as tx:
        execute(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR UPDATE", (user_id,))
        yield


def test_pool_waits_for_a_lock_as_long_as_it_is_told(pool: Pool) -> None:
    user_id = person(pool, "Ada")
    with locked(pool, user_id), pytest.raises(StoreBusyError), pool.waiting_at_most(0.05).transaction() as tx:
        gestures.insert_gesture(tx, user_id, "fist")


def test_capture_of_a_locked_profile_waits_and_the_others_are_conducted(pool: Pool) -> None:
    first, second = start_capture(pool, PLAN, "first"), start_capture(pool, PLAN, "second")
    with pool.transaction() as tx:
        fist = next(one for one in gestures.list_gestures(tx, first.user_id) if one.name == "rest")
        execute(tx, "UPDATE gestures SET name = 'other' WHERE gesture_id = %s", (fist.gesture_id,))
    conductor = CaptureConductor()
    began = time.monotonic()
    with locked(pool, first.user_id):
        conductor.conduct(pool, after(5))
    assert time.monotonic() - began < 5
    assert written(pool, first) == []
    assert len(written(pool, second)) == 2
    conductor.conduct(pool, after(5))
    assert len(written(pool, first)) == 2, "it is made up for"


def test_import_does_not_keep_others_from_the_profile_and_sees_a_consent_that_was_withdrawn(
    pool: Pool, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = person(pool, "Ada", channels=["a0"])
    copy = importing.blocks_store.copy_blocks

    def meanwhile(tx: Transaction, *rest: object) -> int:
        with pool.waiting_at_most(0.5).transaction() as other:  # while the import runs
            gestures.insert_gesture(other, user_id, "pinch")
            consent.change(other, user_id, NewConsent((), TEST_PERSON.text, datetime.now(UTC), "ada"))
        return copy(tx, *rest)  # type: ignore[arg-type]

    monkeypatch.setattr(importing.blocks_store, "copy_blocks", meanwhile)
    with pytest.raises(ConsentError), pool.transaction() as tx:
        import_recording(tx, user_id, alternating(1000, 4), "one", datetime.now(UTC) - timedelta(hours=1))
    with pool.transaction() as tx:
        assert sessions.list_sessions(tx, user_id) == []


def test_start_of_an_arm_that_waits_for_its_profile_delays_no_other(pool: Pool) -> None:
    first, second = person(pool, "first"), person(pool, "second")

    def start(user_id: int) -> None:
        with pool.transaction() as tx:
            arms.start(tx, KEYS, user_id, ADA, LIMITS)

    waiting = threading.Thread(target=start, args=(first,))
    with locked(pool, first):
        waiting.start()
        _until_one_waits(pool)
        with pool.waiting_at_most(0.5).transaction() as tx:
            arms.start(tx, KEYS, second, ADA, LIMITS)
    waiting.join(10)
    with pool.transaction() as tx:
        assert {one.user_id for one in simulated_arms.list_arms(tx)} == {first, second}


def test_arm_whose_profile_is_locked_keeps_no_other_from_being_stopped(pool: Pool) -> None:
    people = [person(pool, name) for name in ("first", "second")]
    with pool.transaction() as tx:
        for user_id in people:
            arms.start(tx, KEYS, user_id, ADA, LIMITS)
            arm = simulated_arms.find_arm(tx, user_id)
            assert arm is not None
            boards.revoke_key(tx, arm.board_id)
        found = AssignmentReader(KEYS).read(tx)
    with locked(pool, people[0]), pool.waiting_at_most(0.2).transaction() as tx:
        keep_in_order(tx, found, datetime.now(UTC), 4.0)
    with pool.transaction() as tx:
        assert [one.user_id for one in simulated_arms.list_arms(tx)] == people[:1]


def test_arm_whose_plan_cannot_be_read_keeps_no_other_from_sending(pool: Pool) -> None:
    people = [person(pool, name) for name in ("first", "second")]
    plan = CapturePlan((PlanStep("fist", 1, 0.0, 2.0),))
    with pool.transaction() as tx:
        for user_id in people:
            arms.start(tx, KEYS, user_id, ADA, LIMITS)
        device = profiles.get_profile(tx, people[0]).device
        sessions.insert_session(
            tx, people[0], "one", "capture", datetime.now(UTC), status="recording", plan=plan, device=device
        )
        execute(tx, "UPDATE sessions SET plan = %s", ('{"steps": [{"colour": 1}]}',))
        found = AssignmentReader(KEYS).read(tx)
    assert [one.arm.user_id for one in found.sending] == people


def _until_one_waits(pool: Pool) -> None:
    for _ in range(500):
        with pool.transaction() as tx:
            if execute(tx, "SELECT 1 FROM pg_locks WHERE NOT granted"):
                return
        time.sleep(0.01)
    raise AssertionError("nobody waits for a lock")
