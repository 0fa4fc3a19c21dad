"""The installation's secret keys: one that is used, others that are still read, and a key of its own for each purpose.

``SECRET_KEY`` is a root: nothing is signed or encrypted with it. HKDF-SHA-256 (RFC 5869) derives a key for each purpose
from it, and a number that names it (``key_id``) and tells nothing about it. What is made carries that number, so that
after a rotation (``SECRET_KEYS_OLD``) it is known which key opens it. What was made before there were numbers is tried
with every key.
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
        Makes everything that is made: the setting ``SECRET_KEY``. Empty: nothing can be made.
    others
        Open what was made with them, and make nothing: the setting ``SECRET_KEYS_OLD``.
    """

    current: str = field(repr=False)
    others: tuple[str, ...] = field(default=(), repr=False)

    @classmethod
    def of(cls, keys: Secret) -> KeyRing:
        """Return the ring; a single secret is a ring of one."""
        return cls(keys) if isinstance(keys, str) else keys

    @property
    def current_id(self) -> bytes:
        """Number of the current key."""
        return key_id(self.current)

    def find(self, number: bytes) -> str | None:
        """Return the key of a number, or None."""
        return next((root for root in self if key_id(root) == number), None)

    def __iter__(self) -> Iterator[str]:
        """Go through all keys, the current one first."""
        return (root for root in (self.current, *self.others) if root)


Secret: TypeAlias = str | KeyRing
"""``SECRET_KEY`` alone, or with the keys that it took the place of."""


def ring_of(settings: Settings) -> KeyRing:
    """Return the keys of the settings."""
    old = settings.secret_keys_old.get_secret_value().split(",")
    return KeyRing(settings.secret_key.get_secret_value(), tuple(part.strip() for part in old if part.strip()))


def derive(root: str, purpose: bytes, salt: bytes | None = None) -> bytes:
    """Return the key of 32 bytes that a root key has for a purpose."""
    return HKDF(SHA256(), 32, salt=salt, info=purpose).derive(root.encode())


@lru_cache(maxsize=64)
def key_id(root: str) -> bytes:
    """Return the number of a root key: 8 bytes that are no part of any key derived from it."""
    return HKDF(SHA256(), ID_BYTES, salt=None, info=_ID_PURPOSE).derive(root.encode())
