"""An inference worker against a real bus, API and database, and samples that are published to it."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

import numpy as np

from semg.domain import Block
from semg.inference.model_registry import ActiveModelRegistry
from semg.inference.predictor_client import PredictorClient
from semg.inference.worker import InferenceWorker
from semg.process import bus
from semg.recordings.csv_format import Recording
from semg.settings import Settings
from semg.store.pool import Pool
from semg.wire import messages
from testing.kits.ingest_kit import encode_blocks

T0_US = 1_800_000_000_000_000


class Capture:
    """Connections to the real predictor, which also keep what goes through them."""

    def __init__(self, settings: Settings) -> None:
        headers = {"Authorization": f"Bearer {settings.semg_api_token.get_secret_value()}"}
        self._make = lambda: PredictorClient(f"{settings.internal_api_url}/predict/windows", headers, 10)
        self.bodies: list[bytes] = []

    def connect(self) -> Recorded:
        return Recorded(self._make(), self.bodies)


@dataclass
class Recorded:
    client: PredictorClient
    bodies: list[bytes]

    async def post(self, body: bytes) -> bytes:
        self.bodies.append(body)
        return await self.client.post(body)

    def close(self) -> None:
        self.client.close()


@asynccontextmanager
async def worker_running(settings: Settings, pool: Pool) -> AsyncIterator[tuple[InferenceWorker, Capture]]:
    client = await bus.connect(settings, "test-worker", forever=False, service="nat_inference")
    capture = Capture(settings)
    worker = InferenceWorker(settings, client, capture.connect, pool, ActiveModelRegistry(pool))
    await worker.subscribe()
    await client.flush()
    task = asyncio.create_task(worker.run())
    await asyncio.wait_for(worker.registry.loaded.wait(), 20)
    try:
        yield worker, capture
    finally:
        task.cancel()
        with suppress(asyncio.CancelledError):
            await task
        await client.close()


def blocks_of(user_id: int, recording: Recording, n: int, seed: int = 0, starts: tuple[int, ...] = (0,)) -> list[Block]:
    """Cut the first samples of a recording into blocks of random length; runs start at the given samples."""
    rng = np.random.default_rng(seed)
    cuts = np.union1d(np.cumsum(rng.integers(1, 12, n)), [*starts, n])
    edges = [0, *(int(cut) for cut in cuts if 0 < cut <= n)]
    device_us = np.round(recording.device_ms * 1000).astype(np.int64)
    return [
        Block(
            user_id, T0_US, first in starts, False, T0_US - int(device_us[0]), device_us[first:last],
            device_us[first:last] + T0_US, recording.labelled.samples[first:last],
        )
        for first, last in zip(edges[:-1], edges[1:], strict=True)
    ]  # fmt: skip


async def publish(settings: Settings, blocks: list[Block]) -> None:
    client = await bus.connect(settings, "test-ingest", forever=False)
    for block in blocks:
        await client.publish(messages.live_subject(0), encode_blocks([block]))
    await client.drain()


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not condition():
            await asyncio.sleep(0.01)
