"""Early stopping: choose the last epoch of a network's training on held-out repetitions or a held-out session."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.signals.model import forward

WATCHED = 1500
"""Windows that an epoch is judged by at most: 20 ms."""
CLEAR = 0.01
"""An earlier epoch must be wrong this much less often than the last: below it is chance that would be chosen by."""


class EarlyStopping:
    """Error rate of a network on held-out windows, by epoch.

    Parameters
    ----------
    windows
        Float32 ``(N, C, T)``, conditioned.
    y
        Class indices ``(N,)``.
    """

    def __init__(self, windows: NDArray[np.float32], y: NDArray[np.int64]) -> None:
        step = max(1, -(-len(y) // WATCHED))
        self._windows, self._y = windows[::step], y[::step]
        self.wrong: list[float] = []

    def update(self, arrays: forward.Arrays) -> None:
        """Record an epoch's network and its score, with equal class weights."""
        scores = forward.network_scores(arrays, forward.scale(arrays, self._windows))
        wrong = scores.argmax(axis=1) != self._y
        self.wrong.append(float(np.mean([wrong[self._y == k].mean() for k in np.unique(self._y)])))

    @property
    def last_error(self) -> float | None:
        """How often the last epoch's network was wrong; None when there is nothing to judge it by."""
        return self.wrong[-1] if self.wrong and len(self._y) else None

    @property
    def last_epoch(self) -> int | None:
        """The epoch after which another training should end; None for the last one."""
        if not self.wrong:
            return None
        best = int(np.argmin(self.wrong))
        return best + 1 if self.wrong[best] < self.wrong[-1] - CLEAR else None
