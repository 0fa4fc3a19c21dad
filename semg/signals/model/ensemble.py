"""Combine the convolutional, dense and closed-form branches into one calibrated classifier."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semg.signals.model.forward import log_softmax

INVERSE_TEMPERATURES = tuple(float(x) for x in np.geomspace(0.15, 2.4, 33))


@dataclass(frozen=True, slots=True, kw_only=True)
class EnsembleWeights:
    """Weights of the convolutional and the dense branch in the mean of log-probabilities, and its calibration.

    The closed-form branch has the remaining weight. Equal weights: see ``docs/recognition.md``.

    ``inverse_temperature`` is the inverse of a temperature (Guo et al., ICML 2017): the factor on the averaged
    log-probabilities that calibrates confidences on held-out windows.
    """

    share: float = 1 / 3
    dense_share: float = 1 / 3
    inverse_temperature: float = 0.7

    def after(self, repetitions: float) -> EnsembleWeights:
        """Return the weights for a training with a number of repetitions of each gesture.

        The network learns from windows alone, and needs more of them than the branches on features.
        """
        share = self.share * repetitions / (repetitions + 1.0)
        return replace(self, share=share, dense_share=self.dense_share * (1.0 - share) / (1.0 - self.share))

    def as_array(self) -> NDArray[np.float32]:
        """Return ``(3,)`` as ``forward`` reads it."""
        return np.array([self.share, self.dense_share, self.inverse_temperature], dtype=np.float32)


DEFAULT_WEIGHTS = EnsembleWeights()
"""Used without held-out data; the median of the values chosen on real recordings."""


def choose_inverse_temperature(log_probabilities: NDArray[np.floating], y: NDArray[np.int64]) -> float:
    """Return the factor on log-probabilities ``(N, K)`` with the least log-loss on held-out windows.

    Classes are weighted by their windows, as in live use; the factor is one of ``INVERSE_TEMPERATURES``.
    """
    rows = np.arange(len(y))
    losses = [
        float(-log_softmax(inverse_temperature * log_probabilities)[rows, y].mean())
        for inverse_temperature in INVERSE_TEMPERATURES
    ]
    return INVERSE_TEMPERATURES[int(np.argmin(losses))]
