"""How many captures may run at a time: every page and every round of the conductor looks at all of them."""

from __future__ import annotations

from semg.errors import ConflictError
from semg.store.pool import Transaction, execute, one

RUNNING_EACH = 20
"""Of the profiles of one owner; those that nobody owns count as one owner's."""


def require_room(tx: Transaction, user_id: int) -> None:
    """Raise when no further capture of a profile may begin or go on; others of its owner wait until ``tx`` ends.

    Raises
    ------
    ConflictError
        ``RUNNING_EACH`` captures of the owner's profiles run.
    """
    execute(
        tx,
        """
        SELECT pg_advisory_xact_lock(hashtextextended('running_captures', coalesce(owner_id, 0)))
        FROM profiles WHERE user_id = %s
        """,
        (user_id,),
    )
    query = """
        SELECT count(*) AS n FROM sessions s JOIN profiles p USING (user_id), profiles mine
        WHERE s.status = 'recording' AND mine.user_id = %s AND p.owner_id IS NOT DISTINCT FROM mine.owner_id
        """
    found = one(tx, query, (user_id,))
    assert found is not None
    if found.n >= RUNNING_EACH:
        raise ConflictError(f"{RUNNING_EACH} captures of this owner's people run: end one first")
