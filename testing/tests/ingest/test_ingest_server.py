"""The whole way with the real bus and the real database: UDP, journal, store."""

from __future__ import annotations

import asyncio

import numpy as np
import pytest

from semg import bus
from semg.store.pool import Pool
from semg.wire.blocks import decode_blocks
from semg.wire.messages import samples_subject
from testing.tests.ingest.ingest_kit import (
    Sender,
    make_profile,
    running,
    stored_blocks,
    stored_count,
    stored_numbers,
    until,
)

pytestmark = pytest.mark.servers


async def test_every_sample_at_200_hz_is_stored_exactly_once(servers, ingest_pool: Pool, sender: Sender) -> None:
    user_id = make_profile(ingest_pool)
    live: list[int] = []
    async with running(servers.settings, ingest_pool) as server:
        watcher = await bus.connect(servers.settings, "watcher", forever=False)

        async def on_blocks(message) -> None:
            for block in decode_blocks(message.data):
                live.extend(int(number) for number in block.samples[:, 0])

        await watcher.subscribe(samples_subject(user_id), cb=on_blocks)
        await watcher.flush()
        start = asyncio.get_running_loop().time()
        for number in range(600):
            await asyncio.sleep(max(0.0, start + number * 0.005 - asyncio.get_running_loop().time()))
            sender.sample(user_id, 1000 + number * 5, number)
        await until(lambda: server.counters.stored == 600, "600 stored")
        await until(lambda: len(live) == 600, "600 live")
        await watcher.close()
    assert stored_numbers(ingest_pool, user_id) == list(range(600))
    assert live == list(range(600))
    blocks = stored_blocks(ingest_pool, user_id)
    assert [block.starts_run for block in blocks] == [True] + [False] * (len(blocks) - 1)
    assert np.concatenate([block.device_us for block in blocks]).tolist() == [(1000 + 5 * n) * 1000 for n in range(600)]
    assert sum(server.counters.dropped.values()) == 0
    assert server.counters.missing == 0
    assert await stored_count(ingest_pool, user_id) == 600
