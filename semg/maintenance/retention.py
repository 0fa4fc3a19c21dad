"""Delete each kind of data after the retention time in the settings."""

from __future__ import annotations

import logging
import threading
from datetime import UTC, datetime, timedelta

from semg.errors import StoreError
from semg.settings import Settings
from semg.store import audit, erasing, profiles, retention
from semg.store.pool import Pool

logger = logging.getLogger(__name__)

EVERY_S = 3600.0
JOURNAL_PAST = timedelta(hours=25)
"""The journal holds nothing that is older (JOURNAL_MAX_AGE_S is 24 h at most)."""
UNFINISHED = timedelta(days=1)
"""Files of a backup that was cut short; one that is being written changes all the time."""
EMPTY = timedelta(days=1)
"""How old a partition is before it is dropped for being empty."""
DAYS_FOR = timedelta(days=62)
"""How long a day keeps its own partition; as in ``ensure_import_partition``."""
DECISIONS_AT_ONCE = 20_000
"""Deleted in one transaction: about 0.1 s, so that deciding workers do not wait."""


def keep_retention(settings: Settings, pool: Pool, stop: threading.Event) -> None:
    """Delete expired data, now and every hour, until stopped."""
    while True:
        try:
            expire(settings, pool, datetime.now(UTC), stop)
        except (StoreError, OSError) as exc:
            logger.warning("what is too old is removed in the next round: %s", exc)
        if stop.wait(EVERY_S):
            return


def expire(settings: Settings, pool: Pool, now: datetime, stop: threading.Event) -> None:
    """Delete data that has expired at a time, day by day; nothing happens while another runner does so.

    Raises
    ------
    StoreError, OSError
        A day is being read, the store is unreachable, or a backup cannot be removed; the next run continues.
    """
    with pool.transaction() as guard:
        if not retention.try_lock(guard):
            return
        _expire_videos_and_rows(settings, pool, now)
        _expire_backups(settings, now)
        if settings.keep_samples_days:
            _expire_samples(settings, pool, now, stop)
        _tidy_partitions(settings, pool, now, stop)
        if settings.keep_decisions_days:
            _expire_decisions(settings, pool, now, stop)


def _expire_videos_and_rows(settings: Settings, pool: Pool, now: datetime) -> None:
    """Delete expired rows of the small tables."""
    with pool.transaction() as tx:
        erasing.forget_spans(tx, now - JOURNAL_PAST)
        if settings.keep_videos_days:
            n_videos = retention.delete_old_videos(tx, now - timedelta(days=settings.keep_videos_days))
            if n_videos:
                audit.record(tx, audit.Actor(service="job_runner"), "video.expired", videos=n_videos)
        if settings.keep_job_logs_days:
            retention.clear_old_logs(tx, now - timedelta(days=settings.keep_job_logs_days))
    if settings.keep_audit_days:
        with pool.transaction() as tx:  # of its own: it locks the row that every commit with an entry waits for
            retention.expire_audit(tx, now - timedelta(days=settings.keep_audit_days))


def _expire_backups(settings: Settings, now: datetime) -> None:
    """Remove backups, of videos too, that may hold data erased since, and leftovers of unfinished ones."""
    folder = settings.data_dir / "backups"
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        if not path.is_file():
            continue
        age = now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
        if (path.suffix == ".partial" or path.name.startswith("tmp")) and age > UNFINISHED:
            path.unlink(missing_ok=True)
            logger.info("%s is removed: a backup that was not finished", path.name)
        elif settings.keep_backups_days and age > timedelta(days=settings.keep_backups_days):
            path.unlink(missing_ok=True)
            logger.info("backup %s is removed: older than KEEP_BACKUPS_DAYS", path.name)


def _expire_samples(settings: Settings, pool: Pool, now: datetime, stop: threading.Event) -> None:
    before = (now - timedelta(days=settings.keep_samples_days)).date()
    with pool.transaction() as tx:
        partitions = retention.list_partitions(tx, before)
    for partition in partitions:
        if stop.is_set():
            return
        with pool.transaction() as tx:
            if retention.expire_samples(tx, partition, keep_sessions=settings.keep_labelled_samples):
                logger.info("%s: what is too old is removed", partition.name)


def _tidy_partitions(settings: Settings, pool: Pool, now: datetime, stop: threading.Event) -> None:
    """Drop empty partitions, and make months of days that are long over: a query of all time locks every partition."""
    with pool.transaction() as tx:
        partitions = retention.list_partitions(tx, (now - EMPTY).date())
    for partition in partitions:
        if stop.is_set():
            return
        with pool.transaction() as tx:
            retention.drop_if_empty(tx, partition)
    before = (now - DAYS_FOR).date()
    if settings.keep_samples_days:  # a month expires as a whole, a day on its own
        before = min(before, (now - timedelta(days=settings.keep_samples_days)).date())
    with pool.transaction() as tx:
        months = {partition.since.replace(day=1) for partition in retention.list_partitions(tx, before)}
    for month in sorted(months):
        if (month + timedelta(days=31)).replace(day=1) > before or stop.is_set():
            return
        with pool.transaction() as tx:
            if retention.merge_month(tx, month):
                logger.info("the days of %s are one partition now", f"{month:%Y-%m}")


def _expire_decisions(settings: Settings, pool: Pool, now: datetime, stop: threading.Event) -> None:
    before = now - timedelta(days=settings.keep_decisions_days)
    with pool.transaction() as tx:
        user_ids = [profile.user_id for profile in profiles.list_profiles(tx)]
    for user_id in user_ids:
        n_deleted = DECISIONS_AT_ONCE
        while n_deleted == DECISIONS_AT_ONCE and not stop.is_set():
            with pool.transaction() as tx:
                n_deleted = retention.delete_old_decisions(tx, user_id, before, DECISIONS_AT_ONCE)
