"""The plan of a capture that runs, or goes on after its end."""

from __future__ import annotations

from semg.domain import CapturePlan, Session
from semg.errors import ConflictError
from semg.store import capture_limit, checks
from semg.store.pool import Transaction, execute
from semg.store.stored_plans import as_stored


def update_plan(tx: Transaction, session_id: int, plan: CapturePlan) -> None:
    """Change the plan of a session that is being recorded; the caller holds the session's lock.

    Raises
    ------
    InvalidValueError
        The plan is too long (``stored_plans``).
    """
    statement = "UPDATE sessions SET plan = %s WHERE session_id = %s AND status = 'recording'"
    execute(tx, statement, (as_stored(plan), session_id))


def reopen_session(tx: Transaction, session: Session, plan: CapturePlan) -> None:
    """Let an ended capture go on with a plan; its assessment is removed, to be made anew. The caller holds its lock.

    Raises
    ------
    InvalidValueError
        The plan is too long (``stored_plans``).
    ConflictError
        It is no capture that has ended, the profile is recording another session, or too many captures run.
    """
    capture_limit.require_room(tx, session.user_id)
    session_id = session.session_id
    with checks.refused_as("another session of this profile is being recorded; finish or abort it first"):
        changed = execute(
            tx,
            """
            UPDATE sessions SET status = 'recording', ended_at = NULL, plan = %s
            WHERE session_id = %s AND origin = 'capture' AND status <> 'recording'
            """,
            (as_stored(plan), session_id),
        )
    if changed == 0:
        raise ConflictError(f"session {session_id} is no capture that has ended")
    execute(tx, "DELETE FROM session_quality WHERE session_id = %s", (session_id,))
