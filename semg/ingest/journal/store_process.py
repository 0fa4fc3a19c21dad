"""Run the store tasks in a child process of the ingest service.

In the receiver's process, fetching and packing blocked its event loop for up to 44 ms, in a separate one for up to 22
(``testing/benchmarks/storage.py``, 2,000,000 samples/s); a full receive buffer lasts 30 to 40. The process costs 30 MB
of memory. It ends with its parent, however that ends: its standard input is a pipe from the parent. It reports its
counters on its standard output.
"""

from __future__ import annotations

import asyncio
import json
import logging
import signal
import subprocess
import sys
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import fields
from typing import Any

import uvloop
from nats.aio.client import Client
from pydantic import SecretStr

from semg import log
from semg.environment import child_environment
from semg.errors import BusError
from semg.ingest.journal.journal_writer import JournalWriter
from semg.ingest.streams.counters import Counters
from semg.process import bus
from semg.process.lifecycle import settle_memory
from semg.process.partition_leases import PartitionLeases
from semg.process.threads import thread_limits
from semg.settings import PROJECT_DIR, Settings
from semg.store.pool import Pool

logger = logging.getLogger(__name__)

APPLICATION = "udpserver-store"
REPORT_EVERY_S = 0.1
RETRY_S = (0.2, 10.0)
END_S = 2.0
"""How long the process may take to end once it has stored what it could."""

_ADDED = (
    "stored", "stored_rows", "erased", "replayed", "journal_expired", "journal_damaged", "store_refused",
    "store_retries",
)  # fmt: skip
_LATEST = ("journal_lag",)


class StoreProcess:
    """Keeps the process running and adds its counts to the service's counters.

    Parameters
    ----------
    partitions
        Of the journal; the process stores all of them.
    counters
        The service's; the store's fields are incremented here.
    """

    def __init__(self, settings: Settings, partitions: Sequence[int], counters: Counters) -> None:
        self._settings = settings
        self._partitions = list(partitions)
        self._counters = counters
        self._process: subprocess.Popen[bytes] | None = None
        self._stopping = asyncio.Event()
        self._ended = asyncio.Event()

    @property
    def pid(self) -> int | None:
        """The process, while there is one."""
        return None if self._process is None else self._process.pid

    async def run(self) -> None:
        """Keep a process running until ``stop`` is called; one that exits is restarted."""
        pause_s = RETRY_S[0]
        try:
            while not self._stopping.is_set():
                reported = await self._run_one()
                if self._stopping.is_set():
                    return
                self._counters.store_retries += 1
                logger.error("the store process ended; starting another in %.1f s", pause_s)
                pause_s = RETRY_S[0] if reported else min(2 * pause_s, RETRY_S[1])
                with suppress(TimeoutError):
                    await asyncio.wait_for(self._stopping.wait(), pause_s)
        finally:
            self._end()
            self._ended.set()

    async def stop(self, timeout_s: float) -> None:
        """Store what the journal has now, for at most this long; then ``run`` ends."""
        self._stopping.set()
        self._write(f"stop {timeout_s}\n".encode())
        try:
            await asyncio.wait_for(self._ended.wait(), timeout_s + END_S)
        except TimeoutError:
            logger.warning("store: the process does not end and is killed; the journal keeps what is not stored")
            self._end()

    async def _run_one(self) -> bool:
        """Run a process until it exits, and return whether it ever reported."""
        process = self._process = subprocess.Popen(
            [sys.executable, "-m", "semg.ingest.journal.store_process"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            cwd=PROJECT_DIR,
            env=child_environment(**thread_limits(1), MALLOC_ARENA_MAX="2"),
        )
        assert process.stdout is not None
        self._write(json.dumps({"settings": _plain(self._settings), "partitions": self._partitions}).encode() + b"\n")
        reader = asyncio.StreamReader()
        transport, _ = await asyncio.get_running_loop().connect_read_pipe(
            lambda: asyncio.StreamReaderProtocol(reader), process.stdout
        )
        before: dict[str, int] = {}
        try:
            while line := await reader.readline():
                before = self._count(json.loads(line), before)
        finally:
            transport.close()
        self._end()
        return bool(before)

    def _count(self, report: dict[str, int], before: dict[str, int]) -> dict[str, int]:
        for name in _ADDED:
            setattr(self._counters, name, getattr(self._counters, name) + report[name] - before.get(name, 0))
        for name in _LATEST:
            setattr(self._counters, name, report[name])
        return report

    def _write(self, data: bytes) -> None:
        """Write to the process's standard input; it may have exited."""
        if self._process is not None and self._process.stdin is not None:
            with suppress(OSError):
                self._process.stdin.write(data)
                self._process.stdin.flush()

    def _end(self) -> None:
        """Kill the process, which has closed its output or is no longer needed; nothing is lost by that."""
        process, self._process = self._process, None
        if process is not None:
            process.kill()
            process.wait()
            if process.stdin is not None:
                with suppress(OSError):
                    process.stdin.close()


def _plain(settings: Settings) -> dict[str, Any]:
    """Return the settings with their secrets: only the two processes can read the pipe."""
    values = settings.model_dump(exclude_none=True)
    return {
        name: value.get_secret_value() if isinstance(value, SecretStr) else str(value) for name, value in values.items()
    }


async def serve(settings: Settings, partitions: Sequence[int], commands: asyncio.StreamReader) -> None:
    """Store until the parent sends ``stop`` or exits."""
    counters = Counters()
    command = asyncio.create_task(commands.readline())
    client = await _connected(settings, command)
    pool = Pool(settings, size=max(2, len(partitions)), name=APPLICATION)
    try:
        if client is None:
            return
        stores = _Stores(client, pool, settings, counters)
        settle_memory()
        tasks = [asyncio.create_task(_report(counters))]
        share = PartitionLeases(client, settings, "store", stores.set_partitions) if settings.share_partitions else None
        if share is None:
            await stores.set_partitions(set(partitions))
        else:
            tasks.append(asyncio.create_task(share.run()))
        await asyncio.wait([command, *tasks], return_when=asyncio.FIRST_COMPLETED)
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        await stores.stop(_seconds(command))
        if share is not None:
            await share.leave()
        _write_report(counters)
    finally:
        pool.close()
        if client is not None:
            await client.close()


class _Stores:
    """The store tasks of the partitions leased by this process."""

    def __init__(self, client: Client, pool: Pool, settings: Settings, counters: Counters) -> None:
        self._made_with = client, pool, settings
        self._counters = counters
        self._running: dict[int, tuple[JournalWriter, asyncio.Task[None]]] = {}

    async def set_partitions(self, partitions: set[int]) -> None:
        """Store these partitions from now on; a task that is stopped finishes its transaction first."""
        for number in self._running.keys() - partitions:
            await self._stop(number, 0.0)
        for number in partitions - self._running.keys():
            store = JournalWriter(*self._made_with, number, self._counters)
            self._running[number] = store, asyncio.create_task(store.run(), name=f"store-{number}")

    async def stop(self, timeout_s: float) -> None:
        """Store what the journal has now, for at most this long; then end."""
        await asyncio.gather(*(self._stop(number, timeout_s) for number in list(self._running)))

    async def _stop(self, number: int, timeout_s: float) -> None:
        store, running = self._running.pop(number)
        await store.stop(timeout_s)
        await running


async def _connected(settings: Settings, command: asyncio.Task[bytes]) -> Client | None:
    """Connect to the bus, waiting for its server; after a stop command at most for the time that it allows."""
    connecting = asyncio.create_task(_connect_forever(settings))
    await asyncio.wait([connecting, command], return_when=asyncio.FIRST_COMPLETED)
    if not connecting.done():
        await asyncio.wait([connecting], timeout=_seconds(command))
    if connecting.done():
        return connecting.result()
    connecting.cancel()
    await asyncio.gather(connecting, return_exceptions=True)
    return None


async def _connect_forever(settings: Settings) -> Client:
    while True:
        try:
            return await bus.connect(settings, APPLICATION, service="store")
        except BusError as exc:
            logger.warning("waiting for the bus: %s", exc)
        await asyncio.sleep(0.5)


def _seconds(command: asyncio.Task[bytes]) -> float:
    """Return how long the stop command lets storing continue, s; 0 if the parent is gone."""
    text = command.result().decode() if command.done() else ""
    return float(text.split()[1]) if text.startswith("stop ") else 0.0


async def _report(counters: Counters) -> None:
    """Report the counters to the parent whenever they change."""
    reported: Counters | None = None
    while True:
        if reported is None or any(getattr(reported, name) != getattr(counters, name) for name in _ADDED + _LATEST):
            reported = Counters(**{name.name: getattr(counters, name.name) for name in fields(Counters)})
            _write_report(counters)
        await asyncio.sleep(REPORT_EVERY_S)


def _write_report(counters: Counters) -> None:
    report = {name: getattr(counters, name) for name in _ADDED + _LATEST}
    with suppress(OSError):  # the parent is gone; the other pipe signals that
        sys.stdout.buffer.write(json.dumps(report).encode() + b"\n")
        sys.stdout.buffer.flush()


async def _child() -> None:
    commands = asyncio.StreamReader()
    await asyncio.get_running_loop().connect_read_pipe(lambda: asyncio.StreamReaderProtocol(commands), sys.stdin)
    first = await commands.readline()
    if not first:
        return
    message = json.loads(first)
    settings = Settings(_env_file=None, **message["settings"])  # type: ignore[call-arg]
    log.configure(APPLICATION, settings.log_level)
    await serve(settings, message["partitions"], commands)


if __name__ == "__main__":
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # a terminal sends it to the parent too, which stops this process
    uvloop.run(_child())
