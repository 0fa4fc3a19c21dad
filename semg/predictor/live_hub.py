"""Distribute a profile's samples, decisions and events from the bus to live viewers, each with a bounded queue."""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass, field

import orjson
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.aio.subscription import Subscription
from nats.errors import Error as NatsError

from semg.errors import WireError
from semg.wire import messages
from semg.wire.blocks import decode_blocks

logger = logging.getLogger(__name__)


class Viewer:
    """One viewer's queue of messages; when it is full, the oldest are dropped and counted."""

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
        """Wait for messages and return all in the queue, preceded by a count of the dropped ones."""
        while not self._waiting:
            self._wake.clear()
            await self._wake.wait()
        taken = list(self._waiting)
        self._waiting.clear()
        if self._dropped:
            taken.insert(0, orjson.dumps({"type": "dropped", "messages": self._dropped}))
            self._dropped = 0
        return taken


@dataclass(slots=True)
class _Topic:
    """A watched subject and its viewers."""

    viewers: set[Viewer] = field(default_factory=set)
    subscription: Subscription | None = None


class LiveHub:
    """Subscribes to a subject while it has viewers; each message is encoded once for all of them."""

    def __init__(self, bus: Client, max_waiting: int) -> None:
        self._bus = bus
        self._max_waiting = max_waiting
        self._topics: dict[str, _Topic] = {}
        self._lock = asyncio.Lock()
        self.n_viewers = 0

    @asynccontextmanager
    async def watch(self, user_id: int, channels: tuple[str, ...], *, samples: bool = True) -> AsyncIterator[Viewer]:
        """Return a viewer of a profile's decisions and events, and of its samples if wanted, until the block ends."""
        viewer = Viewer(self._max_waiting)
        makers: dict[str, Callable[[bytes], list[bytes]]] = {
            messages.decisions_subject(user_id): _as_it_is,
            messages.events_subject(user_id): _as_it_is,
        }
        if samples:
            makers[messages.samples_subject(user_id)] = _samples_of(user_id, channels)
        self.n_viewers += 1
        asking: asyncio.Task[None] | None = None
        try:
            for subject, make in makers.items():
                await self._join(subject, make, viewer)
            await self._bus.flush()  # the server knows of the subscriptions now
            if samples:
                asking = asyncio.create_task(self._ask_for_samples(user_id))
            yield viewer
        finally:
            if asking is not None:
                asking.cancel()
            self.n_viewers -= 1
            for subject in makers:
                await self._leave(subject, viewer)

    async def _ask_for_samples(self, user_id: int) -> None:
        """Publish the watch message periodically until cancelled."""
        while True:
            try:
                await self._bus.publish(messages.watch_subject(user_id), b"")
            except (NatsError, OSError) as exc:
                logger.debug("watch: %s", exc)
            await asyncio.sleep(messages.WATCH_S / 4)

    async def _join(self, subject: str, make: Callable[[bytes], list[bytes]], viewer: Viewer) -> None:
        async with self._lock:
            topic = self._topics.setdefault(subject, _Topic())
            topic.viewers.add(viewer)
            if topic.subscription is None:

                async def on_message(message: Msg) -> None:
                    for text in make(message.data):
                        for watching in topic.viewers:
                            watching.offer(text)

                topic.subscription = await self._bus.subscribe(subject, cb=on_message)

    async def _leave(self, subject: str, viewer: Viewer) -> None:
        async with self._lock:
            topic = self._topics.get(subject)
            if topic is None:
                return
            topic.viewers.discard(viewer)
            if not topic.viewers:
                del self._topics[subject]
                if topic.subscription is not None:
                    await topic.subscription.unsubscribe()


def _as_it_is(data: bytes) -> list[bytes]:
    return [data]


def _samples_of(user_id: int, channels: tuple[str, ...]) -> Callable[[bytes], list[bytes]]:
    """Return a function that turns a message of blocks into WebSocket messages; late samples are dropped."""

    def make(data: bytes) -> list[bytes]:
        try:
            blocks = decode_blocks(data)
        except WireError as exc:
            logger.warning("samples refused: %s", exc, extra={"user_id": user_id})
            return []
        return [messages.samples_json(b, channels) for b in blocks if b.user_id == user_id and not b.late]

    return make
