"""Boards' keys: generated here, shown once for the sketch, stored encrypted.

The server needs a board's key itself to verify its tags, so a hash would not do. It is stored encrypted
(``semg.security.field_encryption``): somebody with only the database, or a backup of it, cannot send in a board's name.
"""

from __future__ import annotations

import secrets

from semg.errors import ConflictError, EncryptedFileError, SettingsError
from semg.security.field_encryption import decrypt, encrypt
from semg.security.keys import Secret
from semg.store import boards
from semg.store.pool import Transaction
from semg.wire.udp2 import KEY_BYTES

_PURPOSE = b"semg board keys, version 1"


def make_key() -> bytes:
    """Return a new key of 32 random bytes."""
    return secrets.token_bytes(KEY_BYTES)


def encrypt_key(keys: Secret, board_id: int, key: bytes) -> bytes:
    """Encrypt a board's key for storage (``semg.security.field_encryption``).

    Parameters
    ----------
    keys
        The installation's keys.

    Raises
    ------
    SettingsError
        ``SECRET_KEY`` is empty.
    """
    return encrypt(keys, _PURPOSE, _bound_to(board_id), key)


def decrypt_key(keys: Secret, board_id: int, key_encrypted: bytes) -> bytes:
    """Decrypt a board's key.

    Raises
    ------
    SettingsError
        It was encrypted with another ``SECRET_KEY`` or for another board, or is damaged.
    """
    try:
        return decrypt(keys, _PURPOSE, _bound_to(board_id), key_encrypted)
    except EncryptedFileError as exc:
        raise SettingsError(
            f"the key of board {board_id} cannot be read with this SECRET_KEY: set the one that it was made with, "
            "or make the board a new key"
        ) from exc


def reencrypt_key(keys: Secret, board_id: int, key_encrypted: bytes) -> bytes:
    """Return a board's key encrypted with the current key.

    Raises
    ------
    SettingsError
        As ``decrypt_key``.
    """
    return encrypt_key(keys, board_id, decrypt_key(keys, board_id, key_encrypted))


def sketch_lines(board_id: int, key: bytes) -> str:
    """Return the two lines of ``arduino/arduinocode.ino`` that make a board this one."""
    return f'#define BOARD_ID {board_id}\n#define BOARD_KEY "{key.hex()}"\n'


def make_board(
    tx: Transaction, keys: Secret, name: str | None = None, *, assigned_next: bool = False
) -> tuple[int, bytes]:
    """Create a board with a key, assigned to nobody; return its number and the key, which is not shown again.

    Parameters
    ----------
    name
        None: the board is named by its number.
    assigned_next
        As ``boards.insert_board``.

    Raises
    ------
    InvalidValueError
        The name cannot be stored.
    ConflictError
        Too many boards send for nobody.
    SettingsError
        ``SECRET_KEY`` is empty.
    """
    board_id, key = boards.insert_board(tx, name, assigned_next=assigned_next), make_key()
    boards.set_key(tx, board_id, encrypt_key(keys, board_id, key))
    return board_id, key


def renew_key(tx: Transaction, keys: Secret, board_id: int) -> bytes:
    """Replace a board's key, and return the new one; it is not shown again.

    Raises
    ------
    NotFoundError
        There is no such board.
    ConflictError
        It is set aside for a simulated arm: who has the new key would send for the profile when the arm stops.
    SettingsError
        ``SECRET_KEY`` is empty.
    """
    board = boards.lock_board(tx, board_id)
    if board.set_aside_for is not None:
        raise ConflictError(f"stop the simulated arm first: {board.name} is set aside for it, with its key")
    key = make_key()
    boards.set_key(tx, board_id, encrypt_key(keys, board_id, key))
    return key


def _bound_to(board_id: int) -> bytes:
    return b"board %d" % board_id
