"""The platform's clock: it goes with this machine's, but is not set while the platform runs.

Samples, labels and frames belong together by their times. When the machine's clock is set (NTP after a start without
a network, or by hand), a label would no longer lie on its samples, and new samples could fall into what was recorded
an hour before. So the clock is read from the machine's time since its boot, which nobody sets (NTP's slow corrections
reach it all the same), with one difference to UTC for all services of a platform: the one at the supervisor's start.
The next start of the platform takes over the machine's time.
"""

from __future__ import annotations

import time
from datetime import datetime
from functools import lru_cache

from semg.domain import utc_from_us
from semg.environment import clock_offset_ns

_SINCE_BOOT = getattr(time, "CLOCK_BOOTTIME", time.CLOCK_MONOTONIC)
"""Continues while the machine sleeps."""

_SAME_NS = 1_000_000
"""Two clocks that are read one after the other may seem to differ by so much."""


def now_us() -> int:
    """Return the platform's time in microseconds since the epoch."""
    return (time.clock_gettime_ns(_SINCE_BOOT) + _offset_ns()) // 1000


def utc_now() -> datetime:
    """Return the platform's time."""
    return utc_from_us(now_us())


def behind_machine_us() -> int:
    """Return what must be added to this machine's time to get the platform's, 0 unless its clock was set, µs."""
    before_ns = time.clock_gettime_ns(_SINCE_BOOT)
    machine_ns = time.time_ns()
    after_ns = time.clock_gettime_ns(_SINCE_BOOT)
    difference_ns = (before_ns + after_ns) // 2 + _offset_ns() - machine_ns
    return 0 if abs(difference_ns) <= _SAME_NS + after_ns - before_ns else round(difference_ns / 1000)


def machine_offset_ns() -> int:
    """Return the difference between UTC, as this machine has it now, and the time since its boot."""
    readings = []
    for _ in range(5):
        before_ns = time.clock_gettime_ns(_SINCE_BOOT)
        machine_ns = time.time_ns()
        after_ns = time.clock_gettime_ns(_SINCE_BOOT)
        readings.append((after_ns - before_ns, machine_ns - (before_ns + after_ns) // 2))
    return min(readings)[1]


@lru_cache(maxsize=1)
def _offset_ns() -> int:
    """Return the platform's difference; a service that was started by hand takes its own."""
    given = clock_offset_ns()
    return machine_offset_ns() if given is None else given
