"""Work that whoever reaches the login page can ask for: in threads of its own, and not without end.

Passwords are slow to look at and wait for one another (``semg.security.passwords``). In the threads that everything
else of the app uses, twenty tries at the same moment would hold up every page.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import ParamSpec, TypeVar

from semg.errors import LoginError
from semg.security import passwords
from semg.security.rate_limit import RateLimiter

P = ParamSpec("P")
T = TypeVar("T")
WAITING, WAITING_OF_ONE = 32, 4
"""Tries that wait, of all and of one address; who comes then is told to try again."""
STARTS_PER_S, STARTS_BURST_S = 0.5, 30.0
"""Steps that one address may begin without a login; they are kept for five minutes, and there are not many."""
TOO_MANY = "Too many requests came from your address. Wait a few seconds, then try again."


class Turns:
    """Runs tries of passwords, and counts what is begun."""

    def __init__(self) -> None:
        self._threads = ThreadPoolExecutor(passwords.AT_ONCE + 2, "passwords")
        self._inside_threads = ThreadPoolExecutor(1, "confirmations")
        self._inside: set[int] = set()
        self._waiting: Counter[str] = Counter()
        self._starts = RateLimiter(STARTS_PER_S, burst_s=STARTS_BURST_S)

    async def run(self, client: str, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that looks at a password, for somebody at an address.

        Raises
        ------
        LoginError
            Too many wait.
        """
        if self._waiting.total() >= WAITING or self._waiting[client] >= WAITING_OF_ONE:
            raise LoginError(passwords.BUSY)
        self._waiting[client] += 1
        try:
            return await asyncio.get_running_loop().run_in_executor(self._threads, lambda: work(*args, **kwargs))
        finally:
            self._waiting[client] -= 1
            self._waiting += Counter()  # forgets those with nothing under way

    async def run_inside(self, account_id: int, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that looks at a password, for an account that is logged in: one at a time of each.

        Raises
        ------
        LoginError
            One of the account is under way, or too many wait.
        """
        if account_id in self._inside:
            raise LoginError(passwords.ONE_AT_ONCE)
        if len(self._inside) >= WAITING:
            raise LoginError(passwords.BUSY)
        self._inside.add(account_id)
        try:
            return await asyncio.get_running_loop().run_in_executor(self._inside_threads, lambda: work(*args, **kwargs))
        finally:
            self._inside.discard(account_id)

    def start(self, client: str) -> None:
        """Count that somebody without a login begins something.

        Raises
        ------
        LoginError
            The address began too much.
        """
        if self._starts.wait_s(client) > 0:
            raise LoginError(TOO_MANY)
