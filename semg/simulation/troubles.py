"""What begins to fail and what works again, in the log: once each, and seldom where the two take turns."""

from __future__ import annotations

import logging
import math
import time
from collections.abc import Callable, Hashable
from dataclasses import dataclass

from semg.errors import SemgError

logger = logging.getLogger(__name__)
QUIET_S = 60.0
"""Between two times that the same is said to fail: what fails and works in turns must not fill the log."""


@dataclass(slots=True)
class _Trouble:
    is_said: bool = False
    said_s: float = -math.inf


class Troubles:
    """Logs problems when they begin and when they are over, each of what it is told of for itself.

    Parameters
    ----------
    clock
        Seconds, rising.
    """

    def __init__(self, clock: Callable[[], float] = time.monotonic) -> None:
        self._clock = clock
        self._of: dict[Hashable, _Trouble] = {}

    def fails(self, of: Hashable, what: str, problem: Exception, **fields: int) -> None:
        """Log that ``what`` fails, unless it is said already or was said in the last ``QUIET_S``.

        Parameters
        ----------
        of
            What is told apart: one arm's problem does not end because another arm sends.
        fields
            Numbers that belong to the entry, such as ``user_id``.
        """
        trouble, now_s = self._of.setdefault(of, _Trouble()), self._clock()
        if not trouble.is_said and now_s - trouble.said_s >= QUIET_S:
            unforeseen = None if isinstance(problem, SemgError) else problem
            logger.warning("%s: %s", what, problem, extra=fields, exc_info=unforeseen)
            trouble.is_said, trouble.said_s = True, now_s

    def works(self, of: Hashable, what: str, **fields: int) -> None:
        """Log that ``what`` works again, where it was said to fail."""
        trouble = self._of.get(of)
        if trouble is not None and trouble.is_said:
            logger.info("%s", what, extra=fields)
            trouble.is_said = False

    def forget(self, of: Hashable) -> None:
        """Forget what is gone."""
        self._of.pop(of, None)
