"""How many files are being sent, and how many WebSockets are open."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

from fastapi import HTTPException

MAX_DOWNLOADS, MAX_DOWNLOADS_OF_ONE = 24, 6
"""Files that are sent at the same time, videos and archives too, of all accounts and of one: a session's holds 40 to
150 MB while it is read."""
MAX_SEND_S = 1800.0
"""A file that has not been taken by then is cut off: 150 MB in that time are 85 kB/s."""
MAX_UPLOADS = 2
"""Recordings that are received at the same time, one of an account; one of them is taken in."""
MAX_WATCHING_OF_ONE = 20
"""WebSockets of one account, in all of its browsers and programs."""


class Watchers:
    """Counts the open WebSockets of each account."""

    def __init__(self) -> None:
        self._of: Counter[int] = Counter()

    def begin(self, account_id: int) -> bool:
        """Return whether an account (0: a service's, which are not limited) may have one more, and count it then."""
        if account_id and self._of[account_id] >= MAX_WATCHING_OF_ONE:
            return False
        self._of[account_id] += 1
        return True

    def end(self, account_id: int) -> None:
        """Count one less."""
        self._of[account_id] -= 1
        self._of += Counter()  # forgets those with none


class Uploads:
    """Counts the recordings that are received or taken in: each is a file of up to 64 MB, and half a GB of memory."""

    def __init__(self) -> None:
        self._of: set[int] = set()

    @contextmanager
    def one_of(self, account_id: int) -> Iterator[None]:
        """Count one of an account (0: a service's) in this block.

        Raises
        ------
        HTTPException
            429: this account has one, or all together have too many.
        """
        if account_id in self._of or len(self._of) >= MAX_UPLOADS:
            raise HTTPException(
                429, "another recording is being taken in; try again in a minute", {"Retry-After": "60"}
            )
        self._of.add(account_id)
        try:
            yield
        finally:
            self._of.remove(account_id)


class Downloads:
    """Counts the files that are being sent: each holds an open file, or some minutes of samples, until it is taken."""

    def __init__(self) -> None:
        self._of: Counter[int] = Counter()

    def begin(self, account_id: int) -> None:
        """Count one more of an account (0: a service's).

        Raises
        ------
        HTTPException
            429: this account, or all together, have too many.
        """
        if self._of.total() >= MAX_DOWNLOADS or self._of[account_id] >= MAX_DOWNLOADS_OF_ONE:
            raise HTTPException(
                429, "too many files and long requests are under way; try again in a minute", {"Retry-After": "60"}
            )
        self._of[account_id] += 1

    def end(self, account_id: int) -> None:
        """Count one less."""
        self._of[account_id] -= 1
        self._of += Counter()  # forgets those with none
