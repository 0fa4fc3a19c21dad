"""The ingest service: the socket, and the tasks between it, the bus and the store."""

from __future__ import annotations

import asyncio
import logging
import secrets
import socket
import time
from collections import Counter
from collections.abc import Sequence
from typing import Any

from nats.aio.client import Client

from semg.clock import now_us
from semg.errors import BusError, SemgError, StoreError
from semg.ingest.journal.journal_writer import JournalWriter
from semg.ingest.journal.publisher import Journal
from semg.ingest.journal.store_process import StoreProcess
from semg.ingest.live_publisher import LivePublisher
from semg.ingest.pipeline import Pipeline
from semg.ingest.receiver import MAX_TAKEN, Receiver
from semg.ingest.registry import Registry
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import DatagramBatch
from semg.ingest.text.networks import Networks
from semg.ingest.udp_socket import granted_buffer, kernel_drops, open_socket
from semg.process import bus
from semg.process.heartbeat import Heartbeat
from semg.process.lifecycle import announce_ready
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.store.pool import Pool
from semg.wire.stream_status import as_metrics

logger = logging.getLogger(__name__)

SUMMARY_S = 1.0
SHORTEST_PAUSE_S = 0.001
"""Before a flush with little traffic."""

PAUSE_SHARE = 8

CONNECT_AGAIN_S = 0.5
JOURNAL_DRAIN_S = 5.0
STORE_DRAIN_S = 3.0


class IngestServer:
    """Receives, journals and stores until stopped.

    Attributes
    ----------
    counters
        Counts since the start.
    ready
        Set when datagrams are accepted, the bus is connected and the registry is loaded.

    Parameters
    ----------
    isolated_store
        Run the store tasks in a separate process: in the same one they stall the receiver (``store_process``).
    """

    def __init__(self, settings: Settings, pool: Pool, *, isolated_store: bool = False) -> None:
        self.counters = Counters()
        self._isolated_store = isolated_store
        self.ready = asyncio.Event()
        self._settings = settings
        self._pool = pool
        wait_us, networks = round(settings.reorder_wait_ms * 1000), Networks(settings.text_networks)
        self._pipeline = Pipeline(wait_us, self.counters, networks)
        self._snapshot: dict[str, Any] = {}
        self._logged: Counter[str] = Counter()

    def metrics(self) -> dict[str, Any]:
        """Return the counters and the table of senders as of the last second. Safe from any thread."""
        return self._snapshot

    async def run(self, stop: asyncio.Event) -> None:
        """Serve until ``stop`` is set; then pass on what was received, and end.

        Raises
        ------
        SettingsError
            The UDP address cannot be bound.
        BusError
            JetStream cannot hold the journal.
        """
        with open_socket(self._settings) as receiving:
            client = await self._connect(stop)
            if client is None:
                return
            try:
                await self._serve(receiving, client, stop)
            finally:
                await client.close()

    async def _connect(self, stop: asyncio.Event) -> Client | None:
        """Connect to the bus, waiting for its server until stopped."""
        stopping = asyncio.create_task(stop.wait())
        try:
            while not stop.is_set():
                connecting = asyncio.create_task(bus.connect(self._settings, "udpserver", service="udpserver"))
                await asyncio.wait([connecting, stopping], return_when=asyncio.FIRST_COMPLETED)
                if not connecting.done():
                    connecting.cancel()
                    await asyncio.gather(connecting, return_exceptions=True)
                    break
                try:
                    return connecting.result()
                except BusError as exc:
                    logger.warning("waiting for the bus: %s", exc)
                await asyncio.wait([stopping], timeout=CONNECT_AGAIN_S)
            return None
        finally:
            stopping.cancel()

    async def _serve(self, receiving: socket.socket, client: Client, stop: asyncio.Event) -> None:
        js = await bus.ensure_journal(client, self._settings)
        journal = Journal(client, js, self._settings, secrets.token_hex(8), self.counters)
        live = LivePublisher(client, self.counters, self._settings.journal_partitions)
        keys = ring_of(self._settings)
        registry = Registry(self._pool, self._pipeline.set_registry, self._pipeline.boards, keys)
        await registry.subscribe(client)
        await live.subscribe()
        receiver = Receiver(receiving)
        self.counters.receive_buffer = granted_buffer(receiving)
        stores = self._stores(client)
        flusher = asyncio.create_task(self._flush_for_ever(registry, receiver, journal, live), name="flush")
        store_tasks = [asyncio.create_task(store.run(), name="store") for store in stores]
        others = [
            asyncio.create_task(registry.run(), name="registry"),
            asyncio.create_task(self._summarise(receiving), name="summary"),
            asyncio.create_task(self._announce(registry), name="announce"),
        ]
        journal.start()
        heartbeat = Heartbeat(self._pool, "udpserver", self.metrics)
        heartbeat.start()
        try:
            await _until(stop, [flusher, *store_tasks, *others[:2], *journal.failed()])
        finally:
            flusher.cancel()
            await asyncio.gather(flusher, return_exceptions=True)
            while registry.loaded.is_set() and len(batch := receiver.take()):
                await self._hand_over(batch, journal, live)
            receiving.close()
            await live.publish(journal.offer(self._pipeline.finish(now_us())))
            await journal.drain(JOURNAL_DRAIN_S)
            await asyncio.gather(*(store.stop(STORE_DRAIN_S) for store in stores))
            for task in others:
                task.cancel()
            await asyncio.gather(*store_tasks, *others, return_exceptions=True)
            try:
                await registry.write_marks()
            except StoreError as exc:
                logger.warning("what boards sent in the last second is not remembered as sent: %s", exc)
            await asyncio.to_thread(heartbeat.stop, 1.0)
            logger.info("stopped: %s", self.counters.as_metrics())

    def _stores(self, client: Client) -> Sequence[JournalWriter | StoreProcess]:
        if not self._settings.run_store_task:
            return []
        partitions = range(self._settings.journal_partitions)
        if self._isolated_store:
            return [StoreProcess(self._settings, partitions, self.counters)]
        return [JournalWriter(client, self._pool, self._settings, number, self.counters) for number in partitions]

    async def _flush_for_ever(
        self, registry: Registry, receiver: Receiver, journal: Journal, live: LivePublisher
    ) -> None:
        """Process arriving datagrams while some arrive or are held; may be cancelled at any time.

        Datagrams wait in the kernel's buffer until the registry is loaded, because every sender would be unknown.

        The pause before a flush is a multiple of the last one's duration, within bounds: the data of a few devices is
        passed on almost at once, many devices share the cost of a flush.
        """
        await registry.loaded.wait()
        longest_s = self._settings.flush_ms / 1000
        pause_s = shortest_s = min(SHORTEST_PAUSE_S, longest_s)
        idle = True
        while True:
            if idle and not self._pipeline.holds:
                await receiver.wait()
            await asyncio.sleep(pause_s)
            started = time.perf_counter()
            batch = receiver.take()
            idle = not len(batch)
            await self._hand_over(batch, journal, live)
            pause_s = min(longest_s, max(shortest_s, PAUSE_SHARE * (time.perf_counter() - started)))
            if len(batch) == MAX_TAKEN:
                pause_s = 0.0

    async def _hand_over(self, batch: DatagramBatch, journal: Journal, live: LivePublisher) -> None:
        try:
            table = self._pipeline.process(batch, now_us())
        except Exception:  # one batch must not end the service; what it held is counted
            self.counters.dropped["internal_error"] += len(batch)
            logger.exception("a batch of %d datagrams was lost to an unexpected error", len(batch))
            return
        if len(table):
            await live.publish(journal.offer(table))

    async def _announce(self, registry: Registry) -> None:
        await registry.loaded.wait()
        self.ready.set()
        announce_ready(self._settings)

    async def _summarise(self, socket_: socket.socket) -> None:
        """Update the heartbeat's snapshot once a second, and log one line if something was dropped."""
        while True:
            self.counters.kernel_drops = kernel_drops(socket_)
            at_us = now_us()
            self._snapshot = self.counters.as_metrics() | {
                "profiles": self._pipeline.n_devices,
                "sources": self._pipeline.sources_table(at_us),
                "streams": as_metrics(self._pipeline.streams_table(at_us)),
            }
            total = Counter(self.counters.dropped)
            total["kernel"] = self.counters.kernel_drops
            news = total - self._logged
            if news:
                logger.warning("dropped in the last second: %s", dict(sorted(news.items())))
            self._logged = total
            await asyncio.sleep(SUMMARY_S)


async def _until(stop: asyncio.Event, tasks: list[asyncio.Task[None]]) -> None:
    """Wait for ``stop``. A task that ends before that has failed: its error is raised."""
    stopping = asyncio.create_task(stop.wait())
    done, _ = await asyncio.wait([stopping, *tasks], return_when=asyncio.FIRST_COMPLETED)
    if stopping in done:
        return
    stopping.cancel()
    for task in done:
        task.result()
        raise SemgError(f"the task {task.get_name()} of the ingest service ended by itself")
