"""How much one profile may send: a flood under its name costs it its surplus, and nobody else anything."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RATE_SHARE = 5.0
"""A device may send this often its nominal rate, for ever: it may have been described wrongly."""

BURST_S = 20.0
MIN_BURST = 10_000.0
"""What may come at once, in samples: a device that was out of reach for a while sends what it kept."""


class Budgets:
    """A token bucket for each of some streams, in samples.

    Parameters
    ----------
    rates_hz
        Nominal rates.
    """

    def __init__(self, rates_hz: Sequence[float]) -> None:
        rates = np.array(rates_hz, np.float64)
        self._refill = RATE_SHARE * rates
        self._most = np.maximum(BURST_S * rates, MIN_BURST)
        self._left = self._most.copy()
        self._filled_us = 0

    def admit(self, places: NDArray[np.int64], samples: NDArray[np.int64], now_us: int) -> NDArray[np.bool_]:
        """Take what there is a budget for, and tell of each datagram whether it was taken, bool ``(n,)``.

        Parameters
        ----------
        places
            Each datagram's stream, int64 ``(n,)``.
        samples
            How many samples each has, int64 ``(n,)``.
        """
        elapsed_s = min(max(now_us - self._filled_us, 0) / 1e6, BURST_S)
        self._filled_us = now_us
        self._left = np.minimum(self._left + elapsed_s * self._refill, self._most)
        asked = np.bincount(places, samples, len(self._left))
        admitted = np.ones(len(places), bool)
        over = asked > self._left
        if over.any():
            for place in np.flatnonzero(over).tolist():
                own = np.flatnonzero(places == place)
                admitted[own] = np.cumsum(samples[own]) <= self._left[place]
            asked = np.bincount(places[admitted], samples[admitted], len(self._left))
        self._left -= asked
        return admitted
