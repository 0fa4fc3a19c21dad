"""What tests ask and change in the store beyond what the platform does."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

from semg.domain import Decision, us_from_utc
from semg.store import access
from semg.store.pool import Transaction, one, rows


def count_samples(tx: Transaction, user_id: int) -> int:
    """Return the number of samples stored for a profile, imported and late ones included."""
    query = "SELECT coalesce(sum(n_samples), 0) AS n FROM sample_blocks WHERE user_id = %s"
    found = one(tx, query, (user_id,))
    return int(found.n) if found is not None else 0


def list_decisions(
    tx: Transaction,
    user_id: int,
    since: datetime | None = None,
    until: datetime | None = None,
    limit: int = 10_000,
) -> list[Decision]:
    """Return the newest ``limit`` decisions with ``since <= decided_at < until``, in time order."""
    found = rows(
        tx,
        """
        SELECT user_id, decided_at, label, confidence, model_version, window_end_device_ms, window_end_at, received_at
        FROM api_responses
        WHERE user_id = %s AND decided_at >= coalesce(%s, timestamptz '-infinity')
          AND decided_at < coalesce(%s, timestamptz 'infinity')
        ORDER BY decided_at DESC LIMIT %s
        """,
        (user_id, since, until, limit),
    )
    return [
        Decision(
            user_id=row.user_id,
            label=row.label,
            confidence=row.confidence,
            model_version=row.model_version,
            window_end_device_us=round(row.window_end_device_ms * 1000),
            window_end_us=us_from_utc(row.window_end_at),
            received_us=us_from_utc(row.received_at),
            decided_us=us_from_utc(row.decided_at),
        )
        for row in reversed(found)
    ]


def set_shares(tx: Transaction, user_id: int, account_ids: Sequence[int]) -> None:
    """Share a profile with these accounts and with no others."""
    for account_id in access.list_shares(tx, user_id):
        access.remove_share(tx, user_id, account_id)
    for account_id in account_ids:
        access.add_share(tx, user_id, account_id)
