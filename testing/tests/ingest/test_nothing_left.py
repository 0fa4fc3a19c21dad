"""After an erasure, nothing recognisable of a person is left in any table, stream, file or log."""

from __future__ import annotations

import gzip
import json
import logging
import threading
from collections.abc import Iterator
from dataclasses import asdict
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from semg.domain import CapturePlan, ConditioningSpec, Decision, PlanStep, WindowSpec, us_from_utc
from semg.errors import ConflictError, StoreError
from semg.jobs.training import run_job
from semg.maintenance import retention
from semg.maintenance.priors import PriorKeeper
from semg.maintenance.video_files import VideoKeeper
from semg.platform.database.backup import back_up
from semg.priors.building import store_version
from semg.privacy import archive_downloads
from semg.privacy.pseudonyms import keep_name
from semg.settings import Settings
from semg.signals.training.population_prior import PersonStatistics, PopulationPrior
from semg.store import audit, decisions, gestures, jobs, models, profiles, schema, sessions, videos
from semg.store.pool import Pool, execute, one, rows
from semg.video.files import files_of
from testing.kits.ingest_kit import Sender, make_profile, running, until
from testing.kits.video_kit import VAULT, write_part

pytestmark = pytest.mark.servers

NAME, NOTES, PHRASE = "Zoltánka Qwertzüberg", "tremor since the accident 7391", "my cat Xylophina"
VALUES = [24_571, -31_013, 18_839, -27_127]
"""Of a sample: together they are nobody else's."""
KEPT = {"audit_entries", "erased_from_bases"}
"""Tables that hold the number of an erased profile, and nothing else of it."""
NAMES_A_PROFILE = {"user_id", "userid", "profile", "profile_id"}
EXPIRY_S = 3.0


def traces() -> list[bytes]:
    """Return what would tell of the person, as it may be stored: texts, and a sample in each of its formats."""
    texts = [word.encode() for text in (NAME, NOTES, PHRASE) for word in text.split() if len(word) > 6]
    samples = [np.array(VALUES, form).tobytes() for form in (">i2", "<i2", ">f4", "<f4", "<i8")]
    return [*texts, *samples, ",".join(map(str, VALUES)).encode()]


def found_in_tables(pool: Pool, user_id: int) -> list[str]:
    """Search every row of every table, bytes as they are, and every column and JSON key that names a profile."""
    found = []
    with pool.transaction() as tx:
        tables = schema.list_tables(tx)
        columns = rows(tx, "SELECT table_name FROM information_schema.columns WHERE column_name = 'user_id'")
        for table in tables:
            for row in rows(tx, f"SELECT t::text AS content FROM {table} t"):
                content = row.content.encode()
                forms = ((trace, (trace, trace.hex().encode())) for trace in traces())
                found += [f"{table}: {trace!r}" for trace, any_of in forms if any(form in content for form in any_of)]
        for column in columns:
            if column.table_name in tables and column.table_name not in KEPT:
                n = one(tx, f"SELECT count(*) AS n FROM {column.table_name} WHERE user_id = %s", (user_id,)).n
                found += [f"{column.table_name}: {n} rows of the profile"] if n else []
        documents = rows(
            tx,
            "SELECT table_name, column_name FROM information_schema.columns "
            "WHERE data_type IN ('json', 'jsonb') AND table_schema = 'public'",
        )
        for column in documents:
            if column.table_name not in tables:
                continue
            for row in rows(tx, f"SELECT {column.column_name}::text AS content FROM {column.table_name}"):
                said = list(told(json.loads(row.content or "null"), user_id, column.table_name in KEPT))
                found += [f"{column.table_name}.{column.column_name}: {what}" for what in said]
    return found


def told(document: Any, user_id: int, number_may_stay: bool) -> Iterator[str]:
    """Yield what a JSON document tells of the person: the number under a key that names a profile, and the values."""
    if isinstance(document, dict):
        for key, value in document.items():
            if key in NAMES_A_PROFILE and str(value) == str(user_id) and not number_may_stay:
                yield f"{key} {value}"
            yield from told(value, user_id, number_may_stay)
    elif isinstance(document, list):
        if document == VALUES:
            yield f"the values {document}"
        for value in document:
            yield from told(value, user_id, number_may_stay)


def found_in_files(*folders: Path) -> list[str]:
    """Search every file, and the names of files."""
    return [
        f"{path.name}: {trace!r}"
        for folder in folders
        for path in folder.rglob("*")
        for trace in traces()
        if (path.is_file() and trace in path.read_bytes()) or trace in path.name.encode()
    ]


def fill(pool: Pool, settings: Settings, user_id: int, began: datetime) -> None:
    """Make for the person everything that a profile can have, and let most of it tell who it is."""
    ended = began + timedelta(seconds=2)
    with pool.transaction() as tx:
        keep_name(tx, settings.secret_key.get_secret_value(), user_id, NAME)
        profiles.update_profile(tx, user_id, notes=NOTES, channel_purposes={"a0": NOTES})
        gesture = gestures.insert_gesture(tx, user_id, PHRASE, f"how: {PHRASE}", PHRASE)
        gestures.set_prompt(tx, gesture, b"\x89PNG\r\n\x1a\n" + NAME.encode())
        plan = CapturePlan((PlanStep(PHRASE, 1, 0.0, 1.0),))
        device = profiles.get_profile(tx, user_id).device
        session_id = sessions.insert_session(
            tx, user_id, f"of {NAME}", "capture", began, status="recording", plan=plan, device=device
        )
        videos.begin_video(tx, session_id)
        videos.release_video(tx, session_id)
        number = sessions.insert_repetition(tx, session_id, gesture, 1, began, began + timedelta(seconds=1))
        sessions.update_repetition(tx, number, excluded=True, reason=NOTES, changed_by="admin")
        sessions.finish_session(tx, session_id, ended)
        job_id = jobs.insert_job(tx, user_id, [session_id], "cnn", {"note": PHRASE})
        jobs.claim_job(tx, job_id, "test")
        jobs.update_progress(tx, job_id, 50, line=f"training on {PHRASE}")
        described = {"classes": [PHRASE], "training": {"session_ids": [session_id]}}
        _, version = models.insert_model(tx, user_id, job_id, NAME.encode(), described, {"held_out": [NAME]}, 1 << 20)
        models.activate_model(tx, user_id, version)
        at_us = us_from_utc(ended)
        decisions.insert_decisions(tx, [Decision(user_id, PHRASE, 0.9, version, 1, at_us, at_us, at_us)])
    files = files_of(settings.videos, session_id, VAULT)
    files.parts.mkdir(parents=True)
    write_part(files.create_part(1), range(40), us_from_utc(began))
    VideoKeeper(pool, settings.videos, VAULT).step()
    assert files.video.exists()
    folder = settings.data_dir / "bases"
    store_version(folder, [base_of(str(user_id), "1000001", "1000002")])
    assert found_in_files(folder)
    archive = archive_downloads.Export(pool, settings, user_id)
    archive.join(60)
    assert (archive_downloads.folder_of(settings) / archive.name).is_file(), archive.problem


def fail(pool: Pool, settings: Settings, user_id: int, other: int, began: datetime) -> None:
    """Let things go wrong whose reasons name the person."""
    with pytest.raises(ConflictError), pool.transaction() as tx:
        profiles.update_profile(tx, user_id, name=NAME)
        profiles.update_profile(tx, other, name=NAME)
    with pytest.raises(StoreError), pool.transaction() as tx:  # what the server itself refuses, and logs
        execute(tx, "UPDATE profiles SET name = %s WHERE user_id = %s", (NAME, other))
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        empty = sessions.insert_session(
            tx,
            user_id,
            f"nothing of {NAME}",
            "import",
            began - timedelta(hours=1),
            began,
            status="completed",
            device=device,
        )
        job_id = jobs.insert_job(tx, user_id, [empty], "cnn", {})
        jobs.claim_job(tx, job_id, "test")
    assert run_job(settings, pool, job_id) is None
    with pool.transaction() as tx:
        assert NAME in jobs.get_job(tx, job_id).error, "who sees the job reads the reason"


def base_of(*people: str) -> PopulationPrior:
    """Return a base in which the first person has a gesture of its own."""
    square = np.eye(10)
    return PopulationPrior(
        "people", WindowSpec(200.0, 200, 50), ConditioningSpec("raw", 200.0), 4, 0.5,
        tuple(
            PersonStatistics(
                name, ("0" * 32,), ("rest", PHRASE if name == people[0] else "fist"), 4, square, square,
                np.zeros((2, 10)), np.zeros((2, 10)), square,
            )
            for name in people
        ),
    )  # fmt: skip


async def test_nothing_of_an_erased_person_is_left(
    servers, ingest_pool: Pool, sender: Sender, tmp_path: Path, caplog: pytest.LogCaptureFixture, decrypted
) -> None:
    caplog.set_level(logging.DEBUG)
    settings = servers.settings.model_copy(update={"journal_max_age_s": EXPIRY_S})
    jetstream, pool = tmp_path / "jetstream", ingest_pool
    server_log = servers.postgres.log.stat().st_size
    user_id, other = make_profile(pool, NAME, n_channels=4), make_profile(pool, "somebody else", n_channels=4)
    began = datetime.now(UTC)
    async with running(settings, pool) as server:
        elsewhere = Sender(settings)
        for number in range(50):
            sender.raw(f"{user_id},{1000 + 5 * number},{','.join(map(str, VALUES))}".encode())
            elsewhere.raw(f"{other},{1000 + 5 * number},1,2,3,4".encode())
        elsewhere.close()
        await until(lambda: server.counters.stored == 100, "stored")
        fill(pool, settings, user_id, began)
        fail(pool, settings, user_id, other, began)
        backup = back_up(settings)
        await until(lambda: len(senders_in(pool, user_id)) == 2, "the table of senders has the number and the values")
        assert len(found_in_tables(pool, user_id)) > 10, "the search finds what is there"
        assert found_in_files(jetstream), "the search finds what the journal holds"
        with pool.transaction() as tx:
            gone = profiles.delete_profile(tx, user_id)
            audit.record(tx, audit.Actor(service="app"), "profile.erased", user_id, **asdict(gone))
        VideoKeeper(pool, settings.videos, VAULT).step()
        PriorKeeper(pool, settings.data_dir / "bases").step()
        archive_downloads.remove_exports(settings, pool)
        await until(lambda: senders_in(pool, user_id) == [], "the table of senders has forgotten the person")
        assert found_in_tables(pool, user_id) == []
        assert found_in_files(settings.data_dir, settings.log_dir) == []
        assert list(archive_downloads.folder_of(settings).iterdir()) == []
        logged = [*caplog.text.encode().splitlines(), *servers.postgres.log.read_bytes()[server_log:].splitlines()]
        assert any(b"duplicate key value" in line for line in logged), "the server logs what it refuses"
        assert [line for line in logged if any(trace in line for trace in traces())] == []
        with pool.transaction() as tx:
            (entry,) = audit.list_entries(tx, user_id=user_id)
        assert (entry.action, entry.counts["samples"]) == ("profile.erased", 50)
        await until(lambda: not found_in_files(jetstream), "the journal's day is over", 10 * EXPIRY_S)
    assert [profile.user_id for profile in known(pool)] == [other]
    # What the backup from before holds stays as long as docs/privacy.md says.
    assert any(trace in gzip.decompress(decrypted(backup)) for trace in traces())
    retention.expire(settings, pool, datetime.now(UTC) + timedelta(days=29), threading.Event())
    assert backup.exists()
    retention.expire(settings, pool, datetime.now(UTC) + timedelta(days=31), threading.Event())
    assert list(backup.parent.iterdir()) == []


def senders_in(pool: Pool, user_id: int) -> list[str]:
    return [what for what in found_in_tables(pool, user_id) if what.startswith("services")]


def known(pool: Pool) -> list:
    with pool.transaction() as tx:
        return profiles.list_profiles(tx)
