"""What the routes work with: made when the application starts, closed when it ends."""

from __future__ import annotations

import asyncio
import logging
import math
import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass

from nats.aio.client import Client
from prometheus_client import CollectorRegistry, Counter, Gauge, Histogram
from starlette.requests import HTTPConnection

from semg.errors import ArtifactError, StoreError
from semg.predictor.live_hub import LiveHub
from semg.predictor.model_cache import Predictor
from semg.process import bus
from semg.process.heartbeat import Heartbeat
from semg.settings import Settings
from semg.store.pool import Pool
from semg.store.schema import current_number
from semg.wire import messages
from webapi.audit_entries import AuditEntries
from webapi.reader_turns import ReaderTurns
from webapi.under_way import Downloads, Uploads, Watchers

logger = logging.getLogger(__name__)
REFRESH_EVERY_S = 0.5
ASK_AGAIN_S = 1.0
REPLAYS = 1
"""Replays and long predictions at the same moment: each uses a core for up to ten seconds."""
CONNECTIONS = 16
"""To the database: twice what the turns may hold at the same moment, so that tokens and rights are always looked up."""
LOCK_S = 1.0
"""How long a request waits for what somebody else is changing: it holds a turn meanwhile."""
PAUSE_S = 0.002
"""Their pause after each portion: live windows are predicted in the same process."""
READERS = 2
"""Files that are read and packed at the same moment, with some minutes of samples in memory each; pictures are not."""


IMPORTS = 1
"""Recordings that are taken in at the same moment, each in a process of its own."""
CATCH_UPS = 1
"""Portions of missed gesture events that are read at the same moment."""
QUESTIONS = 4
"""Transactions of ``/v1``, and short predictions that programs ask for, at the same moment."""


class Metrics:
    """The counters that ``/metrics`` shows, in a registry of their own."""

    def __init__(self, hub: LiveHub) -> None:
        self.registry = CollectorRegistry()
        self.windows = Counter("semg_windows", "Windows predicted", registry=self.registry)
        self.requests = Counter("semg_requests", "Answered requests", ["path", "status"], registry=self.registry)
        self.predict_seconds = Histogram(
            "semg_predict_windows_seconds",
            "Time of one /predict/windows request",
            registry=self.registry,
            buckets=(0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.5, 1),
        )
        self.files_cut = Counter(
            "semg_files_cut", "Files not sent to their end: slow, error", ["why"], registry=self.registry
        )
        viewers = Gauge("semg_live_viewers", "Open WebSockets", registry=self.registry)
        viewers.set_function(lambda: hub.n_viewers)
        self.n_windows = 0


class Database:
    """Whether the database answers, for whoever asks: it is asked once in ``ASK_AGAIN_S`` at most.

    Parameters
    ----------
    clock
        Seconds, rising.
    """

    def __init__(self, pool: Pool, clock: Callable[[], float] = time.monotonic) -> None:
        self._pool, self._clock = pool, clock
        self._lock = asyncio.Lock()
        self._answered, self._asked_at = False, -math.inf

    async def answers(self) -> bool:
        """Return whether it answered when it was asked last."""
        async with self._lock:
            if self._clock() - self._asked_at >= ASK_AGAIN_S:
                try:
                    await asyncio.to_thread(self._ask)
                    self._answered = True
                except StoreError:
                    self._answered = False
                self._asked_at = self._clock()
        return self._answered

    def _ask(self) -> None:
        with self._pool.transaction() as tx:
            current_number(tx)


@dataclass(frozen=True, slots=True, kw_only=True)
class Services:
    """The connections of a running application."""

    settings: Settings
    pool: Pool
    bus: Client
    predictor: Predictor
    hub: LiveHub
    metrics: Metrics
    trail: AuditEntries
    database: Database
    readers: ReaderTurns
    replays: ReaderTurns
    questions: ReaderTurns
    catch_ups: ReaderTurns
    imports: ReaderTurns
    uploads: Uploads
    downloads: Downloads
    watchers: Watchers


@asynccontextmanager
async def running(settings: Settings) -> AsyncIterator[Services]:
    """Connect, keep the cached models current, and close everything at the end of the block."""
    pool = Pool(settings, size=CONNECTIONS, name="api").waiting_at_most(LOCK_S)
    client = await bus.connect(settings, "api", service="api")
    hub = LiveHub(client, settings.websocket_max_queue)
    predictor = Predictor(pool, settings.model_cache_size)
    services = Services(
        settings=settings,
        pool=pool,
        bus=client,
        predictor=predictor,
        hub=hub,
        metrics=Metrics(hub),
        trail=AuditEntries(pool),
        database=Database(pool),
        readers=ReaderTurns(READERS),
        replays=ReaderTurns(REPLAYS),
        questions=ReaderTurns(QUESTIONS),
        catch_ups=ReaderTurns(CATCH_UPS),
        imports=ReaderTurns(IMPORTS),
        uploads=Uploads(),
        downloads=Downloads(),
        watchers=Watchers(),
    )
    wake = asyncio.Event()

    async def on_activated(_: object) -> None:
        wake.set()

    await client.subscribe(messages.models_subject("*"), cb=on_activated)
    refresher = asyncio.create_task(_keep_current(predictor, wake))
    heartbeat = Heartbeat(pool, "api", lambda: {"windows": services.metrics.n_windows, "viewers": hub.n_viewers})
    heartbeat.start()
    try:
        yield services
    finally:
        await asyncio.to_thread(heartbeat.stop)
        refresher.cancel()
        with suppress(asyncio.CancelledError):
            await refresher
        await client.close()
        for one in (services.readers, services.replays, services.questions, services.catch_ups, services.imports):
            one.close()
        pool.close()


def services_of(connection: HTTPConnection) -> Services:
    """Return the running application's services."""
    services: Services = connection.app.state.services
    return services


async def _keep_current(predictor: Predictor, wake: asyncio.Event) -> None:
    """Look for newly activated versions twice a second, and at once when the bus says so."""
    failing = False
    while True:
        wake.clear()
        try:
            await asyncio.to_thread(predictor.refresh)
            failing = False
        except (StoreError, ArtifactError) as exc:
            if not failing:
                logger.warning("cached models stay as they are: %s", exc)
            failing = True
        with suppress(TimeoutError):
            await asyncio.wait_for(wake.wait(), REFRESH_EVERY_S)
