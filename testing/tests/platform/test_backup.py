"""A backup gives back what was there, to who has the key and to nobody else: a training on it has the same result."""

from __future__ import annotations

import gzip
import io
import os
import secrets
import shutil
import stat
import subprocess
import tarfile
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from semg.errors import PlatformError, SettingsError
from semg.jobs.training import run_job
from semg.platform import backup_commands
from semg.platform.database import earlier_databases
from semg.platform.database import restore as restoring
from semg.platform.database.backup import back_up, back_up_videos, recipients_of
from semg.platform.database.restore import restore, restore_videos
from semg.security import age_files, audit_chain
from semg.store import audit, jobs, models, profiles
from semg.store.databases import Databases
from semg.store.pool import Pool
from testing.tests.conftest import skip_or_fail

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


@pytest.fixture
def encrypt(settings):
    """Encrypt bytes as a backup of these settings."""

    def encrypted(target: Path, content: bytes) -> Path:
        with target.open("wb") as raw, age_files.encrypting(raw, recipients_of(settings)) as out:
            out.write(content)
        return target

    return encrypted


def test_what_was_there_is_kept_and_a_damaged_backup_changes_nothing(
    settings, other, user_id, tmp_path, decrypted, encrypt
) -> None:
    written = back_up(settings)
    restore(other, written)
    aside = restore(other, written)
    assert aside is not None
    assert Databases(settings).exists(aside)
    Databases(settings).drop(aside)
    content, stored = decrypted(written), written.read_bytes()
    cut, changed, csv = tmp_path / "cut.sql.gz.age", tmp_path / "changed.sql.gz.age", tmp_path / "tables.tar.gz.age"
    cut.write_bytes(stored[:-100])
    changed.write_bytes(stored[:-2000] + bytes([stored[-2000] ^ 1]) + stored[-1999:])
    csv.write_bytes(b"")
    short = encrypt(tmp_path / "short.sql.gz.age", content[:-100])
    wrong = encrypt(tmp_path / "wrong.sql.gz.age", gzip.compress(gzip.decompress(content) + b"\nSELECT nonsense;\n"))
    elsewhere = other.model_copy(update={"backup_identity": SecretStr(age_files.make_identity())})
    without = other.model_copy(update={"backup_identity": SecretStr("")})
    for used, file, said in (
        (other, cut, "no whole backup.*changed or cut off"),
        (other, changed, "no whole backup.*changed or cut off"),
        (other, short, "no whole backup"),
        (other, wrong, "nonsense"),
        (other, csv, "CSV"),
        (other, tmp_path / "none.sql.gz.age", "No such file"),
        (elsewhere, written, "another key"),
        (without, written, "--identity"),
    ):
        before = Databases(settings).list_beginning(other.postgres_db)
        with pytest.raises(PlatformError, match=said):
            restore(used, file)
        assert Databases(settings).list_beginning(other.postgres_db) == before
    pool = Pool(other)
    with pool.transaction() as tx:
        assert [one.user_id for one in profiles.list_profiles(tx)] == [user_id]
    pool.close()


def test_file_that_is_damaged_after_it_was_checked_does_not_become_the_database(settings, other, monkeypatch) -> None:
    written = back_up(settings)
    restore(other, written)
    before = Databases(settings).list_beginning(other.postgres_db)
    monkeypatch.setattr(restoring, "_check", lambda settings, file: None)
    written.write_bytes(written.read_bytes()[:-100])
    with pytest.raises(PlatformError, match="nothing was changed"):
        restore(other, written)
    assert Databases(settings).list_beginning(other.postgres_db) == before


def test_nothing_of_it_can_be_read_without_the_key_and_it_is_read_with_the_standard_program(
    settings, user_id, tmp_path
) -> None:
    age = shutil.which("age")
    if age is None:
        skip_or_fail("Debian's age is not there")
    written = back_up(settings)
    assert written.name.endswith(".sql.gz.age")
    assert [path.name for path in written.parent.iterdir()] == [written.name], "nothing lies beside it"
    key = tmp_path / "key.txt"
    key.write_text(settings.backup_identity.get_secret_value())
    done = subprocess.run([str(age), "-d", "-i", key, written], capture_output=True, check=True)
    assert b"COPY public.profiles" in gzip.decompress(done.stdout)
    key.write_text(age_files.make_identity())
    refused = subprocess.run([str(age), "-d", "-i", key, written], capture_output=True, check=False)
    assert (refused.returncode != 0, refused.stdout) == (True, b"")


def test_private_key_need_not_lie_on_the_machine_that_writes(settings, other, user_id, tmp_path) -> None:
    elsewhere = age_files.make_identity()
    (public,) = [key.to_public() for key in age_files.read_identities(elsewhere, "the test")]
    only_public = settings.model_copy(update={"backup_recipient": str(public), "backup_identity": SecretStr("")})
    written = back_up(only_public)
    with pytest.raises(PlatformError, match="another key"):
        restore(other, written)
    with pytest.raises(PlatformError, match="--identity"):
        restore(other.model_copy(update={"backup_identity": SecretStr("")}), written)
    key = tmp_path / "key.txt"
    key.write_text(f"# public key: {public}\n{elsewhere}\n")
    told: list[str] = []
    backup_commands.read_backup(other, told.append, written, None, key)
    assert told == [f"Restored  {other.postgres_db} from {written.name}"]
    for nothing in (settings.model_copy(update={"backup_identity": SecretStr("")}),
                    settings.model_copy(update={"backup_recipient": "age1nonsense"})):  # fmt: skip
        with pytest.raises(SettingsError, match="BACKUP_RECIPIENT"):
            back_up(nothing)
    with pytest.raises(PlatformError, match="cannot be read"):
        backup_commands.read_backup(other, told.append, written, None, tmp_path / "none.txt")


def test_backup_of_an_earlier_version_is_restored_and_encrypted_by_the_next_one(settings, other, decrypted) -> None:
    written = back_up(settings)
    folder, content = written.parent, decrypted(written)
    written.unlink()
    older = {"20200101T000000000000Z.sql.gz": content, "20200101T000000000000Z-videos.tar": b"videos"}
    for name, data in older.items():
        (folder / f"{settings.postgres_db}-{name}").write_bytes(data)
        os.utime(folder / f"{settings.postgres_db}-{name}", (10**9, 10**9))
    assert restore(other, folder / f"{settings.postgres_db}-20200101T000000000000Z.sql.gz") is None
    written = back_up(settings)
    names = sorted(f"{settings.postgres_db}-{name}.age" for name in older)
    assert sorted(path.name for path in folder.iterdir()) == sorted([*names, written.name])
    for name, data in older.items():
        path = folder / f"{settings.postgres_db}-{name}.age"
        assert decrypted(path) == data
        assert path.stat().st_mtime == 10**9, "it goes when KEEP_BACKUPS_DAYS says, not later"
        assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_failed_backup_leaves_nothing(settings, monkeypatch) -> None:
    def fail(*_: object) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(shutil, "copyfileobj", fail)
    with pytest.raises(PlatformError, match="No space left"):
        back_up(settings)
    assert list((settings.data_dir / "backups").iterdir()) == []


def test_database_that_was_put_aside_goes_when_backups_of_its_age_do(settings, other, user_id) -> None:
    written, databases, now = back_up(settings), Databases(settings), datetime.now(UTC)
    restore(other, written)
    aside = restore(other, written)
    half, foreign = earlier_databases.name_fresh(other.postgres_db, now), f"{other.postgres_db}_before_the_move"
    try:
        for name in (half, foreign):
            databases.create(name)
        never = other.model_copy(update={"keep_backups_days": 0})
        assert earlier_databases.remove_earlier(other, now + timedelta(hours=23)) == []
        assert earlier_databases.remove_earlier(never, now + timedelta(days=90)) == [half]
        assert earlier_databases.remove_earlier(other, now + timedelta(days=29)) == []
        assert earlier_databases.remove_earlier(other, now + timedelta(days=31)) == [aside]
        assert [databases.exists(name) for name in (aside, half, foreign)] == [False, False, True]
        assert databases.exists(other.postgres_db)
    finally:
        for name in (aside, half, foreign):
            if databases.exists(name):
                databases.drop(name)


def test_videos_come_back_and_nothing_else(settings, other, tmp_path, encrypt) -> None:
    settings.videos.mkdir(parents=True)
    (settings.videos / "7.mp4").write_bytes(b"picture" * 50_000)
    (settings.videos / "7.times").write_bytes(bytes(8))
    written = back_up_videos(settings)
    assert written.name.endswith("-videos.tar.age")
    assert stat.S_IMODE(written.stat().st_mode) == 0o600
    assert restore_videos(other, written) == 2
    assert (other.videos / "7.mp4").read_bytes() == b"picture" * 50_000
    assert stat.S_IMODE((other.videos / "7.mp4").stat().st_mode) == 0o600
    (other.videos / "7.mp4").write_bytes(b"as it was")
    hostile, link = io.BytesIO(), tarfile.TarInfo("9.mp4")
    with tarfile.open(fileobj=hostile, mode="w") as archive:
        archive.add(settings.videos / "7.mp4", arcname="7.mp4")
        archive.add(written, arcname="../outside")
    links = io.BytesIO()
    with tarfile.open(fileobj=links, mode="w") as archive:
        link.type, link.linkname = tarfile.SYMTYPE, "/etc/passwd"
        archive.addfile(link)
    plain = tmp_path / "plain.tar"
    plain.write_bytes(hostile.getvalue())
    cut = tmp_path / "cut.tar.age"
    cut.write_bytes(written.read_bytes()[:-30])
    for file, said in (
        (encrypt(tmp_path / "hostile.tar.age", hostile.getvalue()), "no video"),
        (encrypt(tmp_path / "links.tar.age", links.getvalue()), "no video"),
        (plain, "no video"),
        (cut, "cut off"),
    ):
        with pytest.raises(PlatformError, match=said):
            restore_videos(other, file)
        assert (other.videos / "7.mp4").read_bytes() == b"as it was", "nothing is touched before all was read"
    assert not (other.videos.parent / "outside").exists()
    assert sorted(path.name for path in other.videos.iterdir()) == ["7.mp4", "7.times"]


def test_backup_of_videos_from_an_earlier_version_is_restored(settings, other, tmp_path) -> None:
    (tmp_path / "8.mp4").write_bytes(b"picture")
    with tarfile.open(tmp_path / "old-videos.tar", "w") as archive:
        archive.add(tmp_path / "8.mp4", arcname="8.mp4")
    assert restore_videos(other, tmp_path / "old-videos.tar") == 1
    assert (other.videos / "8.mp4").read_bytes() == b"picture"


def test_command_says_who_can_open_what_it_wrote(settings, tmp_path, monkeypatch) -> None:
    told: list[str] = []
    backup_commands.write_backup(settings, told.append, with_videos=True)
    assert [line.split()[0] for line in told[:2]] == ["Database", "Videos"]
    assert "BACKUP_IDENTITY" in told[2]
    (public,) = recipients_of(settings)
    told.clear()
    named = settings.model_copy(update={"backup_recipient": str(public)})
    backup_commands.write_backup(named, told.append, with_videos=False)
    assert "BACKUP_RECIPIENT" in told[1]
    told.clear()
    monkeypatch.setenv("SEMG_ENV_FILE", str(tmp_path / "fresh.env"))
    monkeypatch.setattr(backup_commands, "load_settings", lambda: settings)
    without = settings.model_copy(update={"backup_identity": SecretStr("")})
    backup_commands.write_backup(without, told.append, with_videos=False)
    assert "Generated BACKUP_IDENTITY" in told[0]
    assert "BACKUP_IDENTITY=AGE-SECRET-KEY-1" in (tmp_path / "fresh.env").read_text()
