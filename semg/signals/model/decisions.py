"""Turn predictions into decisions: majority vote over the last windows, then rejection with hysteresis."""

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
        Number of windows that vote, confidence below which a decision is rejected, and how much more a new label needs.
    n_classes
        Number of classes of the predictions.
    """

    def __init__(self, spec: DecisionSpec, n_classes: int) -> None:
        self.spec = spec
        self.n_classes = n_classes
        self._recent: deque[tuple[int, list[float]]] = deque(maxlen=max(1, spec.vote_n))
        self._held: int | None = None

    def reset(self) -> None:
        """Discard earlier windows: they lie before a gap or belong to another classifier."""
        self._recent.clear()
        self._held = None

    def push(self, probabilities: NDArray[np.float32]) -> tuple[int | None, float]:
        """Return the decision after one more prediction.

        Parameters
        ----------
        probabilities
            ``(n_classes,)``, of the newest window.

        Returns
        -------
        The class with most votes among the last ``vote_n`` windows (a tie goes to the larger summed probability), if
        its mean probability over these windows reaches ``min_confidence``, or ``begin_confidence`` if it was not the
        previous decision. Otherwise the previous decision, as long as that reaches ``min_confidence``; otherwise None.
        And the mean probability of the class decided or rejected.
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
        held, spec = self._held, self.spec
        if winner != held and confidence < spec.begin_confidence and held is not None:
            held_confidence = sum(earlier[held] for _, earlier in self._recent) / len(self._recent)
            if held_confidence >= spec.min_confidence:
                return held, held_confidence
        needed = spec.min_confidence if winner == held else spec.begin_confidence
        self._held = None if confidence < needed else winner
        return self._held, confidence


class BatchVoter:
    """The votes of many profiles' streams; one thread at a time.

    Returns for each stream exactly what a separate ``Voter`` would return: the same sums in the same order.
    """

    def __init__(self) -> None:
        self._recent = np.zeros((0, 1, 1))  # (streams, windows, classes), the newest window last
        self._filled = np.zeros(0, np.int64)
        self._vote_n = np.ones(0, np.int64)
        self._min_confidence = np.zeros(0)
        self._begin_confidence = np.zeros(0)
        self._held = np.zeros(0, np.int64)

    def set_stream(self, stream: int, spec: DecisionSpec, n_classes: int) -> None:
        """Begin a stream, or continue it with another classifier; earlier windows are discarded."""
        n_streams, n_windows, wide = self._recent.shape
        wanted = (max(n_streams, stream + 1), max(n_windows, spec.vote_n), max(wide, n_classes))
        if wanted != self._recent.shape:
            streams = n_streams if wanted[0] == n_streams else max(wanted[0], 2 * n_streams)
            recent = np.full((streams, *wanted[1:]), -1.0)
            recent[:n_streams, wanted[1] - n_windows :, :wide] = self._recent
            self._recent = recent
            for name in ("_filled", "_vote_n", "_min_confidence", "_begin_confidence", "_held"):
                kept = getattr(self, name)
                setattr(self, name, np.concatenate([kept, np.zeros(streams - n_streams, kept.dtype)]))
        self._filled[stream] = 0
        self._held[stream] = -1
        self._vote_n[stream] = max(1, spec.vote_n)
        self._min_confidence[stream] = spec.min_confidence
        self._begin_confidence[stream] = spec.begin_confidence

    def mean_probabilities(self, stream: int, n_classes: int) -> NDArray[np.float64]:
        """Return the mean probability of each class over the windows of a stream that voted last, ``(n_classes,)``."""
        n_windows = self._recent.shape[1]
        return np.asarray(self._recent[stream, n_windows - int(self._filled[stream]) :, :n_classes].mean(axis=0))

    def push(
        self,
        streams: NDArray[np.int64],
        starting: NDArray[np.bool_],
        probabilities: NDArray[np.float32],
        n_classes: NDArray[np.int64],
    ) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
        """Return the decisions after one more prediction of each stream.

        Parameters
        ----------
        streams
            Indices of the streams, each once, ``(k,)``.
        starting
            Which of them discard earlier windows first, ``(k,)``.
        probabilities
            Of the newest window, ``(k, K)``; columns from a stream's ``n_classes`` on are ignored.

        Returns
        -------
        Class ``(k,)``, -1 when rejected, and its mean probability ``(k,)``; see ``Voter.push``.
        """
        wide, k = probabilities.shape[1], len(streams)
        recent = self._recent[streams]
        recent[:, :-1] = recent[:, 1:]
        recent[:, -1] = -1.0  # below every probability: never the largest
        newest = recent[:, -1, :wide]
        np.copyto(newest, probabilities[:, : newest.shape[1]], where=np.arange(newest.shape[1]) < n_classes[:, None])
        self._recent[streams] = recent
        filled = np.minimum(np.where(starting, 0, self._filled[streams]) + 1, self._vote_n[streams])
        self._filled[streams] = filled
        named = recent.argmax(axis=2)
        votes, summed = np.zeros((k, recent.shape[2]), np.int64), np.zeros((k, recent.shape[2]))
        rows = np.arange(k)
        for index in range(recent.shape[1]):
            counts = recent.shape[1] - index <= filled
            votes[rows, named[:, index]] += counts
            summed += np.where(counts[:, None], recent[:, index], 0.0)
        held = np.where(starting, -1, self._held[streams])
        held_confidence = np.where(held < 0, -np.inf, summed[rows, held] / filled)
        summed[votes < votes.max(axis=1, keepdims=True)] = -np.inf
        winner = summed.argmax(axis=1)
        confidence = summed[rows, winner] / filled
        least, begin = self._min_confidence[streams], self._begin_confidence[streams]
        stays = (winner != held) & (confidence < begin) & (held_confidence >= least)
        accepted = confidence >= np.where(winner == held, least, begin)
        decided = np.where(stays, held, np.where(accepted, winner, -1))
        self._held[streams] = decided
        return decided, np.where(stays, held_confidence, confidence)
