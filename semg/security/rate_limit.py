"""How often somebody may ask."""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable

MAX_CALLERS = 10_000
"""Of so many callers it is remembered how much they asked; the one who was silent longest is forgotten first."""
BURST_S = 2.0


class RateLimiter:
    """A token bucket for each caller.

    Parameters
    ----------
    per_s
        Requests that a caller may make in a second, on average.
    clock
        Seconds, rising.
    burst_s
        A caller that was silent may at once ask what it may ask in this time.
    """

    def __init__(
        self, per_s: float, clock: Callable[[], float] = time.monotonic, *, burst_s: float = BURST_S
    ) -> None:  # fmt: skip
        self._per_s, self._most, self._clock = per_s, max(1.0, per_s * burst_s), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Return how many callers are remembered."""
        return len(self._left)

    def wait_s(self, caller: str) -> float:
        """Count a request, and give how long the caller has to wait with it; 0: not at all."""
        now = self._clock()
        left, at = self._left.pop(caller, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_s)
        allowed = left >= 1.0
        self._left[caller] = (left - allowed, now)
        if len(self._left) > MAX_CALLERS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._per_s

    def give_back(self, caller: str) -> None:
        """Take a request that was counted and allowed out of the count again."""
        if caller in self._left:
            left, at = self._left[caller]
            self._left[caller] = (min(self._most, left + 1.0), at)
