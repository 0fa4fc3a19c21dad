"""How many profiles, boards and named senders there may be: other people's pages and every service read all of them."""

from __future__ import annotations

from semg.errors import ConflictError
from semg.store.pool import Transaction, execute, one

PROFILES_EACH = 500
"""Of one owner. What a command makes for nobody is not counted."""
SENDERS_EACH = 200
"""Numbers of text senders that are assigned to the profiles of one owner; nobody's count as one owner's."""
SPARE_BOARDS = 200
"""Boards that send for nobody, of all: every researcher sees them and may assign or remove them.

A profile has one board, so that the limit of profiles bounds the others.
"""


def require_profile(tx: Transaction, owner_id: int) -> None:
    """Raise when an owner may have no further profile; others of the owner's wait until ``tx`` ends.

    Raises
    ------
    ConflictError
        There are ``PROFILES_EACH``.
    """
    _lock(tx, "owned_profiles", owner_id)
    if _count(tx, "SELECT count(*) AS n FROM profiles WHERE owner_id = %s", owner_id) >= PROFILES_EACH:
        raise ConflictError(
            f"an account has {PROFILES_EACH} profiles at the most, and this one has them: delete some that are not "
            "needed any more, or ask an admin to give some to another account"
        )


def require_sender(tx: Transaction, number: int, user_id: int) -> None:
    """Raise when no further number may be assigned to a profile; others wait until ``tx`` ends.

    Raises
    ------
    ConflictError
        There are ``SENDERS_EACH`` without this one.
    """
    _lock(tx, "text_senders", 0)
    query = """
        SELECT count(*) AS n FROM text_senders t JOIN profiles p USING (user_id), profiles mine
        WHERE t.number <> %s AND mine.user_id = %s AND p.owner_id IS NOT DISTINCT FROM mine.owner_id
        """
    if _count(tx, query, number, user_id) >= SENDERS_EACH:
        raise ConflictError(
            f"{SENDERS_EACH} numbers are assigned to this owner's people, more may not be: unassign some on Overview, "
            "under Assigned numbers"
        )


def require_spare_board(tx: Transaction) -> None:
    """Raise when there may be no further board that sends for nobody; others wait until ``tx`` ends.

    Raises
    ------
    ConflictError
        There are ``SPARE_BOARDS``.
    """
    _lock(tx, "spare_boards", 0)
    query = """
        SELECT count(*) AS n FROM boards b WHERE user_id IS NULL
        AND NOT EXISTS (SELECT FROM simulated_arms a WHERE a.former_board_id = b.board_id)
        """
    if _count(tx, query) >= SPARE_BOARDS:
        raise ConflictError(
            f"{SPARE_BOARDS} boards send for nobody, more may not: assign one of them, or remove those not used"
        )


def _lock(tx: Transaction, what: str, number: int) -> None:
    execute(tx, "SELECT pg_advisory_xact_lock(hashtextextended(%s, %s))", (what, number))


def _count(tx: Transaction, query: str, *parameters: int) -> int:
    found = one(tx, query, parameters)
    assert found is not None
    return int(found.n)
