"""The key table: encrypted names, stored separately from their profiles (``semg.privacy.pseudonyms``)."""

from __future__ import annotations

from semg.store.pool import Transaction, execute, one, rows


def set_name(tx: Transaction, user_id: int, name_encrypted: bytes) -> None:
    """Store a profile's name, replacing an earlier one."""
    execute(
        tx,
        """
        INSERT INTO real_names (user_id, name_encrypted) VALUES (%s, %s)
        ON CONFLICT (user_id) DO UPDATE SET name_encrypted = EXCLUDED.name_encrypted, changed_at = now()
        """,
        (user_id, name_encrypted),
    )


def find_name(tx: Transaction, user_id: int) -> bytes | None:
    """Return a profile's encrypted name, or None."""
    row = one(tx, "SELECT name_encrypted FROM real_names WHERE user_id = %s", (user_id,))
    return None if row is None else bytes(row.name_encrypted)


def list_names(tx: Transaction) -> dict[int, bytes]:
    """Return all encrypted names by profile."""
    found = rows(tx, "SELECT user_id, name_encrypted FROM real_names ORDER BY user_id")
    return {row.user_id: bytes(row.name_encrypted) for row in found}


def replace_encrypted(tx: Transaction, user_id: int, before: bytes, after: bytes) -> bool:
    """Store the same re-encrypted name; return whether it was still the one that was read."""
    statement = "UPDATE real_names SET name_encrypted = %s WHERE user_id = %s AND name_encrypted = %s"
    return execute(tx, statement, (after, user_id, before)) > 0
