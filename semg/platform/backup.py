"""A copy of the whole database in one compressed file."""

from __future__ import annotations

import contextlib
import gzip
import os
import shutil
import subprocess
import tarfile
import tempfile
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from semg.errors import PlatformError
from semg.platform import postgres
from semg.settings import Settings
from semg.store import schema
from semg.store.pool import Pool

KEPT = 5
"""Older backups are removed."""


def back_up(settings: Settings, *, programs: Sequence[Path] | None = None) -> Path:
    """Write the database to ``DATA_DIR/backups``, readable by this user only, and give the file.

    Parameters
    ----------
    programs
        ``pg_dump`` programs to try, best first; those of this machine when not given. None of them may be as new as
        the server: then every table is written as CSV into a tar file.

    Returns
    -------
    Path
        ``….sql.gz`` (for ``psql`` on an empty database) or ``….tar.gz`` (a CSV file per table).

    Raises
    ------
    PlatformError
        Nothing could be written; the message carries the reasons.
    """
    folder = settings.data_dir / "backups"
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        stem = folder / f"{settings.postgres_db}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        for program in dump_programs() if programs is None else programs:
            target = stem.with_name(stem.name + ".sql.gz")
            if _dump(settings, program, target):
                break
        else:
            target = stem.with_name(stem.name + ".tar.gz")
            _copy_tables(settings, target)
    except OSError as exc:
        raise PlatformError(f"no backup could be written to {folder} (DATA_DIR): {exc}") from exc
    _remove_old(folder, settings.postgres_db)
    return target


def back_up_videos(settings: Settings) -> Path:
    """Write the finished videos to one file in ``DATA_DIR/backups``, readable by this user only, and give it.

    Raises
    ------
    PlatformError
        Nothing could be written; the message carries the reason.
    """
    folder = settings.data_dir / "backups"
    target = folder / f"{settings.postgres_db}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-videos.tar"
    partial = target.with_name(target.name + ".partial")
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _private(partial) as raw, tarfile.open(fileobj=raw, mode="w") as archive:
            for path in sorted(settings.videos.glob("*")):
                if path.is_file():
                    archive.add(path, arcname=path.name)
        partial.rename(target)
    except OSError as exc:
        raise PlatformError(f"the videos could not be written to {folder} (DATA_DIR): {exc}") from exc
    finally:
        partial.unlink(missing_ok=True)
    return target


def dump_programs() -> list[Path]:
    """Give the ``pg_dump`` programs of this machine: beside the embedded server's, on PATH, the system's."""
    found = []
    with contextlib.suppress(PlatformError):  # no server's binaries here; PATH may have a client for a named server
        found.append(postgres.binaries() / "pg_dump")
    on_path = shutil.which("pg_dump")
    if on_path is not None:
        found.append(Path(on_path))
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"), reverse=True)
    return [program for program in dict.fromkeys(found) if program.exists()]


def _dump(settings: Settings, program: Path, target: Path) -> bool:
    """Run ``pg_dump``; tell whether it worked. One older than the server refuses."""
    host, port = settings.postgres_address
    user, password = settings.postgres_owner
    command = [
        str(program), "--host", host, "--port", str(port), "--username", user,
        "--dbname", settings.postgres_db, "--no-password", "--no-owner", "--no-privileges",
    ]  # fmt: skip
    partial = target.with_name(target.name + ".partial")
    try:
        with _private(partial) as raw, gzip.GzipFile(fileobj=raw, mode="wb", compresslevel=6) as packed:
            process = subprocess.Popen(
                command,
                stdin=subprocess.DEVNULL,
                stdout=subprocess.PIPE,
                stderr=subprocess.DEVNULL,
                env={"PGPASSWORD": password},
                cwd="/",
            )
            with process:
                assert process.stdout is not None
                shutil.copyfileobj(process.stdout, packed, 1 << 20)
        if process.returncode == 0:
            partial.rename(target)
        return process.returncode == 0
    finally:
        partial.unlink(missing_ok=True)


def _copy_tables(settings: Settings, target: Path) -> None:
    """Write every table as CSV, all of one moment."""
    partial = target.with_name(target.name + ".partial")
    pool = Pool(settings, size=1, name="backup", as_owner=True)
    try:
        with _private(partial) as raw, tarfile.open(fileobj=raw, mode="w:gz") as archive, pool.transaction() as tx:
            tx.set_session(isolation_level="REPEATABLE READ")
            for table in schema.list_tables(tx):
                with tempfile.NamedTemporaryFile(dir=target.parent) as content:
                    schema.copy_table_out(tx, table, content.file)
                    content.flush()
                    archive.add(content.name, arcname=f"{table}.csv")
        partial.rename(target)
    finally:
        pool.close()
        partial.unlink(missing_ok=True)


def _private(path: Path) -> BinaryIO:
    """Open a new file for writing that only this user can read."""
    return os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb")


def _remove_old(folder: Path, database: str) -> None:
    backups = sorted(path for path in folder.glob(f"{database}-*.gz") if path.suffixes[-2:-1] in ([".sql"], [".tar"]))
    for path in backups[:-KEPT]:
        path.unlink()
