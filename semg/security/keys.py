"""The installation's secret keys: the current one, old ones for decryption, and derived keys for each purpose.

``SECRET_KEY`` is a root: nothing is signed or encrypted with it. HKDF-SHA-256 (RFC 5869) derives a key for each purpose
from it, and a number that identifies it (``key_id``) and reveals nothing about it. Encrypted data carry that number, so
that after a rotation (``SECRET_KEYS_OLD``) it is known which key opens them. Data from before there were numbers are
tried with every key.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import lru_cache
from typing import TYPE_CHECKING, TypeAlias

from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.kdf.hkdf import HKDF

if TYPE_CHECKING:
    from semg.settings import Settings

ID_BYTES = 8
_ID_PURPOSE = b"semg key number, version 1"


@dataclass(frozen=True, slots=True)
class KeyRing:
    """The root keys of an installation.

    Attributes
    ----------
    current
        Encrypts and signs: the setting ``SECRET_KEY``. Empty: nothing can be encrypted or signed.
    others
        Only decrypt and verify: the setting ``SECRET_KEYS_OLD``.
    """

    current: str = field(repr=False)
    others: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, keys: Secret) -> KeyRing:
        """Return the key ring; a single secret becomes a ring of one."""
        return cls(keys) if isinstance(keys, str) else keys

    @property
    def current_id(self) -> bytes:
        """Number of the current key."""
        return key_id(self.current)

    def find(self, number: bytes) -> str | None:
        """Return the key of a number, or None."""
        return next((root for root in self if key_id(root) == number), None)

    def __iter__(self) -> Iterator[str]:
        """Iterate over all keys, the current one first."""
        return (root for root in (self.current, *self.others) if root)


Secret: TypeAlias = str | KeyRing
"""``SECRET_KEY`` alone, or with the keys that it replaced."""


def ring_of(settings: Settings) -> KeyRing:
    """Return the keys of the settings."""
    old = settings.secret_keys_old.get_secret_value().split(",")
    return KeyRing(settings.secret_key.get_secret_value(), tuple(part.strip() for part in old if part.strip()))


def derive(root: str, purpose: bytes, salt: bytes | None = None) -> bytes:
    """Derive the key of 32 bytes of a root key for a purpose."""
    return HKDF(SHA256(), 32, salt=salt, info=purpose).derive(root.encode())


@lru_cache(maxsize=64)
def key_id(root: str) -> bytes:
    """Return the number of a root key: 8 bytes that are independent of the keys derived from it."""
    return HKDF(SHA256(), ID_BYTES, salt=None, info=_ID_PURPOSE).derive(root.encode())
