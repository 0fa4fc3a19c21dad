"""Back up the database and the videos, each to one encrypted file (``semg.security.age_files``)."""

from __future__ import annotations

import contextlib
import gzip
import logging
import os
import secrets
import shutil
import subprocess
import tarfile
import time
from collections.abc import Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import BinaryIO

from semg.errors import PlatformError, SettingsError
from semg.platform.servers import postgres
from semg.security import age_files
from semg.security.age_files import Recipient
from semg.security.encrypted_files import Vault
from semg.settings import Settings
from semg.store import schema
from semg.store.pool import Pool

logger = logging.getLogger(__name__)

KEPT = 5
"""Older backups are removed."""


def back_up(settings: Settings, *, programs: Sequence[Path] | None = None) -> Path:
    """Write the database to ``DATA_DIR/backups``, encrypted, and return the file.

    Backups of earlier versions, which were not encrypted, are encrypted afterwards.

    Parameters
    ----------
    programs
        ``pg_dump`` programs to try, best first; those of this machine by default. None of them may be as new as
        the server: then every table is written as CSV into a tar file.

    Returns
    -------
    Path
        ``….sql.gz.age`` (for ``psql`` on an empty database) or ``….tar.gz.age`` (a CSV file per table).

    Raises
    ------
    PlatformError
        Nothing could be written; the message contains the reasons.
    SettingsError
        No key to encrypt with, or what a setting names is none.
    """
    folder = settings.data_dir / "backups"
    recipients = recipients_of(settings)
    try:
        folder.mkdir(parents=True, exist_ok=True)
        folder.chmod(0o700)
        stem = folder / f"{settings.postgres_db}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}"
        for program in dump_programs() if programs is None else programs:
            target = stem.with_name(stem.name + ".sql.gz" + age_files.SUFFIX)
            if _dump(settings, program, target, recipients):
                break
        else:
            target = stem.with_name(stem.name + ".tar.gz" + age_files.SUFFIX)
            _copy_tables(settings, target, recipients)
    except OSError as exc:
        raise PlatformError(f"no backup could be written to {folder} (DATA_DIR): {exc}") from exc
    _remove_old(folder, settings.postgres_db)
    _encrypt_earlier(folder, settings.postgres_db, recipients)
    return target


def back_up_videos(settings: Settings) -> Path:
    """Write the finished videos to one file in ``DATA_DIR/backups``, encrypted, and return it.

    The videos in it are encrypted with ``SECRET_KEY`` besides, as they are on the disk.

    Raises
    ------
    PlatformError
        Nothing could be written; the message contains the reason.
    SettingsError
        No key to encrypt with, or what a setting names is none.
    """
    folder = settings.data_dir / "backups"
    recipients = recipients_of(settings)
    name = f"{settings.postgres_db}-{datetime.now(UTC):%Y%m%dT%H%M%S%fZ}-videos.tar{age_files.SUFFIX}"
    try:
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _encrypted(folder / name, recipients) as out, tarfile.open(fileobj=out, mode="w|") as archive:
            for path in sorted(settings.videos.glob("*")):
                if path.is_file():
                    archive.add(path, arcname=path.name)
    except OSError as exc:
        raise PlatformError(f"the videos could not be written to {folder} (DATA_DIR): {exc}") from exc
    return folder / name


def recipients_of(settings: Settings) -> list[Recipient]:
    """Return the public keys that backups are encrypted for.

    Raises
    ------
    SettingsError
        There is none, or what a setting names is none.
    """
    named = age_files.read_recipients(settings.backup_recipient)
    if named:
        return named
    own = settings.backup_identity.get_secret_value()
    if not own:
        raise SettingsError(
            "there is no key to encrypt a backup with: ./start_all.sh makes one (BACKUP_IDENTITY in .env), or set "
            "BACKUP_RECIPIENT to a public key of age"
        )
    return [identity.to_public() for identity in age_files.read_identities(own, "BACKUP_IDENTITY")]


def dump_programs() -> list[Path]:
    """Return the ``pg_dump`` programs of this machine: beside the embedded server's, on PATH, the system's."""
    found = []
    with contextlib.suppress(PlatformError):  # no server's binaries here; PATH may have a client for a named server
        found.append(postgres.binaries() / "pg_dump")
    on_path = shutil.which("pg_dump")
    if on_path is not None:
        found.append(Path(on_path))
    found += sorted(Path("/usr/lib/postgresql").glob("*/bin/pg_dump"), reverse=True)
    return [program for program in dict.fromkeys(found) if program.exists()]


def _dump(settings: Settings, program: Path, target: Path, recipients: list[Recipient]) -> bool:
    """Run ``pg_dump``; return whether it worked. One older than the server refuses."""
    host, port = settings.postgres_address
    user, password = settings.postgres_owner
    command = [
        str(program), "--host", host, "--port", str(port), "--username", user,
        "--dbname", settings.postgres_db, "--no-password", "--no-owner", "--no-privileges",
    ]  # fmt: skip
    try:
        with _encrypted(target, recipients) as out, gzip.GzipFile(fileobj=out, mode="wb", compresslevel=6) as packed:
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
            if process.returncode != 0:
                raise _DumpFailedError
    except _DumpFailedError:
        return False
    return True


class _DumpFailedError(Exception):
    """``pg_dump`` ended with an error: its output is no backup."""


def _copy_tables(settings: Settings, target: Path, recipients: list[Recipient]) -> None:
    """Write every table as CSV, from one snapshot.

    A tar file says how long a member is before the member: each table waits in a temporary file, encrypted with a key
    that nobody keeps.
    """
    pool = Pool(settings, size=1, name="backup", as_owner=True)
    vault, waiting = Vault(secrets.token_urlsafe(32)), target.with_name(f"tmp{secrets.token_hex(8)}")
    try:
        with (
            _encrypted(target, recipients) as out,
            tarfile.open(fileobj=out, mode="w|gz") as archive,
            pool.transaction() as tx,
        ):
            tx.set_session(isolation_level="REPEATABLE READ")
            for table in schema.list_tables(tx):
                with vault.create(waiting, table) as content:
                    schema.copy_table_out(tx, table, content)  # type: ignore[arg-type]
                with vault.open(waiting, table) as stored:
                    member = tarfile.TarInfo(f"{table}.csv")
                    member.size, member.mtime, member.mode = stored.size, int(time.time()), 0o600
                    archive.addfile(member, stored)
    finally:
        waiting.unlink(missing_ok=True)
        pool.close()


@contextlib.contextmanager
def _encrypted(target: Path, recipients: list[Recipient]) -> Iterator[BinaryIO]:
    """Yield a writer for a file that only this user can read, renamed to its name when all is on the disk."""
    partial = target.with_name(f"{target.name}.{os.getpid()}.partial")
    try:
        with os.fdopen(os.open(partial, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as raw:
            with age_files.encrypting(raw, recipients) as out:
                yield out
            raw.flush()
            os.fsync(raw.fileno())
        partial.rename(target)
    finally:
        partial.unlink(missing_ok=True)


def _remove_old(folder: Path, database: str) -> None:
    found = (path for ending in ("sql.gz", "tar.gz") for path in folder.glob(f"{database}-*.{ending}*"))
    for path in sorted(path for path in found if path.suffix in (".gz", age_files.SUFFIX))[:-KEPT]:
        path.unlink()


def _encrypt_earlier(folder: Path, database: str, recipients: list[Recipient]) -> None:
    """Encrypt backups of earlier versions in place; they stay as old as they are, for ``KEEP_BACKUPS_DAYS``."""
    for path in (p for ending in ("sql.gz", "tar.gz", "-videos.tar") for p in folder.glob(f"{database}-*{ending}")):
        target = path.with_name(path.name + age_files.SUFFIX)
        try:
            age = path.stat()
            with path.open("rb") as content, _encrypted(target, recipients) as out:
                shutil.copyfileobj(content, out, 1 << 20)
            os.utime(target, ns=(age.st_atime_ns, age.st_mtime_ns))
            path.unlink()
        except OSError as exc:
            logger.warning("%s is not encrypted yet, the next backup tries again: %s", path.name, exc)
        else:
            logger.info("backup %s is encrypted now", target.name)
