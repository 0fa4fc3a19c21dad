"""Passwords: argon2id hashes, and generated ones."""

from __future__ import annotations

import secrets
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from semg.errors import LoginError
from semg.security.password_rules import MAX_LENGTH, check_password

_READABLE = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_HASHER = PasswordHasher()
"""argon2id with the library's parameters: the second recommended set of RFC 9106 (64 MiB, 3 passes, 4 lanes)."""
AT_ONCE = 2
"""Passwords that are worked on at the same time: each takes 64 MiB and a core."""
WAIT_S = 5.0
BUSY = "Too many people are logging in; your password was not checked. Try again in a few seconds."
_TURNS = threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn(turns: threading.Semaphore = _TURNS, wait_s: float = WAIT_S) -> Iterator[None]:
    """Limit concurrent password hashing to ``AT_ONCE`` such blocks; further ones wait.

    Raises
    ------
    LoginError
        It waited for too long.
    """
    if not turns.acquire(timeout=wait_s):
        raise LoginError(BUSY)
    try:
        yield
    finally:
        turns.release()


def hash_password(password: str, login: str = "") -> str:
    """Return the argon2id hash of a new password, with its salt and parameters.

    Parameters
    ----------
    login
        Whose password it is to be.

    Raises
    ------
    InvalidValueError
        The password is too short, too long or too easy to guess (``semg.security.password_rules``).
    LoginError
        Too many others are in progress.
    """
    with turn():
        check_password(password, login)
        return _HASHER.hash(password.encode("utf-8", "replace"))


def verify_password(password_hash: str | None, password: str) -> tuple[bool, str | None]:
    """Return whether the password is right; without a hash the same work is done and the result is False.

    Returns
    -------
    tuple
        ``(right, new_hash)``; ``new_hash`` is set when the parameters have changed since the hash was made.
    """
    secret = password[:MAX_LENGTH].encode("utf-8", "replace")
    try:
        _HASHER.verify(password_hash or _hash_of_nobody(), secret)
    except (VerificationError, InvalidHashError):
        return False, None
    if password_hash is None or len(password) > MAX_LENGTH:
        return False, None
    return True, _HASHER.hash(secret) if _HASHER.check_needs_rehash(password_hash) else None


def generate_password(length: int = 16) -> str:
    """Return a random password without easily confused characters (5.8 bits per character)."""
    return "".join(secrets.choice(_READABLE) for _ in range(length))


@lru_cache(maxsize=1)
def _hash_of_nobody() -> str:
    return _HASHER.hash(secrets.token_bytes(32))
