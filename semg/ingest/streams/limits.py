"""Rate limits per profile: a flood in a profile's name exhausts that profile's budget and no other."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

RATE_SHARE = 5.0
"""Sustained limit as a multiple of the nominal rate, which may have been entered wrongly."""

BURST_S = 20.0
MIN_BURST = 10_000.0
"""Burst limit, in seconds of the nominal rate and in samples: a device that was unreachable sends its backlog."""


class Budgets:
    """One token bucket per stream, in samples.

    Parameters
    ----------
    rates_hz
        The streams' nominal rates.
    """

    def __init__(self, rates_hz: Sequence[float]) -> None:
        rates = np.array(rates_hz, np.float64)
        self._refill = RATE_SHARE * rates
        self._most = np.maximum(BURST_S * rates, MIN_BURST)
        self._left = self._most.copy()
        self._filled_us = 0

    def admit(self, indices: NDArray[np.int64], samples: NDArray[np.int64], now_us: int) -> NDArray[np.bool_]:
        """Return which datagrams are within their stream's budget, bool ``(n,)``, and charge it for them.

        Parameters
        ----------
        indices
            Index of each datagram's stream, int64 ``(n,)``.
        samples
            Number of samples in each, int64 ``(n,)``.
        """
        elapsed_s = min(max(now_us - self._filled_us, 0) / 1e6, BURST_S)
        self._filled_us = now_us
        self._left = np.minimum(self._left + elapsed_s * self._refill, self._most)
        requested = np.bincount(indices, samples, len(self._left))
        admitted = np.ones(len(indices), bool)
        over = requested > self._left
        if over.any():
            for index in np.flatnonzero(over).tolist():
                own = np.flatnonzero(indices == index)
                admitted[own] = np.cumsum(samples[own]) <= self._left[index]
            requested = np.bincount(indices[admitted], samples[admitted], len(self._left))
        self._left -= requested
        return admitted
