"""Does one training job: python TrainMLJob.py --job_id N (job_runner.py starts it)."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import asyncio
import logging

import fire

from semg import log
from semg.errors import BusError
from semg.jobs.training import Finished, run_job
from semg.process import bus
from semg.process.memory import limit_own_memory, machine_bytes
from semg.settings import Settings, get_settings
from semg.store.pool import Pool
from semg.wire import messages

logger = logging.getLogger(__name__)
LEAST_BYTES = 1 << 30
"""A small machine's trainings may take as much all the same: a session of five minutes takes half of it."""


async def _announce(settings: Settings, finished: Finished) -> None:
    """Notify the predictor at once; it would find out by itself within a second."""
    client = await bus.connect(settings, "TrainMLJob", forever=False, service="job_runner")
    message = messages.ModelActivated(userid=finished.user_id, model_version=finished.version)
    await client.publish(messages.models_subject(finished.user_id), message.to_bytes())
    await client.drain()


def main(job_id: int) -> None:
    """Train the classifier of a job, store it as a new model version, and activate it when it is good enough.

    Parameters
    ----------
    job_id
        A job that ``job_runner.py`` has claimed, or a scheduled one when started by hand.
    """
    settings = get_settings()
    log.configure("TrainMLJob", settings.log_level)
    given_mb = settings.training_memory_mb
    limit_own_memory(max(LEAST_BYTES, machine_bytes() // 2) if given_mb is None else given_mb << 20)
    pool = Pool(settings, size=2, name=f"TrainMLJob {job_id}")
    finished = run_job(settings, pool, job_id)
    if finished is None:
        sys.exit(1)
    if not finished.activated:
        return
    try:
        asyncio.run(_announce(settings, finished))
    except BusError as exc:
        logger.warning("activation not announced: %s", exc, extra={"job_id": job_id})


if __name__ == "__main__":
    fire.Fire(main)
