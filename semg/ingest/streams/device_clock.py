"""Map device clocks to the server clock from arrival times alone.

A packet arrives later than it was sent by a delay that is never below the network's minimum. The points
``arrival - device time`` therefore lie on or above a line: its height is the clock offset plus the minimum delay, its
slope the drift of the device's clock. The line is fitted beneath the lowest point of each second (Moon, Skelly and
Towsley, "Estimation and removal of clock skew from network delay measurements", INFOCOM 1999, give the linear
program; its solution is the edge of the lower convex hull above the mean abscissa). The constant minimum delay
(1-2 ms on a WiFi network) cannot be seen from one side and stays in the offset.

``ClockFit`` is one stream's fit; ``BatchClockFit`` determines for many streams at once which fits are unchanged.
"""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

BUCKET_US = 1_000_000
BUCKETS = 90
FIT_FROM_US = 10_000_000
"""Before this much device time the estimate is the lowest point so far, without a slope."""

CRYSTAL_DRIFT = 200e-6
"""Quartz is within 100 ppm; a slope beyond this is believed only when it explains the points far better."""

RC_DRIFT = 0.02
"""Boards that run from an RC oscillator (UNO R4) are off by up to 1-2 %."""

RC_RESIDUAL_US = 5000.0
"""Median distance of the points from the best quartz line beyond which a steeper one is fitted."""

DEADBAND_US = 500
"""The offset of blocks follows the fit in steps of at least this much, so that blocks can be merged into rows."""


class ClockFit:
    """The mapping of one segment's device clock to the server's clock.

    Pass every accepted sample to ``add`` and call ``block_offset_us`` once per block, in emission order.
    """

    __slots__ = (
        "_bucket_end", "_buckets", "_dirty", "_first_us", "_intercept", "_last_us", "_low", "_low_at", "_offset",
        "_slope", "_x0", "spread_us",
    )  # fmt: skip

    def __init__(self) -> None:
        self._buckets: deque[tuple[int, int]] = deque(maxlen=BUCKETS)
        self._first_us: int | None = None
        self._bucket_end = 0
        self._low = self._low_at = 0
        self._x0, self._intercept, self._slope = 0, 0.0, 0.0
        self._dirty = True
        self._offset: int | None = None
        self._last_us = 0
        self.spread_us = 0.0

    def add(self, device_us: int, arrival_us: int) -> None:
        """Update the fit with a sample."""
        delta = arrival_us - device_us
        if self._first_us is None:
            self._first_us = device_us
            self._begin_bucket(device_us, delta)
        elif device_us >= self._bucket_end:
            self._buckets.append((self._low_at, self._low))
            self._begin_bucket(device_us, delta)
        elif delta < self._low:
            self._low, self._low_at = delta, device_us
            if delta < self._intercept + self._slope * (device_us - self._x0):
                self._dirty = True

    def offset_us(self, device_us: int) -> float:
        """Return the estimate of ``server time - device time`` at a device time, before any smoothing."""
        if self._dirty:
            self._fit()
        return self._intercept + self._slope * (device_us - self._x0)

    def block_offset_us(self, first_us: int, last_us: int) -> int:
        """Return the offset of the next block, whose samples span the device times ``first_us`` to ``last_us``.

        It changes by at most half of the step between the blocks, so that server time never runs backwards.
        """
        target = self.offset_us(last_us)
        if self._offset is None:
            self._offset = round(target)
        elif abs(target - self._offset) > DEADBAND_US:
            room = max(0, first_us - self._last_us) // 2
            self._offset += round(min(max(target - self._offset, -room), room))
        self._last_us = last_us
        return self._offset

    def continue_from(self, device_us: int) -> None:
        """Record the last sample of the blocks that reused the last offset without a call of ``block_offset_us``."""
        self._last_us = device_us

    @property
    def lowest(self) -> tuple[int, int, int]:
        """The lowest point of the current second, the second's end, and the offset of the last block; all in µs."""
        return self._low, self._bucket_end, self._offset or 0

    @property
    def line(self) -> tuple[float, float, float]:
        """The fitted line: abscissa, height and slope."""
        if self._dirty:
            self._fit()
        return float(self._x0), self._intercept, self._slope

    def last_offset_us(self) -> int:
        """Return the offset of the last block, for samples that are late."""
        return round(self.offset_us(self._last_us)) if self._offset is None else self._offset

    @property
    def error_bound_us(self) -> float:
        """How far the last block's server times may be off, beside the constant minimum delay.

        Twice the median distance of the seconds' lowest points from the line (it grows when no second had an
        undelayed packet), plus what smoothing still holds back, plus the drift that is not yet fitted.
        """
        if self._offset is None or self._first_us is None:
            return float("inf")
        pending = abs(self.offset_us(self._last_us) - self._offset)
        span = self._last_us - self._first_us
        unfitted = span * CRYSTAL_DRIFT if span < FIT_FROM_US else 0.0
        return 2 * self.spread_us + max(pending, float(DEADBAND_US)) + unfitted

    @property
    def drift_ppm(self) -> float:
        """How much faster the server's clock runs than the device's."""
        return self._slope * 1e6

    def _begin_bucket(self, device_us: int, delta: int) -> None:
        self._bucket_end = device_us - device_us % BUCKET_US + BUCKET_US
        self._low, self._low_at = delta, device_us
        self._dirty = True

    def _fit(self) -> None:
        self._dirty = False
        points = [*self._buckets, (self._low_at, self._low)]
        self._x0 = points[0][0]
        if points[-1][0] - points[0][0] < FIT_FROM_US:
            self._slope, self._intercept = 0.0, float(min(low for _, low in points))
            self.spread_us = _median_distance(points, self._x0, self._intercept, 0.0)
            return
        free = _hull_slope(points)
        slope = min(max(free, -CRYSTAL_DRIFT), CRYSTAL_DRIFT)
        intercept, spread = _beneath(points, self._x0, slope)
        if slope != free and spread > RC_RESIDUAL_US:
            steep = min(max(free, -RC_DRIFT), RC_DRIFT)
            steep_intercept, steep_spread = _beneath(points, self._x0, steep)
            if steep_spread < spread / 4:
                slope, intercept, spread = steep, steep_intercept, steep_spread
        self._slope, self._intercept, self.spread_us = slope, intercept, spread


def _beneath(points: list[tuple[int, int]], x0: int, slope: float) -> tuple[float, float]:
    """Return the height of the highest line of a slope beneath all points, and the points' median distance from it."""
    intercept = min(y - slope * (x - x0) for x, y in points)
    return intercept, _median_distance(points, x0, intercept, slope)


def _median_distance(points: list[tuple[int, int]], x0: int, intercept: float, slope: float) -> float:
    distances = sorted(y - intercept - slope * (x - x0) for x, y in points)
    return distances[len(distances) // 2]


def _hull_slope(points: list[tuple[int, int]]) -> float:
    """Return the slope of the lower convex hull's edge over the mean abscissa; points are sorted by abscissa."""
    hull: list[tuple[int, int]] = []
    for x, y in points:
        while len(hull) >= 2:
            (x1, y1), (x2, y2) = hull[-2], hull[-1]
            if (x2 - x1) * (y - y1) - (y2 - y1) * (x - x1) > 0:
                break
            hull.pop()
        hull.append((x, y))
    mean = sum(x for x, _ in points) / len(points)
    for (x1, y1), (x2, y2) in zip(hull, hull[1:], strict=False):
        if x2 >= mean:
            return (y2 - y1) / (x2 - x1)
    return 0.0


_NONE = ClockFit()


class BatchClockFit:
    """The values of each stream's ``ClockFit`` that decide whether new samples change it.

    The streams keep their fits; ``put`` reads one again after it was used elsewhere.

    Parameters
    ----------
    n
        Number of streams.
    """

    def __init__(self, n: int) -> None:
        self._fits = [_NONE] * n
        self._low = np.zeros(n, np.int64)
        self._bucket_end = np.zeros(n, np.int64)
        self._offset = np.zeros(n, np.int64)
        self._lines = np.zeros((n, 3))

    def put(self, index: int, fit: ClockFit) -> None:
        """Copy the current values of a stream's fit, which has returned a block's offset before."""
        self._fits[index] = fit
        self._low[index], self._bucket_end[index], self._offset[index] = fit.lowest
        self._lines[index] = fit.line

    def offsets_us(self, indices: NDArray[np.int64]) -> NDArray[np.int64]:
        """Return the clock offsets of some streams' last blocks, int64 ``(k,)``."""
        return self._offset[indices]

    def advance(
        self,
        indices: NDArray[np.int64],
        starts: NDArray[np.int64],
        device_us: NDArray[np.int64],
        received_us: NDArray[np.int64],
        first_us: NDArray[np.int64],
        before_us: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Update the fits with one new block of each of some streams, and return the blocks' clock offsets.

        Equal to ``ClockFit.add`` with each sample and ``ClockFit.block_offset_us`` of each block.

        Parameters
        ----------
        indices
            Index of each stream, int64 ``(k,)``.
        starts
            Where each stream's points begin in ``device_us`` and ``received_us`` ``(n,)``.
        first_us
            Device time of each block's first sample, int64 ``(k,)``.
        before_us
            Device time of each stream's last sample before its block, int64 ``(k,)``.
        """
        ends = np.append(starts[1:], len(device_us))
        last_us = device_us[ends - 1]
        lowest = np.minimum.reduceat(received_us - device_us, starts)
        learns = (last_us >= self._bucket_end[indices]) | (lowest < self._low[indices])
        x0, intercept, slope = self._lines[indices].T
        target = intercept + slope * (last_us - x0)
        moves = np.abs(target - self._offset[indices]) > DEADBAND_US
        for row in np.flatnonzero(learns | moves).tolist():
            index, first, end = int(indices[row]), int(starts[row]), int(ends[row])
            fit = self._fits[index]
            if learns[row]:
                points = zip(device_us[first:end].tolist(), received_us[first:end].tolist(), strict=True)
                for point in points:
                    fit.add(*point)
            fit.continue_from(int(before_us[row]))
            fit.block_offset_us(int(first_us[row]), int(device_us[end - 1]))
            self.put(index, fit)
        return self._offset[indices]
