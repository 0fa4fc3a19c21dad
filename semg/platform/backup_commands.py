"""``backup`` and ``restore`` from the command line, whether the platform runs or not."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from pydantic import SecretStr

from semg.errors import PlatformError, StoreUnavailableError
from semg.platform.control import Say
from semg.platform.database import backup
from semg.platform.database.restore import check_videos, restore, restore_videos
from semg.platform.installation import env_file, identity
from semg.platform.supervision.launcher import Launcher
from semg.security.age_files import read_identities
from semg.settings import Settings, load_settings
from semg.settings import env_file as env_file_path
from semg.store.pool import Pool, one

STOP_S = 30.0


def write_backup(settings: Settings, say: Say, *, with_videos: bool) -> None:
    """Write backups of the database and of the videos."""
    if env_file.complete_backup_key(env_file_path(), settings):
        say(f"Generated BACKUP_IDENTITY in {env_file_path()}: the key of the backups.")
        settings = load_settings()
    with database_running(settings):
        say(f"Database  {backup.back_up(settings)}")
    if with_videos:
        say(f"Videos    {backup.back_up_videos(settings)}")
    if settings.backup_recipient:
        say("Encrypted for BACKUP_RECIPIENT: only its private key opens them.")
    else:
        say("Encrypted: only BACKUP_IDENTITY, in .env, opens them. Keep a copy of it elsewhere, not with the backups.")
    say("Keep SECRET_KEY and SECRET_KEYS_OLD too: without them boards' keys, videos and names in them stay unreadable.")


def read_backup(
    settings: Settings, say: Say, file: Path, videos: Path | None, identity_file: Path | None = None
) -> None:
    """Replace the current data by a backup, after all of it was read once and found intact.

    Raises
    ------
    PlatformError
        The platform runs, or a file is no backup, or not whole, or no key at hand opens it.
    """
    if identity_file is not None:
        settings = settings.model_copy(update={"backup_identity": SecretStr(_read_key(identity_file))})
    installation = identity.find_installation(settings.data_dir)
    if installation is not None and identity.find_supervisor(installation) is not None:
        raise PlatformError("the platform runs: end it with ./stop_all.sh, restore, and start it again")
    if videos is not None:
        check_videos(settings, videos)
    with database_running(settings):
        aside = restore(settings, file)
    say(f"Restored  {settings.postgres_db} from {file.name}")
    if aside is not None:
        days = settings.keep_backups_days
        until = f"for {days} days (KEEP_BACKUPS_DAYS)" if days else "for ever (KEEP_BACKUPS_DAYS=0)"
        say(f"The earlier database is kept as {aside} {until}; when it is not needed before: DROP DATABASE {aside}")
    if videos is not None:
        say(f"Restored  {restore_videos(settings, videos)} files of videos")


def _read_key(file: Path) -> str:
    """Return the content of a file with a private key."""
    try:
        text = file.read_text(encoding="utf-8")
    except (OSError, UnicodeDecodeError) as exc:
        raise PlatformError(f"{file}: expected a file with a private key of age, but it cannot be read: {exc}") from exc
    read_identities(text, str(file))
    return text


@contextmanager
def database_running(settings: Settings) -> Iterator[None]:
    """Ensure that PostgreSQL runs in this block; the embedded one is started for it if necessary."""
    if not settings.embedded_postgres or _answers(settings):
        yield
        return
    installation = identity.make_installation(settings.data_dir)
    with ThreadPoolExecutor(1) as workers:
        process = Launcher(settings, installation, workers).launch_postgres()
        try:
            yield
        finally:
            process.send_signal(signal.SIGINT)
            process.wait(STOP_S)


def _answers(settings: Settings) -> bool:
    pool = Pool(settings, size=1, name="backup")
    try:
        with pool.transaction() as tx:
            one(tx, "VALUES (1)")
    except StoreUnavailableError:
        return False
    finally:
        pool.close()
    return True
