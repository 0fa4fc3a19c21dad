"""Periodic loop of the background work beside the jobs."""

from __future__ import annotations

import logging
import threading
from collections.abc import Callable

from semg.process.attempts import Attempts, Failures

logger = logging.getLogger(__name__)


def run_periodically(
    work: Callable[[], object], what: str, every_s: float, stop: threading.Event, failures: Failures | None = None
) -> None:
    """Run work periodically until stopped; a failing round is logged once, counted, and the next one comes.

    Parameters
    ----------
    what
        Names the work in the log and in the figures.
    """
    rounds = Attempts(logger, what, failures)
    while not stop.wait(every_s):
        try:
            work()
            rounds.works(what)
        except Exception as exc:  # edge of a round
            rounds.note(what, exc)
