"""Passwords: argon2id hashes, and generated ones."""

from __future__ import annotations

import secrets
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import lru_cache

from argon2 import PasswordHasher
from argon2.exceptions import InvalidHashError, VerificationError

from semg.errors import LoginError
from semg.security.password_rules import MAX_LENGTH, check_password
from semg.security.rate_limit import RateLimiter

_READABLE = "abcdefghjkmnpqrstuvwxyzABCDEFGHJKLMNPQRSTUVWXYZ23456789"
_HASHER = PasswordHasher()
"""argon2id with the library's parameters: the second recommended set of RFC 9106 (64 MiB, 3 passes, 4 lanes)."""
AT_ONCE = 2
"""Passwords that are worked on at the same time: each takes 64 MiB and a core."""
WAIT_S = 5.0
BUSY = "Too many people are logging in; your password was not checked. Try again in a few seconds."
_TURNS = threading.BoundedSemaphore(AT_ONCE)
INSIDE_PER_S, INSIDE_AT_ONCE = 0.2, 30
"""Passwords that somebody who is logged in has worked on: an admin makes a course's accounts at once."""
ONE_AT_ONCE = "Your account is checking or changing a password already. Wait until it is done, then try again."
TOO_OFTEN = "Your account has checked or changed passwords too often. Wait a minute, then try again."
UNCHECKED = (BUSY, ONE_AT_ONCE, TOO_OFTEN)
"""What is said when a password was not looked at."""


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


class Inside:
    """Turns of those who are logged in: all of them together never have the last one, which the login form keeps.

    An account has one at a time, and ``INSIDE_PER_S`` on average. Safe to use from threads.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._turns = threading.BoundedSemaphore(AT_ONCE - 1)
        self._rates = RateLimiter(INSIDE_PER_S, clock, burst_s=INSIDE_AT_ONCE / INSIDE_PER_S)
        self._under_way: set[int] = set()
        self._lock = threading.Lock()

    @contextmanager
    def turn(self, account_id: int, wait_s: float = WAIT_S) -> Iterator[None]:
        """Limit the hashing that somebody who is logged in asks for.

        Raises
        ------
        LoginError
            The account has a turn already or had too many, or it waited for too long.
        """
        with self._lock:
            if account_id in self._under_way:
                raise LoginError(ONE_AT_ONCE)
            if self._rates.wait_s(str(account_id)) > 0:
                raise LoginError(TOO_OFTEN)
            self._under_way.add(account_id)
        try:
            with turn(self._turns, wait_s), turn():
                yield
        finally:
            with self._lock:
                self._under_way.discard(account_id)


INSIDE = Inside()


def hash_password(password: str, login: str = "", *, inside: int | None = None) -> str:
    """Return the argon2id hash of a new password, with its salt and parameters.

    Parameters
    ----------
    login
        Whose password it is to be.
    inside
        The account that asks, when it is logged in.

    Raises
    ------
    InvalidValueError
        The password is too short, too long or too easy to guess (``semg.security.password_rules``).
    LoginError
        Too many others are in progress.
    """
    with turn() if inside is None else INSIDE.turn(inside):
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
