"""Sessions and repetitions: one recording at a time, no sample with two labels, deletion takes the samples along."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import numpy as np
import pytest

from semg.domain import Device, utc_from_us
from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import blocks, gestures, jobs, models, profiles, session_summaries, sessions
from semg.store.pool import Pool, one, rows
from testing.kits.store_data import PLAN, T0, Filled, insert_block


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


@pytest.fixture
def device(pool: Pool, make_profile) -> Device:
    user_id = make_profile("Cy")
    with pool.transaction() as tx:
        return profiles.get_profile(tx, user_id).device


def record(pool: Pool, device: Device, start_s: float = 0, name: str = "s") -> int:
    with pool.transaction() as tx:
        return sessions.insert_session(
            tx, device.user_id, name, "capture", at(start_s), status="recording", plan=PLAN, device=device
        )


def test_session_comes_back_as_it_was_inserted(pool: Pool, device: Device) -> None:
    session_id = record(pool, device, name=" morning ")
    with pool.transaction() as tx:
        session = sessions.get_session(tx, session_id)
        assert sessions.list_recording_sessions(tx) == [session]
        assert sessions.list_sessions(tx, device.user_id) == [replace(session, plan=None)]
    assert (session.name, session.origin, session.status, session.started_at) == ("morning", "capture", "recording", T0)
    assert (session.channels, session.rate_hz, session.sensor) == (device.channels, device.rate_hz, device.sensor)
    assert session.plan == PLAN
    assert session.ended_at is None


def test_session_keeps_the_device_of_its_time(pool: Pool, device: Device) -> None:
    session_id = record(pool, device)
    with pool.transaction() as tx:
        profiles.update_device(tx, Device(device.user_id, ("x",), 1000.0))
        assert sessions.get_session(tx, session_id).channels == device.channels


def test_profile_records_one_session_at_a_time(pool: Pool, device: Device) -> None:
    first = record(pool, device)
    with pytest.raises(ConflictError, match="is recording a session already"):
        record(pool, device, 10)
    with pool.transaction() as tx:
        assert sessions.finish_session(tx, first, at(8)).status == "completed"
    second = record(pool, device, 10)
    with pytest.raises(ConflictError, match="completed already"), pool.transaction() as tx:
        sessions.finish_session(tx, first, at(9))
    with pool.transaction() as tx:
        assert sessions.finish_session(tx, second, at(18), aborted=True).status == "aborted"
        assert [s.session_id for s in sessions.list_sessions(tx, device.user_id, limit=1, offset=1)] == [first]


def test_session_that_ended_needs_an_end_after_its_start(pool: Pool, device: Device) -> None:
    for status, ended_at in (("completed", None), ("completed", at(0)), ("recording", at(1))):
        with pytest.raises(InvalidValueError, match="ended_at"), pool.transaction() as tx:
            sessions.insert_session(tx, device.user_id, "s", "capture", T0, ended_at, status=status, device=device)


def test_session_of_no_profile_is_not_found(pool: Pool, device: Device) -> None:
    with pytest.raises(NotFoundError, match="no profile 999"), pool.transaction() as tx:
        sessions.insert_session(tx, 999, "s", "capture", T0, status="recording", device=device)


def test_repetition_written_twice_is_stored_once(pool: Pool, device: Device) -> None:
    session_id = record(pool, device)
    with pool.transaction() as tx:
        fist = gestures.insert_gesture(tx, device.user_id, "fist")
        first = sessions.insert_repetition(tx, session_id, fist, 1, at(2), at(5))
    with pool.transaction() as tx:
        assert sessions.insert_repetition(tx, session_id, fist, 1, at(2), at(5)) == first
        assert [r.repetition_id for r in sessions.list_repetitions(tx, session_id)] == [first]


def test_no_sample_has_two_labels(pool: Pool, device: Device) -> None:
    session_id = record(pool, device)
    with pool.transaction() as tx:
        ids = gestures.ensure_gestures(tx, device.user_id, ["fist", "rest"])
        sessions.insert_repetition(tx, session_id, ids["fist"], 1, at(2), at(5))
        after = sessions.insert_repetition(tx, session_id, ids["rest"], 1, at(5), at(8))
    with pytest.raises(ConflictError, match="lies in this time"), pool.transaction() as tx:
        sessions.insert_repetition(tx, session_id, ids["rest"], 2, at(4.9), at(5))
    with pytest.raises(ConflictError, match="lies in this time"), pool.transaction() as tx:
        sessions.update_repetition(tx, after, started_at=at(4))
    with pytest.raises(ConflictError, match="begins at this time"), pool.transaction() as tx:
        sessions.update_repetition(tx, after, started_at=at(2))
    with pool.transaction() as tx:
        assert [r.started_at for r in sessions.list_repetitions(tx, session_id)] == [at(2), at(5)]


def test_repetition_takes_a_gesture_of_its_own_profile_only(pool: Pool, device: Device, filled_gesture) -> None:
    session_id = record(pool, device)
    with pytest.raises(NotFoundError, match="has no gesture"), pool.transaction() as tx:
        sessions.insert_repetition(tx, session_id, filled_gesture, 1, at(2), at(5))
    with pytest.raises(NotFoundError, match="no session 999"), pool.transaction() as tx:
        sessions.insert_repetition(tx, 999, filled_gesture, 1, at(2), at(5))


@pytest.fixture
def filled_gesture(pool: Pool, make_profile) -> int:
    """A gesture of another profile."""
    other = make_profile("Bo")
    with pool.transaction() as tx:
        return gestures.insert_gesture(tx, other, "fist")


def test_repetition_is_changed_field_by_field(pool: Pool, device: Device) -> None:
    session_id = record(pool, device)
    with pool.transaction() as tx:
        ids = gestures.ensure_gestures(tx, device.user_id, ["fist", "rest"])
        number = sessions.insert_repetition(tx, session_id, ids["fist"], 1, at(2), at(5))
        excluded = sessions.update_repetition(tx, number, excluded=True, reason="moved")
        assert (excluded.excluded, excluded.exclude_reason, excluded.gesture) == (True, "moved", "fist")
        moved = sessions.update_repetition(tx, number, ended_at=at(6), gesture_id=ids["rest"])
        assert (moved.ended_at, moved.gesture, moved.excluded) == (at(6), "rest", True)
        back = sessions.update_repetition(tx, number, excluded=False)
        assert (back.excluded, back.exclude_reason) == (False, "")
        sessions.delete_repetition(tx, number)
        assert sessions.list_repetitions(tx, [session_id]) == []


def test_summary_counts_what_can_be_trained_on(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        rest = gestures.ensure_gestures(tx, filled.user_id, ["rest"])["rest"]
        number = sessions.insert_repetition(tx, filled.session_id, rest, 1, at(5), at(8))
        sessions.update_repetition(tx, number, excluded=True, reason="coughed")
        insert_block(tx, filled.user_id, at(-5), 10)
        insert_block(tx, filled.user_id, at(9), 10)
        summaries = {s.session.session_id: s for s in session_summaries.list_summaries(tx, filled.user_id)}
    captured, imported = summaries[filled.session_id], summaries[filled.imported_id]
    assert [(g.gesture, g.repetitions, g.excluded, g.seconds) for g in captured.gestures] == [
        ("rest", 0, 1, 0.0), ("fist", 1, 0, 3.0),
    ]  # fmt: skip
    assert (captured.repetitions, captured.labelled_s, captured.n_samples) == (1, 3.0, 100)
    assert imported.n_samples == 60


def test_deleting_an_imported_session_takes_its_samples_only(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        jobs.request_cancel(tx, filled.job_id)
        erased = sessions.delete_session(tx, filled.imported_id)
        assert (erased.samples, erased.models, erased.active, erased.jobs) == (60, (filled.version,), True, 1)
        assert models.find_active(tx, filled.user_id) is None
        assert [row.n_samples for row in rows(tx, "SELECT n_samples FROM sample_blocks")] == [100]
        assert [s.session_id for s in sessions.list_sessions(tx, filled.user_id)] == [filled.session_id]


def test_deleting_a_captured_session_keeps_the_samples_around_it(pool: Pool, device: Device, make_profile) -> None:
    other = make_profile("Bo")
    session_id = record(pool, device)
    with pool.transaction() as tx:
        sessions.finish_session(tx, session_id, at(8))
        insert_block(tx, device.user_id, at(-2), 100)  # ends at -1.505 s
        insert_block(tx, device.user_id, at(-0.1), 100)  # 20 samples before, 80 inside
        insert_block(tx, device.user_id, at(1), 200)
        insert_block(tx, device.user_id, at(7.5), 200)  # 100 inside, 100 after
        insert_block(tx, device.user_id, at(8.5), 50)
        insert_block(tx, other, at(1), 30)
    with pool.transaction() as tx:
        assert sessions.delete_session(tx, session_id).samples == 80 + 200 + 100
        mine = blocks.list_blocks(tx, device.user_id, at(-60), at(60))
        others = blocks.list_blocks(tx, other, at(-60), at(60))
    assert [(utc_from_us(int(b.server_us[0])), b.n_samples, b.starts_run) for b in mine] == [
        (at(-2), 100, False), (at(-0.1), 20, False), (at(8), 100, True), (at(8.5), 50, False),
    ]  # fmt: skip
    assert mine[1].samples.tolist() == [[float(i), -float(i)] for i in range(20)]
    assert mine[2].samples.tolist() == [[float(i), -float(i)] for i in range(100, 200)]
    for block in mine:
        assert np.array_equal(block.received_us, block.device_us)
        assert set(np.diff(block.device_us).tolist()) == {5000}
    assert [block.n_samples for block in others] == [30]


def test_longer_block_than_a_session_keeps_both_ends(pool: Pool, device: Device) -> None:
    session_id = record(pool, device)
    with pool.transaction() as tx:
        sessions.finish_session(tx, session_id, at(0.5))
        insert_block(tx, device.user_id, at(-0.2), 190)
        assert sessions.delete_session(tx, session_id).samples == 100
        left = rows(tx, "SELECT started_at, n_samples FROM sample_blocks ORDER BY started_at")
    assert [(row.started_at, row.n_samples) for row in left] == [(at(-0.2), 40), (at(0.5), 50)]


def test_session_in_use_is_not_deleted(pool: Pool, filled: Filled, device: Device) -> None:
    recording = record(pool, device)
    with pytest.raises(ConflictError, match="is being recorded"), pool.transaction() as tx:
        sessions.delete_session(tx, recording)
    with pool.transaction() as tx:
        assert jobs.claim_job(tx, filled.job_id, "test")
    with pytest.raises(ConflictError, match=f"job {filled.job_id} trains on"), pool.transaction() as tx:
        sessions.delete_session(tx, filled.session_id)
    with pool.transaction() as tx:
        assert one(tx, "SELECT count(*) AS n FROM sample_blocks").n == 2
