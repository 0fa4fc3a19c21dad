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
from semg.process.attempts import Failures
from semg.process.heartbeat import Heartbeat
from semg.process.lifecycle import announce_ready, wait_for_store
from semg.process.service_threads import ServiceThreads
from semg.process.threaded_publisher import ThreadedPublisher
from semg.security.encrypted_files import Vault
from semg.security.keys import ring_of
from semg.settings import get_settings
from semg.store.pool import Pool


def main() -> int:
    """Work until SIGTERM or SIGINT, and return the exit status."""
    settings = get_settings()
    log.configure("job_runner", settings.log_level)
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    pool = Pool(settings, name="job_runner")
    wait_for_store(pool, stop)
    vault, failures = Vault(ring_of(settings)), Failures()
    runner = JobRunner(settings, pool, failures=failures)
    announcer = ThreadedPublisher(settings, "job_runner")
    with Heartbeat(pool, "job_runner", runner.metrics), ServiceThreads(stop) as beside:
        beside.start("captures", lambda: conduct_captures(pool, announcer, stop, failures))
        beside.start("videos", lambda: keep_videos(pool, settings.videos, vault, stop, failures))
        beside.start("bases", lambda: keep_bases(settings, pool, stop, failures))
        beside.start("retention", lambda: keep_retention(settings, pool, stop, failures))
        beside.start("summaries", lambda: keep_summaries(pool, stop, failures))
        beside.start("quality", lambda: keep_quality(pool, stop, failures))
        announce_ready(settings)
        runner.run(stop)
    announcer.close()
    pool.close()
    return beside.exit_status


if __name__ == "__main__":
    sys.exit(main())
