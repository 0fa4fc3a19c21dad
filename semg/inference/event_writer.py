"""Store gesture events and publish them with their numbers: each once, a profile's in their order."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, replace

from semg.clock import now_us
from semg.event_types import GestureEvent
from semg.process.attempts import LOCK_S, Attempts
from semg.store import gesture_events
from semg.store.pool import Pool

logger = logging.getLogger(__name__)
MAX_WAITING = 10_000
"""Events that wait for a database that is away: an hour of a hundred wearers."""
RETRY_S = 0.25


@dataclass(frozen=True, slots=True)
class _Release:
    """Release what the store has as pressed, of these profiles: who pressed it is gone."""

    of: Callable[[int], bool]


class EventWriter:
    """Events wait here until they are committed; only then they have a number, and are published.

    Who reads them by their numbers and finds one missing asks the store, where every number that was published is.

    Parameters
    ----------
    publish
        Sends one event to the bus. What it loses, a reader of numbers finds in the store.
    """

    def __init__(self, pool: Pool, publish: Callable[[GestureEvent], Awaitable[None]]) -> None:
        self._pool = pool.waiting_at_most(LOCK_S)
        self._publish = publish
        self._waiting: deque[GestureEvent | _Release] = deque()
        self._wake = asyncio.Event()
        self._attempts = Attempts(logger, "gesture events wait to be stored")
        self._is_again = False
        self.stored = 0
        self.lost = 0
        self.refused = 0

    @property
    def n_waiting(self) -> int:
        """Number of events that are not stored yet."""
        return len(self._waiting)

    def add(self, events: Iterable[GestureEvent]) -> None:
        """Add events, a profile's in their order; the oldest go, counted, where too many wait."""
        for event in events:
            self._waiting.append(event)
            self._wake.set()
        while len(self._waiting) > MAX_WAITING:
            self._waiting.popleft()
            self.lost += 1

    def release_pressed(self, of: Callable[[int], bool]) -> None:
        """Release, before what is added from now on, what the store has as pressed; see ``_Release``."""
        self._waiting.append(_Release(of))
        self._wake.set()

    async def run(self) -> None:
        """Store and publish until cancelled; while the database is away, events wait."""
        while True:
            await self._wake.wait()
            self._wake.clear()
            while self._waiting:
                try:
                    await self.flush()
                    self._attempts.works("round")
                except Exception as exc:  # edge of a round
                    self._attempts.note("round", exc)
                    await asyncio.sleep(RETRY_S)

    async def flush(self) -> None:
        """Store what waits, and publish it.

        Raises
        ------
        StoreError
            Nothing of it is stored, as far as is known; it waits.
        """
        batch = list(self._waiting)
        is_again, self._is_again = self._is_again, True
        stored, n_refused = await asyncio.to_thread(self._store, batch, is_again)
        self._is_again = False
        for one in batch:
            if self._waiting and self._waiting[0] is one:
                self._waiting.popleft()
        self.stored += len(stored)
        self.refused += n_refused
        for event in stored:
            await self._publish(event)

    def _store(self, batch: list[GestureEvent | _Release], is_again: bool) -> tuple[list[GestureEvent], int]:
        """Store a batch in one transaction. Runs in a thread.

        Parameters
        ----------
        is_again
            The round before failed: whether its transaction was committed is not known.
        """
        stored: list[GestureEvent] = []
        n_refused = 0
        with self._pool.transaction() as tx:
            for part in _parts(batch):
                if isinstance(part, _Release):
                    part = [_released(one) for one in gesture_events.list_pressed(tx) if part.of(one.user_id)]
                known = gesture_events.find_stored(tx, part) if is_again else {}
                stored += [replace(part[index], sequence=number) for index, number in sorted(known.items())]
                left = [event for index, event in enumerate(part) if index not in known]
                done, refused = gesture_events.insert_possible(tx, left)
                stored, n_refused = stored + done, n_refused + len(refused)
        return stored, n_refused


def _parts(batch: list[GestureEvent | _Release]) -> Iterable[list[GestureEvent] | _Release]:
    """Split a batch into runs of events, and what stands between them."""
    events: list[GestureEvent] = []
    for one in batch:
        if isinstance(one, _Release):
            if events:
                yield events
            yield one
            events = []
        else:
            events.append(one)
    if events:
        yield events


def _released(pressed: GestureEvent) -> GestureEvent:
    at_us = max(now_us(), pressed.at_us)
    return replace(pressed, kind="release", at_us=at_us, reason="restarted", sequence=0)
