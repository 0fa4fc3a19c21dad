"""Summaries of minutes of samples (``semg.signals.display.summary``), kept beside the samples that they are made from.

A summary names how many rows and samples it was made from. When these differ from what is stored, because samples
came later or were erased, it is stale and recreated.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

from semg.store.pool import Transaction, execute, one, rows

MINUTE = timedelta(minutes=1)
_REACH = "interval '1 second'"
"""A row of samples that starts this late in a minute may reach into the next one (``blocks.MAX_ROW_US``)."""


@dataclass(frozen=True, slots=True)
class Minute:
    """A minute with stored samples: its start, and the number of rows and samples that overlap it."""

    started_at: datetime
    n_rows: int
    n_samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class SummaryKey:
    """Key of summaries: profile, imported session (0: live samples), number of channels and rate."""

    user_id: int
    session_id: int
    n_channels: int
    rate_hz: float


def list_minutes(tx: Transaction, key: SummaryKey, since: datetime, until: datetime) -> list[Minute]:
    """Return the minutes of a time of which samples are stored, in time order."""
    found = rows(
        tx,
        f"""
        WITH found AS (
            SELECT date_bin('1 minute', started_at, 'epoch') AS minute,
                   date_bin('1 minute', started_at + {_REACH}, 'epoch') AS reached, n_samples
            FROM sample_blocks
            WHERE user_id = %(user)s AND {_of(key)}
              AND started_at >= date_bin('1 minute', %(since)s, 'epoch') - {_REACH} AND started_at < %(until)s
        )
        SELECT minute, count(*) AS n_rows, sum(n_samples) AS n_samples FROM (
            SELECT minute, n_samples FROM found
            UNION ALL SELECT reached, n_samples FROM found WHERE reached > minute
        ) m WHERE minute >= date_bin('1 minute', %(since)s, 'epoch') AND minute < %(until)s
        GROUP BY minute ORDER BY minute
        """,  # noqa: S608 - the conditions of this module
        {"user": key.user_id, "session": key.session_id, "since": since, "until": until},
    )
    return [Minute(row.minute, row.n_rows, int(row.n_samples)) for row in found]


def list_fresh(tx: Transaction, key: SummaryKey, since: datetime, until: datetime) -> set[Minute]:
    """Return the sources of the stored summaries of a time."""
    query = "SELECT started_at, n_rows, n_samples FROM sample_summaries" + _RANGE  # noqa: S608
    return {Minute(row.started_at, row.n_rows, row.n_samples) for row in rows(tx, query, _range(key, since, until))}


def list_contents(tx: Transaction, key: SummaryKey, since: datetime, until: datetime) -> dict[Minute, bytes]:
    """Return the stored summaries of a time with their sources."""
    query = "SELECT started_at, n_rows, n_samples, content FROM sample_summaries" + _RANGE  # noqa: S608
    return {
        Minute(row.started_at, row.n_rows, row.n_samples): bytes(row.content)
        for row in rows(tx, query, _range(key, since, until))
    }


def save_summary(tx: Transaction, key: SummaryKey, minute: Minute, content: bytes) -> bool:
    """Store the summary of a minute unless its samples were changed meanwhile; return whether it was stored."""
    _lock(tx, key.user_id)
    if list_minutes(tx, key, minute.started_at, minute.started_at + MINUTE) != [minute]:
        return False
    if one(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR KEY SHARE", (key.user_id,)) is None:
        return False
    execute(
        tx,
        """
        INSERT INTO sample_summaries (user_id, session_id, started_at, n_channels, rate_hz, n_rows, n_samples, content)
        VALUES (%s, %s, %s, %s, %s, %s, %s, %s)
        ON CONFLICT (user_id, session_id, started_at, n_channels) DO UPDATE SET rate_hz = EXCLUDED.rate_hz,
            n_rows = EXCLUDED.n_rows, n_samples = EXCLUDED.n_samples, content = EXCLUDED.content
        """,
        (
            key.user_id,
            key.session_id,
            minute.started_at,
            key.n_channels,
            key.rate_hz,
            minute.n_rows,
            minute.n_samples,
            content,
        ),
    )
    return True


def delete_summaries(
    tx: Transaction,
    user_id: int,
    since: datetime | None = None,
    until: datetime | None = None,
    *,
    session_id: int = 0,
) -> int:
    """Remove the summaries that show samples of a time, or those of an imported session; return how many.

    Called in the transaction that erases the samples, after it: a summary that is being made waits, and then sees
    that its samples are gone.
    """
    _lock(tx, user_id)
    return execute(
        tx,
        """
        DELETE FROM sample_summaries WHERE user_id = %s AND session_id = %s
          AND started_at > coalesce(%s, timestamptz '-infinity') - interval '1 minute'
          AND started_at < coalesce(%s, timestamptz 'infinity')
        """,
        (user_id, session_id, since, until),
    )


def list_late(
    tx: Transaction, key: SummaryKey, since: datetime, until: datetime, limit: int = 500
) -> list[tuple[datetime, int]]:
    """Return the times and the number of late samples."""
    found = rows(
        tx,
        f"""
        SELECT started_at, n_samples FROM sample_blocks
        WHERE user_id = %(user)s AND {_of(key)} AND late AND started_at >= %(since)s AND started_at < %(until)s
        ORDER BY started_at LIMIT %(limit)s
        """,  # noqa: S608 - the conditions of this module
        {"user": key.user_id, "session": key.session_id, "since": since, "until": until, "limit": limit},
    )
    return [(row.started_at, row.n_samples) for row in found]


_RANGE = """
    WHERE user_id = %(user)s AND session_id = %(session)s AND n_channels = %(channels)s AND rate_hz = %(rate)s
      AND started_at > %(since)s - interval '1 minute' AND started_at < %(until)s ORDER BY started_at
"""


def _range(key: SummaryKey, since: datetime, until: datetime) -> dict[str, object]:
    return {
        "user": key.user_id,
        "session": key.session_id,
        "channels": key.n_channels,
        "rate": key.rate_hz,
        "since": since,
        "until": until,
    }


def _of(key: SummaryKey) -> str:
    return "session_id = %(session)s" if key.session_id else "session_id IS NULL"


def _lock(tx: Transaction, user_id: int) -> None:
    """Lock the summaries of a profile until the transaction ends."""
    execute(tx, "SELECT pg_advisory_xact_lock(hashtextextended('sample_summaries', %s))", (user_id,))
