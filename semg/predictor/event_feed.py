"""A profile's gesture events for one reader, without a hole: what the bus did not bring is read from the store."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import orjson

from semg.event_types import GestureEvent
from semg.store import gesture_events
from semg.store.pool import Pool
from semg.wire.messages import EventMessage

_BEGIN = b'{"type":"event"'


def is_event(message: bytes) -> bool:
    """Return whether a message of the live hub is a gesture event."""
    return message.startswith(_BEGIN)


class EventFeed:
    """Passes on the events that come, each once, in the order of their numbers.

    Parameters
    ----------
    after
        Number of the last event that the reader knows; None: the reader begins with the next one that comes.
    """

    def __init__(self, pool: Pool, user_id: int, after: int | None) -> None:
        self._pool = pool
        self._user_id = user_id
        self._last = after

    async def missed(self) -> AsyncIterator[bytes]:
        """Yield what the store has behind the last event; nothing for a reader that knows none."""
        while self._last is not None:
            found = await asyncio.to_thread(self._read, self._last)
            for event in found:
                self._last = event.sequence
                yield EventMessage.of(event).to_bytes()
            if len(found) < gesture_events.MOST_LISTED:
                return

    async def complete(self, message: bytes) -> AsyncIterator[bytes]:
        """Yield an event that came, and before it what is missing: every event is stored before it is published.

        Of what was erased since, nothing is there; the numbers go on behind it.
        """
        sequence = int(orjson.loads(message)["sequence"])
        if self._last is not None and sequence > self._last + 1:
            async for text in self.missed():
                yield text
        if self._last is None or sequence > self._last:
            self._last = sequence
            yield message

    def _read(self, after: int) -> list[GestureEvent]:
        with self._pool.transaction() as tx:
            return gesture_events.list_events(tx, self._user_id, after)
