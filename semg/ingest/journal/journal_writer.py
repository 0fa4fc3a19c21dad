"""The journal to PostgreSQL, exactly once.

A store task reads one partition of the journal with its own consumer and saves its stream position in PostgreSQL, in
the transaction that stores the samples. Nothing is acknowledged to JetStream (``AckPolicy.NONE``): a position kept in
two stores could differ between them. Several tasks on one partition are harmless: the lock on the position's row
serialises them.
"""

from __future__ import annotations

import asyncio
import logging
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

import numpy as np
from nats.aio.client import Client
from nats.aio.msg import Msg
from nats.errors import Error as NatsError
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy, StreamInfo

from semg.block_table import BlockTable
from semg.errors import StoreError, WireError
from semg.ingest.streams.counters import Counters
from semg.settings import Settings
from semg.store import blocks as blocks_store
from semg.store import erasing, profiles
from semg.store.pool import Pool
from semg.wire.blocks import decode_table
from semg.wire.messages import JOURNAL_STREAM, journal_subject
from semg.wire.plausible_times import near_arrival

logger = logging.getLogger(__name__)

MAX_BATCH = 64
MAX_BATCH_BYTES = 8 << 20
"""Of messages in one transaction, while they have about the size of those before; about four times this in memory."""

FIRST_BATCH = 8

WAIT_S = 0.5
RETRY_S = (0.1, 5.0)
CHECK_S = 1.0


@dataclass(frozen=True, slots=True)
class _Entry:
    """A journal message with its position in the stream."""

    sequence: int
    data: bytes


@dataclass(frozen=True, slots=True, kw_only=True)
class Stored:
    """What a transaction did: samples and rows written; samples of erased profiles and messages skipped.

    ``refused`` are samples at a time that no receiver would give them, by profile.
    Samples of a profile whose consent was withdrawn meanwhile count as erased too.
    """

    sequence: int
    samples: int = 0
    rows: int = 0
    erased: int = 0
    replayed: int = 0
    damaged: int = 0
    refused: Mapping[int, int] = field(default_factory=dict)


class _PositionLost(Exception):
    """The consumer no longer continues at this task's position and must be recreated."""


class JournalWriter:
    """Copies one partition of the journal to ``sample_blocks``."""

    def __init__(self, client: Client, pool: Pool, settings: Settings, partition: int, counters: Counters) -> None:
        self._client = client
        self._pool = pool
        self._settings = settings
        self._partition = partition
        self._counters = counters
        self._stopping = asyncio.Event()
        self._subscription: JetStreamContext.PullSubscription | None = None
        self._created_at: datetime | None = None
        self._position = 0
        self._batch = FIRST_BATCH
        self._delivered = self._stored = 0
        self._suspected = -1
        self._checked_at = 0.0
        self._refused: set[int] = set()

    async def run(self) -> None:
        """Copy until ``stop`` is called, retrying through outages of NATS and PostgreSQL."""
        pause_s = RETRY_S[0]
        while not self._stopping.is_set():
            try:
                if self._subscription is None:
                    await self._open()
                more_waits = await self._copy_once()
                pause_s = RETRY_S[0]
                if not more_waits:
                    await self._pause(self._settings.store_every_ms / 1000)
                continue
            except (NatsError, TimeoutError, OSError, StoreError, _PositionLost) as exc:
                self._counters.store_retries += 1
                logger.warning("store: %s; trying again", str(exc) or type(exc).__name__)
            except Exception:  # task boundary: receiving continues, and the journal keeps what is not stored
                self._counters.store_retries += 1
                logger.exception("store: unexpected error; trying again")
            await self._close()
            await self._pause(pause_s)
            pause_s = min(2 * pause_s, RETRY_S[1])
        await self._close()

    async def stop(self, timeout_s: float) -> None:
        """Store what the journal has now, for at most this long; then ``run`` ends."""
        deadline = asyncio.get_running_loop().time() + timeout_s
        try:
            while self._client.is_connected and not await self._has_all():
                if asyncio.get_running_loop().time() > deadline:
                    logger.warning("store: the rest of the journal is stored after the next start")
                    break
                await asyncio.sleep(0.02)
        except (NatsError, TimeoutError, OSError) as exc:
            logger.warning("store: stopped without the rest of the journal: %s", str(exc) or type(exc).__name__)
        self._stopping.set()

    async def _has_all(self) -> bool:
        """Return whether everything in the journal for this partition is stored."""
        if self._subscription is None:
            return False
        consumer = await self._subscription.consumer_info()
        delivered = consumer.delivered.consumer_seq if consumer.delivered is not None else 0
        return not consumer.num_pending and delivered <= self._stored

    async def _open(self) -> None:
        """Create a consumer that starts after the last stored message."""
        info = await self._stream_info()
        if info.created is None:
            raise _PositionLost("NATS does not tell when the stream was made; version 2.9 or later is needed")
        self._created_at = info.created
        self._position = await asyncio.to_thread(self._read_progress, info.created)
        self._skip_expired(info)
        config = ConsumerConfig(
            deliver_policy=DeliverPolicy.BY_START_SEQUENCE,
            opt_start_seq=self._position + 1,
            ack_policy=AckPolicy.NONE,
            inactive_threshold=60.0,
        )
        js = self._client.jetstream(timeout=2)
        subject = journal_subject(self._partition)
        self._subscription = await js.pull_subscribe(subject, stream=JOURNAL_STREAM, config=config)
        self._delivered = self._stored = 0
        self._suspected = -1

    async def _copy_once(self) -> bool:
        """Store the available messages, waiting up to ``WAIT_S`` for one; return whether more may be waiting."""
        assert self._subscription is not None
        requested = self._batch
        try:
            messages = await self._subscription.fetch(requested, timeout=WAIT_S)
        except TimeoutError:
            messages = []
        if not messages:
            await self._check()
            return False
        largest = max(len(message.data) for message in messages)
        self._batch = max(1, min(MAX_BATCH, MAX_BATCH_BYTES // max(1, largest)))
        entries = self._entries(messages)
        stored = await asyncio.to_thread(self._store, entries)
        self._position, self._stored = stored.sequence, self._delivered
        counters = self._counters
        counters.stored += stored.samples
        counters.stored_rows += stored.rows
        counters.erased += stored.erased
        counters.replayed += stored.replayed
        counters.journal_damaged += stored.damaged
        counters.store_refused += sum(stored.refused.values())
        for user_id in sorted(stored.refused.keys() - self._refused):
            self._refused.add(user_id)
            logger.error("store: samples of profile %d are skipped, here and later: their time is not near", user_id)
        if asyncio.get_running_loop().time() - self._checked_at > CHECK_S:
            await self._check()
        return len(messages) == requested

    def _entries(self, messages: Sequence[Msg]) -> list[_Entry]:
        """Return the messages after checking that none was lost in delivery."""
        entries = []
        for message in messages:
            sequence = message.metadata.sequence
            self._delivered += 1
            if sequence.consumer != self._delivered:
                raise _PositionLost(f"message {self._delivered} of the consumer expected, got {sequence.consumer}")
            entries.append(_Entry(sequence.stream, message.data))
        return entries

    def _store(self, entries: Sequence[_Entry]) -> Stored:
        """Write messages and the new position in one transaction. Runs in a thread."""
        assert self._created_at is not None
        key = (JOURNAL_STREAM, self._partition, self._created_at)
        with self._pool.transaction() as tx:
            saved = blocks_store.lock_progress(tx, *key)
            fresh = [entry for entry in entries if entry.sequence > saved]
            decoded, damaged = _decoded(fresh)
            decoded, refused = _plausible(decoded)
            users = np.unique(decoded.rows["user_id"])
            known = profiles.lock_consenting(tx, users.tolist())
            kept = decoded.where(np.isin(decoded.rows["user_id"], list(known)))
            kept = erasing.without_erased(tx, kept, known)
            n_rows = blocks_store.copy_blocks(tx, kept.merged())
            last = max(saved, entries[-1].sequence)
            blocks_store.save_progress(tx, *key, last)
        erased = decoded.n_samples - kept.n_samples
        return Stored(
            sequence=last,
            samples=kept.n_samples,
            rows=n_rows,
            erased=erased,
            replayed=len(entries) - len(fresh),
            damaged=damaged,
            refused=refused,
        )

    def _read_progress(self, created_at: datetime) -> int:
        with self._pool.transaction() as tx:
            return blocks_store.read_progress(tx, JOURNAL_STREAM, self._partition, created_at)

    async def _check(self) -> None:
        """Check whether the stream is still the same, count messages that expired unread, and measure the lag."""
        assert self._subscription is not None
        now = asyncio.get_running_loop().time()
        if now - self._checked_at < CHECK_S:
            return
        self._checked_at = now
        info = await self._stream_info()
        if info.created != self._created_at:
            raise _PositionLost("the stream was made anew")
        self._skip_expired(info)
        consumer = await self._subscription.consumer_info()
        waiting = consumer.num_pending or 0
        delivered = consumer.delivered.consumer_seq if consumer.delivered is not None else 0
        self._counters.journal_lag = waiting + delivered - self._stored
        if delivered > self._delivered:
            # A message may still be in transit; one that is so at two checks was lost with a connection.
            if self._suspected == self._delivered:
                raise _PositionLost("messages were delivered that did not arrive")
            self._suspected = self._delivered
        elif waiting == 0:
            # Everything of this partition up to here is stored; later messages belong to other partitions.
            self._position = max(self._position, info.state.last_seq)

    def _skip_expired(self, info: StreamInfo) -> None:
        """Count messages that the journal dropped before they were stored (of any partition: an upper bound)."""
        expired = info.state.first_seq - 1 - self._position
        if expired > 0:
            self._counters.journal_expired += expired
            logger.error("store: up to %d journal messages expired before they were stored", expired)
            self._position += expired

    async def _stream_info(self) -> StreamInfo:
        return await self._client.jetstream(timeout=2).stream_info(JOURNAL_STREAM)

    async def _pause(self, pause_s: float) -> None:
        try:
            await asyncio.wait_for(self._stopping.wait(), pause_s)
        except TimeoutError:
            return

    async def _close(self) -> None:
        subscription, self._subscription = self._subscription, None
        if subscription is not None and self._client.is_connected:
            try:
                await subscription.unsubscribe()
            except (NatsError, OSError) as exc:
                logger.debug("store: unsubscribe: %s", exc)


def _plausible(decoded: BlockTable) -> tuple[BlockTable, dict[int, int]]:
    """Return the blocks near their arrival, and the number of samples of the others by profile.

    One of them would make a day of its own, or be a date that there is not, for which the whole partition waits.
    """
    near = near_arrival(decoded)
    refused: Counter[int] = Counter()
    for row in decoded.rows[~near]:
        refused[int(row["user_id"])] += int(row["n_samples"])
    return decoded.where(near), dict(refused)


def _decoded(entries: Sequence[_Entry]) -> tuple[BlockTable, int]:
    """Return the blocks of messages and the number of damaged messages, which are logged and skipped."""
    decoded: list[BlockTable] = []
    damaged = 0
    for entry in entries:
        try:
            decoded.append(decode_table(entry.data))
        except WireError as exc:
            damaged += 1
            logger.error("store: journal message %d is damaged: %s", entry.sequence, exc)
    return BlockTable.joined(decoded), damaged
