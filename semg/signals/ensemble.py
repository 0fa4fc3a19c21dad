"""How the convolutional and the closed-form branch become one calibrated classifier."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.signals.runtime import log_softmax

SHARES = (0.3, 0.4, 0.5, 0.6, 0.7)
SHARPNESSES = tuple(float(x) for x in np.geomspace(0.2, 1.6, 22))


@dataclass(frozen=True, slots=True)
class Mix:
    """Share of the convolutional branch in the mean of the branches' log-probabilities, and its calibration.

    ``sharpness`` is the inverse of a temperature (Guo et al., ICML 2017): the factor on the mixed
    log-probabilities that makes confidences true on held-out windows.
    """

    share: float = 0.5
    sharpness: float = 0.7

    def as_array(self) -> NDArray[np.float32]:
        """Give ``(2,)`` as ``runtime`` reads it."""
        return np.array([self.share, self.sharpness], dtype=np.float32)


DEFAULT_MIX = Mix()
"""Where nothing could be held out to choose by; the middle of what was chosen on real recordings."""


def choose_mix(
    network: NDArray[np.floating], linear: NDArray[np.floating], y: NDArray[np.int64], shares: tuple[float, ...]
) -> tuple[Mix, float]:
    """Give the share with the least log-loss on held-out windows, its calibration, and that loss.

    Parameters
    ----------
    network, linear
        Log-probabilities of the branches, ``(N, K)``.
    y
        True classes ``(N,)``.
    shares
        What to choose among; one value for a single branch.
    """
    best, least = DEFAULT_MIX, float("inf")
    rows = np.arange(len(y))
    for share in shares:
        mixed = share * network + (1 - share) * linear
        for sharpness in SHARPNESSES:
            loss = float(-log_softmax(sharpness * mixed)[rows, y].mean())
            if loss < least:
                best, least = Mix(share, sharpness), loss
    return best, least
