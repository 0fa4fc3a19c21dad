"""Threads that a service cannot do without: where one ends by itself, the service ends, and is started again.

A service whose heartbeat goes on while a thread of it is dead looks well, and does a part of its work for ever no more.
"""

from __future__ import annotations

import logging
import threading
import time
from collections.abc import Callable
from types import TracebackType

logger = logging.getLogger(__name__)

JOIN_S = 8.0
"""How long the end of a service waits for its threads; one that hangs does not keep a failed service alive."""


class ServiceThreads:
    """Threads that live as long as their service (inside a ``with`` block).

    Leaving the block, for whatever reason, sets ``stop`` and waits for the threads.

    Parameters
    ----------
    stop
        Set to end the service; a thread that ends before it is set has failed, and sets it.

    Attributes
    ----------
    failed
        Names of the threads that ended by themselves: the service's exit status is not 0 then.
    """

    def __init__(self, stop: threading.Event, *, join_s: float = JOIN_S) -> None:
        self._stop, self._join_s = stop, join_s
        self._threads: list[threading.Thread] = []
        self.failed: list[str] = []

    def start(self, name: str, work: Callable[[], object]) -> None:
        """Start a thread, which works until ``stop`` is set."""
        thread = threading.Thread(target=self._run, args=(name, work), name=name, daemon=True)
        self._threads.append(thread)
        thread.start()

    @property
    def exit_status(self) -> int:
        """The service's exit status: the supervisor starts a service again that failed."""
        return 1 if self.failed else 0

    def __enter__(self) -> ServiceThreads:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._stop.set()
        deadline = time.monotonic() + self._join_s
        for thread in self._threads:
            thread.join(max(0.0, deadline - time.monotonic()))
            if thread.is_alive():
                self.failed.append(thread.name)
                logger.error("the thread %s does not end", thread.name)

    def _run(self, name: str, work: Callable[[], object]) -> None:
        try:
            work()
        except BaseException:  # edge of the thread
            logger.exception("the thread %s ended by an error: the service ends, to be started again", name)
        else:
            if self._stop.is_set():
                return
            logger.error("the thread %s ended by itself: the service ends, to be started again", name)
        self.failed.append(name)
        self._stop.set()
