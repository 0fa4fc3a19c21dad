"""Repetitions of gestures inside sessions."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import Any

from semg.domain import Repetition
from semg.errors import ConflictError, NotFoundError
from semg.store import checks, label_times
from semg.store.pool import Transaction, execute, one, rows

_SELECT = """
    SELECT r.repetition_id, r.session_id, g.name AS gesture, r.number, r.started_at, r.ended_at, r.excluded,
           r.exclude_reason, g.kind
    FROM repetitions r JOIN gestures g USING (gesture_id)
"""


@dataclass(frozen=True, slots=True)
class GestureCount:
    """Counts of one gesture in a session; excluded repetitions count in ``excluded`` only."""

    gesture: str
    repetitions: int
    excluded: int
    seconds: float


@dataclass(frozen=True, slots=True)
class RepetitionChange:
    """A label that was changed after it had been written; ``after`` is None when it was deleted."""

    repetition_id: int
    changed_at: datetime
    changed_by: str
    before: Repetition
    after: Repetition | None


def insert_repetition(
    tx: Transaction,
    session_id: int,
    gesture_id: int,
    number: int,
    started_at: datetime,
    ended_at: datetime,
    *,
    now: datetime | None = None,
) -> int:
    """Write a performed repetition, and return its number, or that of one that begins at the same time.

    Parameters
    ----------
    now
        The moment at which it has been performed, if not the platform's present.

    Raises
    ------
    InvalidValueError
        The interval has no length, or an edge lies outside the session (``label_times``).
    NotFoundError
        There is no such session, or its profile's bank has no such gesture.
    ConflictError
        Another repetition of the session lies in this time.
    """
    user_id = label_times.require_within(tx, session_id, started_at, ended_at, now)
    _check_gesture(tx, user_id, gesture_id)
    made = one(
        tx,
        """
        INSERT INTO repetitions (session_id, gesture_id, number, started_at, ended_at) VALUES (%s, %s, %s, %s, %s)
        ON CONFLICT (session_id, started_at) DO NOTHING RETURNING repetition_id
        """,
        (session_id, gesture_id, number, started_at, ended_at),
    )
    if made is not None:
        _refuse_overlap(tx, made.repetition_id)
        return int(made.repetition_id)
    query = "SELECT repetition_id FROM repetitions WHERE session_id = %s AND started_at = %s"
    there = one(tx, query, (session_id, started_at))
    if there is None:
        raise ConflictError(f"a repetition of session {session_id} was deleted at this moment; try again")
    return int(there.repetition_id)


def list_repetitions(tx: Transaction, session_ids: int | Sequence[int]) -> list[Repetition]:
    """Return the repetitions of one or more sessions, by session and time."""
    wanted = [session_ids] if isinstance(session_ids, int) else list(session_ids)
    query = _SELECT + " WHERE r.session_id = ANY(%s::bigint[]) ORDER BY r.session_id, r.started_at"
    return [_repetition(row) for row in rows(tx, query, (wanted,))]


def list_chosen(tx: Transaction, repetition_ids: Sequence[int]) -> list[Repetition]:
    """Return those of the repetitions that there are, in the order of their numbers given."""
    found = rows(tx, _SELECT + " WHERE r.repetition_id = ANY(%s::bigint[])", (list(repetition_ids),))
    known = {row.repetition_id: _repetition(row) for row in found}
    return [known[number] for number in repetition_ids if number in known]


def get_repetition(tx: Transaction, repetition_id: int) -> Repetition:
    """Return a repetition.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    row = one(tx, _SELECT + " WHERE r.repetition_id = %s", (repetition_id,))
    if row is None:
        raise NotFoundError(f"there is no repetition {repetition_id}; it may have been deleted")
    return _repetition(row)


def lock_repetition(tx: Transaction, repetition_id: int) -> None:
    """Keep others from changing a repetition, if there is one of this number, until the transaction ends."""
    execute(tx, "SELECT 1 FROM repetitions WHERE repetition_id = %s FOR NO KEY UPDATE", (repetition_id,))


def update_repetition(
    tx: Transaction,
    repetition_id: int,
    *,
    excluded: bool | None = None,
    reason: str | None = None,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
    gesture_id: int | None = None,
    changed_by: str = "",
) -> Repetition:
    """Change the given fields of a repetition, and return it as it is then; what it was is recorded.

    Parameters
    ----------
    excluded
        True excludes it from training; False also clears the reason.
    changed_by
        The login of the person who changes it.

    Raises
    ------
    NotFoundError
        There is no such repetition, or its profile's bank has no such gesture.
    InvalidValueError, ConflictError
        As for ``insert_repetition``.
    """
    repetition = get_repetition(tx, repetition_id)
    started_at = repetition.started_at if started_at is None else started_at
    ended_at = repetition.ended_at if ended_at is None else ended_at
    is_moved = (started_at, ended_at) != (repetition.started_at, repetition.ended_at)
    if is_moved:
        label_times.require_within(tx, repetition.session_id, started_at, ended_at)
    if gesture_id is not None:
        _check_gesture(tx, _owner(tx, repetition.session_id), gesture_id)
    reason = repetition.exclude_reason if reason is None else checks.text("reason", reason, 1000)
    excluded = repetition.excluded if excluded is None else excluded
    with checks.refused_as("another repetition of the session begins at this time"):
        execute(
            tx,
            """
            UPDATE repetitions SET excluded = %s, exclude_reason = %s, gesture_id = coalesce(%s, gesture_id)
            WHERE repetition_id = %s
            """,
            (excluded, reason if excluded else "", gesture_id, repetition_id),
        )
        if is_moved:
            statement = "UPDATE repetitions SET started_at = %s, ended_at = %s WHERE repetition_id = %s"
            execute(tx, statement, (started_at, ended_at, repetition_id))
            _refuse_overlap(tx, repetition_id)
    changed = get_repetition(tx, repetition_id)
    _record(tx, repetition, changed, changed_by)
    return changed


def delete_repetition(tx: Transaction, repetition_id: int, changed_by: str = "") -> None:
    """Remove a repetition; its samples stay, without a label. What it was is recorded.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    _record(tx, get_repetition(tx, repetition_id), None, changed_by)
    if execute(tx, "DELETE FROM repetitions WHERE repetition_id = %s", (repetition_id,)) == 0:
        raise NotFoundError(f"there is no repetition {repetition_id}; it may have been deleted")


def list_changes(tx: Transaction, session_id: int, limit: int = 200) -> list[RepetitionChange]:
    """Return what was changed about a session's repetitions afterwards, newest first."""
    found = rows(
        tx,
        """
        SELECT repetition_id, changed_at, changed_by, before, after FROM repetition_changes WHERE session_id = %s
        ORDER BY change_id DESC LIMIT %s
        """,
        (session_id, limit),
    )
    return [
        RepetitionChange(
            row.repetition_id,
            row.changed_at,
            row.changed_by,
            _recorded(session_id, row.repetition_id, row.before),
            None if row.after is None else _recorded(session_id, row.repetition_id, row.after),
        )
        for row in found
    ]


def count_gestures(tx: Transaction, session_ids: Sequence[int]) -> dict[int, tuple[GestureCount, ...]]:
    """Return what each session holds of each gesture, in the order of the gesture bank."""
    counts: dict[int, list[GestureCount]] = defaultdict(list)
    for row in rows(
        tx,
        """
        SELECT r.session_id, g.name, count(*) FILTER (WHERE NOT r.excluded) AS kept,
               count(*) FILTER (WHERE r.excluded) AS excluded,
               coalesce(sum(extract(epoch FROM r.ended_at - r.started_at)) FILTER (WHERE NOT r.excluded), 0) AS seconds
        FROM repetitions r JOIN gestures g USING (gesture_id)
        WHERE r.session_id = ANY(%s::bigint[])
        GROUP BY r.session_id, g.gesture_id ORDER BY r.session_id, g.position, g.gesture_id
        """,
        (list(session_ids),),
    ):
        counts[row.session_id].append(GestureCount(row.name, row.kept, row.excluded, float(row.seconds)))
    return {session_id: tuple(found) for session_id, found in counts.items()}


def count_by_gesture(tx: Transaction, user_id: int) -> dict[str, int]:
    """Return how many repetitions of each gesture a profile has, excluded ones too, by the gesture's name."""
    found = rows(
        tx,
        """
        SELECT g.name, count(*) AS n FROM repetitions r JOIN gestures g USING (gesture_id)
        WHERE g.user_id = %s GROUP BY g.gesture_id
        """,
        (user_id,),
    )
    return {row.name: int(row.n) for row in found}


def _record(tx: Transaction, before: Repetition, after: Repetition | None, changed_by: str) -> None:
    if before == after:
        return
    execute(
        tx,
        """
        INSERT INTO repetition_changes (session_id, repetition_id, changed_by, before, after)
        VALUES (%s, %s, %s, %s, %s)
        """,
        (
            before.session_id,
            before.repetition_id,
            checks.text("changed_by", changed_by, 200),
            checks.as_json(_record_of(before)),
            None if after is None else checks.as_json(_record_of(after)),
        ),
    )


def _record_of(one_of_them: Repetition) -> dict[str, Any]:
    values = asdict(one_of_them)
    del values["repetition_id"], values["session_id"], values["dynamic"]  # the bank's, and not the label's
    return values


def _recorded(session_id: int, repetition_id: int, values: dict[str, Any]) -> Repetition:
    times = {name: datetime.fromisoformat(values[name]) for name in ("started_at", "ended_at")}
    return Repetition(repetition_id=repetition_id, session_id=session_id, **(values | times))


def _owner(tx: Transaction, session_id: int) -> int:
    session = one(tx, "SELECT user_id FROM sessions WHERE session_id = %s FOR KEY SHARE", (session_id,))
    if session is None:
        raise NotFoundError(f"there is no session {session_id}; it may have been deleted")
    return int(session.user_id)


def _check_gesture(tx: Transaction, user_id: int, gesture_id: int) -> None:
    query = "SELECT 1 FROM gestures WHERE gesture_id = %s AND user_id = %s"
    if one(tx, query, (gesture_id, user_id)) is None:
        raise NotFoundError(f"the gesture bank of profile {user_id} has no gesture {gesture_id}")


def _refuse_overlap(tx: Transaction, repetition_id: int) -> None:
    """Raise when a sample would have two labels, which rolls back the caller's transaction."""
    other = one(
        tx,
        """
        SELECT o.repetition_id, o.started_at, o.ended_at FROM repetitions r JOIN repetitions o USING (session_id)
        WHERE r.repetition_id = %s AND o.repetition_id <> r.repetition_id
          AND o.started_at < r.ended_at AND r.started_at < o.ended_at LIMIT 1
        """,
        (repetition_id,),
    )
    if other is not None:
        raise ConflictError(
            f"repetition {other.repetition_id} of the same session lies in this time "
            f"({other.started_at.isoformat()} to {other.ended_at.isoformat()}); move or delete it first"
        )


def _repetition(row: Any) -> Repetition:
    return Repetition(
        repetition_id=row.repetition_id,
        session_id=row.session_id,
        gesture=row.gesture,
        number=row.number,
        started_at=row.started_at,
        ended_at=row.ended_at,
        excluded=row.excluded,
        exclude_reason=row.exclude_reason,
        dynamic=row.kind == "dynamic",
    )
