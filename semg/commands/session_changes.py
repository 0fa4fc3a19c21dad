"""What is changed about a whole session."""

from __future__ import annotations

from semg.commands.acting import Acting, get_session
from semg.domain import Session
from semg.store import audit, sessions
from semg.store.pool import Transaction


def rename_session(tx: Transaction, who: Acting, session_id: int, name: str) -> Session:
    """Rename a session, and return it as it is then.

    Raises
    ------
    NotFoundError, AccessError
        As ``get_session``.
    InvalidValueError
        The name does not fit.
    """
    session = get_session(tx, who, session_id, "work")
    changed = sessions.update_session(tx, session_id, name=name)
    audit.record(tx, who.actor, "session.changed", session.user_id, session_id)
    return changed
