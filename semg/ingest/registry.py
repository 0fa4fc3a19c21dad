"""Which profiles may send, kept in step with the database."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from nats.aio.client import Client
from nats.aio.msg import Msg

from semg.domain import Device
from semg.errors import StoreError
from semg.store import profiles
from semg.store.pool import Pool
from semg.wire.messages import PROFILES_SUBJECT

logger = logging.getLogger(__name__)

REFRESH_S = 1.0


class Registry:
    """Reads the devices every second, and at once when the bus tells of a change.

    While PostgreSQL is away the last registry stays.

    Parameters
    ----------
    apply
        Called in the event loop with the devices whenever they were read.
    """

    def __init__(self, pool: Pool, apply: Callable[[list[Device]], None]) -> None:
        self._pool = pool
        self._apply = apply
        self._hint = asyncio.Event()
        self._failing = False
        self.loaded = asyncio.Event()

    async def subscribe(self, client: Client) -> None:
        """Listen to ``semg.profiles``."""

        async def on_change(_: Msg) -> None:
            self._hint.set()

        await client.subscribe(PROFILES_SUBJECT, cb=on_change)

    async def run(self) -> None:
        """Refresh until cancelled."""
        while True:
            self._hint.clear()
            try:
                devices = await asyncio.to_thread(self._read)
            except StoreError as exc:
                if not self._failing:
                    logger.warning("registry: the last one stays until PostgreSQL answers: %s", exc)
                self._failing = True
            else:
                if self._failing:
                    logger.info("registry: PostgreSQL answers again")
                self._failing = False
                self._apply(devices)
                self.loaded.set()
            try:
                await asyncio.wait_for(self._hint.wait(), REFRESH_S)
            except TimeoutError:
                continue

    def _read(self) -> list[Device]:
        with self._pool.transaction() as tx:
            return profiles.list_devices(tx)
