"""Recording sessions: one sitting with one placement of the electrodes."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from semg.domain import CapturePlan, Device, Session, SessionOrigin, SessionStatus
from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import capture_limit, checks, consents, erasing, label_times
from semg.store.erasing import ErasedSession
from semg.store.pool import Transaction, execute, one, rows
from semg.store.repetitions import (
    delete_repetition,
    get_repetition,
    insert_repetition,
    list_repetitions,
    update_repetition,
)
from semg.store.stored_plans import as_stored, plan_of

__all__ = [
    "count_sessions",
    "delete_repetition",
    "delete_session",
    "find_overlapping",
    "finish_session",
    "get_repetition",
    "get_session",
    "insert_repetition",
    "insert_session",
    "list_chosen",
    "list_names",
    "list_recent_sessions",
    "list_recording_sessions",
    "list_repetitions",
    "list_sessions",
    "lock_times",
    "require_free_name",
    "require_recording",
    "update_repetition",
    "update_session",
]

_MAX_NAME = 200


def _name_taken(name: str) -> ConflictError:
    return ConflictError(f"choose another name: a session called “{name}” already exists")


_COLUMNS = (
    "session_id, user_id, name, origin, status, started_at, ended_at, channels, rate_hz, sensor, mains_hz, simulated"
)
_SELECT = f"SELECT {_COLUMNS}, plan FROM sessions"  # noqa: S608
_LISTED = f"SELECT {_COLUMNS}, NULL AS plan FROM sessions"  # noqa: S608
"""Without plans: a thousand sessions of 2,000 steps each took 9 s and 895 MB in a page that shows their names."""


def insert_session(
    tx: Transaction,
    user_id: int,
    name: str,
    origin: SessionOrigin,
    started_at: datetime,
    ended_at: datetime | None = None,
    *,
    status: SessionStatus,
    plan: CapturePlan | None = None,
    device: Device,
) -> int:
    """Create a session with the device's current properties, and return its number.

    What is captured or taught while a simulated arm sends for the profile is marked as simulated. Whoever imports
    calls ``require_recording`` again at the end: an import takes up to a minute, for which others must not wait.

    Parameters
    ----------
    ended_at
        None exactly when ``status`` is ``recording``.

    Raises
    ------
    InvalidValueError
        A value is out of its range, or ``ended_at`` does not fit ``status``; the message names the field.
    NotFoundError
        There is no such profile.
    ConflictError
        The profile is recording another session, the person does not agree to it, the plan is too long, or too many
        captures run or have begun of late (``capture_limit``).
    """
    name = checks.name("name", name, _MAX_NAME)
    checks.aware("started_at", started_at)
    checks.device(device)
    _check_end(status, started_at, ended_at)
    require_recording(tx, user_id, locked=origin != "import")
    if status == "recording":
        capture_limit.require_room(tx, user_id)
    if status == "recording" or origin == "taught":
        capture_limit.require_pace(tx, user_id)
    with checks.refused_as(f"profile {user_id} is recording a session already; finish or abort it first"):
        made = one(
            tx,
            """
            INSERT INTO sessions (user_id, name, origin, status, started_at, ended_at, channels, rate_hz, sensor,
                                  mains_hz, plan, simulated)
            VALUES (%s, %s, %s, %s, %s, %s, %s, %s, %s, %s, %s,
                    %s AND EXISTS (SELECT FROM simulated_arms WHERE user_id = %s)) RETURNING session_id
            """,
            (
                user_id,
                name,
                origin,
                status,
                started_at,
                ended_at,
                list(device.channels),
                device.rate_hz,
                device.sensor,
                device.mains_hz,
                None if plan is None else as_stored(plan),
                origin != "import",
                user_id,
            ),
        )
    assert made is not None
    return int(made.session_id)


def require_recording(tx: Transaction, user_id: int, *, locked: bool) -> None:
    """Refuse to record for a person who does not agree to it.

    Parameters
    ----------
    locked
        Keep it so until the transaction ends. Shared with other sessions only: a consent that is withdrawn at this
        moment waits, and then finds the session.

    Raises
    ------
    NotFoundError
        There is no such profile.
    ConsentError
        The person does not agree.
    """
    query = "SELECT 1 FROM profiles WHERE user_id = %s"
    if locked:
        query += " FOR SHARE"
    if one(tx, query, (user_id,)) is None:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")
    consents.require(tx, user_id, "recording")


def require_free_name(tx: Transaction, user_id: int, name: str) -> None:
    """Refuse the name of a profile's other session, compared without case.

    Raises
    ------
    ConflictError
        There is one.
    """
    lock_times(tx, user_id)
    others = rows(tx, "SELECT name FROM sessions WHERE user_id = %s", (user_id,))
    checks.free_name(name, [row.name for row in others], _name_taken)


def lock_times(tx: Transaction, user_id: int) -> None:
    """Lock the times and names of a profile's sessions (an advisory lock) until this transaction ends."""
    execute(tx, "SELECT pg_advisory_xact_lock(hashtextextended('sessions', %s))", (user_id,))


def find_overlapping(tx: Transaction, user_id: int, started_at: datetime, ended_at: datetime) -> Session | None:
    """Return a profile's first session that shares time with an interval; one that is being recorded has no end yet."""
    query = _SELECT + (
        " WHERE user_id = %s AND started_at < %s AND coalesce(ended_at, 'infinity') > %s ORDER BY started_at LIMIT 1"
    )
    row = one(tx, query, (user_id, ended_at, started_at))
    return None if row is None else _session(row)


def get_session(tx: Transaction, session_id: int) -> Session:
    """Return a session.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    row = one(tx, _SELECT + " WHERE session_id = %s", (session_id,))
    if row is None:
        raise NotFoundError(f"there is no session {session_id}; it may have been deleted")
    return _session(row)


def list_sessions(tx: Transaction, user_id: int, limit: int = 1000, offset: int = 0) -> list[Session]:
    """Return a profile's sessions without their plans, newest first; ``get_session`` has the plan of one."""
    query = _LISTED + " WHERE user_id = %s ORDER BY started_at DESC, session_id DESC LIMIT %s OFFSET %s"
    return [_session(row) for row in rows(tx, query, (user_id, limit, offset))]


def count_sessions(tx: Transaction, user_id: int) -> int:
    """Return how many sessions a profile has."""
    found = one(tx, "SELECT count(*) AS n FROM sessions WHERE user_id = %s", (user_id,))
    assert found is not None
    return int(found.n)


def list_names(tx: Transaction, session_ids: Collection[int]) -> dict[int, str]:
    """Return the names of those of the sessions that there are."""
    query = "SELECT session_id, name FROM sessions WHERE session_id = ANY(%s::bigint[])"
    return {row.session_id: row.name for row in rows(tx, query, (list(session_ids),))}


def list_chosen(tx: Transaction, session_ids: Sequence[int]) -> list[Session]:
    """Return those of the sessions that there are, in the order of their numbers given, without their plans."""
    found = rows(tx, _LISTED + " WHERE session_id = ANY(%s::bigint[])", (list(session_ids),))
    known = {row.session_id: _session(row) for row in found}
    return [known[number] for number in session_ids if number in known]


def list_recent_sessions(tx: Transaction, since: datetime) -> list[Session]:
    """Return all profiles' sessions that are recorded, or ended or were imported since a time, without their plans.

    The oldest first.
    """
    query = _LISTED + " WHERE status = 'recording' OR ended_at >= %(at)s OR created_at >= %(at)s ORDER BY session_id"
    return [_session(row) for row in rows(tx, query, {"at": since})]


def list_recording_sessions(tx: Transaction) -> list[Session]:
    """Return the sessions that are being recorded now with their plans, oldest first, for tools that look at all."""
    return [_session(row) for row in rows(tx, _SELECT + " WHERE status = 'recording' ORDER BY session_id")]


def lock_session(tx: Transaction, session_id: int) -> None:
    """Keep others from changing a session until the transaction ends; errors as ``get_session``."""
    if one(tx, "SELECT 1 FROM sessions WHERE session_id = %s FOR NO KEY UPDATE", (session_id,)) is None:
        raise NotFoundError(f"there is no session {session_id}; it may have been deleted")


def update_session(
    tx: Transaction,
    session_id: int,
    *,
    name: str | None = None,
    status: SessionStatus | None = None,
    started_at: datetime | None = None,
    ended_at: datetime | None = None,
) -> Session:
    """Change the given fields of a session, and return it as it is then.

    Raises
    ------
    NotFoundError
        There is no such session.
    InvalidValueError, ConflictError
        As for ``insert_session``.
    """
    lock_session(tx, session_id)
    session = get_session(tx, session_id)
    name = session.name if name is None else checks.name("name", name, _MAX_NAME)
    status = session.status if status is None else status
    started_at = session.started_at if started_at is None else checks.aware("started_at", started_at)
    ended_at = session.ended_at if ended_at is None else ended_at
    _check_end(status, started_at, ended_at)
    with checks.refused_as(f"profile {session.user_id} is recording a session already; finish or abort it first"):
        execute(
            tx,
            "UPDATE sessions SET name = %s, status = %s, started_at = %s, ended_at = %s WHERE session_id = %s",
            (name, status, started_at, ended_at, session_id),
        )
    return get_session(tx, session_id)


def finish_session(tx: Transaction, session_id: int, ended_at: datetime, *, aborted: bool = False) -> Session:
    """End a session that is being recorded, and return it as it is then; it lasts until its last label at least.

    Raises
    ------
    NotFoundError
        There is no such session.
    ConflictError
        It has ended already.
    """
    session = update_session(tx, session_id)  # locks it, so that no label is written meanwhile
    if session.status != "recording":
        raise ConflictError(f"session {session_id} is {session.status} already")
    ended_at = label_times.last_end(tx, session_id, ended_at)
    return update_session(tx, session_id, status="aborted" if aborted else "completed", ended_at=ended_at)


def delete_session(tx: Transaction, session_id: int) -> ErasedSession:
    """Remove a session, its repetitions, its samples and everything derived from it, and return what was removed.

    Imported samples carry the session's number. Captured ones are those of the profile in the session's time; a
    block that crosses an edge of the session keeps the samples outside. Models that were trained with it go too, the
    active one as well, with their jobs and those that wait, and the decisions of its time.

    Raises
    ------
    NotFoundError
        There is no such session.
    ConflictError
        It is being recorded, or a job that runs needs it.
    """
    session = get_session(tx, session_id)
    if session.ended_at is None:
        raise ConflictError(f"session {session_id} is being recorded; finish or abort it first")
    return erasing.erase(tx, session)


def _check_end(status: SessionStatus, started_at: datetime, ended_at: datetime | None) -> None:
    if (status == "recording") != (ended_at is None):
        rule = "has no end yet" if status == "recording" else "needs an end"
        raise InvalidValueError("ended_at", f"a session that is {status} {rule} (now {ended_at})")
    if ended_at is not None:
        checks.interval(started_at, ended_at)


def _session(row: Any) -> Session:
    """Return the session of a row that has its columns."""
    return Session(
        session_id=row.session_id,
        user_id=row.user_id,
        name=row.name,
        origin=row.origin,
        status=row.status,
        started_at=row.started_at,
        ended_at=row.ended_at,
        channels=tuple(row.channels),
        rate_hz=row.rate_hz,
        sensor=row.sensor,
        mains_hz=row.mains_hz,
        plan=None if row.plan is None else plan_of(row.session_id, row.plan),
        simulated=row.simulated,
    )
