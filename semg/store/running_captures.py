"""Captures that run now, without their plans: every page and every round of the conductor asks for them."""

from __future__ import annotations

from dataclasses import dataclass

from semg.domain import Session
from semg.store import sessions
from semg.store.pool import Transaction, one, rows


@dataclass(frozen=True, slots=True)
class RunningCapture:
    """A session that is being recorded; ``paused``: it waits for somebody to resume it."""

    session_id: int
    user_id: int
    name: str
    paused: bool


def list_running(tx: Transaction) -> list[RunningCapture]:
    """Return the captures of all profiles that run now, oldest first."""
    query = """
        SELECT session_id, user_id, name, plan->>'paused_s' IS NOT NULL AS paused
        FROM sessions WHERE status = 'recording' ORDER BY session_id
        """
    return [RunningCapture(row.session_id, row.user_id, row.name, bool(row.paused)) for row in rows(tx, query)]


def lock_running(tx: Transaction, user_id: int) -> None:
    """Let nobody else change a profile's session that is being recorded, if one is, until this transaction ends."""
    rows(tx, "SELECT 1 FROM sessions WHERE user_id = %s AND status = 'recording' FOR NO KEY UPDATE", (user_id,))


def find_running(tx: Transaction, user_id: int) -> Session | None:
    """Return a profile's session that is being recorded, with its plan; None when there is none."""
    row = one(tx, "SELECT session_id FROM sessions WHERE user_id = %s AND status = 'recording'", (user_id,))
    return None if row is None else sessions.get_session(tx, row.session_id)
