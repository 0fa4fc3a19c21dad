"""How far the server time of a sample may lie from its arrival.

A board says its own time, and its key proves only who says it. A time of the year 38504, or a new day with every
datagram, would cost everybody: a day is a partition, and the store and the recognition are shared.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.block_table import BlockTable

AHEAD_US = 30_000_000
"""Nothing arrives before it was measured, but the backlog with which a stream begins looks as if it did: it may be as
long as the budget's burst, 20 s. A clock that drifts by 2 % (an RC oscillator) needs 25 minutes of silence for this."""
BEHIND_US = 600_000_000
"""A board that could not send may keep its samples for minutes."""

BLOCK_AHEAD_US = 60_000_000
BLOCK_BEHIND_US = 86_400_000_000
"""Of blocks on their way to the store and to recognition: wider, so that only what no receiver makes is refused."""

LAST_US = 7_289_568_000_000_000
"""The end of the year 2200: the last time that is stored."""


def is_far(server_us: int, received_us: int) -> bool:
    """Return whether a stream has to begin a new segment, because its time is too far from the arrival."""
    return not -BEHIND_US <= server_us - received_us <= AHEAD_US


def are_surely_near(server_us: NDArray[np.int64], received_us: NDArray[np.int64]) -> NDArray[np.bool_]:
    """Return which samples are near by half the bounds, bool ``(n,)``.

    For batches, whose clock offset is a little older than that of samples which are processed singly: the ones
    between the half and the whole are left to ``is_far``.
    """
    ahead_us = server_us - received_us
    return np.asarray((ahead_us >= -BEHIND_US // 2) & (ahead_us <= AHEAD_US // 2))


def near_arrival(table: BlockTable) -> NDArray[np.bool_]:
    """Return the blocks all of whose samples lie near their arrival, which a server clock gave, bool ``(k,)``."""
    if not len(table):
        return np.ones(0, bool)
    counts = table.counts
    ahead_us = table.device_us + np.repeat(table.rows["clock_offset_us"], counts) - table.received_us
    near = (ahead_us >= -BLOCK_BEHIND_US) & (ahead_us <= BLOCK_AHEAD_US)
    near &= (table.received_us >= 0) & (table.received_us <= LAST_US)
    return np.asarray(np.logical_and.reduceat(near, np.cumsum(counts) - counts))
