"""A service's sign of life: its row in ``services``, renewed every two seconds with its counters."""

from __future__ import annotations

import logging
import os
import socket
import threading
from collections.abc import Callable
from datetime import UTC, datetime
from types import TracebackType
from typing import Any

from semg.errors import StoreError
from semg.store import services
from semg.store.pool import Pool

logger = logging.getLogger(__name__)

EVERY_S = 2.0
FORGOTTEN_AFTER_S = 3600.0
"""Rows of services that were killed are removed by the next start of any service after this time."""
SENDERS_KEPT_S = 30.0
"""So soon after its last sign of life a killed service's table of senders is forgotten, by any service that lives."""


class Heartbeat:
    """A thread that writes the sign of life, from ``start`` to ``stop`` (or inside a ``with`` block).

    It outlives database outages: they are counted in ``failures`` and logged once each.

    Parameters
    ----------
    pool
        Of which one connection is used at a time.
    service
        Name of the service.
    metrics
        Returns the counters; called from the heartbeat's thread.
    every_s
        Time between two signs.
    """

    def __init__(
        self, pool: Pool, service: str, metrics: Callable[[], dict[str, Any]], *, every_s: float = EVERY_S
    ) -> None:
        self._pool = pool
        self._service = service
        self._metrics = metrics
        self._every_s = every_s
        self._instance = f"{socket.gethostname()}:{os.getpid()}"
        self._started_at = datetime.now(UTC)
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._run, name=f"{service}-heartbeat", daemon=True)
        self._failing = False
        self.failures = 0

    @property
    def instance(self) -> str:
        """Host and process id, the row's second key."""
        return self._instance

    def start(self) -> None:
        """Start the thread; the first sign is written at once."""
        self._thread.start()

    def stop(self, timeout_s: float = 5.0) -> None:
        """End the thread, which removes the row, and wait for it."""
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join(timeout_s)

    def __enter__(self) -> Heartbeat:
        self.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self.stop()

    def _run(self) -> None:
        self._attempt(self._forget_old)
        while not self._stop.is_set():
            self._attempt(self._beat)
            self._stop.wait(self._every_s)
        self._attempt(self._leave)

    def _attempt(self, step: Callable[[], None]) -> None:
        """Take a step at the edge of the thread: nothing that goes wrong may end the signs."""
        try:
            step()
        except Exception as exc:
            self.failures += 1
            if not self._failing:
                known = isinstance(exc, StoreError)
                logger.warning("heartbeat of %s cannot be written: %s", self._service, exc, exc_info=not known)
            self._failing = True
            return
        if self._failing:
            logger.info("heartbeat of %s is written again", self._service, extra={"failures": self.failures})
        self._failing = False

    def _beat(self) -> None:
        metrics = self._metrics()
        with self._pool.transaction() as tx:
            services.upsert_service(tx, self._service, self._instance, os.getpid(), self._started_at, metrics)
        with self._pool.transaction() as tx:
            services.forget_senders(tx, SENDERS_KEPT_S)

    def _forget_old(self) -> None:
        with self._pool.transaction() as tx:
            services.delete_old_services(tx, FORGOTTEN_AFTER_S)

    def _leave(self) -> None:
        with self._pool.transaction() as tx:
            services.delete_service(tx, self._service, self._instance)
