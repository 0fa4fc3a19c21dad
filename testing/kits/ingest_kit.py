"""What the ingest tests share: profiles, a running server, a sender, and the samples that came out of it."""

from __future__ import annotations

import asyncio
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any, TypeVar

import numpy as np

from semg.block_table import BlockTable
from semg.domain import Block
from semg.ingest.server import IngestServer
from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import blocks as blocks_store
from semg.store import profiles
from semg.store.pool import Pool
from semg.wire.blocks import encode_table
from semg.wire.udp import encode_v1
from testing.kits.store_queries import count_samples

T = TypeVar("T")
PATIENCE_S = 40.0


async def until(condition: Callable[[], Awaitable[T] | T], what: str, timeout_s: float = PATIENCE_S) -> T:
    """Wait until a condition gives something true, and give that."""
    deadline = asyncio.get_running_loop().time() + timeout_s
    while True:
        value = condition()
        if asyncio.iscoroutine(value):
            value = await value
        if value:
            return value  # type: ignore[return-value]
        assert asyncio.get_running_loop().time() < deadline, f"not within {timeout_s} s: {what}"
        await asyncio.sleep(0.02)


class Sender:
    """A device: sends datagrams to the server under test."""

    def __init__(self, settings: Settings) -> None:
        self._address = (settings.udp_host, settings.udp_port)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)

    def raw(self, datagram: bytes) -> None:
        self._socket.sendto(datagram, self._address)

    def sample(self, user_id: int, device_ms: int, number: int, n_channels: int = 8) -> None:
        """A sample whose first channel is its number."""
        self.raw(encode_v1(user_id, device_ms, [number, *((number * 7 + c) % 4096 for c in range(1, n_channels))]))

    def close(self) -> None:
        self._socket.close()


def make_profile(pool: Pool, name: str = "p", *, n_channels: int = 8, rate_hz: float = 200.0, **device: Any) -> int:
    with pool.transaction() as tx:
        return profiles.insert_profile(
            tx, name, channels=[f"a{number}" for number in range(n_channels)], rate_hz=rate_hz,
            **({"consent": TEST_PERSON, "allow_v1": True} | device),
        )  # fmt: skip


@asynccontextmanager
async def running(settings: Settings, pool: Pool) -> AsyncIterator[IngestServer]:
    """A server in this process, ready; stopped in order at the end."""
    server, stop = IngestServer(settings, pool), asyncio.Event()
    task = asyncio.create_task(server.run(stop))
    ready = asyncio.create_task(server.ready.wait())
    done, _ = await asyncio.wait([task, ready], timeout=PATIENCE_S, return_when=asyncio.FIRST_COMPLETED)
    assert ready in done, f"the server did not get ready: {task}"
    try:
        yield server
    finally:
        stop.set()
        await asyncio.wait_for(task, PATIENCE_S)


def stored_blocks(pool: Pool, user_id: int) -> list[Block]:
    with pool.transaction() as tx:
        return blocks_store.list_blocks(tx, user_id, datetime(2000, 1, 1, tzinfo=UTC), datetime(2100, 1, 1, tzinfo=UTC))


def stored_numbers(pool: Pool, user_id: int) -> list[int]:
    """The sample numbers (first channel) in the order of the store."""
    blocks = stored_blocks(pool, user_id)
    return [int(number) for block in blocks for number in np.asarray(block.samples[:, 0])]


async def stored_count(pool: Pool, user_id: int) -> int:
    def count() -> int:
        with pool.transaction() as tx:
            return count_samples(tx, user_id)

    return await asyncio.to_thread(count)


def encode_blocks(blocks: Sequence[Block]) -> bytes:
    """Return the message that carries blocks, each by itself, in this order."""
    return encode_table(BlockTable.from_blocks(blocks))
