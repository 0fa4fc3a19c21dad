"""Short secrets in the database: AES-256-GCM under keys that are derived from ``SECRET_KEY`` (``semg.security.keys``).

Somebody with only the database, or a backup of it, learns nothing. A secret's owner is authenticated with it, so that
one row's secret cannot be moved to another row. Files have a format of their own: ``semg.security.encrypted_files``.

A stored secret is ``SEK2``, the number of its key (8 bytes), a nonce (12 bytes) and the ciphertext with its tag. One
from before keys had numbers begins with its nonce.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from semg.errors import EncryptedFileError, SettingsError
from semg.security.keys import ID_BYTES, KeyRing, Secret, derive

_MAGIC = b"SEK2"
_NONCE_BYTES = 12
_HEAD_BYTES = len(_MAGIC) + ID_BYTES


def encrypt(keys: Secret, purpose: bytes, bound_to: bytes, plain: bytes) -> bytes:
    """Encrypt a secret for storage.

    Parameters
    ----------
    keys
        The installation's keys.
    purpose
        Separates the keys of different kinds of secrets.
    bound_to
        Identifies the secret's owner.

    Raises
    ------
    SettingsError
        ``SECRET_KEY`` is empty.
    """
    ring, nonce = _ring(keys), secrets.token_bytes(_NONCE_BYTES)
    head = _MAGIC + ring.current_id
    return head + nonce + AESGCM(derive(ring.current, purpose)).encrypt(nonce, plain, head + bound_to)


def decrypt(keys: Secret, purpose: bytes, bound_to: bytes, stored: bytes) -> bytes:
    """Decrypt a secret.

    Raises
    ------
    SealError
        It was encrypted with a missing key or for another owner, or is damaged.
    SettingsError
        ``SECRET_KEY`` is empty.
    """
    ring, head = _ring(keys), stored[:_HEAD_BYTES]
    root = ring.find(head[len(_MAGIC) :]) if head.startswith(_MAGIC) else None
    if root is not None:
        plain = _open(root, purpose, head + bound_to, stored[_HEAD_BYTES:])
        if plain is not None:
            return plain
    for each in ring:
        plain = _open(each, purpose, bound_to, stored)
        if plain is not None:
            return plain
    raise EncryptedFileError("the secret was made with another SECRET_KEY, belongs elsewhere, or is damaged")


def is_current(keys: Secret, stored: bytes) -> bool:
    """Return whether a stored secret is of the current key and format."""
    return stored.startswith(_MAGIC + _ring(keys).current_id)


def _open(root: str, purpose: bytes, bound_to: bytes, encrypted: bytes) -> bytes | None:
    try:
        return AESGCM(derive(root, purpose)).decrypt(encrypted[:_NONCE_BYTES], encrypted[_NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError):
        return None


def _ring(keys: Secret) -> KeyRing:
    ring = KeyRing.of(keys)
    if not ring.current:
        raise SettingsError("SECRET_KEY is empty: set it, or let start_all.sh make one, before secrets are stored")
    return ring
