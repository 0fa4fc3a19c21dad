"""How predictions become decisions: a majority over the last windows, then rejection."""

from __future__ import annotations

from collections import deque

import numpy as np
from numpy.typing import NDArray

from semg.domain import DecisionSpec


class Voter:
    """The vote of one profile's stream; one thread at a time. Decides from the first window on.

    Parameters
    ----------
    spec
        How many windows vote, and below which confidence a decision is rejected.
    n_classes
        Classes of the predictions.
    """

    def __init__(self, spec: DecisionSpec, n_classes: int) -> None:
        self.spec = spec
        self.n_classes = n_classes
        self._recent: deque[tuple[int, list[float]]] = deque(maxlen=max(1, spec.vote_n))

    def reset(self) -> None:
        """Forget earlier windows: they lie before a gap or belong to another classifier."""
        self._recent.clear()

    def push(self, probabilities: NDArray[np.float32]) -> tuple[int | None, float]:
        """Give the decision after one more prediction.

        Parameters
        ----------
        probabilities
            ``(n_classes,)``, of the newest window.

        Returns
        -------
        The class that most of the last ``vote_n`` windows name (between equals the one with the larger summed
        probability), or None when its mean probability over these windows is below ``min_confidence``; and that
        mean probability.
        """
        row: list[float] = probabilities.tolist()
        if len(row) != self.n_classes:
            raise ValueError(f"expected {self.n_classes} probabilities, got {len(row)}")
        self._recent.append((row.index(max(row)), row))
        votes = [0] * self.n_classes
        for named, _ in self._recent:
            votes[named] += 1
        most = max(votes)
        summed = {
            index: sum(earlier[index] for _, earlier in self._recent)
            for index, count in enumerate(votes)
            if count == most
        }
        winner = max(summed, key=lambda index: summed[index])
        confidence = summed[winner] / len(self._recent)
        return (None if confidence < self.spec.min_confidence else winner), confidence
