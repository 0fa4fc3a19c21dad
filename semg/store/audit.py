"""Audit log: who viewed, exported, shared, changed and erased what, in append-only entries of numbers."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from psycopg2.extras import Json

from semg.errors import InvalidValueError
from semg.store import checks
from semg.store.pool import Transaction, execute, rows

Action = Literal[
    "profile.created", "profile.changed", "profile.erased", "profile.shared", "profile.share_refused",
    "profile.unshared", "profile.given", "consent.changed", "name.seen", "gestures.changed",
    "person.exported", "person.offered",
    "capture.started", "capture.ended", "session.changed", "session.erased", "session.imported", "session.exported",
    "session.taught",
    "samples.seen", "live.seen", "video.seen", "video.expired",
    "job.created", "job.canceled", "model.activated", "model.exported", "report.exported",
    "board.created", "board.assigned", "board.released", "board.key_made", "board.key_revoked", "board.erased",
    "arm.steered", "play.stored", "play.exported", "sender.assigned", "sender.released",
    "account.created", "account.changed", "account.role_changed", "account.password_changed", "account.logged_out",
    "account.locked", "account.erased", "login.ok", "login.failed", "login.confirmed", "login.ended",
    "session.revoked", "factor.added", "factor.removed", "token.created", "token.used", "token.revoked",
    "key.rotated", "audit.seen", "audit.exported",
]  # fmt: skip
SEEN_AGAIN_S = 3600.0
"""Looking on at the same thing is one entry an hour, in the app and by the API."""


@dataclass(frozen=True, slots=True)
class Actor:
    """The actor of an entry: an account by its login, a service, or a program with a token."""

    login: str = ""
    service: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class AuditEntry:
    """One entry; ``who`` is the login as it is now, the number of an account that is gone, or a service.

    ``account`` names an account by its number in any case. ``number`` is the entry's position in the chain; None while
    the transaction that adds it is open.
    """

    at: datetime
    who: str
    action: str
    user_id: int | None
    session_id: int | None
    counts: dict[str, Any]
    account: str = ""
    number: int | None = None


def record(
    tx: Transaction,
    actor: Actor,
    action: Action,
    user_id: int | None = None,
    session_id: int | None = None,
    **counts: int,
) -> None:
    """Add an entry, in the transaction of the action that it records.

    It is chained to the entry before it when the transaction commits (``chain_audit`` in ``db/postgres.sql``).

    Parameters
    ----------
    counts
        Whole numbers only: an entry outlives the person whom it concerns.

    Raises
    ------
    InvalidValueError
        A count is no whole number.
    """
    for name, value in counts.items():
        if not isinstance(value, int):
            raise InvalidValueError(name, f"expected a number in an audit entry, got {type(value).__name__}")
    numbers = Json({name: int(value) for name, value in counts.items()})
    execute(
        tx,
        "SELECT record_audit(%s, %s, %s, %s, %s, %s)",
        (checks.storable(actor.login), actor.service, action, user_id, session_id, numbers),
    )


def list_entries(tx: Transaction, *, user_id: int | None = None, limit: int = 500) -> list[AuditEntry]:
    """Return the newest entries, of one profile or of all, newest first."""
    found = rows(
        tx,
        """
        SELECT e.at, coalesce('account ' || e.account_id, e.service) AS account,
               coalesce(a.login, 'account ' || e.account_id, e.service) AS who, e.action,
               e.user_id, e.session_id, e.counts, e.number
        FROM audit_entries e LEFT JOIN accounts a USING (account_id)
        WHERE %(user)s::bigint IS NULL OR e.user_id = %(user)s ORDER BY e.at DESC, e.entry_id DESC LIMIT %(n)s
        """,
        {"user": user_id, "n": limit},
    )
    return [
        AuditEntry(
            at=row.at,
            who=row.who,
            action=row.action,
            user_id=row.user_id,
            session_id=row.session_id,
            counts=row.counts,
            account=row.account,
            number=row.number,
        )
        for row in found
    ]
