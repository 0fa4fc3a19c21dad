"""What was sent, journalled, stored and decided, compared by value."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any

import numpy as np
from nats.aio.msg import Msg
from nats.js import JetStreamContext
from nats.js.api import AckPolicy, ConsumerConfig, DeliverPolicy
from numpy.typing import NDArray

from semg.block_table import BlockTable
from semg.process import bus
from semg.settings import Settings
from semg.store import blocks
from semg.store.pool import Pool
from semg.wire.blocks import decode_table
from semg.wire.messages import JOURNAL_STREAM, decisions_subject

FETCHED, ASKED = 32, 2048


async def read_journal(settings: Settings) -> BlockTable:
    """Return all blocks that the journal has."""
    client = await bus.connect(settings, "evidence", forever=False)
    try:
        js = client.jetstream(timeout=5)
        state = (await js.stream_info(JOURNAL_STREAM)).state
        wanted, tables = state.first_seq, []
        while wanted <= state.last_seq:
            for message in await _fetch_from(js, wanted, state.last_seq):
                if message.metadata.sequence.stream != wanted:
                    break  # one got lost on its way here, as may happen without acknowledgements: ask again
                tables.append(decode_table(message.data))
                wanted += 1
        return BlockTable.joined(tables)
    finally:
        await client.close()


async def _fetch_from(js: JetStreamContext, first: int, last: int) -> list[Msg]:
    """Return some messages of the journal, the first of them by its number."""
    config = ConsumerConfig(
        deliver_policy=DeliverPolicy.BY_START_SEQUENCE, opt_start_seq=first, ack_policy=AckPolicy.NONE
    )
    found = await js.pull_subscribe("semg.journal.*", stream=JOURNAL_STREAM, config=config)
    try:
        messages: list[Msg] = []
        while len(messages) < ASKED and first + len(messages) <= last:
            messages += await found.fetch(min(FETCHED, last + 1 - first - len(messages)), timeout=5)
        return messages
    finally:
        await found.unsubscribe()


async def journal_is_stored(settings: Settings, pool: Pool) -> bool:
    """Return whether the store has got to the journal's end (one partition)."""
    client = await bus.connect(settings, "evidence", forever=False)
    try:
        info = await client.jetstream(timeout=5).stream_info(JOURNAL_STREAM)
    finally:
        await client.close()
    assert info.created is not None
    with pool.transaction() as tx:
        return blocks.read_progress(tx, JOURNAL_STREAM, 0, info.created) >= info.state.last_seq


def stored_of(pool: Pool, user_id: int) -> BlockTable:
    """Return everything that is stored of a profile."""
    now, days = datetime.now(UTC), timedelta(days=2)
    with pool.transaction() as tx:
        return blocks.read_blocks(tx, user_id, now - days, now + days)


def columns(table: BlockTable) -> NDArray[np.float64]:
    """Return each sample as a row: device time in µs, then its values, sorted; all profiles of one width."""
    width = int(table.rows["n_channels"][0]) if len(table) else 0
    values = table.values.reshape(table.n_samples, width) if width else np.zeros((0, 0))
    both = np.column_stack([table.device_us, values])
    return np.asarray(both[np.lexsort(both.T[::-1])], np.float64)


def server_us(table: BlockTable) -> NDArray[np.int64]:
    """Return the server time of each sample, µs."""
    return np.asarray(table.device_us + np.repeat(table.rows["clock_offset_us"], table.counts))


def compare(pool: Pool, journal: BlockTable, user_ids: Sequence[int]) -> dict[str, int]:
    """Count what differs, over all profiles, between the journal and the store: sample by sample, by value."""
    missing = doubled = strange = n = 0
    for user_id in user_ids:
        own = journal.where(journal.rows["user_id"] == user_id)
        received, stored = columns(own), columns(stored_of(pool, user_id))
        n += len(received)
        told, times_told = np.unique(received, axis=0, return_counts=True) if len(received) else (received, [])
        kept, times_kept = np.unique(stored, axis=0, return_counts=True) if len(stored) else (stored, [])
        told_rows, kept_rows = {row.tobytes() for row in told}, {row.tobytes() for row in kept}
        missing += len(told_rows - kept_rows)
        strange += len(kept_rows - told_rows)
        doubled += int(np.sum(times_kept)) - len(kept_rows)
        doubled += int(np.sum(times_told)) - len(told_rows)
    return {"journalled": n, "not_stored": missing, "stored_twice": doubled, "stored_but_not_journalled": strange}


@dataclass
class Decisions(threading.Thread):
    """Hears every decision from ``start`` until ``stop``, in a thread of its own; outlives outages of the bus."""

    settings: Settings
    heard: dict[int, list[float]] = field(default_factory=dict)

    def __post_init__(self) -> None:
        super().__init__(name="decisions", daemon=True)
        self._stopped = threading.Event()

    __hash__ = threading.Thread.__hash__

    def run(self) -> None:
        """Listen."""
        asyncio.run(self._listen())

    def stop(self) -> None:
        """End listening."""
        self._stopped.set()
        self.join()

    def wait_for_all(self, user_ids: Sequence[int], since: float, timeout_s: float = 60.0) -> float:
        """Wait until each profile had a decision after a moment (``time.monotonic``), and give the last's delay."""
        deadline = time.monotonic() + timeout_s
        while True:
            latest = [self.first_after(user_id, since) for user_id in user_ids]
            if None not in latest:
                return max(at for at in latest if at is not None) - since
            silent = latest.count(None)
            assert time.monotonic() < deadline, f"{silent} of {len(latest)} profiles without decisions"
            time.sleep(0.02)

    def first_after(self, user_id: int, since: float) -> float | None:
        """Return the moment of a profile's first decision after a moment, or None."""
        for at in reversed(moments := self.heard.get(user_id, [])):
            if at <= since:
                break
        else:
            return moments[0] if moments else None
        after = moments.index(at) + 1
        return moments[after] if after < len(moments) else None

    async def _listen(self) -> None:
        client = await bus.connect(self.settings, "evidence")

        async def on_decision(message: Msg) -> None:
            self.heard.setdefault(int(message.subject.rpartition(".")[2]), []).append(time.monotonic())

        await client.subscribe(decisions_subject("*"), cb=on_decision)  # type: ignore[arg-type]
        while not self._stopped.is_set():
            await asyncio.sleep(0.05)
        await client.close()


def spread(errors_us: NDArray[Any]) -> dict[str, float]:
    """Return percentiles of times in ms."""
    p50, p99, most = np.percentile(np.abs(errors_us), [50, 99, 100]) / 1000
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2), "max": round(float(most), 2)}
