"""Publish blocks to live subscribers over core NATS, which may lose them."""

from __future__ import annotations

import asyncio
import logging
import time

import numpy as np
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError

from semg.block_table import LATE, STARTS_RUN, BlockTable
from semg.errors import WireError
from semg.ingest.journal.chunks import in_messages, in_partitions
from semg.ingest.streams.counters import Counters
from semg.process.bus import PENDING_BYTES
from semg.wire.blocks import encode_table
from semg.wire.messages import WATCH_S, live_subject, samples_subject, watch_subject, watched_profile

logger = logging.getLogger(__name__)

MAX_WATCHED = 1000


class _StuckError(Exception):
    """The bus is connected but accepts nothing."""


class LivePublisher:
    """Publishes each flush: all profiles together for inference, each watched profile by itself for its viewers.

    ``semg.live.<partition>`` does not wait for the journal to acknowledge what came before, as a reader of the
    journal's subject would. ``semg.samples.<userid>`` costs a message per profile and flush, so it is published for
    those only that were requested with ``semg.watch.<userid>`` in the last ``WATCH_S`` seconds. Blocks are dropped
    while NATS is unreachable or accepts nothing, because waiting would also stall the reading of datagrams; a profile's
    first block after that starts a run.
    """

    def __init__(self, client: Client, counters: Counters, partitions: int) -> None:
        self._client = client
        self._counters = counters
        self._partitions = partitions
        self._connection = -1
        self._stuck = False
        self._continued: set[int] = set()
        self._watched: dict[int, float] = {}

    async def subscribe(self) -> None:
        """Subscribe to the requests for profiles' live blocks."""
        await self._client.subscribe(watch_subject("*"), cb=self._on_watch)

    async def publish(self, table: BlockTable) -> None:
        """Publish blocks; late ones are for the journal only."""
        if not self._client.is_connected or self._client.stats["reconnects"] != self._connection:
            self._connection = self._client.stats["reconnects"]
            self._continued.clear()
        if not self._client.is_connected:
            return
        table = self._started(table.where((table.rows["flags"] & LATE) == 0))
        if not len(table):
            return
        try:
            for partition, chunk in enumerate(in_partitions(table, self._partitions)):
                for message in in_messages(chunk) if len(chunk) else ():
                    await self._send(live_subject(partition), encode_table(message))
            await self._publish_watched(table)
            self._stuck = False
        except _StuckError:
            if not self._stuck:
                logger.warning("live: the bus takes nothing; blocks are left out until it does")
            self._stuck = True
            self._continued.clear()
        except (NatsError, OSError) as exc:
            logger.debug("live: %s", exc)
            self._continued.clear()

    def _started(self, table: BlockTable) -> BlockTable:
        """Mark the first block of each profile that was not published before as the start of a run."""
        users, first = np.unique(table.rows["user_id"], return_index=True)
        new = [index for user, index in zip(users.tolist(), first.tolist(), strict=True) if user not in self._continued]
        if not new:
            return table
        self._continued.update(users.tolist())
        rows = table.rows.copy()
        rows["flags"][new] |= STARTS_RUN
        return BlockTable(rows, table.device_us, table.received_us, table.values)

    async def _publish_watched(self, table: BlockTable) -> None:
        now = time.monotonic()
        for user_id, until in list(self._watched.items()):
            if now > until:
                del self._watched[user_id]
                self._counters.watched_profiles = len(self._watched)
                continue
            own = table.where(table.rows["user_id"] == user_id)
            for message in in_messages(own) if len(own) else ():
                await self._send(samples_subject(user_id), encode_table(message))

    async def _send(self, subject: str, message: bytes) -> None:
        """Publish a message without waiting, or raise."""
        if self._client.pending_data_size + len(message) > PENDING_BYTES:
            await asyncio.sleep(0)  # let the client's task flush its buffer to the socket
            if self._client.pending_data_size + len(message) > PENDING_BYTES:
                raise _StuckError
        await self._client.publish(subject, message)
        self._counters.live_messages += 1

    async def _on_watch(self, message: Msg) -> None:
        try:
            user_id = watched_profile(message.subject)
        except WireError as exc:
            logger.warning("watch: %s", exc)
            return
        if user_id in self._watched or len(self._watched) < MAX_WATCHED:
            self._watched[user_id] = time.monotonic() + WATCH_S
            self._counters.watched_profiles = len(self._watched)
