"""Periodic loop of the background work beside the jobs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from semg.errors import SemgError

logger = logging.getLogger(__name__)


def run_periodically(work: Callable[[], object], what: str, every_s: float, stop: threading.Event) -> None:
    """Run work periodically until stopped; an unreachable store is logged once and retried.

    Parameters
    ----------
    what
        Names the work in the log.
    """
    failing = False
    while not stop.wait(every_s):
        try:
            work()
            failing = False
        except SemgError as exc:
            if not failing:
                logger.warning("%s: tried again later: %s", what, exc)
            failing = True
