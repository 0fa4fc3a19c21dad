"""Blocks to the journal: what JetStream has acknowledged is received for ever.

Blocks wait in a bounded buffer per partition, the older ones already as messages. One publisher per partition sends
the next message when the last one is acknowledged, and repeats it under the same id until it is: neither a retry nor
a reconnect can lose, double or reorder blocks.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections import deque
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

import numpy as np
from nats.aio.client import Client
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from nats.js.errors import NoStreamResponseError, NotFoundError

from semg.block_table import LATE, STARTS_RUN, BlockTable
from semg.errors import BusError
from semg.ingest.journal.chunks import MAX_MESSAGE_BYTES, in_messages, in_partitions
from semg.ingest.streams.counters import Counters
from semg.process import bus
from semg.settings import Settings
from semg.wire.blocks import encode_table
from semg.wire.messages import JOURNAL_STREAM, journal_subject

logger = logging.getLogger(__name__)

HEADROOM_BYTES = 16_384

ROOM_SHARE = 0.9
"""A buffer that was full accepts blocks again below this share: one long gap instead of many short runs."""

ACK_TIMEOUT_S = 2.0
RETRY_S = (0.05, 1.0)
FORGOTTEN_AFTER_S = 60.0
"""After this time a retry first checks whether the message arrived: JetStream remembers ids for 120 s only."""

CLOCKS_DIFFER = timedelta(minutes=10)
"""Largest difference between the bus's clock and this machine's that the search for a message allows for."""


@dataclass(frozen=True, slots=True)
class _Message:
    message_id: str
    payload: bytes
    n_samples: int


class JournalBuffer:
    """Queue of blocks of one partition for the journal, oldest first."""

    def __init__(self, name: str, max_bytes: int = MAX_MESSAGE_BYTES) -> None:
        self._name = name
        self._max_bytes = max_bytes
        self._numbered = 0
        self._sealed: deque[_Message] = deque()
        self._open: list[BlockTable] = []
        self._open_bytes = 0
        self._filled = asyncio.Event()

    def add(self, table: BlockTable) -> None:
        """Append blocks."""
        for chunk in in_messages(table, self._max_bytes):
            if self._open_bytes + chunk.n_bytes > self._max_bytes:
                self._seal()
            self._open.append(chunk)
            self._open_bytes += chunk.n_bytes
        self._filled.set()

    async def oldest(self) -> _Message:
        """Return the oldest message, built from all pending blocks if none is ready; wait for one."""
        while not self._sealed:
            if self._open:
                self._seal()
            else:
                self._filled.clear()
                await self._filled.wait()
        return self._sealed[0]

    def remove_oldest(self) -> None:
        """Remove the oldest message: it is in the journal."""
        self._sealed.popleft()

    def _seal(self) -> None:
        if not self._open:
            return
        table = BlockTable.joined(self._open).merged()
        self._open, self._open_bytes = [], 0
        self._numbered += 1
        self._sealed.append(_Message(f"{self._name}-{self._numbered}", encode_table(table), table.n_samples))


class Journal:
    """Publishes blocks to the journal's stream.

    Parameters
    ----------
    instance
        Unique for this run of the process; message ids start with it.
    counters
        Incremented here; ``journal_pending`` is maintained.
    """

    def __init__(
        self, client: Client, js: JetStreamContext, settings: Settings, instance: str, counters: Counters
    ) -> None:
        self._client = client
        self._js = js
        self._settings = settings
        self._counters = counters
        self._room = settings.ingest_max_pending
        max_bytes = min(MAX_MESSAGE_BYTES, client.max_payload - HEADROOM_BYTES)
        names = [f"{instance}-{number}" for number in range(settings.journal_partitions)]
        self._buffers = [JournalBuffer(name, max_bytes) for name in names]
        self._full = False
        self._broken: set[int] = set()
        self._tasks: list[asyncio.Task[None]] = []
        self._empty = asyncio.Event()
        self._empty.set()
        self._logged_at = 0.0

    def start(self) -> None:
        """Start one publisher per partition."""
        self._tasks = [
            asyncio.create_task(self._publish_partition(number), name=f"journal-{number}")
            for number in range(len(self._buffers))
        ]

    def offer(self, table: BlockTable) -> BlockTable:
        """Queue blocks, and return those that were accepted.

        When the buffer is full, blocks are dropped and counted as ``journal_overflow`` until there is some room
        again; a profile's next block starts a run, in the returned table as well.
        """
        if self._full or self._broken or self._counters.journal_pending + table.n_samples > self._room:
            table = self._fitting(table)
        if not len(table):
            return table
        self._counters.journal_pending += table.n_samples
        for number, chunk in enumerate(in_partitions(table, len(self._buffers))):
            if len(chunk):
                self._buffers[number].add(chunk)
        self._empty.clear()
        return table

    def _fitting(self, table: BlockTable) -> BlockTable:
        """Return the blocks that fit, and count the others."""
        rows = table.rows.copy()
        late = (rows["flags"] & LATE) != 0
        taken = np.zeros(len(rows), bool)
        pending = self._counters.journal_pending
        for index, (user_id, n) in enumerate(zip(rows["user_id"].tolist(), rows["n_samples"].tolist(), strict=True)):
            self._full = pending + n > (ROOM_SHARE * self._room if self._full else self._room)
            if self._full:
                self._counters.dropped["journal_overflow"] += n
                self._broken.add(user_id)
                continue
            if user_id in self._broken and not late[index]:
                self._broken.discard(user_id)
                rows["flags"][index] |= STARTS_RUN
            pending += n
            taken[index] = True
        return BlockTable(rows, table.device_us, table.received_us, table.values).where(taken)

    async def drain(self, timeout_s: float) -> bool:
        """Wait until all is acknowledged, then stop; return whether that was within the timeout."""
        try:
            await asyncio.wait_for(self._empty.wait(), timeout_s)
        except TimeoutError:
            logger.error("journal: stopped with %d samples unacknowledged", self._counters.journal_pending)
        await self.stop()
        return self._empty.is_set()

    async def stop(self) -> None:
        """Stop the publishers."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def failed(self) -> Sequence[asyncio.Task[None]]:
        """Return the publishers, which end only by an error."""
        return self._tasks

    async def _publish_partition(self, partition: int) -> None:
        subject, buffer, counters = journal_subject(partition), self._buffers[partition], self._counters
        while True:
            message = await buffer.oldest()
            await self._publish(subject, message)
            buffer.remove_oldest()
            counters.journalled += message.n_samples
            counters.journal_messages += 1
            counters.journal_pending -= message.n_samples
            if counters.journal_pending == 0:
                self._empty.set()

    async def _publish(self, subject: str, message: _Message) -> None:
        """Send a message until it is acknowledged."""
        first_at, first_sent, pause_s = time.monotonic(), datetime.now(UTC), RETRY_S[0]
        headers = {"Nats-Msg-Id": message.message_id}
        while True:
            try:
                if not self._client.is_connected:
                    raise BusError("not connected")
                forgotten = time.monotonic() - first_at > FORGOTTEN_AFTER_S
                if forgotten and await self._arrived(subject, message, first_sent):
                    return
                await self._js.publish(subject, message.payload, ACK_TIMEOUT_S, JOURNAL_STREAM, dict(headers))
                return
            except (NatsError, BusError, TimeoutError, OSError) as exc:
                self._counters.journal_retries += 1
                self._log_failure(exc)
                if isinstance(exc, NoStreamResponseError | NotFoundError) and self._client.is_connected:
                    await self._make_stream()
            await asyncio.sleep(pause_s)
            pause_s = min(2 * pause_s, RETRY_S[1])

    async def _arrived(self, subject: str, message: _Message, first_sent: datetime) -> bool:
        """Return whether the subject has the message since it was first sent; other servers publish to it as well."""
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_TIME,
            opt_start_time=first_sent - CLOCKS_DIFFER,
            ack_policy=AckPolicy.NONE,
            headers_only=True,
            inactive_threshold=30.0,
        )
        found = await self._js.pull_subscribe(subject, stream=JOURNAL_STREAM, config=config)
        try:
            left = (await found.consumer_info()).num_pending or 0
            while left > 0:
                others = await found.fetch(min(left, 500), timeout=ACK_TIMEOUT_S)
                if any((other.headers or {}).get("Nats-Msg-Id") == message.message_id for other in others):
                    return True
                left -= len(others)
            return False
        finally:
            await found.unsubscribe()

    async def _make_stream(self) -> None:
        """Recreate the stream; it was deleted, or its server lost its disk."""
        try:
            await bus.ensure_journal(self._client, self._settings)
        except BusError as exc:
            self._log_failure(exc)

    def _log_failure(self, exc: Exception) -> None:
        now = time.monotonic()
        if now - self._logged_at >= 1.0:
            self._logged_at = now
            reason = str(exc) or type(exc).__name__
            logger.warning("journal: %s; %d samples wait", reason, self._counters.journal_pending)
