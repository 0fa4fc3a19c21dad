"""A label lies within its session, however it is written."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from datetime import UTC, datetime, timedelta

import pytest

from semg import clock
from semg.errors import ConflictError, InvalidValueError
from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import gestures, profiles, repetition_sets, sessions
from semg.store.pool import Pool, Transaction, execute
from semg.store.repetition_sets import NewRepetition

pytestmark = pytest.mark.servers
T0 = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
YEAR_1, YEAR_9999 = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, tzinfo=UTC)


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.fixture
def made(pool: Pool) -> tuple[int, int, int]:
    """A session of ten seconds: its number, that of a gesture, and that of a label from the second to the fourth."""
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        gesture_id = gestures.insert_gesture(tx, user_id, "fist")
        device = profiles.get_profile(tx, user_id).device
        number = sessions.insert_session(
            tx, user_id, "one", "capture", T0, after(10), status="completed", device=device
        )
        return number, gesture_id, sessions.insert_repetition(tx, number, gesture_id, 1, after(2), after(4))


def refused(pool: Pool, act: Callable[[Transaction], object], error: type[Exception] = InvalidValueError) -> None:
    with pytest.raises(error), pool.transaction() as tx:
        act(tx)


@pytest.mark.parametrize(
    ("started_at", "ended_at"),
    [(YEAR_1, after(4)), (after(-0.001), after(4)), (after(2), after(10.001)), (after(2), YEAR_9999)],
)
def test_no_way_writes_a_label_outside_its_session(
    pool: Pool, made: tuple[int, int, int], started_at: datetime, ended_at: datetime
) -> None:
    number, gesture_id, label = made
    refused(pool, lambda tx: sessions.update_repetition(tx, label, started_at=started_at, ended_at=ended_at))
    with pool.transaction() as tx:
        sessions.delete_repetition(tx, label)
    refused(pool, lambda tx: sessions.insert_repetition(tx, number, gesture_id, 2, started_at, ended_at))
    new = NewRepetition(gesture_id, 2, started_at, ended_at)
    refused(pool, lambda tx: repetition_sets.insert_repetitions(tx, number, [new]))
    statement = (
        "INSERT INTO repetitions (session_id, gesture_id, number, started_at, ended_at) VALUES (%s, %s, 2, %s, %s)"
    )
    refused(pool, lambda tx: execute(tx, statement, (number, gesture_id, started_at, ended_at)), ConflictError)


def test_label_may_reach_both_edges_of_its_session(pool: Pool, made: tuple[int, int, int]) -> None:
    with pool.transaction() as tx:
        changed = sessions.update_repetition(tx, made[2], started_at=T0, ended_at=after(10))
    assert (changed.started_at, changed.ended_at) == (T0, after(10))


def test_label_of_a_running_session_ends_before_now_and_the_session_ends_after_it(pool: Pool) -> None:
    began = clock.utc_now() - timedelta(seconds=10)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        gesture_id = gestures.insert_gesture(tx, user_id, "fist")
        device = profiles.get_profile(tx, user_id).device
        number = sessions.insert_session(tx, user_id, "one", "capture", began, status="recording", device=device)
        label = sessions.insert_repetition(tx, number, gesture_id, 1, began, began + timedelta(seconds=8))
    hour = timedelta(hours=1)
    refused(pool, lambda tx: sessions.update_repetition(tx, label, ended_at=clock.utc_now() + hour))
    with pool.transaction() as tx:
        ended = sessions.finish_session(tx, number, began + timedelta(seconds=5))
    assert ended.ended_at == began + timedelta(seconds=8), "it lasts until its last label"


def test_label_from_before_the_rule_can_be_left_out_of_training_and_deleted(
    settings: Settings, pool: Pool, made: tuple[int, int, int]
) -> None:
    with closing(Pool(settings, as_owner=True)) as owner, owner.transaction() as tx:
        execute(tx, "ALTER TABLE repetitions DISABLE TRIGGER label_within_session")
        execute(tx, "UPDATE repetitions SET ended_at = %s", (YEAR_9999,))
        execute(tx, "ALTER TABLE repetitions ENABLE TRIGGER label_within_session")
    with pool.transaction() as tx:
        assert sessions.update_repetition(tx, made[2], excluded=True, reason="a slip").excluded
    refused(pool, lambda tx: sessions.update_repetition(tx, made[2], started_at=after(3)))
    with pool.transaction() as tx:
        sessions.delete_repetition(tx, made[2])
