"""Delete expired data from the database."""

from __future__ import annotations

from datetime import date, datetime

from semg.store.pool import Transaction, execute, one, rows

_LOCK = 5_736_471_002
"""Advisory lock of retention; any number that nothing else uses."""

_LOCK_WAIT_S = 5
"""Lock timeout of a drop: a longer read of an old day makes the next run retry. Writers wait behind a drop."""


def try_lock(tx: Transaction) -> bool:
    """Try to take the lock for deleting expired data, until the transaction ends; return whether it was free."""
    found = one(tx, "SELECT pg_try_advisory_xact_lock(%s) AS locked", (_LOCK,))
    return found is not None and bool(found.locked)


def list_sample_days(tx: Transaction, before: date) -> list[date]:
    """Return the days (UTC) before a day that have a partition of samples, oldest first."""
    found = rows(
        tx,
        """
        SELECT to_date(substring(relid::text FROM 'sample_blocks_(\\d{8})$'), 'YYYYMMDD') AS day
        FROM pg_partition_tree('sample_blocks') WHERE relid::text ~ 'sample_blocks_\\d{8}$' ORDER BY day
        """,
    )
    return [row.day for row in found if row.day < before]


def expire_samples(tx: Transaction, day: date, *, keep_sessions: bool) -> bool:
    """Drop a day's samples, and return whether anything was deleted.

    Parameters
    ----------
    keep_sessions
        Keep the samples of sessions that have labels, of the running ones and of imported ones.

    Raises
    ------
    StoreError
        Somebody reads the day, and did so for longer than is waited for.
    """
    execute(tx, f"SET LOCAL lock_timeout = '{_LOCK_WAIT_S}s'")
    execute(tx, "SET LOCAL statement_timeout = 0")
    partition = f"sample_blocks_{day:%Y%m%d}"
    found = one(tx, "SELECT expire_sample_partition(%s::regclass, %s) AS went", (partition, keep_sessions))
    went = found is not None and bool(found.went)
    if went:  # the rest of the day is summarised again when it is displayed
        execute(
            tx,
            "DELETE FROM sample_summaries WHERE started_at > %s::timestamp AT TIME ZONE 'UTC' - interval '1 minute' "
            "AND started_at < (%s::date + 1)::timestamp AT TIME ZONE 'UTC'",
            (day, day),
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
