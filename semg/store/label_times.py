"""The times that a label may have: those of its session. The one rule for every way in which labels are written.

The database has it too (the trigger ``label_within_session``), for what is written beside this package. It knows
nothing of the platform's clock (``semg.clock``): of a session that runs it takes a day from its start.
"""

from __future__ import annotations

from datetime import datetime, timedelta

from semg import clock
from semg.errors import InvalidValueError, NotFoundError
from semg.store import checks
from semg.store.pool import Transaction, one

AHEAD = timedelta(seconds=2)
"""How far an edge may lie after now while the session runs: another machine's clock may be ahead."""


def require_within(
    tx: Transaction, session_id: int, started_at: datetime, ended_at: datetime, now: datetime | None = None
) -> int:
    """Refuse edges outside a session, keep its times until the transaction ends, and return its profile.

    Parameters
    ----------
    now
        Until when a session that runs lasts: the moment that the caller has looked at. None: the platform's present.

    Raises
    ------
    InvalidValueError
        The interval has no length, or an edge lies before the session, after it, or after now.
    NotFoundError
        There is no such session.
    """
    checks.interval(started_at, ended_at)
    query = "SELECT user_id, started_at, ended_at FROM sessions WHERE session_id = %s FOR SHARE"
    session = one(tx, query, (session_id,))
    if session is None:
        raise NotFoundError(f"there is no session {session_id}; it may have been deleted")
    if started_at < session.started_at:
        raise InvalidValueError(
            "started_at",
            f"choose a start inside the session, which began at {session.started_at.isoformat()} "
            f"(now {started_at.isoformat()})",
        )
    latest = (now or clock.utc_now()) + AHEAD
    if ended_at > (latest if session.ended_at is None else session.ended_at):
        until = "which is being recorded" if session.ended_at is None else f"until {session.ended_at.isoformat()}"
        raise InvalidValueError("ended_at", f"choose an end inside the session, {until} (now {ended_at.isoformat()})")
    return int(session.user_id)


def last_end(tx: Transaction, session_id: int, least: datetime) -> datetime:
    """Return a session's earliest end: a time, or the end of its last label where that is later.

    Labels from before their times were bounded do not count where they end after now.
    """
    query = """
        SELECT greatest(%(least)s, max(ended_at) FILTER (WHERE ended_at <= %(latest)s)) AS at
        FROM repetitions WHERE session_id = %(session)s
    """
    found = one(tx, query, {"least": least, "latest": clock.utc_now() + AHEAD, "session": session_id})
    assert found is not None
    at: datetime = found.at
    return at
