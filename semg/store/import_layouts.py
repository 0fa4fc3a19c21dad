"""Layouts of imported files as chosen by accounts, stored for the next file with the same columns."""

from __future__ import annotations

from semg.store import checks
from semg.store.pool import Transaction, execute, one
from semg.wire.file_layout import Layout

MAX_LAYOUTS = 50
"""Of an account; those used last stay."""


def find_layout(tx: Transaction, account_id: int, fingerprint: str) -> Layout | None:
    """Return how an account read the last file with these columns; None when there was none."""
    query = "SELECT layout FROM import_layouts WHERE account_id = %s AND fingerprint = %s"
    row = one(tx, query, (account_id, fingerprint))
    return None if row is None else Layout.from_json(row.layout)


def remember_layout(tx: Transaction, account_id: int, layout: Layout) -> None:
    """Store how an account reads files with these columns."""
    execute(
        tx,
        """
        INSERT INTO import_layouts (account_id, fingerprint, layout) VALUES (%s, %s, %s)
        ON CONFLICT (account_id, fingerprint) DO UPDATE SET layout = EXCLUDED.layout, used_at = now()
        """,
        (account_id, layout.fingerprint, checks.as_json(layout.as_json())),
    )
    execute(
        tx,
        """
        DELETE FROM import_layouts WHERE account_id = %(account)s AND fingerprint NOT IN (
            SELECT fingerprint FROM import_layouts WHERE account_id = %(account)s
            ORDER BY used_at DESC, fingerprint LIMIT %(most)s)
        """,
        {"account": account_id, "most": MAX_LAYOUTS},
    )
