"""Erasure of a session and of a person: what was made of them goes too, and nothing brings it back."""

from __future__ import annotations

import os
import threading
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from semg.block_table import BlockTable
from semg.maintenance import priors, retention
from semg.maintenance.priors import PriorKeeper
from semg.priors.building import load_base
from semg.privacy import consent
from semg.privacy.consent import TEST_PERSON
from semg.signals.training.population_prior import PopulationPrior
from semg.store import erasing, models, profiles, sessions
from semg.store.pool import Pool, execute, rows
from testing.kits.store_data import T0, Filled, fill, insert_block

pytestmark = pytest.mark.servers


@pytest.fixture
def filled(pool: Pool) -> Filled:
    with pool.transaction() as tx:
        return fill(tx, "Ada")


def at(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def test_models_that_were_adapted_from_a_session_go_with_it_and_others_stay(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        for session_ids in ([filled.session_id, filled.imported_id], [filled.imported_id]):
            described = {"training": {"session_ids": session_ids}}
            models.insert_model(tx, filled.user_id, None, b"weights", described, {}, 1000)
        foretold = erasing.count_made(tx, sessions.get_session(tx, filled.session_id))
        gone = sessions.delete_session(tx, filled.session_id)
        assert gone == replace(foretold, samples=gone.samples)
        assert (gone.models, gone.active, gone.decisions) == ((1, 2), True, 1)
        assert [model.version for model in models.list_models(tx, filled.user_id)] == [3]


def test_journal_brings_nothing_of_an_erased_capture_back(pool: Pool, filled: Filled) -> None:
    with pool.transaction() as tx:
        other = fill(tx, "Bo").user_id
        sessions.delete_session(tx, filled.session_id)  # from 0 to 8 s
        execute(tx, "DELETE FROM sample_blocks")
        for user_id in (filled.user_id, other):
            insert_block(tx, user_id, at(-0.1), 40)  # 20 samples before, 20 inside
            insert_block(tx, user_id, at(4), 40)
            insert_block(tx, user_id, at(7.9), 40)  # 20 inside, 20 after
    since, until = at(-60), at(60)
    with pool.transaction() as tx:
        from semg.store import blocks

        replayed = BlockTable.joined([blocks.read_blocks(tx, one, since, until) for one in (filled.user_id, other)])
        left = erasing.without_erased(tx, replayed, {filled.user_id, other})
        erasing.forget_spans(tx, datetime.now(UTC) + timedelta(seconds=1))
        assert erasing.without_erased(tx, replayed, {filled.user_id, other}) is replayed
    assert left.where(left.rows["user_id"] == filled.user_id).n_samples == 40
    assert left.where(left.rows["user_id"] == other).n_samples == 120


def test_erased_and_unwilling_people_are_taken_out_of_stored_bases(
    pool: Pool, recordings, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from semg.priors.building import statistics_of, store_version
    from semg.signals.training.options import TrainingOptions

    options, learned = TrainingOptions(), [recording.labelled for recording in recordings]
    with pool.transaction() as tx:
        people = [
            profiles.insert_profile(tx, f"P{n}", channels=learned[0].channels, rate_hz=200.0, consent=TEST_PERSON)
            for n in range(4)
        ]
    found = [statistics_of(str(number), learned, options) for number in people]
    store_version(tmp_path, [PopulationPrior.of("4 people", learned[0], options, found)])
    (path,) = tmp_path.glob("*.safetensors")
    cut, writing = tmp_path / "base-9-x.partial", tmp_path / "base-10-x.partial"
    for partial in (cut, writing):
        partial.write_bytes(b"a part")
    os.utime(cut, (path.stat().st_mtime - priors.NOTED_S - 1,) * 2)
    path.chmod(0o644)
    tmp_path.chmod(0o755)
    keeper = PriorKeeper(pool, tmp_path)
    keeper.step()
    assert not cut.exists(), "left by a process that was killed"
    writing.unlink()
    assert [one.stat().st_mode & 0o777 for one in (tmp_path, path)] == [0o700, 0o600], (
        "an earlier version left them open"
    )
    assert len(load_base(path).people) == 4
    with pool.transaction() as tx:
        profiles.delete_profile(tx, people[0])
        consent.change(tx, people[1], replace(TEST_PERSON, scopes=("recording",)))
    keeper.step()
    assert [person.name for person in load_base(path).people] == [str(people[2]), str(people[3])]
    assert path.stat().st_mode & 0o777 == 0o600
    with pool.transaction() as tx:
        assert erasing.list_in_bases(tx) == people[:2], "noted on: a base may be in the making"
    monkeypatch.setattr(priors, "NOTED_S", -1.0)
    keeper.step()
    with pool.transaction() as tx:
        assert erasing.list_in_bases(tx) == []
        profiles.delete_profile(tx, people[2])
    keeper.step()
    assert list(tmp_path.iterdir()) == [], "one person is no base"


def test_videos_logs_backups_and_the_audit_log_go_after_their_time(settings, pool: Pool, filled: Filled) -> None:
    now = datetime.now(UTC)
    folder = settings.data_dir / "backups"
    folder.mkdir(parents=True)
    ages = {"old.sql.gz": 31, "new.sql.gz": 29, "old-videos.tar": 31, "new-videos.tar": 29, "old.tar.gz": 31,
            "old.sql.gz.partial": 2, "new-videos.tar.partial": 0.5, "tmpx1y2": 2}  # fmt: skip
    for name, age in ages.items():
        (folder / name).write_bytes(b"x")
        changed_at = (now - timedelta(days=age)).timestamp()
        os.utime(folder / name, (changed_at, changed_at))
    with pool.transaction() as tx:
        execute(tx, "UPDATE jobs SET log = 'line', ended_at = %s, status = 'completed'", (T0,))
    kept = settings.model_copy(update={"keep_videos_days": 5, "keep_job_logs_days": 5, "keep_audit_days": 31})
    retention.expire(settings, pool, T0 + timedelta(days=10), threading.Event())
    assert len(list(folder.iterdir())) == len(ages)
    retention.expire(kept, pool, T0 + timedelta(days=4), threading.Event())
    with pool.transaction() as tx:
        assert len(rows(tx, "SELECT 1 FROM videos")) == 1
    retention.expire(kept, pool, now, threading.Event())
    with pool.transaction() as tx:
        assert rows(tx, "SELECT 1 FROM videos") == []
        assert [row.session_id for row in rows(tx, "SELECT session_id FROM erased_videos")] == [filled.session_id]
        assert [row.log for row in rows(tx, "SELECT log FROM jobs")] == [""]
    left = {"new.sql.gz", "new-videos.tar", "new-videos.tar.partial"}
    assert {path.name for path in folder.iterdir()} == left
    for_ever = settings.model_copy(update={"keep_backups_days": 0})
    retention.expire(for_ever, pool, now + timedelta(days=90), threading.Event())
    assert {path.name for path in folder.iterdir()} == left - {"new-videos.tar.partial"}, "what was cut short goes"
