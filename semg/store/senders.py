"""Text senders (v1) with other numbers than those of profiles, and the profiles that they are assigned to."""

from __future__ import annotations

from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.store import owner_limits
from semg.store.pool import Transaction, execute, one, rows

MAX_NUMBER = 2**63 - 1


def lock_number(tx: Transaction, number: int, user_id: int) -> int | None:
    """Let nobody else assign or release a number until this transaction ends, and return the profile that it has.

    What may be done is judged after it, as what was seen before may have changed. Locks that the profile ``user_id``
    waits for come first, so that nobody holds a number while they wait.
    """
    execute(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR KEY SHARE", (user_id,))
    execute(tx, "SELECT pg_advisory_xact_lock(hashtextextended('text_senders', %s))", (number,))
    row = one(tx, "SELECT user_id FROM text_senders WHERE number = %s", (number,))
    return None if row is None else int(row.user_id)


def assign_sender(tx: Transaction, number: int, user_id: int) -> None:
    """Assign text datagrams with a number to a profile, from the next second on.

    Raises
    ------
    InvalidValueError
        It is no number that a datagram can carry.
    ConflictError
        It is the number of a profile: its own samples would go elsewhere. Or too many are assigned (``owner_limits``).
    NotFoundError
        There is no such profile.
    """
    if not 0 <= number <= MAX_NUMBER:
        raise InvalidValueError("number", f"enter a number from 0 to {MAX_NUMBER} (now {number})")
    if one(tx, "SELECT 1 FROM profiles WHERE user_id = %s", (number,)) is not None:
        raise ConflictError(f"set another USER_ID in the sketch: {number} is a profile's own number")
    if one(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR KEY SHARE", (user_id,)) is None:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")
    owner_limits.require_sender(tx, number, user_id)
    execute(
        tx,
        """
        INSERT INTO text_senders (number, user_id) VALUES (%s, %s)
        ON CONFLICT (number) DO UPDATE SET user_id = EXCLUDED.user_id, assigned_at = now()
        """,
        (number, user_id),
    )


def release_sender(tx: Transaction, number: int, user_id: int) -> bool:
    """Remove a number's assignment, and return whether it was assigned to this profile."""
    return execute(tx, "DELETE FROM text_senders WHERE number = %s AND user_id = %s", (number, user_id)) > 0


def list_senders(tx: Transaction) -> dict[int, int]:
    """Return the profile of each assigned number; a number that has become a profile's own is that profile's."""
    found = rows(
        tx,
        """
        SELECT number, user_id FROM text_senders t
        WHERE NOT EXISTS (SELECT 1 FROM profiles p WHERE p.user_id = t.number) ORDER BY number
        """,
    )
    return {row.number: row.user_id for row in found}
