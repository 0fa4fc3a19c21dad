"""Signal quality of recorded sessions (``semg.signals.repetition_quality``)."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from semg.domain import Session
from semg.store import checks
from semg.store.pool import Transaction, execute, one, rows
from semg.store.sessions import list_chosen


@dataclass(frozen=True, slots=True)
class SessionQuality:
    """A session's level (``good``, ``fair``, ``bad``) and reason, and those of its repetitions by their number."""

    level: str
    reason: str
    repetitions: dict[int, tuple[str, str]] = field(default_factory=dict)


def save_quality(tx: Transaction, session_id: int, quality: SessionQuality) -> bool:
    """Store an assessment, replacing an earlier one; return whether the session still exists."""
    if one(tx, "SELECT 1 FROM sessions WHERE session_id = %s FOR KEY SHARE", (session_id,)) is None:
        return False
    execute(
        tx,
        """
        INSERT INTO session_quality (session_id, level, reason, repetitions) VALUES (%s, %s, %s, %s)
        ON CONFLICT (session_id) DO UPDATE SET level = EXCLUDED.level, reason = EXCLUDED.reason,
            repetitions = EXCLUDED.repetitions, assessed_at = now()
        """,
        (session_id, quality.level, quality.reason, checks.as_json(quality.repetitions)),
    )
    return True


def delete_quality(tx: Transaction, session_id: int) -> None:
    """Remove a session's assessment: something was added to it, and it is assessed again."""
    execute(tx, "DELETE FROM session_quality WHERE session_id = %s", (session_id,))


def list_quality(tx: Transaction, session_ids: Sequence[int]) -> dict[int, SessionQuality]:
    """Return the assessments of sessions that have one, without those of their repetitions."""
    query = "SELECT session_id, level, reason FROM session_quality WHERE session_id = ANY(%s::bigint[])"
    return {row.session_id: SessionQuality(row.level, row.reason) for row in rows(tx, query, (list(session_ids),))}


def find_quality(tx: Transaction, session_id: int) -> SessionQuality | None:
    """Return a session's assessment with those of its repetitions, or None."""
    row = one(tx, "SELECT level, reason, repetitions FROM session_quality WHERE session_id = %s", (session_id,))
    return None if row is None else SessionQuality(row.level, row.reason, _by_number(row.repetitions))


def list_unjudged(tx: Transaction, ended_before: datetime, limit: int) -> list[Session]:
    """Return ended sessions without an assessment, without their plans: the newest first, by turns of the owners."""
    query = """
        SELECT s.session_id FROM sessions s JOIN profiles p USING (user_id)
        WHERE s.ended_at < %s AND NOT EXISTS (SELECT 1 FROM session_quality q WHERE q.session_id = s.session_id)
        ORDER BY row_number() OVER (PARTITION BY p.owner_id ORDER BY s.session_id DESC), s.session_id DESC LIMIT %s
    """
    found = rows(tx, query, (checks.aware("ended_before", ended_before), limit))
    return list_chosen(tx, [row.session_id for row in found])


def _by_number(stored: Mapping[str, Any]) -> dict[int, tuple[str, str]]:
    return {int(number): (str(level), str(reason)) for number, (level, reason) in stored.items()}
