"""The inference worker: cd ml_model && python nat_inference.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import asyncio
import signal
from contextlib import suppress

import uvloop

from semg import log
from semg.inference.model_registry import ActiveModelRegistry
from semg.inference.predictor_client import PredictorClient
from semg.inference.worker import InferenceWorker
from semg.process import bus
from semg.process.heartbeat import Heartbeat
from semg.process.lifecycle import announce_ready, verification
from semg.process.partition_leases import PartitionLeases
from semg.settings import Settings, get_settings
from semg.store.pool import Pool
from semg.wire.windows import CONTENT_TYPE


async def serve(settings: Settings) -> None:
    """Turn live samples into decisions until SIGTERM or SIGINT."""
    pool = Pool(settings, name="nat_inference")
    client = await bus.connect(settings, "nat_inference", service="nat_inference")
    token = settings.semg_api_token.get_secret_value()
    headers = {"Authorization": f"Bearer {token}", "Content-Type": CONTENT_TYPE}
    url, verify = f"{settings.internal_api_url}/predict/windows", verification(settings)

    def make_predictor() -> PredictorClient:
        return PredictorClient(url, headers, settings.inference_timeout_s, verify)

    worker = InferenceWorker(settings, client, make_predictor, pool, ActiveModelRegistry(pool))
    share = PartitionLeases(client, settings, "inference", worker.set_partitions) if settings.share_partitions else None
    await worker.subscribe(None if share is None else set())
    running = asyncio.create_task(_work(worker, share))
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, running.cancel)
    heartbeat = Heartbeat(pool, "nat_inference", worker.metrics)
    heartbeat.start()
    ready = asyncio.create_task(worker.registry.loaded.wait())
    await asyncio.wait({running, ready}, return_when=asyncio.FIRST_COMPLETED)
    announce_ready(settings)
    with suppress(asyncio.CancelledError):
        await running
    if share is not None:
        await share.leave()
    await asyncio.to_thread(heartbeat.stop)
    await client.close()
    pool.close()


async def _work(worker: InferenceWorker, share: PartitionLeases | None) -> None:
    """Decide, and keep this worker's share of the partitions when there are others."""
    async with asyncio.TaskGroup() as tasks:
        tasks.create_task(worker.run())
        if share is not None:
            tasks.create_task(share.run())


if __name__ == "__main__":
    configured = get_settings()
    log.configure("nat_inference", configured.log_level)
    uvloop.run(serve(configured))
