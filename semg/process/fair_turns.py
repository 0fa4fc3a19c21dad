"""Turns at what few may do at the same moment, fair between the accounts that wait; and such turns for threads."""

from __future__ import annotations

import threading
from collections import Counter, deque
from typing import Generic, TypeVar

T = TypeVar("T")
WAITING_EACH = 4
"""Threads of one account that may wait: each is a page's, and holds what the page holds."""


class FairQueue(Generic[T]):
    """Who has a turn, and who is next. Not safe to use from threads; whoever waits is told by the caller.

    A free turn goes to the account that has the fewest at this moment, of these to the one that waits longest; an
    account that has had a turn goes behind the others. So many requests of one account make each of them slow, and not
    those of others.

    Parameters
    ----------
    n
        Turns at the same moment.
    """

    def __init__(self, n: int) -> None:
        self._free = n
        self._taken: Counter[int] = Counter()
        self._waiting: dict[int, deque[T]] = {}

    def take(self, account_id: int) -> bool:
        """Take a turn for an account; return False when there is none, and others wait for one perhaps."""
        if not self._free:
            return False
        self._free -= 1
        self._taken[account_id] += 1
        return True

    def wait(self, account_id: int, waiter: T) -> None:
        """Let somebody wait for a turn, behind those of its account."""
        self._waiting.setdefault(account_id, deque()).append(waiter)

    def n_waiting(self, account_id: int) -> int:
        """Return how many of an account wait."""
        return len(self._waiting.get(account_id, ()))

    def leave(self, account_id: int, waiter: T) -> None:
        """Let somebody wait no more."""
        queue = self._waiting.get(account_id, deque())
        if waiter in queue:
            queue.remove(waiter)
            if not queue:
                del self._waiting[account_id]

    def give_back(self, account_id: int) -> tuple[int, T] | None:
        """End a turn; return who has it now, and of which account that is, or None."""
        self._taken[account_id] -= 1
        self._taken += Counter()  # forgets those with none
        if account_id in self._waiting:
            self._waiting[account_id] = self._waiting.pop(account_id)  # behind the others
        if not self._waiting:
            self._free += 1
            return None
        whose = min(self._waiting, key=lambda one: self._taken[one])  # of equals the first, which waits longest
        queue = self._waiting.pop(whose)
        waiter = queue.popleft()
        if queue:
            self._waiting[whose] = queue
        self._taken[whose] += 1
        return whose, waiter


class FairTurns:
    """Turns for threads; parameters as ``FairQueue``. Safe to use from threads."""

    def __init__(self, n: int) -> None:
        self._queue: FairQueue[threading.Event] = FairQueue(n)
        self._lock = threading.Lock()

    def take(self, account_id: int, wait_s: float) -> bool:
        """Take a turn for an account, waiting so long at most; return False without one.

        At once, where ``WAITING_EACH`` of the account wait already. Whoever takes one gives it back.
        """
        given = threading.Event()
        with self._lock:
            if self._queue.take(account_id):
                return True
            if wait_s <= 0 or self._queue.n_waiting(account_id) >= WAITING_EACH:
                return False
            self._queue.wait(account_id, given)
        if given.wait(wait_s):
            return True
        with self._lock:
            if given.is_set():
                return True
            self._queue.leave(account_id, given)
            return False

    def give_back(self, account_id: int) -> None:
        """End a turn; who waits longest has it then."""
        with self._lock:
            following = self._queue.give_back(account_id)
            if following is not None:
                following[1].set()
