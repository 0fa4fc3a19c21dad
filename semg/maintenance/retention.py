"""Delete each kind of data after the retention time in the settings."""

from __future__ import annotations

import logging
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path

from semg.process.attempts import Attempts, Failures
from semg.settings import Settings
from semg.store import audit, erasing, profiles, retention
from semg.store.pool import Pool
from semg.store.retention import Partition

logger = logging.getLogger(__name__)

WHAT = "retention"
EVERY_S = 3600.0
PATIENCE_S = 10.0
"""For a lock: nobody waits for this loop, and its next round is in an hour."""
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


def keep_retention(settings: Settings, pool: Pool, stop: threading.Event, failures: Failures | None = None) -> None:
    """Delete expired data, now and every hour, until stopped."""
    attempts = Attempts(logger, WHAT, failures)
    while True:
        try:
            expire(settings, pool, datetime.now(UTC), stop, attempts)
        except Exception as exc:  # edge of a round
            attempts.note("round", exc)
        else:
            attempts.works("round")
        if stop.wait(EVERY_S):
            return


def expire(
    settings: Settings, pool: Pool, now: datetime, stop: threading.Event, attempts: Attempts | None = None
) -> None:
    """Delete data that has expired at a time, kind by kind; nothing happens while another runner does so.

    What goes wrong with one kind, or one day, is noted in the attempts, and the others' turns come.

    Raises
    ------
    StoreError
        The store is unreachable; the next run continues.
    """
    attempts = Attempts(logger, WHAT) if attempts is None else attempts
    run = _Run(settings, pool.waiting_at_most(PATIENCE_S), now, stop, attempts)
    with pool.transaction() as guard:
        if not retention.try_lock(guard):
            return
        attempts.attempt("rows", partial(_expire_videos_and_rows, run))
        attempts.attempt("backups", partial(_expire_backups, run))
        if settings.keep_samples_days:
            attempts.attempt("samples", partial(_expire_samples, run))
        attempts.attempt("partitions", partial(_tidy_partitions, run))
        if settings.keep_decisions_days:
            attempts.attempt("decisions", partial(_expire_decisions, run))


@dataclass(frozen=True, slots=True)
class _Run:
    """One round: what every kind of data needs to be expired."""

    settings: Settings
    pool: Pool
    now: datetime
    stop: threading.Event
    attempts: Attempts


def _expire_videos_and_rows(run: _Run) -> None:
    """Delete expired rows of the small tables."""
    settings, now = run.settings, run.now
    with run.pool.transaction() as tx:
        erasing.forget_spans(tx, now - JOURNAL_PAST)
        if settings.keep_videos_days:
            n_videos = retention.delete_old_videos(tx, now - timedelta(days=settings.keep_videos_days))
            if n_videos:
                audit.record(tx, audit.Actor(service="job_runner"), "video.expired", videos=n_videos)
        if settings.keep_job_logs_days:
            retention.clear_old_logs(tx, now - timedelta(days=settings.keep_job_logs_days))
    if settings.keep_audit_days:
        with run.pool.transaction() as tx:  # of its own: it locks the row that every commit with an entry waits for
            retention.expire_audit(tx, now - timedelta(days=settings.keep_audit_days))


def _expire_backups(run: _Run) -> None:
    """Remove backups, of videos too, that may hold data erased since, and leftovers of unfinished ones."""
    folder = run.settings.data_dir / "backups"
    for path in sorted(folder.iterdir()) if folder.exists() else ():
        run.attempts.attempt(path.name, partial(_expire_backup, run, path))


def _expire_backup(run: _Run, path: Path) -> None:
    if not path.is_file():
        return
    keep_days = run.settings.keep_backups_days
    age = run.now - datetime.fromtimestamp(path.stat().st_mtime, UTC)
    if (path.suffix == ".partial" or path.name.startswith("tmp")) and age > UNFINISHED:
        path.unlink(missing_ok=True)
        logger.info("%s is removed: a backup that was not finished", path.name)
    elif keep_days and age > timedelta(days=keep_days):
        path.unlink(missing_ok=True)
        logger.info("backup %s is removed: older than KEEP_BACKUPS_DAYS", path.name)


def _expire_samples(run: _Run) -> None:
    before = (run.now - timedelta(days=run.settings.keep_samples_days)).date()
    for partition in _partitions(run, before):
        run.attempts.attempt(partition.name, partial(_expire_partition, run, partition))


def _expire_partition(run: _Run, partition: Partition) -> None:
    with run.pool.transaction() as tx:
        if retention.expire_samples(tx, partition, keep_sessions=run.settings.keep_labelled_samples):
            logger.info("%s: what is too old is removed", partition.name)


def _tidy_partitions(run: _Run) -> None:
    """Drop empty partitions, and make months of days that are long over: a query of all time locks every partition."""
    for partition in _partitions(run, (run.now - EMPTY).date()):
        run.attempts.attempt(partition.name, partial(_drop_empty, run, partition))
    before = (run.now - DAYS_FOR).date()
    if run.settings.keep_samples_days:  # a month expires as a whole, a day on its own
        before = min(before, (run.now - timedelta(days=run.settings.keep_samples_days)).date())
    for month in sorted({partition.since.replace(day=1) for partition in _partitions(run, before)}):
        if (month + timedelta(days=31)).replace(day=1) > before or run.stop.is_set():
            return
        run.attempts.attempt(month, partial(_merge_month, run, month))


def _partitions(run: _Run, before: date) -> Iterator[Partition]:
    """Yield the partitions from before a day, until stopped."""
    with run.pool.transaction() as tx:
        found = retention.list_partitions(tx, before)
    for partition in found:
        if run.stop.is_set():
            return
        yield partition


def _drop_empty(run: _Run, partition: Partition) -> None:
    with run.pool.transaction() as tx:
        retention.drop_if_empty(tx, partition)


def _merge_month(run: _Run, month: date) -> None:
    with run.pool.transaction() as tx:
        if retention.merge_month(tx, month):
            logger.info("the days of %s are one partition now", f"{month:%Y-%m}")


def _expire_decisions(run: _Run) -> None:
    with run.pool.transaction() as tx:
        user_ids = [profile.user_id for profile in profiles.list_profiles(tx)]
    for user_id in user_ids:
        run.attempts.attempt(user_id, partial(_expire_decisions_of, run, user_id), user_id=user_id)


def _expire_decisions_of(run: _Run, user_id: int) -> None:
    before = run.now - timedelta(days=run.settings.keep_decisions_days)
    for delete in (retention.delete_old_decisions, retention.delete_old_events):
        n_deleted = DECISIONS_AT_ONCE
        while n_deleted == DECISIONS_AT_ONCE and not run.stop.is_set():
            with run.pool.transaction() as tx:
                n_deleted = delete(tx, user_id, before, DECISIONS_AT_ONCE)
