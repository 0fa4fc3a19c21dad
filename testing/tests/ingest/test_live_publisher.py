"""What is published for the moment does not hold up whoever reads datagrams when the bus takes nothing."""

from __future__ import annotations

import asyncio
import signal

import numpy as np
import pytest

from semg.block_table import STARTS_RUN, BlockTable
from semg.domain import Block
from semg.ingest.live_publisher import LivePublisher
from semg.ingest.streams.counters import Counters
from semg.process import bus
from semg.wire.blocks import decode_table
from semg.wire.messages import live_subject
from testing.tests.conftest import Servers

pytestmark = [pytest.mark.servers, pytest.mark.timeout(120)]

SAMPLES = 20_000


def flush(number: int) -> BlockTable:
    """A large flush of one profile, so that few of them fill what the client and the sockets hold."""
    times = 1_800_000_000_000_000 + (number * SAMPLES + np.arange(SAMPLES)) * 1000
    values = np.random.default_rng(number).normal(0, 1, (SAMPLES, 8)).astype(np.float32)
    return BlockTable.from_blocks([Block(21, int(times[0]), number == 0, False, 0, times, times, values)])


async def test_bus_that_hangs_delays_no_flush_for_long_and_gets_blocks_again_afterwards(servers: Servers) -> None:
    publishing = await bus.connect(servers.settings, "test", service="udpserver")
    listening = await bus.connect(servers.settings, "test")
    live = LivePublisher(publishing, Counters(), 1)
    subscription = await listening.subscribe(live_subject(0))
    await listening.flush()
    process = servers.nats.process
    process.send_signal(signal.SIGSTOP)
    try:
        for number in range(60):  # 40 MB; the client alone would wait 10 s with each
            await live.publish(flush(number))
    finally:
        process.send_signal(signal.SIGCONT)
    assert publishing.pending_data_size <= bus.PENDING_BYTES, "what nobody takes is left out"
    async with asyncio.timeout(60):
        while publishing.pending_data_size:
            await asyncio.sleep(0.02)
        await live.publish(flush(99))
        while True:
            table = decode_table((await subscription.next_msg(30)).data)
            if table.device_us[0] == flush(99).device_us[0]:
                break
    assert table.rows["flags"][0] & STARTS_RUN, "something was left out before it"
    await publishing.close()
    await listening.close()
