"""``backup`` and ``restore`` from the command line, whether the platform runs or not."""

from __future__ import annotations

import signal
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path

from semg.errors import PlatformError, StoreUnavailableError
from semg.platform import backup, identity
from semg.platform.control import Say
from semg.platform.launcher import Launcher
from semg.platform.restore import restore, restore_videos
from semg.settings import Settings
from semg.store.pool import Pool, one

STOP_S = 30.0


def write_backup(settings: Settings, say: Say, *, with_videos: bool) -> None:
    """Write a backup of the database, and with it one of the videos."""
    with database_running(settings):
        say(f"Database  {backup.back_up(settings)}")
    if with_videos:
        say(f"Videos    {backup.back_up_videos(settings)}")
    say("Keep .env with them: without its keys (SECRET_KEY, SECRET_KEYS_OLD) boards' keys and names cannot be read.")


def read_backup(settings: Settings, say: Say, file: Path, videos: Path | None) -> None:
    """Put a backup in the place of what is there.

    Raises
    ------
    PlatformError
        The platform runs, or the file is no backup.
    """
    installation = identity.find_installation(settings.data_dir)
    if installation is not None and identity.find_supervisor(installation) is not None:
        raise PlatformError("the platform runs: end it with ./stop_all.sh, restore, and start it again")
    with database_running(settings):
        aside = restore(settings, file)
    say(f"Restored  {settings.postgres_db} from {file.name}")
    if aside is not None:
        days = settings.keep_backups_days
        until = f"for {days} days (KEEP_BACKUPS_DAYS)" if days else "for ever (KEEP_BACKUPS_DAYS=0)"
        say(f"The earlier database is kept as {aside} {until}; when it is not needed before: DROP DATABASE {aside}")
    if videos is not None:
        say(f"Restored  {restore_videos(settings, videos)} files of videos")


@contextmanager
def database_running(settings: Settings) -> Iterator[None]:
    """Make sure that PostgreSQL answers; the embedded one is started for as long as this takes, unless it runs."""
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
