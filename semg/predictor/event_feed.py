"""A profile's gesture events for one reader, without a hole: what the bus did not bring is read from the store."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import orjson

from semg.store import gesture_events
from semg.store.pool import Pool
from semg.wire.messages import EventMessage

PORTION, PAUSE_S = 100, 0.01
"""Events that are read at once, and the pause between two such: 10,000 in a second at the most, of all readers."""
Turn = Callable[[Callable[[], list[tuple[int, bytes]]]], Awaitable[list[tuple[int, bytes]]]]
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
    turn
        Calls a function in a thread, in a turn of the reader's account: whoever reads a long past waits between its
        portions, and nobody else does.
    """

    def __init__(self, pool: Pool, user_id: int, after: int | None, turn: Turn) -> None:
        self._pool = pool
        self._user_id = user_id
        self._last = after
        self._turn = turn

    async def missed(self) -> AsyncIterator[bytes]:
        """Yield what the store has behind the last event; nothing for a reader that knows none."""
        while self._last is not None:
            found = await self._turn(partial(self._read, self._last))
            for sequence, text in found:
                self._last = sequence
                yield text
            if len(found) < PORTION:
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

    def _read(self, after: int) -> list[tuple[int, bytes]]:
        """Return the next events as they are sent, and let others go on for a moment: all run in one process."""
        with self._pool.transaction() as tx:
            found = gesture_events.list_events(tx, self._user_id, after, PORTION)
        made = [(event.sequence, EventMessage.of(event).to_bytes()) for event in found]
        if len(made) == PORTION:
            time.sleep(PAUSE_S)
        return made
