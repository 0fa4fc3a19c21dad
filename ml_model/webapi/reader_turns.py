"""Turns at reading and packing files: few at the same moment, and fair between the accounts that wait."""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


class ReaderTurns:
    """Gives turns; one is a piece of a file, so that nobody holds one for long. Used in one event loop.

    A free turn goes to the account that has the fewest at this moment, of these to the one that waits longest: many
    downloads of one account make each of them slow, and not those of others.

    Parameters
    ----------
    n
        Turns at the same moment.
    """

    def __init__(self, n: int) -> None:
        self._free = n
        self._taken: Counter[int] = Counter()
        self._waiting: dict[int, deque[asyncio.Future[None]]] = {}

    async def run(self, account_id: int, read: Callable[[], T]) -> T:
        """Return what a function gives that is called in a thread, in a turn of an account.

        Whoever is cancelled meanwhile does not wait for the thread; the turn ends with the thread.
        """
        await self._take(account_id)
        reading = asyncio.ensure_future(asyncio.to_thread(read))
        reading.add_done_callback(lambda done: self._end(account_id, done))
        return await asyncio.shield(reading)

    async def _take(self, account_id: int) -> None:
        if self._free:
            self._free -= 1
            self._taken[account_id] += 1
            return
        turn = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(account_id, deque()).append(turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # given, and not used
                self._give_back(account_id)
            else:
                self._leave(account_id, turn)
            raise

    def _leave(self, account_id: int, turn: asyncio.Future[None]) -> None:
        queue = self._waiting.get(account_id, deque())
        if turn in queue:
            queue.remove(turn)
            if not queue:
                del self._waiting[account_id]

    def _end(self, account_id: int, done: asyncio.Future[T]) -> None:
        if not done.cancelled():
            done.exception()  # whoever waits for it gets it; of one that was cancelled nobody does
        self._give_back(account_id)

    def _give_back(self, account_id: int) -> None:
        self._taken[account_id] -= 1
        self._taken += Counter()  # forgets those with none
        self._free += 1
        while self._free and self._waiting:
            whose = min(self._waiting, key=lambda one: self._taken[one])  # of equals the first, which waits longest
            queue = self._waiting.pop(whose)
            turn = queue.popleft()
            if queue:
                self._waiting[whose] = queue  # behind the others
            if not turn.done():
                self._free -= 1
                self._taken[whose] += 1
                turn.set_result(None)
