"""Start and end of every service."""

from __future__ import annotations

import ctypes
import gc
import logging
import os
import ssl
import threading

from semg.errors import StoreUnavailableError
from semg.settings import Settings
from semg.store.pool import Pool, one

logger = logging.getLogger(__name__)

_TRIM_THRESHOLD, _MMAP_THRESHOLD = -1, -3
"""glibc, ``mallopt(3)``."""
_KEPT_BYTES = 2 << 20
"""Freed memory that a process keeps, about; glibc's own bound follows the largest array that was ever freed."""


def announce_ready(settings: Settings) -> None:
    """Report to the supervisor that this service is ready: write the pid to the file that it named, if it named one."""
    path = settings.semg_ready_file
    if path is not None:
        partial = path.with_name(f"{path.name}.{os.getpid()}")
        partial.write_text(str(os.getpid()))
        partial.replace(path)
    settle_memory()
    logger.info("ready")


def settle_memory() -> None:
    """Exclude the objects made at the start from later garbage collections, and release freed memory to the system.

    A full collection of the API's modules takes about 80 ms, during which there are no decisions. And a service that
    has once processed a backlog of a second of datagrams would keep 10 MB for it.
    """
    gc.collect()
    gc.freeze()
    adjust = getattr(ctypes.CDLL(None), "mallopt", None)
    if adjust is not None:  # another C library has its own policy
        adjust(_TRIM_THRESHOLD, _KEPT_BYTES)
        adjust(_MMAP_THRESHOLD, _KEPT_BYTES)


def wait_for_store(pool: Pool, stop: threading.Event, every_s: float = 0.5) -> None:
    """Wait until the database answers and has its schema, or until stopped."""
    is_logged = False
    while not stop.is_set():
        try:
            with pool.transaction() as tx:
                one(tx, "SELECT number FROM schema_migrations LIMIT 1")
            return
        except StoreUnavailableError as exc:
            if not is_logged:
                logger.warning("waiting for the store: %s", exc)
            is_logged = True
            stop.wait(every_s)


def verification(settings: Settings) -> ssl.SSLContext | bool:
    """Return the TLS verification of the API for clients on this machine: its own certificate, or the default."""
    return ssl.create_default_context(cafile=settings.tls_cert) if settings.scheme == "https" else True
