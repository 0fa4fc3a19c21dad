"""The items of a loop that works for all profiles, kept apart: what goes wrong with one is that one's."""

from __future__ import annotations

import logging
import threading
from collections import Counter
from collections.abc import Callable, Hashable

from semg.errors import SemgError, StoreBusyError, StoreUnavailableError

MOST_REMEMBERED = 10_000

LOCK_S = 0.5
"""How long such a loop waits for a lock that somebody else holds on one profile, before it goes on with the next."""


class Failures:
    """Counts what failed in a service's loops, by the loop's name. Safe from any thread."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._counts: Counter[str] = Counter()

    def count(self, what: str) -> None:
        """Count a failure of a loop."""
        with self._lock:
            self._counts[what] += 1

    def metrics(self) -> dict[str, int]:
        """Return the counts so far."""
        with self._lock:
            return dict(self._counts)


class Attempts:
    """Attempts the items of one loop, each for itself. For one thread.

    A failure is counted each time, and logged when the item begins to fail: loops come by several times a second.

    Parameters
    ----------
    logger
        The loop's.
    what
        Names the loop in the log and in the figures.
    failures
        Where failures are counted; None: only in ``failed``.
    """

    def __init__(self, logger: logging.Logger, what: str, failures: Failures | None = None) -> None:
        self._logger, self._what, self._failures = logger, what, failures
        self._failing: set[Hashable] = set()
        self.failed = 0

    def attempt(self, item: Hashable, work: Callable[[], object], **fields: int) -> bool:
        """Work on an item, and return whether it went well.

        Parameters
        ----------
        fields
            Of the log entry, as ``session_id``.

        Raises
        ------
        StoreUnavailableError
            The database is away: this is no item's fault, and the others would only wait for it too.
        """
        try:
            work()
        except Exception as exc:  # edge of an item: neither the loop nor the other items end by it
            if isinstance(exc, StoreUnavailableError) and not isinstance(exc, StoreBusyError):
                raise
            self.note(item, exc, **fields)
            return False
        self.works(item)
        return True

    def note(self, item: Hashable, exc: Exception, **fields: int) -> None:
        """Count a failure of an item, and log it unless it failed before."""
        self.failed += 1
        if self._failures is not None:
            self._failures.count(self._what)
        if item in self._failing:
            return
        if len(self._failing) < MOST_REMEMBERED:
            self._failing.add(item)
        self._logger.warning(
            "%s: tried again later: %s",
            self._what,
            str(exc) or type(exc).__name__,
            extra=fields,
            exc_info=None if isinstance(exc, SemgError) else exc,
        )

    def works(self, item: Hashable) -> None:
        """Note that an item went well, so that its next failure is logged again."""
        self._failing.discard(item)

    def keep(self, items: set[Hashable]) -> None:
        """Forget the items that there are no more."""
        self._failing &= items
