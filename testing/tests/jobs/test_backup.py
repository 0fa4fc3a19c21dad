"""A backup gives back what was there: a training on it has the same result."""

from __future__ import annotations

import gzip
import secrets
import stat
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from semg.errors import PlatformError
from semg.jobs.training import run_job
from semg.platform import earlier
from semg.platform.backup import back_up, back_up_videos
from semg.platform.restore import restore, restore_videos
from semg.security import audit_chain
from semg.store import audit, jobs, models, profiles
from semg.store.databases import Databases
from semg.store.pool import Pool

pytestmark = pytest.mark.servers


@pytest.fixture
def other(settings, tmp_path: Path):
    """Settings that name a database which is not there."""
    name = f"other_{secrets.token_hex(6)}"
    yield settings.model_copy(update={"postgres_db": name, "data_dir": tmp_path / "other"})
    if Databases(settings).exists(name):
        Databases(settings).drop(name)


def trained(settings, pool: Pool, user_id: int, session_ids: list[int]) -> tuple[bytes, dict]:
    """Train as a job does, and give the model's bytes and the report."""
    with pool.transaction() as tx:
        job_id = jobs.insert_job(tx, user_id, session_ids, "cnn", {"epochs": 2, "seed": 5})
        assert jobs.claim_due_job(tx, "test").job_id == job_id
    assert run_job(settings, pool, job_id) is not None
    with pool.transaction() as tx:
        model, artifact = models.find_active_artifact(tx, user_id)
    return artifact, model.report


def without_times(report: dict) -> dict:
    return {name: value for name, value in report.items() if not name.endswith("_s") and name != "us_per_window"}


def test_restored_database_trains_to_the_same_model(settings, pool, other, user_id, recordings, add_session) -> None:
    session_ids = [add_session(user_id, one, f"s{n}", 9 - n) for n, one in enumerate(recordings)]
    written = back_up(settings)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert restore(other, written) is None
    other_pool = Pool(other)
    try:
        first, second = trained(settings, pool, user_id, session_ids), trained(other, other_pool, user_id, session_ids)
        assert first[0] == second[0]
        assert without_times(first[1]) == without_times(second[1])
        with other_pool.transaction() as tx:  # numbers go on where they were
            assert profiles.insert_profile(tx, "next", channels=("a0",), rate_hz=200.0) == user_id + 1
    finally:
        other_pool.close()


def test_restored_audit_log_has_its_chain_and_goes_on(settings, pool: Pool, other, user_id) -> None:
    for _ in range(2):
        with pool.transaction() as tx:
            audit.record(tx, audit.Actor(service="app"), "samples.seen", user_id)
    restore(other, back_up(settings))
    copied = Pool(other)
    with copied.transaction() as tx:
        before = audit_chain.verify(tx)
    with copied.transaction() as tx:
        audit.record(tx, audit.Actor(service="app"), "samples.seen", user_id)
    with copied.transaction() as tx:
        after = audit_chain.verify(tx, before.head)
    copied.close()
    assert [(found.last, found.broken) for found in (before, after)] == [(2, None), (3, None)]


def test_what_was_there_is_kept_and_a_damaged_backup_changes_nothing(settings, other, user_id, tmp_path) -> None:
    written = back_up(settings)
    restore(other, written)
    aside = restore(other, written)
    assert aside is not None
    assert Databases(settings).exists(aside)
    Databases(settings).drop(aside)
    cut, wrong, csv = tmp_path / "cut.sql.gz", tmp_path / "wrong.sql.gz", tmp_path / "tables.tar.gz"
    cut.write_bytes(written.read_bytes()[:-100])
    wrong.write_bytes(gzip.compress(gzip.decompress(written.read_bytes()) + b"\nSELECT nonsense;\n"))
    csv.write_bytes(b"")
    for file, said in ((cut, "no whole backup"), (wrong, "nonsense"), (csv, "CSV")):
        with pytest.raises(PlatformError, match=said):
            restore(other, file)
    pool = Pool(other)
    with pool.transaction() as tx:
        assert [one.user_id for one in profiles.list_profiles(tx)] == [user_id]
    pool.close()


def test_database_that_was_put_aside_goes_when_backups_of_its_age_do(settings, other, user_id) -> None:
    written, databases, now = back_up(settings), Databases(settings), datetime.now(UTC)
    restore(other, written)
    aside = restore(other, written)
    half, foreign = earlier.name_fresh(other.postgres_db, now), f"{other.postgres_db}_before_the_move"
    try:
        for name in (half, foreign):
            databases.create(name)
        never = other.model_copy(update={"keep_backups_days": 0})
        assert earlier.remove_earlier(other, now + timedelta(hours=23)) == []
        assert earlier.remove_earlier(never, now + timedelta(days=90)) == [half]
        assert earlier.remove_earlier(other, now + timedelta(days=29)) == []
        assert earlier.remove_earlier(other, now + timedelta(days=31)) == [aside]
        assert [databases.exists(name) for name in (aside, half, foreign)] == [False, False, True]
        assert databases.exists(other.postgres_db)
    finally:
        for name in (aside, half, foreign):
            if databases.exists(name):
                databases.drop(name)


def test_videos_come_back_and_nothing_else(settings, other, tmp_path) -> None:
    settings.videos.mkdir(parents=True)
    (settings.videos / "7.mp4").write_bytes(b"picture")
    (settings.videos / "7.times").write_bytes(bytes(8))
    written = back_up_videos(settings)
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert restore_videos(other, written) == 2
    assert (other.videos / "7.mp4").read_bytes() == b"picture"
    assert stat.S_IMODE((other.videos / "7.mp4").stat().st_mode) == 0o600
    hostile = tmp_path / "hostile.tar"
    with tarfile.open(hostile, "w") as archive:
        archive.add(written, arcname="../outside")
    with pytest.raises(PlatformError, match="no video"):
        restore_videos(other, hostile)
    assert not (other.videos.parent / "outside").exists()
