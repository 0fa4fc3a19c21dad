"""How many captures may run at a time and begin in an hour.

Every page and every round of the conductor looks at all that run; several services look at all of the last hour.
"""

from __future__ import annotations

from semg.errors import ConflictError
from semg.store.pool import Transaction, execute, one

RUNNING_EACH = 20
"""Of the profiles of one owner; those that nobody owns count as one owner's."""
AN_HOUR_EACH = 200
"""Captures and taught sessions that may begin in an hour, of the same profiles; erased ones count."""


def require_room(tx: Transaction, user_id: int) -> None:
    """Raise when no further capture of a profile may run; others of its owner wait until ``tx`` ends.

    Raises
    ------
    ConflictError
        ``RUNNING_EACH`` captures of the owner's profiles run.
    """
    _lock(tx, user_id)
    query = """
        SELECT count(*) AS n FROM sessions s JOIN profiles p USING (user_id), profiles mine
        WHERE s.status = 'recording' AND mine.user_id = %s AND p.owner_id IS NOT DISTINCT FROM mine.owner_id
        """
    found = one(tx, query, (user_id,))
    assert found is not None
    if found.n >= RUNNING_EACH:
        raise ConflictError(f"{RUNNING_EACH} captures of this owner's people run: end one first")


def require_pace(tx: Transaction, user_id: int) -> None:
    """Raise when too many sessions of an owner's profiles have begun of late; others wait until ``tx`` ends.

    What was erased counts by its times: a capture that began, was ended and erased has left its mark for the store.

    Raises
    ------
    ConflictError
        ``AN_HOUR_EACH`` have begun within the last hour; the message says when the next one may.
    """
    _lock(tx, user_id)
    query = """
        WITH own AS (
            SELECT p.user_id FROM profiles p, profiles mine
            WHERE mine.user_id = %(user)s AND p.owner_id IS NOT DISTINCT FROM mine.owner_id
        ), begun AS (
            SELECT created_at AS at FROM sessions JOIN own USING (user_id)
            WHERE origin <> 'import' AND created_at > now() - interval '1 hour'
            UNION ALL SELECT erased_at FROM erased_spans JOIN own USING (user_id)
            WHERE erased_at > now() - interval '1 hour' AND started_at > now() - interval '1 hour'
        )
        SELECT ceil(extract(epoch FROM min(at) + interval '1 hour' - now()) / 60) AS wait_min
        FROM (SELECT at FROM begun ORDER BY at DESC LIMIT %(most)s) newest HAVING count(*) >= %(most)s
        """
    found = one(tx, query, {"user": user_id, "most": AN_HOUR_EACH})
    if found is not None:
        raise ConflictError(
            f"at most {AN_HOUR_EACH} captures of this owner's people may begin in an hour, and so many have begun: "
            f"try again in {max(1, int(found.wait_min))} min, or record more repetitions in each capture"
        )


def _lock(tx: Transaction, user_id: int) -> None:
    execute(
        tx,
        """
        SELECT pg_advisory_xact_lock(hashtextextended('running_captures', coalesce(owner_id, 0)))
        FROM profiles WHERE user_id = %s
        """,
        (user_id,),
    )
