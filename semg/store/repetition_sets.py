"""Write the repetitions of a whole session at once, with a fixed number of statements."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from semg.errors import ConflictError, NotFoundError
from semg.store import checks, label_times
from semg.store.pool import Transaction, execute, one


@dataclass(frozen=True, slots=True)
class NewRepetition:
    """A performed repetition that has no number yet."""

    gesture_id: int
    number: int
    started_at: datetime
    ended_at: datetime


def insert_repetitions(tx: Transaction, session_id: int, made: Sequence[NewRepetition]) -> None:
    """Write the repetitions of a session.

    Raises
    ------
    InvalidValueError
        An interval has no length, or lies outside the session (``label_times``).
    NotFoundError
        There is no such session, or its profile's bank lacks one of the gestures.
    ConflictError
        Two repetitions of the session lie in the same time; the caller's transaction is rolled back by that.
    """
    if not made:
        return
    for repetition in made:
        checks.interval(repetition.started_at, repetition.ended_at)
    first, last = min(one.started_at for one in made), max(one.ended_at for one in made)
    user_id = label_times.require_within(tx, session_id, first, last)
    _check_gestures(tx, user_id, sorted({repetition.gesture_id for repetition in made}))
    with checks.refused_as("two repetitions of the session begin at the same time"):
        execute(
            tx,
            """
            INSERT INTO repetitions (session_id, gesture_id, number, started_at, ended_at)
            SELECT %s, made.gesture_id, made.number, made.started_at, made.ended_at
            FROM unnest(%s::bigint[], %s::integer[], %s::timestamptz[], %s::timestamptz[])
                AS made (gesture_id, number, started_at, ended_at)
            """,
            (
                session_id,
                [repetition.gesture_id for repetition in made],
                [repetition.number for repetition in made],
                [repetition.started_at for repetition in made],
                [repetition.ended_at for repetition in made],
            ),
        )
    _refuse_overlaps(tx, session_id)


def _check_gestures(tx: Transaction, user_id: int, gesture_ids: list[int]) -> None:
    query = """
        SELECT wanted.gesture_id FROM unnest(%s::bigint[]) AS wanted (gesture_id)
        WHERE NOT EXISTS (SELECT 1 FROM gestures g WHERE g.gesture_id = wanted.gesture_id AND g.user_id = %s) LIMIT 1
    """
    missing = one(tx, query, (gesture_ids, user_id))
    if missing is not None:
        raise NotFoundError(f"the gesture bank of profile {user_id} has no gesture {missing.gesture_id}")


def _refuse_overlaps(tx: Transaction, session_id: int) -> None:
    """Raise when a sample of the session would have two labels: each repetition is compared with all before it."""
    query = """
        SELECT later.started_at, later.ends_before FROM (
            SELECT started_at, max(ended_at) OVER (
                ORDER BY started_at ROWS BETWEEN UNBOUNDED PRECEDING AND 1 PRECEDING) AS ends_before
            FROM repetitions WHERE session_id = %s) AS later
        WHERE later.started_at < later.ends_before ORDER BY later.started_at LIMIT 1
    """
    found = one(tx, query, (session_id,))
    if found is not None:
        raise ConflictError(
            f"a repetition of the session begins at {found.started_at.isoformat()}, before the one before it ends "
            f"({found.ends_before.isoformat()}); a sample has one label"
        )
