"""Pseudonyms: a profile carries a code, and the person's identity is stored separately, encrypted.

Somebody with only the database, or a backup of it, learns no name (``semg.security.field_encryption``).
"""

from __future__ import annotations

import secrets

from semg.errors import EncryptedFileError, SettingsError
from semg.security.field_encryption import decrypt, encrypt
from semg.security.keys import Secret
from semg.store import checks, profiles, real_names
from semg.store.pool import Transaction

_LETTERS = "ACDEFGHJKLMNPQRTUVWXY34679"
"""None that is taken for another one when it is read aloud or written by hand."""
_PURPOSE = b"semg real names, version 1"


def make_pseudonym() -> str:
    """Return a new random code, such as ``P-7KQX3M``, which is independent of the name."""
    return "P-" + "".join(secrets.choice(_LETTERS) for _ in range(6))


def keep_name(tx: Transaction, keys: Secret, user_id: int, name: str) -> None:
    """Store a person's identity, separately from the profile.

    Raises
    ------
    InvalidValueError
        It is no name.
    SettingsError
        ``SECRET_KEY`` is empty.
    """
    name = checks.name("name", name, 200)
    real_names.set_name(tx, user_id, encrypt(keys, _PURPOSE, _bound_to(user_id), name.encode()))


def find_name(tx: Transaction, keys: Secret, user_id: int) -> str | None:
    """Return a person's identity, or None when it is not stored separately.

    Raises
    ------
    SettingsError
        It was encrypted with another ``SECRET_KEY``, or is damaged.
    """
    stored = real_names.find_name(tx, user_id)
    return None if stored is None else _decrypt(keys, user_id, stored).decode()


def reencrypt_name(keys: Secret, user_id: int, stored: bytes) -> bytes:
    """Return a stored name encrypted with the current key.

    Raises
    ------
    SettingsError
        As ``find_name``.
    """
    return encrypt(keys, _PURPOSE, _bound_to(user_id), _decrypt(keys, user_id, stored))


def replace_name(tx: Transaction, keys: Secret, user_id: int) -> str:
    """Move a profile's name to the key table, and return the code that replaces it.

    Raises
    ------
    NotFoundError
        There is no such profile.
    """
    name, code = profiles.get_profile(tx, user_id).name, make_pseudonym()
    profiles.update_profile(tx, user_id, name=code)
    keep_name(tx, keys, user_id, name)
    return code


def _decrypt(keys: Secret, user_id: int, stored: bytes) -> bytes:
    try:
        return decrypt(keys, _PURPOSE, _bound_to(user_id), stored)
    except EncryptedFileError as exc:
        raise SettingsError(
            f"the name behind profile {user_id} cannot be read with this SECRET_KEY: set the one that it was made with"
        ) from exc


def _bound_to(user_id: int) -> bytes:
    return b"profile %d" % user_id
