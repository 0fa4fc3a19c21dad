"""Publish on the bus from threads without an event loop."""

from __future__ import annotations

import asyncio
import logging
import threading
from concurrent.futures import TimeoutError as FutureTimeoutError

from nats.aio.client import Client
from nats.errors import Error as NatsError

from semg.errors import BusError
from semg.process import bus
from semg.settings import Settings
from semg.wire.messages import Message

logger = logging.getLogger(__name__)
TIMEOUT_S = 5.0


class ThreadedPublisher:
    """A connection to the bus with an event loop in a separate thread; connected at the first message.

    ``name`` is the service's, one of ``NATS_SERVICES``. Messages are hints: one that cannot be published is logged, and
    its receivers learn the change by polling.
    """

    def __init__(self, settings: Settings, name: str) -> None:
        self._settings = settings
        self._name = name
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever, name="announcer", daemon=True)
        self._thread.start()
        self._client: Client | None = None

    def publish(self, subject: str, message: Message) -> bool:
        """Publish a message, and return whether the bus accepted it."""
        future = asyncio.run_coroutine_threadsafe(self._publish(subject, message), self._loop)
        try:
            future.result(TIMEOUT_S)
            return True
        except (BusError, NatsError, OSError, TimeoutError, FutureTimeoutError) as exc:
            future.cancel()
            logger.warning("not announced on %s: %s", subject, exc)
            return False

    def close(self) -> None:
        """Disconnect and end the thread."""
        asyncio.run_coroutine_threadsafe(self._disconnect(), self._loop).result(TIMEOUT_S)
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join(TIMEOUT_S)
        self._loop.close()

    async def _publish(self, subject: str, message: Message) -> None:
        if self._client is None:
            self._client = await bus.connect(self._settings, self._name, service=self._name)
        await self._client.publish(subject, message.to_bytes())
        await self._client.flush(2)

    async def _disconnect(self) -> None:
        if self._client is not None:
            await self._client.close()
