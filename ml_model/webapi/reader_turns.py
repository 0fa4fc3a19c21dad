"""Turns at reading and packing files: few at the same moment, and fair between the accounts that wait."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

from semg.process.fair_turns import FairQueue

T = TypeVar("T")


class ReaderTurns:
    """Gives turns; one is a piece of a file, so that nobody holds one for long. Used in one event loop.

    Who is next, ``semg.process.fair_turns`` says: many downloads of one account make each of them slow, not others'.
    It has as many threads of its own: however many turns are taken, tokens and rights are looked up beside them.

    Parameters
    ----------
    n
        Turns at the same moment.
    """

    def __init__(self, n: int) -> None:
        self._queue: FairQueue[asyncio.Future[None]] = FairQueue(n)
        self._threads = ThreadPoolExecutor(n, "turn")

    def close(self) -> None:
        """Take no more; what runs goes on to its end."""
        self._threads.shutdown(wait=False, cancel_futures=True)

    async def run(self, account_id: int, read: Callable[[], T]) -> T:
        """Return what a function gives that is called in a thread, in a turn of an account.

        Whoever is cancelled meanwhile does not wait for the thread; the turn ends with the thread.
        """
        await self._take(account_id)
        reading = asyncio.get_running_loop().run_in_executor(self._threads, read)
        reading.add_done_callback(lambda done: self._end(account_id, done))
        return await asyncio.shield(reading)

    async def _take(self, account_id: int) -> None:
        if self._queue.take(account_id):
            return
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._queue.wait(account_id, turn)
        try:
            await turn
        except asyncio.CancelledError:
            if turn.done() and not turn.cancelled():  # given, and not used
                self._give_back(account_id)
            else:
                self._queue.leave(account_id, turn)
            raise

    def _end(self, account_id: int, done: asyncio.Future[T]) -> None:
        if not done.cancelled():
            done.exception()  # whoever waits for it gets it; of one that was cancelled nobody does
        self._give_back(account_id)

    def _give_back(self, account_id: int) -> None:
        following = self._queue.give_back(account_id)
        while following is not None:
            whose, turn = following
            if not turn.done():
                turn.set_result(None)
                return
            following = self._queue.give_back(whose)  # it was cancelled, and has not left yet
