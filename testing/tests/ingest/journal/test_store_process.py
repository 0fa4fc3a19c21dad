"""The store tasks in a process of their own: stored exactly once, no process left behind."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress

import numpy as np
import psutil
import pytest

from semg.domain import Block
from semg.environment import child_environment
from semg.ingest.journal.journal_writer import JournalWriter
from semg.ingest.journal.store_process import APPLICATION, StoreProcess, _plain
from semg.ingest.streams.counters import Counters
from semg.process import bus
from semg.settings import PROJECT_DIR, Settings
from semg.store.pool import Pool, one
from semg.wire.messages import journal_subject
from testing.kits.ingest_kit import encode_blocks, make_profile, stored_numbers, until

pytestmark = pytest.mark.servers

T0_US = 1_780_000_000_000_000


@asynccontextmanager
async def storing(settings: Settings, counters: Counters, drain_s: float = 10) -> AsyncIterator[StoreProcess]:
    store = StoreProcess(settings, [0], counters)
    running = asyncio.create_task(store.run())
    try:
        yield store
    finally:
        await store.stop(drain_s)
        await asyncio.wait_for(running, 20)


async def journal(settings: Settings, user_id: int, numbers: range) -> None:
    """Put samples into the journal, a message each ten."""
    client = await bus.connect(settings, "test", forever=False)
    js = await bus.ensure_journal(client, settings)
    for first in range(numbers.start, numbers.stop, 10):
        number = np.arange(first, min(first + 10, numbers.stop))
        samples = np.stack([number, number * 3], axis=1).astype(np.float32)
        block = Block(user_id, T0_US, first == 0, False, T0_US, number * 5000, number * 5000 + T0_US, samples)
        await js.publish(journal_subject(0), encode_blocks([block]))
    await client.close()


async def test_process_stores_counts_and_ends_with_everything_stored(servers, ingest_pool: Pool) -> None:
    user_id, counters = make_profile(ingest_pool, n_channels=2), Counters()
    async with storing(servers.settings, counters) as store:
        await until(lambda: store.pid is not None, "a process")
        child = psutil.Process(store.pid)
        await journal(servers.settings, user_id, range(500))
    assert not child.is_running()
    assert stored_numbers(ingest_pool, user_id) == list(range(500))
    assert (counters.stored, counters.replayed, counters.store_retries) == (500, 0, 0)


async def test_blocks_of_times_that_are_none_are_skipped_and_others_stored(
    servers, ingest_pool: Pool, caplog: pytest.LogCaptureFixture
) -> None:
    """The journal may hold them from an earlier version: they would make days, or stop the partition for ever."""
    user_id, bad_id = make_profile(ingest_pool, n_channels=2), make_profile(ingest_pool, "Bad", n_channels=2)
    client = await bus.connect(servers.settings, "test", forever=False)
    js = await bus.ensure_journal(client, servers.settings)
    samples, stamps = np.ones((2, 2), np.float32), np.array([0, 5000])
    for device_us, offset_us in ((1 << 61, T0_US), (T0_US, 3 * 86_400_000_000), (-(1 << 61), 0), (1 << 62, 1 << 62)):
        block = Block(bad_id, T0_US, True, False, offset_us, stamps + device_us, stamps + T0_US, samples)
        await js.publish(journal_subject(0), encode_blocks([block]))
    none = Block(bad_id, T0_US, True, False, 1 << 61, stamps, stamps + (1 << 61), samples)
    await js.publish(journal_subject(0), encode_blocks([none]))
    await client.close()
    await journal(servers.settings, user_id, range(50))
    counters = Counters()
    store = JournalWriter(bus_client := await bus.connect(servers.settings, "test-store", forever=False),
                          ingest_pool, servers.settings, 0, counters)  # fmt: skip
    running = asyncio.create_task(store.run())
    await until(lambda: counters.stored == 50, "the others' samples")
    await store.stop(10)
    await running
    await bus_client.close()
    assert (counters.store_refused, counters.store_retries) == (10, 0)
    assert stored_numbers(ingest_pool, user_id) == list(range(50))
    assert len([record for record in caplog.records if f"profile {bad_id}" in record.message]) == 1
    with ingest_pool.transaction() as tx:
        found = one(tx, "SELECT count(*) AS n FROM pg_inherits WHERE inhparent = 'sample_blocks'::regclass")
    assert found.n == 2, "the day, and the rest"


async def test_killed_process_is_started_again_and_doubles_nothing(servers, ingest_pool: Pool) -> None:
    user_id, counters = make_profile(ingest_pool, n_channels=2), Counters()
    settings = servers.settings.model_copy(update={"store_every_ms": 20.0})
    async with storing(settings, counters) as store:
        for part in range(5):
            reached = counters.stored
            await journal(settings, user_id, range(part * 100, part * 100 + 100))
            if part in (1, 3):
                await until(lambda: counters.stored > reached, "something stored")  # noqa: B023 - waited for here
                psutil.Process(store.pid).kill()

        async def all_stored() -> bool:
            return len(await asyncio.to_thread(stored_numbers, ingest_pool, user_id)) >= 500

        await until(all_stored, "all stored")
        assert counters.store_retries > 0
    assert stored_numbers(ingest_pool, user_id) == list(range(500))


def test_process_ends_when_its_parent_is_killed(servers, ingest_pool: Pool) -> None:
    script = (
        "import asyncio, json, sys\n"
        "from semg.ingest.streams.counters import Counters\n"
        "from semg.ingest.journal.store_process import StoreProcess\n"
        "from semg.settings import Settings\n"
        "async def main():\n"
        "    store = StoreProcess(Settings(_env_file=None, **json.loads(sys.stdin.readline())), [0], Counters())\n"
        "    running = asyncio.create_task(store.run())\n"
        "    while store.pid is None:\n"
        "        await asyncio.sleep(0.01)\n"
        "    print(store.pid, flush=True)\n"
        "    await running\n"
        "asyncio.run(main())\n"
    )
    parent = subprocess.Popen(  # noqa: S603 - the script above
        [sys.executable, "-c", script],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        cwd=PROJECT_DIR,
        env=child_environment(),
        text=True,
    )
    with parent:
        assert parent.stdin is not None
        assert parent.stdout is not None
        parent.stdin.write(json.dumps(_plain(servers.settings)) + "\n")
        parent.stdin.flush()
        child = psutil.Process(int(parent.stdout.readline()))
        parent.kill()
    with suppress(psutil.NoSuchProcess):
        child.wait(20)
    assert not child.is_running() or child.status() == psutil.STATUS_ZOMBIE
    with ingest_pool.transaction() as tx:
        left = one(tx, "SELECT count(*) AS n FROM pg_stat_activity WHERE application_name = %s", (APPLICATION,))
    assert left.n == 0


async def test_process_that_is_stopped_while_nats_is_away_ends(servers, ingest_pool: Pool) -> None:
    servers.nats.process.kill()
    servers.nats.process.wait(10)
    async with storing(servers.settings, Counters(), 0.5) as store:
        await until(lambda: store.pid is not None, "a process")
        child = psutil.Process(store.pid)
        assert child.ppid() == os.getpid()
    assert not child.is_running()
