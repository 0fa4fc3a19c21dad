"""What is too old leaves the database: whole days of samples, decisions by age, never labelled samples unasked."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, date, datetime, timedelta

import numpy as np
import pytest

from semg.domain import Block, Decision, us_from_utc
from semg.errors import StoreError
from semg.maintenance import retention
from semg.privacy.consent import TEST_PERSON
from semg.process.attempts import Attempts
from semg.settings import Settings
from semg.store import blocks, decisions, gesture_events, gestures, profiles, sessions
from semg.store import retention as store
from semg.store.pool import Pool, execute, one, rows
from testing.kits.events import gesture_event
from testing.kits.store_queries import list_decisions

pytestmark = pytest.mark.servers

NOW = datetime(2026, 6, 30, 12, tzinfo=UTC)
STOP = threading.Event()


def put(pool: Pool, user_id: int, at: datetime, first: int, session_id: int | None = None) -> None:
    """Store ten seconds of numbered samples."""
    device = us_from_utc(at) + np.arange(1000, dtype=np.int64) * 10_000
    values = (first + np.arange(1000, dtype=np.float32))[:, None]
    with pool.transaction() as tx:
        blocks.copy_blocks(tx, [Block(user_id, us_from_utc(at), True, False, 0, device, device, values)], session_id)


def numbers(pool: Pool, user_id: int) -> list[int]:
    with pool.transaction() as tx:
        found = blocks.read_blocks(tx, user_id, datetime(2000, 1, 1, tzinfo=UTC), datetime(2030, 1, 1, tzinfo=UTC))
    return found.values.astype(int).tolist()


def partitions(pool: Pool) -> list[date]:
    with pool.transaction() as tx:
        found = store.list_partitions(tx, date(2100, 1, 1))
    assert all(partition.until - partition.since == timedelta(days=1) for partition in found)
    return [partition.since for partition in found]


@pytest.fixture
def user_id(pool: Pool) -> int:
    with pool.transaction() as tx:
        return profiles.insert_profile(tx, "Ada", channels=("a0",), rate_hz=100, consent=TEST_PERSON)


def with_session(pool: Pool, user_id: int, at: datetime, origin: str, *, labelled: bool) -> int:
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        end = at + timedelta(seconds=4)
        number = sessions.insert_session(tx, user_id, "s", origin, at, end, status="completed", device=device)
        if labelled:
            fist = gestures.ensure_gestures(tx, user_id, ["fist"])["fist"]
            sessions.insert_repetition(tx, number, fist, 1, at + timedelta(seconds=1), at + timedelta(seconds=2))
        return number


def days(settings: Settings, n: int, **update: object) -> Settings:
    return settings.model_copy(update={"keep_samples_days": n, **update})


def test_days_that_are_too_old_are_dropped_and_the_others_stay(pool: Pool, settings: Settings, user_id: int) -> None:
    for age in (0, 6, 7, 8, 40):
        put(pool, user_id, NOW - timedelta(days=age), 1000 * age)
    retention.expire(days(settings, 7), pool, NOW, STOP)
    # Of the seventh day some hours are younger: it goes with the next midnight.
    assert numbers(pool, user_id) == [*range(7000, 8000), *range(6000, 7000), *range(1000)]
    assert partitions(pool) == [date(2026, 6, 23), date(2026, 6, 24), date(2026, 6, 30)]
    retention.expire(days(settings, 7), pool, NOW + timedelta(days=1), STOP)
    assert partitions(pool) == [date(2026, 6, 24), date(2026, 6, 30)]


def test_nothing_goes_by_default(pool: Pool, settings: Settings, user_id: int) -> None:
    put(pool, user_id, NOW - timedelta(days=4000), 0)
    retention.expire(settings, pool, NOW, STOP)
    told_to_stop = threading.Event()
    told_to_stop.set()
    retention.keep_retention(settings, pool, told_to_stop)
    assert numbers(pool, user_id) == list(range(1000))


def test_samples_of_labelled_and_imported_sessions_stay(pool: Pool, settings: Settings, user_id: int) -> None:
    old = NOW - timedelta(days=20)
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Bo", channels=("a0",), rate_hz=100, consent=TEST_PERSON)
    put(pool, user_id, old, 0)
    put(pool, other, old, 5000)
    with_session(pool, user_id, old + timedelta(seconds=3), "capture", labelled=True)
    with_session(pool, other, old + timedelta(seconds=3), "capture", labelled=False)
    imported = with_session(pool, other, old, "import", labelled=False)
    put(pool, other, old, 9000, imported)
    retention.expire(days(settings, 7), pool, NOW, STOP)
    left = numbers(pool, user_id)
    assert set(range(300, 700)) <= set(left), "the labelled session's samples"
    assert left == list(range(left[0], left[-1] + 1))
    assert len(left) <= 600, "blocks that only touch it by a second are the most that stays beside it"
    assert numbers(pool, other) == []
    with pool.transaction() as tx:
        session = sessions.get_session(tx, imported)
        assert blocks.read_session_blocks(tx, session).values.astype(int).tolist() == list(range(9000, 10_000))
        before = one(tx, "SELECT 'sample_blocks_20260610'::regclass::oid AS number").number
    retention.expire(days(settings, 7), pool, NOW, STOP)
    with pool.transaction() as tx:
        again = one(tx, "SELECT 'sample_blocks_20260610'::regclass::oid AS number").number
    assert again == before, "a day of which nothing goes any more is left alone"
    assert numbers(pool, user_id) == left


def test_labelled_samples_go_when_told(pool: Pool, settings: Settings, user_id: int) -> None:
    old = NOW - timedelta(days=20)
    put(pool, user_id, old, 0)
    number = with_session(pool, user_id, old, "capture", labelled=True)
    retention.expire(days(settings, 7, keep_labelled_samples=False), pool, NOW, STOP)
    assert numbers(pool, user_id) == []
    assert partitions(pool) == []
    with pool.transaction() as tx:
        assert sessions.get_session(tx, number).name == "s"


def test_summaries_of_a_dropped_day_go_too(pool: Pool, settings: Settings, user_id: int) -> None:
    for age in (20, 1):
        put(pool, user_id, NOW - timedelta(days=age), 0)
        with pool.transaction() as tx:
            execute(tx, "INSERT INTO sample_summaries VALUES (%s, 0, %s, 1, 100, 10, 1000, '')",
                    (user_id, NOW - timedelta(days=age)))  # fmt: skip
    retention.expire(days(settings, 7), pool, NOW, STOP)
    with pool.transaction() as tx:
        left = [row.started_at for row in rows(tx, "SELECT started_at FROM sample_summaries")]
    assert left == [NOW - timedelta(days=1)]


def test_day_that_is_being_read_is_left_for_later(
    pool: Pool, settings: Settings, user_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(store, "_LOCK_WAIT_S", 0.05)
    old = NOW - timedelta(days=20)
    put(pool, user_id, old, 0)
    with pool.transaction() as reader:
        blocks.list_blocks(reader, user_id, old, old + timedelta(seconds=1))
        attempts = Attempts(logging.getLogger("test"), "retention")
        retention.expire(days(settings, 7), pool, NOW, STOP, attempts)
        assert attempts.failed > 0
    assert numbers(pool, user_id) == list(range(1000))
    retention.expire(days(settings, 7), pool, NOW, STOP)
    assert numbers(pool, user_id) == []


def test_kind_that_fails_keeps_no_other_from_its_turn(
    pool: Pool, settings: Settings, user_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(*_: object) -> None:
        raise OverflowError("date value out of range")

    monkeypatch.setattr(retention.erasing, "forget_spans", fail)
    put(pool, user_id, NOW - timedelta(days=20), 0)
    attempts = Attempts(logging.getLogger("test"), "retention")
    retention.expire(days(settings, 7), pool, NOW, STOP, attempts)
    assert numbers(pool, user_id) == []
    assert attempts.failed == 1


def test_days_that_are_long_over_become_months_and_empty_ones_go(pool: Pool, settings: Settings, user_id: int) -> None:
    days_ago = [1, 61, 62, 63, 90, 100, 101, 400, 401]
    for age in days_ago:
        put(pool, user_id, NOW - timedelta(days=age), 1000 * age)
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Bo", channels=("a0",), rate_hz=100, consent=TEST_PERSON)
    put(pool, other, NOW - timedelta(days=3), 0)
    put(pool, other, NOW - timedelta(days=800), 0)
    with pool.transaction() as tx:
        profiles.delete_profile(tx, other)
    before = numbers(pool, user_id)
    retention.expire(settings, pool, NOW, STOP)
    with pool.transaction() as tx:
        names = [partition.name for partition in store.list_partitions(tx, date(2100, 1, 1))]
    assert names == [
        "sample_blocks_202505", "sample_blocks_202603", "sample_blocks_20260401", "sample_blocks_20260428",
        "sample_blocks_20260429", "sample_blocks_20260430", "sample_blocks_20260629",
    ]  # fmt: skip
    assert numbers(pool, user_id) == before
    put(pool, user_id, NOW - timedelta(days=402), 402_000)
    with_session(pool, user_id, NOW - timedelta(days=400), "capture", labelled=True)
    retention.expire(days(settings, 90), pool, NOW, STOP)
    left = {number // 1000 for number in numbers(pool, user_id)}
    assert left == {1, 61, 62, 63, 90, 400}, "a month goes as a day does, but for what is labelled"


def test_month_that_is_too_large_stays_days(pool: Pool, user_id: int) -> None:
    put(pool, user_id, NOW - timedelta(days=100), 0)
    with pool.transaction() as tx:
        assert not store.merge_month(tx, date(2026, 3, 1), most_bytes=1)
        assert store.merge_month(tx, date(2026, 3, 1))
        assert not store.merge_month(tx, date(2026, 3, 1)), "it is one already"


def test_only_days_of_samples_can_be_dropped(pool: Pool) -> None:
    with pytest.raises(StoreError, match="is no day of sample_blocks"), pool.transaction() as tx:
        one(tx, "SELECT drop_empty_sample_partition('profiles'::regclass)")
    with pytest.raises(StoreError, match="is no day of sample_blocks"), pool.transaction() as tx:
        one(tx, "SELECT expire_sample_partition('profiles'::regclass, true)")
    with pytest.raises(StoreError, match="is no day of sample_blocks"), pool.transaction() as tx:
        one(tx, "SELECT expire_sample_partition('sample_blocks_default'::regclass, true)")


def test_old_decisions_go_in_portions(
    pool: Pool, settings: Settings, user_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "DECISIONS_AT_ONCE", 7)
    made = [NOW - timedelta(days=age) for age in [*range(1, 31), *range(1, 31)]]
    with pool.transaction() as tx:
        decisions.insert_decisions(
            tx, [Decision(user_id, "fist", 0.9, 1, 0, us_from_utc(at), us_from_utc(at), us_from_utc(at)) for at in made]
        )
    retention.expire(settings.model_copy(update={"keep_decisions_days": 10}), pool, NOW, STOP)
    with pool.transaction() as tx:
        left = list_decisions(tx, user_id)
    assert sorted(one_.decided_us for one_ in left) == sorted(
        us_from_utc(at) for at in made if at >= NOW - timedelta(days=10)
    )


def test_old_events_go_in_portions_and_the_newest_stays(
    pool: Pool, settings: Settings, user_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(retention, "DECISIONS_AT_ONCE", 7)
    days_old = settings.model_copy(update={"keep_decisions_days": 10})

    def add(*ages: int) -> None:
        made = [gesture_event(user_id, us_from_utc(NOW - timedelta(days=age))) for age in ages]
        with pool.transaction() as tx:
            gesture_events.insert_events(tx, made)

    def left() -> list[int]:
        with pool.transaction() as tx:
            return [one_.sequence for one_ in gesture_events.list_events(tx, user_id)]

    add(*range(40, 11, -1))
    retention.expire(days_old, pool, NOW, STOP)
    assert left() == [29]
    add(9, 8)
    retention.expire(days_old, pool, NOW, STOP)
    assert left() == [30, 31]


def test_two_runners_do_not_expire_at_once(pool: Pool, settings: Settings, user_id: int) -> None:
    put(pool, user_id, NOW - timedelta(days=20), 0)
    with pool.transaction() as tx:
        assert store.try_lock(tx)
        retention.expire(days(settings, 7), pool, NOW, STOP)
        assert numbers(pool, user_id) == list(range(1000))
    retention.expire(days(settings, 7), pool, NOW, STOP)
    assert numbers(pool, user_id) == []
