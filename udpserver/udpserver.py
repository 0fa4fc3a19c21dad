"""The UDP server: cd udpserver && python udpserver.py."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path[:0] = [str(Path(__file__).resolve().parents[1])]

from semg.platform.own_python import use_own_python

if __name__ == "__main__":
    use_own_python()

import asyncio
import logging
import signal

import uvloop

from semg import log
from semg.errors import SemgError
from semg.ingest.server import IngestServer
from semg.settings import Settings, get_settings
from semg.store.pool import Pool

logger = logging.getLogger("udpserver")


async def serve(settings: Settings) -> None:
    """Receive, journal and store samples until SIGTERM or SIGINT."""
    stop = asyncio.Event()
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)
    pool = Pool(settings, name="udpserver")
    try:
        await IngestServer(settings, pool, isolated_store=True).run(stop)
    finally:
        pool.close()


def main() -> int:
    """Run the service, and give its exit status."""
    try:
        settings = get_settings()
        log.configure("udpserver", settings.log_level)
        uvloop.run(serve(settings))
    except SemgError as exc:
        logger.error("%s", exc)
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
