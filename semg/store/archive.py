"""Contents of a person's data archive: rows that no page needs all at once, in batches."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from semg.store.pool import Pool, Transaction, rows

_AT_ONCE = 5000


def list_live_times(tx: Transaction, user_id: int) -> list[datetime]:
    """Return the start times of the ten-minute intervals with live samples of a profile, in order."""
    found = rows(
        tx,
        """
        SELECT DISTINCT b.at FROM sample_blocks s CROSS JOIN LATERAL (VALUES
            (date_bin('10 minutes', s.started_at, 'epoch')),
            (date_bin('10 minutes', s.started_at + s.span_us * interval '1 microsecond', 'epoch'))) AS b (at)
        WHERE s.user_id = %s AND s.session_id IS NULL ORDER BY b.at
        """,
        (user_id,),
    )
    return [row.at for row in found]


def list_shares(tx: Transaction, user_id: int) -> list[Any]:
    """Return the accounts that a profile is shared with: ``account_id`` and ``shared_at``."""
    query = "SELECT account_id, shared_at FROM profile_shares WHERE user_id = %s ORDER BY account_id"
    return rows(tx, query, (user_id,))


def list_senders(tx: Transaction, user_id: int) -> list[Any]:
    """Return the text senders that are assigned to a profile: ``number`` and ``assigned_at``."""
    return rows(tx, "SELECT number, assigned_at FROM text_senders WHERE user_id = %s ORDER BY number", (user_id,))


def iterate_decisions(
    pool: Pool, user_id: int, since: datetime | None = None, until: datetime | None = None
) -> Iterator[list[Any]]:
    """Yield the decisions of a profile in time order, each batch in a separate transaction.

    Parameters
    ----------
    since, until
        Only those that were made in ``[since, until)``.
    """
    behind: tuple[datetime | None, int] = (since, 0)
    while True:
        with pool.transaction() as tx:
            found = rows(
                tx,
                """
                SELECT decided_at, label, confidence, model_version, window_end_at FROM api_responses
                WHERE user_id = %(user)s AND (%(at)s::timestamptz IS NULL OR decided_at >= %(at)s)
                  AND (%(until)s::timestamptz IS NULL OR decided_at < %(until)s)
                ORDER BY decided_at, window_end_at OFFSET %(skip)s LIMIT %(n)s
                """,
                {"user": user_id, "at": behind[0], "skip": behind[1], "until": until, "n": _AT_ONCE},
            )
        if found:
            yield found
        if len(found) < _AT_ONCE:
            return
        last = found[-1].decided_at
        same = sum(1 for row in found if row.decided_at == last)
        behind = (last, same + (behind[1] if behind[0] == last else 0))
