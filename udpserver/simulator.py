"""Sends for simulated arms, while anybody has one: cd udpserver && python simulator.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import logging
import signal
import threading

from semg import log
from semg.errors import SemgError
from semg.process.heartbeat import Heartbeat
from semg.process.lifecycle import announce_ready, wait_for_store
from semg.settings import get_settings
from semg.simulation.assignments import SERVICE
from semg.simulation.streaming import Simulator
from semg.store.pool import Pool

logger = logging.getLogger("simulator")


def main() -> int:
    """Send until SIGTERM or SIGINT, and return the exit status."""
    stop = threading.Event()
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: stop.set())
    try:
        settings = get_settings()
        log.configure(SERVICE, settings.log_level)
        pool = Pool(settings, size=2, name=SERVICE)
        wait_for_store(pool, stop)
        simulator = Simulator(settings, pool)
        with Heartbeat(pool, SERVICE, simulator.metrics):
            announce_ready(settings)
            simulator.run(stop)
        pool.close()
    except SemgError as exc:
        logger.error("%s", exc)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
