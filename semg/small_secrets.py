"""Short secrets in the database: AES-256-GCM under keys that HKDF-SHA-256 (RFC 5869) derives from ``SECRET_KEY``.

Whoever has only the database, or a backup of it, learns nothing. What a secret belongs to is authenticated with it, so
that one row's secret fits no other row. Files have a format of their own: ``semg.sealed``.
"""

from __future__ import annotations

import secrets

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

from semg.errors import SealError, SettingsError

_NONCE_BYTES = 12


def encrypt(secret_key: str, purpose: bytes, bound_to: bytes, plain: bytes) -> bytes:
    """Give a secret as it is stored: a nonce of 12 bytes, then the AES-GCM ciphertext with its tag.

    Parameters
    ----------
    secret_key
        The setting ``SECRET_KEY``.
    purpose
        Gives each kind of secret a key of its own.
    bound_to
        What the secret belongs to.

    Raises
    ------
    SettingsError
        ``SECRET_KEY`` is empty.
    """
    nonce = secrets.token_bytes(_NONCE_BYTES)
    return nonce + _cipher(secret_key, purpose).encrypt(nonce, plain, bound_to)


def decrypt(secret_key: str, purpose: bytes, bound_to: bytes, stored: bytes) -> bytes:
    """Give a secret back.

    Raises
    ------
    SealError
        It was encrypted with another ``SECRET_KEY`` or for something else, or is damaged.
    SettingsError
        ``SECRET_KEY`` is empty.
    """
    try:
        return _cipher(secret_key, purpose).decrypt(stored[:_NONCE_BYTES], stored[_NONCE_BYTES:], bound_to)
    except (InvalidTag, ValueError) as exc:
        raise SealError("the secret was made with another SECRET_KEY, belongs elsewhere, or is damaged") from exc


def _cipher(secret_key: str, purpose: bytes) -> AESGCM:
    if not secret_key:
        raise SettingsError("SECRET_KEY is empty: set it, or let start_all.sh make one, before secrets are stored")
    return AESGCM(HKDF(SHA256(), 32, salt=None, info=purpose).derive(secret_key.encode()))
