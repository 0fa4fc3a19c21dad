"""Runs training jobs, conducts captures, finishes videos, judges sessions: cd ml_model && python job_runner.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import signal
import threading

from semg import log
from semg.jobs.runner import JobRunner
from semg.maintenance.captures import conduct_captures
from semg.maintenance.priors import keep_bases
from semg.maintenance.retention import keep_retention
from semg.maintenance.session_quality import keep_quality
from semg.maintenance.summaries import keep_summaries
from semg.maintenance.video_files import keep_videos
from semg.process.heartbeat import Heartbeat
from semg.process.lifecycle import announce_ready, wait_for_store
from semg.process.threaded_publisher import ThreadedPublisher
from semg.security.encrypted_files import Vault
from semg.security.keys import ring_of
from semg.settings import get_settings
from semg.store.pool import Pool


def main() -> None:
    """Work until SIGTERM or SIGINT."""
    settings = get_settings()
    log.configure("job_runner", settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pool = Pool(settings, name="job_runner")
    wait_for_store(pool, stop)
    vault = Vault(ring_of(settings))
    runner = JobRunner(settings, pool)
    heartbeat = Heartbeat(pool, "job_runner", runner.metrics)
    heartbeat.start()
    announcer = ThreadedPublisher(settings, "job_runner")
    beside = (
        threading.Thread(target=conduct_captures, args=(pool, announcer, stop), name="captures"),
        threading.Thread(target=keep_videos, args=(pool, settings.videos, vault, stop), name="videos"),
        threading.Thread(target=keep_bases, args=(settings, pool, stop), name="bases"),
        threading.Thread(target=keep_retention, args=(settings, pool, stop), name="retention"),
        threading.Thread(target=keep_summaries, args=(pool, stop), name="summaries"),
        threading.Thread(target=keep_quality, args=(pool, stop), name="quality"),
    )
    for thread in beside:
        thread.start()
    announce_ready(settings)
    runner.run(stop)
    for thread in beside:
        thread.join()
    announcer.close()
    heartbeat.stop()
    pool.close()


if __name__ == "__main__":
    main()
