"""What live viewers see: samples and decisions of a profile, from the bus to many bounded queues."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription

from semg.errors import WireError
from semg.wire import messages
from semg.wire.blocks import decode_blocks

logger = logging.getLogger(__name__)


class Viewer:
    """One viewer's waiting messages; when it falls behind, the oldest go and are counted."""

    def __init__(self, max_waiting: int) -> None:
        self._waiting: deque[bytes] = deque()
        self._max_waiting = max_waiting
        self._dropped = 0
        self._wake = asyncio.Event()

    def offer(self, message: bytes) -> None:
        """Add a message."""
        if len(self._waiting) >= self._max_waiting:
            self._waiting.popleft()
            self._dropped += 1
        self._waiting.append(message)
        self._wake.set()

    async def next_messages(self) -> list[bytes]:
        """Wait for messages and give all that wait, after a note of how many were dropped."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        taken = list(self._waiting)
        self._waiting.clear()
        if self._dropped:
            taken.insert(0, orjson.dumps({"type": "dropped", "messages": self._dropped}))
            self._dropped = 0
        return taken


class LiveHub:
    """Subscribes to a profile while somebody watches it; each message is made once for all of its viewers."""

    def __init__(self, bus: Client, max_waiting: int) -> None:
        self._bus = bus
        self._max_waiting = max_waiting
        self._viewers: dict[int, set[Viewer]] = {}
        self._subscriptions: dict[int, list[Subscription]] = {}
        self._channels: dict[int, tuple[str, ...]] = {}
        self._lock = asyncio.Lock()

    @property
    def n_viewers(self) -> int:
        """How many viewers there are."""
        return sum(map(len, self._viewers.values()))

    @asynccontextmanager
    async def watch(self, user_id: int, channels: tuple[str, ...]) -> AsyncIterator[Viewer]:
        """Give a viewer of a profile until the block ends."""
        viewer = Viewer(self._max_waiting)
        async with self._lock:
            self._viewers.setdefault(user_id, set()).add(viewer)
            self._channels[user_id] = channels
            if user_id not in self._subscriptions:
                self._subscriptions[user_id] = await self._subscribe(user_id)
        try:
            yield viewer
        finally:
            async with self._lock:
                self._viewers[user_id].discard(viewer)
                if not self._viewers[user_id]:
                    del self._viewers[user_id], self._channels[user_id]
                    for subscription in self._subscriptions.pop(user_id):
                        await subscription.unsubscribe()

    async def _subscribe(self, user_id: int) -> list[Subscription]:
        async def on_samples(message: Msg) -> None:
            try:
                blocks = decode_blocks(message.data)
            except WireError as exc:
                logger.warning("samples refused: %s", exc, extra={"user_id": user_id})
                return
            for block in blocks:
                if block.user_id == user_id and not block.late:
                    self._offer(user_id, messages.samples_json(block, self._channels.get(user_id, ())))

        async def on_decision(message: Msg) -> None:
            self._offer(user_id, message.data)

        made = [
            await self._bus.subscribe(messages.samples_subject(user_id), cb=on_samples),
            await self._bus.subscribe(messages.decisions_subject(user_id), cb=on_decision),
        ]
        await self._bus.flush()  # the server knows of them now
        return made

    def _offer(self, user_id: int, message: bytes) -> None:
        for viewer in self._viewers.get(user_id, ()):
            viewer.offer(message)
