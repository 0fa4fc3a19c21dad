"""The audit log as a hash chain: every entry with its position and hash, in order."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any

from semg.store.pool import Transaction, execute, one, rows

START = bytes(32)
"""Used as the hash before the first entry."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ChainedEntry:
    """One entry as it is hashed; ``login`` is what the account is called now, and is not."""

    number: int
    at: datetime
    account_id: int | None
    service: str
    action: str
    user_id: int | None
    session_id: int | None
    counts: dict[str, Any]
    hash: bytes
    login: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class Chain:
    """Where the chain begins and ends.

    Attributes
    ----------
    anchor_number, anchor_hash
        Of the last entry that has expired; 0 and zeros when none has.
    head_number, head_hash
        Of the newest entry.
    unchained
        Entries without a position, which only somebody with the owner's rights can have added.
    """

    anchor_number: int
    anchor_hash: bytes
    head_number: int
    head_hash: bytes
    unchained: int


def begin_reading(tx: Transaction) -> None:
    """Let the transaction see the log as it is at one moment; its first statement."""
    execute(tx, "SET TRANSACTION ISOLATION LEVEL REPEATABLE READ, READ ONLY")


def get_chain(tx: Transaction) -> Chain:
    """Return where the chain begins and ends."""
    row = one(tx, "SELECT anchor_number, anchor_hash, head_number, head_hash FROM audit_chain")
    loose = one(tx, "SELECT count(*) AS n FROM audit_entries WHERE number IS NULL")
    unchained = 0 if loose is None else int(loose.n)
    if row is None:
        return Chain(anchor_number=0, anchor_hash=START, head_number=0, head_hash=START, unchained=unchained)
    return Chain(
        anchor_number=row.anchor_number,
        anchor_hash=bytes(row.anchor_hash),
        head_number=row.head_number,
        head_hash=bytes(row.head_hash),
        unchained=unchained,
    )


def list_chained(tx: Transaction, after: int, limit: int) -> list[ChainedEntry]:
    """Return the next entries of the chain after a number, in order."""
    found = rows(
        tx,
        """
        SELECT e.number, e.at, e.account_id, e.service, e.action, e.user_id, e.session_id, e.counts, e.hash,
               coalesce(a.login, '') AS login
        FROM audit_entries e LEFT JOIN accounts a USING (account_id)
        WHERE e.number > %s ORDER BY e.number LIMIT %s
        """,
        (after, limit),
    )
    return [
        ChainedEntry(
            number=row.number,
            at=row.at,
            account_id=row.account_id,
            service=row.service,
            action=row.action,
            user_id=row.user_id,
            session_id=row.session_id,
            counts=row.counts,
            hash=bytes(row.hash),
            login=row.login,
        )
        for row in found
    ]
