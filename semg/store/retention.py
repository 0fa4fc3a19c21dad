"""Delete expired data from the database."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date, datetime, timedelta

from semg.store.pool import Transaction, execute, one, rows

_LOCK = 5_736_471_002
"""Advisory lock of retention; any number that nothing else uses."""

MOST_MERGED_BYTES = 1 << 31
_DAY = timedelta(days=1)
_LOCK_WAIT_S = 5
"""Lock timeout of a drop: a longer read of an old day makes the next run retry. Writers wait behind a drop."""


def try_lock(tx: Transaction) -> bool:
    """Try to take the lock for deleting expired data, until the transaction ends; return whether it was free."""
    found = one(tx, "SELECT pg_try_advisory_xact_lock(%s) AS locked", (_LOCK,))
    return found is not None and bool(found.locked)


@dataclass(frozen=True, slots=True)
class Partition:
    """Partition of samples: a day (UTC) or, of old samples, a month; ``until`` is the day after it."""

    since: date
    until: date

    @property
    def name(self) -> str:
        """Name of its table."""
        is_month = self.until - self.since > _DAY
        return f"sample_blocks_{self.since:%Y%m}" if is_month else f"sample_blocks_{self.since:%Y%m%d}"


def list_partitions(tx: Transaction, until: date) -> list[Partition]:
    """Return the partitions of samples that end before a day (UTC) begins, oldest first."""
    found = rows(
        tx,
        """
        SELECT substring(relid::text FROM 'sample_blocks_(\\d{6,8})$') AS number
        FROM pg_partition_tree('sample_blocks') WHERE relid::text ~ 'sample_blocks_\\d{6}(\\d{2})?$' ORDER BY number
        """,
    )
    partitions = [_partition(row.number) for row in found]
    return [partition for partition in partitions if partition.until <= until]


def drop_if_empty(tx: Transaction, partition: Partition) -> bool:
    """Drop a partition of which nothing is stored any more, and return whether it was so; errors as below."""
    execute(tx, f"SET LOCAL lock_timeout = '{_LOCK_WAIT_S}s'")
    found = one(tx, "SELECT drop_empty_sample_partition(%s::regclass) AS went", (partition.name,))
    return found is not None and bool(found.went)


def merge_month(tx: Transaction, month: date, most_bytes: int = MOST_MERGED_BYTES) -> bool:
    """Make one partition of the days of a month, and return whether it was done; errors as below.

    Larger months stay days: copying them would take too long.
    """
    execute(tx, f"SET LOCAL lock_timeout = '{_LOCK_WAIT_S}s'")
    execute(tx, "SET LOCAL statement_timeout = 0")
    found = one(tx, "SELECT merge_sample_month(%s, %s) AS done", (month, most_bytes))
    return found is not None and bool(found.done)


def _partition(number: str) -> Partition:
    since = date(int(number[:4]), int(number[4:6]), int(number[6:] or 1))
    return Partition(since, since + _DAY if len(number) == 8 else (since + 31 * _DAY).replace(day=1))


def expire_samples(tx: Transaction, partition: Partition, *, keep_sessions: bool) -> bool:
    """Drop the samples of a partition, and return whether anything was deleted.

    Parameters
    ----------
    keep_sessions
        Keep the samples of sessions that have labels, of the running ones and of imported ones.

    Raises
    ------
    StoreError
        Somebody reads it, and did so for longer than is waited for.
    """
    execute(tx, f"SET LOCAL lock_timeout = '{_LOCK_WAIT_S}s'")
    execute(tx, "SET LOCAL statement_timeout = 0")
    found = one(tx, "SELECT expire_sample_partition(%s::regclass, %s) AS went", (partition.name, keep_sessions))
    went = found is not None and bool(found.went)
    if went:  # the rest of the day is summarised again when it is displayed
        execute(
            tx,
            "DELETE FROM sample_summaries WHERE started_at > %s::timestamp AT TIME ZONE 'UTC' - interval '1 minute' "
            "AND started_at < %s::timestamp AT TIME ZONE 'UTC'",
            (partition.since, partition.until),
        )
    return went


def delete_old_decisions(tx: Transaction, user_id: int, before: datetime, limit: int) -> int:
    """Delete a profile's decisions that were made before a time, at most ``limit``, and return their number."""
    return execute(
        tx,
        """
        DELETE FROM api_responses WHERE ctid = ANY (ARRAY(
            SELECT ctid FROM api_responses WHERE user_id = %s AND decided_at < %s LIMIT %s))
        """,
        (user_id, before, limit),
    )


def delete_old_events(tx: Transaction, user_id: int, before: datetime, limit: int) -> int:
    """Delete a profile's gesture events from before a time, at most ``limit``, and return their number.

    The newest one stays: it tells what is pressed.
    """
    return execute(
        tx,
        """
        DELETE FROM gesture_events e WHERE user_id = %(user)s AND sequence = ANY (ARRAY(
            SELECT sequence FROM gesture_events WHERE user_id = %(user)s AND at < %(before)s
            ORDER BY sequence LIMIT %(limit)s))
            AND sequence < (SELECT last FROM event_counters WHERE user_id = %(user)s)
        """,
        {"user": user_id, "before": before, "limit": limit},
    )


def delete_old_videos(tx: Transaction, before: datetime) -> int:
    """Delete the videos of sessions that ended before a time, and return their number; the files follow."""
    return execute(
        tx,
        "DELETE FROM videos v USING sessions s WHERE s.session_id = v.session_id AND s.ended_at < %s",
        (before,),
    )


def clear_old_logs(tx: Transaction, before: datetime) -> int:
    """Empty the logs of jobs that ended before a time, and return their number."""
    return execute(tx, "UPDATE jobs SET log = '' WHERE ended_at < %s AND log <> ''", (before,))


def expire_audit(tx: Transaction, before: datetime) -> int:
    """Remove entries of the audit log from before a time, and return their number.

    Raises
    ------
    StoreError
        The time is less than 30 days ago.
    """
    found = one(tx, "SELECT expire_audit(%s) AS gone", (before,))
    return 0 if found is None else int(found.gone)
