"""The clock fits of many streams side by side: most flushes teach a fit nothing, and that is seen for all at once."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.ingest.streams.device_clock import DEADBAND_US, ClockFit

_NONE = ClockFit()


class BatchClockFit:
    """What of each stream's ``ClockFit`` tells whether new samples change it.

    The fits stay the streams' own; ``put`` reads one after it was used elsewhere.

    Parameters
    ----------
    n
        How many streams there can be.
    """

    def __init__(self, n: int) -> None:
        self._fits = [_NONE] * n
        self._low = np.zeros(n, np.int64)
        self._bucket_end = np.zeros(n, np.int64)
        self._offset = np.zeros(n, np.int64)
        self._lines = np.zeros((n, 3))

    def put(self, place: int, fit: ClockFit) -> None:
        """Take over a stream's fit as it is now; it has given a block's offset before."""
        self._fits[place] = fit
        self._low[place], self._bucket_end[place], self._offset[place] = fit.lowest
        self._lines[place] = fit.line

    def advance(
        self,
        places: NDArray[np.int64],
        starts: NDArray[np.int64],
        device_us: NDArray[np.int64],
        received_us: NDArray[np.int64],
        first_us: NDArray[np.int64],
        before_us: NDArray[np.int64],
    ) -> NDArray[np.int64]:
        """Take in one new block of each of some streams, and give their clock offsets.

        Equal to ``ClockFit.add`` with each sample and ``ClockFit.block_offset_us`` of each block.

        Parameters
        ----------
        places
            The streams, int64 ``(k,)``.
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
        learns = (last_us >= self._bucket_end[places]) | (lowest < self._low[places])
        x0, intercept, slope = self._lines[places].T
        target = intercept + slope * (last_us - x0)
        moves = np.abs(target - self._offset[places]) > DEADBAND_US
        for index in np.flatnonzero(learns | moves).tolist():
            place, first, end = int(places[index]), int(starts[index]), int(ends[index])
            fit = self._fits[place]
            if learns[index]:
                points = zip(device_us[first:end].tolist(), received_us[first:end].tolist(), strict=True)
                for point in points:
                    fit.add(*point)
            fit.continue_from(int(before_us[index]))
            fit.block_offset_us(int(first_us[index]), int(device_us[end - 1]))
            self.put(place, fit)
        return self._offset[places]
