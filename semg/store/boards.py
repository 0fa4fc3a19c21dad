"""Boards that sign what they send: their keys (``semg.security.board_keys``), and whom they are assigned to."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from semg.board_types import Board
from semg.domain import HighWaterMark
from semg.errors import NotFoundError
from semg.store import checks, owner_limits
from semg.store.pool import Transaction, execute, one, rows

_COLUMNS = "board_id, name, user_id, key_encrypted, last_boot_id, last_device_us, created_at, key_made_at, simulated"
_SET_ASIDE = "(SELECT a.user_id FROM simulated_arms a WHERE a.former_board_id = boards.board_id) AS set_aside_for"
_SELECT = f"SELECT {_COLUMNS}, {_SET_ASIDE} FROM boards"  # noqa: S608
_MAX_NAME = 100


def list_boards(tx: Transaction) -> list[Board]:
    """Return all boards by number."""
    return [_board(row) for row in rows(tx, _SELECT + " ORDER BY board_id")]


def get_board(tx: Transaction, board_id: int) -> Board:
    """Return a board.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    row = one(tx, _SELECT + " WHERE board_id = %s", (board_id,))
    if row is None:
        raise _missing(board_id)
    return _board(row)


def lock_board(tx: Transaction, board_id: int) -> Board:
    """Return a board as it is once nobody else changes it, and let nobody else do so until this transaction ends.

    Raises
    ------
    NotFoundError
        There is none of this number.
    """
    execute(tx, "SELECT FROM boards WHERE board_id = %s FOR UPDATE", (board_id,))
    # Asked anew: the statement that waited saw the arms as they were before.
    return get_board(tx, board_id)


def lock_for(tx: Transaction, user_id: int | None, board_id: int | None = None) -> Board | None:
    """Lock everything that changes when a board is to send for a profile, or its arm starts or stops; return the board.

    This is the order of locks: the profile, arms that set the board aside, boards by number. Whoever keeps to it waits
    for others, and fails with none. What may be done is judged after it, as what was seen before may have changed.

    Raises
    ------
    NotFoundError
        There is no such board or profile.
    """
    profile = "SELECT 1 FROM profiles WHERE user_id = %s FOR NO KEY UPDATE"
    if user_id is not None and one(tx, profile, (user_id,)) is None:
        raise NotFoundError(f"there is no profile {user_id}; it may have been deleted")
    arms = """
        SELECT 1 FROM simulated_arms WHERE former_board_id = %(board)s OR board_id = %(board)s OR user_id = %(user)s
        ORDER BY user_id FOR UPDATE
    """
    rows(tx, arms, {"board": board_id, "user": user_id})
    # Both boards in one order: two people who swap boards at the same moment wait instead of failing.
    locked = "SELECT board_id FROM boards WHERE board_id = %s OR user_id = %s ORDER BY board_id FOR UPDATE"
    rows(tx, locked, (board_id, user_id))
    # Asked anew: a statement that waited saw the arms as they were before.
    return None if board_id is None else get_board(tx, board_id)


def insert_board(tx: Transaction, name: str | None = None, *, assigned_next: bool = False) -> int:
    """Create a board without a key and without a profile, and return its number.

    Parameters
    ----------
    name
        None: the board is named by its number. Boards of nobody's are seen by every researcher, so none is named after
        a person by itself.
    assigned_next
        The same transaction assigns it to a profile, so that it does not count as one that sends for nobody.

    Raises
    ------
    InvalidValueError
        The name is empty, too long or not printable.
    ConflictError
        Too many boards send for nobody (``owner_limits``).
    """
    if not assigned_next:
        owner_limits.require_spare_board(tx)
    stored = "Board" if name is None else checks.name("name", name, _MAX_NAME)
    made = one(tx, "INSERT INTO boards (name) VALUES (%s) RETURNING board_id", (stored,))
    assert made is not None
    if name is None:
        execute(tx, "UPDATE boards SET name = %s WHERE board_id = %s", (f"Board {made.board_id}", made.board_id))
    return int(made.board_id)


def set_key(tx: Transaction, board_id: int, key_encrypted: bytes) -> None:
    """Set the key of a board, replacing the former one.

    Raises
    ------
    NotFoundError
        There is no such board.
    """
    statement = "UPDATE boards SET key_encrypted = %s, key_made_at = clock_timestamp() WHERE board_id = %s"
    if not execute(tx, statement, (key_encrypted, board_id)):
        raise _missing(board_id)


def replace_encrypted(tx: Transaction, board_id: int, before: bytes, after: bytes) -> bool:
    """Store the same key re-encrypted, and return whether it was still the one that was read."""
    statement = "UPDATE boards SET key_encrypted = %s WHERE board_id = %s AND key_encrypted = %s"
    return execute(tx, statement, (after, board_id, before)) > 0


def revoke_key(tx: Transaction, board_id: int) -> None:
    """Revoke a board's key: its datagrams are refused until it gets another.

    Raises
    ------
    NotFoundError
        There is no such board.
    """
    if not execute(tx, "UPDATE boards SET key_encrypted = NULL, key_made_at = NULL WHERE board_id = %s", (board_id,)):
        raise _missing(board_id)


def assign_board(tx: Transaction, board_id: int, user_id: int | None) -> None:
    """Assign a board to a profile (None: to none); the profile's former board becomes unassigned.

    A board that was set aside for a simulated arm is so no longer.

    Raises
    ------
    NotFoundError
        There is no such board or profile.
    """
    lock_for(tx, user_id, board_id)
    execute(
        tx,
        "UPDATE simulated_arms SET former_board_id = NULL, former_key_made_at = NULL WHERE former_board_id = %s",
        (board_id,),
    )
    execute(tx, "UPDATE boards SET user_id = NULL WHERE user_id = %s AND board_id <> %s", (user_id, board_id))
    execute(tx, "UPDATE boards SET user_id = %s WHERE board_id = %s", (user_id, board_id))


def remember_marks(tx: Transaction, marks: Mapping[int, HighWaterMark]) -> None:
    """Store high-water marks of boards. They never decrease; boards removed meanwhile are skipped."""
    board_ids = sorted(marks)
    rows(tx, "SELECT board_id FROM boards WHERE board_id = ANY(%s) ORDER BY board_id FOR NO KEY UPDATE", (board_ids,))
    statement = """
        UPDATE boards SET last_boot_id = seen.boot_id, last_device_us = seen.device_us
        FROM unnest(%s::bigint[], %s::bigint[], %s::bigint[]) AS seen (board_id, boot_id, device_us)
        WHERE boards.board_id = seen.board_id AND (last_boot_id, last_device_us) < (seen.boot_id, seen.device_us)
    """
    columns = [marks[board_id].boot_id for board_id in board_ids], [marks[board_id].device_us for board_id in board_ids]
    execute(tx, statement, (board_ids, *columns))


def delete_board(tx: Transaction, board_id: int) -> None:
    """Remove a board; what it sent stays with the profiles.

    Raises
    ------
    NotFoundError
        There is no such board.
    """
    if not execute(tx, "DELETE FROM boards WHERE board_id = %s", (board_id,)):
        raise _missing(board_id)


def _missing(board_id: int) -> NotFoundError:
    return NotFoundError(f"there is no board {board_id}; it may have been deleted")


def _board(row: Any) -> Board:
    return Board(
        board_id=row.board_id,
        name=row.name,
        user_id=row.user_id,
        key_encrypted=None if row.key_encrypted is None else bytes(row.key_encrypted),
        last=HighWaterMark(row.last_boot_id, row.last_device_us),
        created_at=row.created_at,
        key_made_at=row.key_made_at,
        simulated=row.simulated,
        set_aside_for=row.set_aside_for,
    )
