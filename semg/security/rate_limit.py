"""Rate limiter for requests."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MAX_CALLERS = 10_000
"""Number of callers whose budgets are kept; the one idle longest is dropped first."""
BURST_S = 2.0


class RateLimiter:
    """A token bucket for each caller.

    Parameters
    ----------
    per_s
        Requests that a caller may make in a second, on average.
    clock
        Monotonic, s.
    burst_s
        Burst limit: the requests of this many seconds, which an idle caller may make at once.
    """

    def __init__(
        self, per_s: float, clock: Callable[[], float] = time.monotonic, *, burst_s: float = BURST_S
    ) -> None:  # fmt: skip
        self._per_s, self._most, self._clock = per_s, max(1.0, per_s * burst_s), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return the number of callers with a budget."""
        return len(self._left)

    def wait_s(self, caller: str) -> float:
        """Count a request, and return how long the caller has to wait, s; 0 if it is allowed now."""
        now = self._clock()
        left, at = self._left.pop(caller, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_s)
        allowed = left >= 1.0
        self._left[caller] = (left - allowed, now)
        if len(self._left) > MAX_CALLERS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._per_s

    def give_back(self, caller: str) -> None:
        """Undo the count of a request that was allowed."""
        if caller in self._left:
            left, at = self._left[caller]
            self._left[caller] = (min(self._most, left + 1.0), at)
