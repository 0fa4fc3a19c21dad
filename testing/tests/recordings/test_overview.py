"""Long recordings as pictures: from summaries that follow what is stored."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import numpy as np
import pytest

from semg.domain import Block, us_from_utc
from semg.maintenance.summaries import summarise_sessions
from semg.privacy.consent import TEST_PERSON
from semg.recordings.overview import (
    Recorded,
    look,
    look_at_spectrum,
    recorded,
    stale_minutes,
    summarise_minute,
)
from semg.store import blocks, profiles, sessions, summaries
from semg.store.pool import Pool, execute, one

pytestmark = pytest.mark.servers

T0 = datetime(2026, 3, 1, 10, 0, 30, tzinfo=UTC)
RATE_HZ, STEP_US = 50.0, 20_000
COLUMNS = 100


def store(pool: Pool, user_id: int, at: datetime, seconds: float, session_id: int | None = None) -> np.ndarray:
    n = round(seconds * RATE_HZ)
    device_us = us_from_utc(at) + STEP_US * np.arange(n, dtype=np.int64)
    samples = np.random.default_rng(n).standard_normal((n, 2)).astype(np.float32)
    with pool.transaction() as tx:
        blocks.copy_blocks(tx, [Block(user_id, 1, True, False, 0, device_us, device_us, samples)], session_id)
    return samples


@pytest.fixture
def source(pool: Pool) -> Recorded:
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0", "a1"], rate_hz=RATE_HZ, consent=TEST_PERSON)
        return recorded(profiles.get_profile(tx, user_id), None)


def summarise(pool: Pool, source: Recorded, since: datetime, until: datetime) -> int:
    with pool.transaction() as tx:
        minutes = stale_minutes(tx, source, since, until)
    for minute in minutes:
        summarise_minute(pool, source, minute)
    return len(minutes)


def count(pool: Pool) -> int:
    with pool.transaction() as tx:
        found = one(tx, "SELECT count(*) AS n FROM sample_summaries")
    assert found is not None
    return int(found.n)


def test_picture_is_the_same_from_samples_and_from_summaries(pool: Pool, source: Recorded) -> None:
    samples = store(pool, source.user_id, T0, 200)
    until = T0 + timedelta(seconds=200)
    with pool.transaction() as tx:
        before = look(tx, source, T0, until, COLUMNS).drawn
    assert summarise(pool, source, T0, until) == 4
    with pool.transaction() as tx:
        after = look(tx, source, T0, until, COLUMNS).drawn
        assert stale_minutes(tx, source, T0, until) == []
    assert before is not None
    assert after is not None
    np.testing.assert_array_equal(before.values, after.values)
    np.testing.assert_array_equal(after.high, samples.max(axis=0))
    assert after.n_samples == len(samples)
    np.testing.assert_allclose(after.rms, samples.std(axis=0), rtol=1e-4)


def test_damaged_summary_is_not_believed_and_the_samples_are_read(pool: Pool, source: Recorded) -> None:
    samples = store(pool, source.user_id, T0, 200)
    until = T0 + timedelta(seconds=200)
    summarise(pool, source, T0, until)
    with pool.transaction() as tx:
        execute(tx, "UPDATE sample_summaries SET content = substring(content FROM 1 FOR 60)")
        drawn = look(tx, source, T0, until, COLUMNS).drawn
    assert drawn is not None
    assert drawn.n_samples == len(samples)


def test_samples_that_come_later_make_a_summary_stale(pool: Pool, source: Recorded) -> None:
    store(pool, source.user_id, T0, 20)
    until = T0 + timedelta(seconds=200)
    assert summarise(pool, source, T0, until) == 1
    store(pool, source.user_id, T0 + timedelta(seconds=29.5), 4)
    with pool.transaction() as tx:
        drawn = look(tx, source, T0, until, COLUMNS).drawn
    assert drawn is not None
    assert drawn.n_samples == 24 * RATE_HZ
    assert len(drawn.gaps) == 1
    # The new samples reach into the next minute.
    assert summarise(pool, source, T0, until) == 2


def test_summary_of_samples_that_changed_meanwhile_is_not_kept(pool: Pool, source: Recorded) -> None:
    store(pool, source.user_id, T0, 20)
    with pool.transaction() as tx:
        (minute,) = stale_minutes(tx, source, T0, T0 + timedelta(seconds=20))
        execute(tx, "DELETE FROM sample_blocks WHERE user_id = %s", (source.user_id,))
    with pool.transaction() as tx:
        assert not summaries.save_summary(tx, source.key, minute, b"anything")
    assert count(pool) == 0


def test_minute_that_still_grows_is_not_summarised(pool: Pool, source: Recorded) -> None:
    store(pool, source.user_id, T0, 20)
    with pool.transaction() as tx:
        assert stale_minutes(tx, source, T0, T0 + timedelta(seconds=20), T0 + timedelta(seconds=20)) == []


def test_sessions_are_summarised_after_they_ended_and_erased_with_them(pool: Pool, source: Recorded) -> None:
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, source.user_id).device
        until = T0 + timedelta(seconds=150)
        made = {
            origin: sessions.insert_session(tx, source.user_id, origin, origin, T0, until, status="completed",
                                            device=device)
            for origin in ("capture", "import")
        }  # fmt: skip
    store(pool, source.user_id, T0, 150)
    store(pool, source.user_id, T0, 150, made["import"])
    stop = threading.Event()
    assert summarise_sessions(pool, stop, datetime.now(UTC)) == 6
    assert summarise_sessions(pool, stop, datetime.now(UTC)) == 0
    with pool.transaction() as tx:
        sessions.delete_session(tx, made["import"])
    assert count(pool) == 3
    with pool.transaction() as tx:
        sessions.delete_session(tx, made["capture"])
    assert count(pool) == 0


def test_imported_session_is_drawn_by_itself(pool: Pool, source: Recorded) -> None:
    with pool.transaction() as tx:
        profile = profiles.get_profile(tx, source.user_id)
        number = sessions.insert_session(
            tx, source.user_id, "file", "import", T0, T0 + timedelta(seconds=60), status="completed",
            device=profile.device,
        )  # fmt: skip
        session = sessions.get_session(tx, number)
    store(pool, source.user_id, T0, 30)
    imported = store(pool, source.user_id, T0, 60, number)
    with pool.transaction() as tx:
        drawn = look(tx, recorded(profile, session), T0, T0 + timedelta(seconds=60), COLUMNS).drawn
        part = look(tx, recorded(profile, session), T0, T0 + timedelta(seconds=1), COLUMNS).drawn
        found = look_at_spectrum(tx, recorded(profile, session), T0, T0 + timedelta(seconds=60))
    assert drawn is not None
    assert drawn.n_samples == len(imported)
    assert part is not None
    np.testing.assert_array_equal(part.values, imported[:50])
    assert found is not None
    assert found.n_pieces == 8 * 7
