"""Metrics of decided labels against true ones. All are fractions of 1; classes are indices ``0 … K-1``."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.signals.training.training_report import GestureFigures

TRIM_MS = 750.0
"""Windows that start sooner after a stretch's edge are left out of trimmed figures: the hand lags the label."""


def confusion_matrix(truth: NDArray[Any], predicted: NDArray[Any], n_classes: int) -> NDArray[np.int64]:
    """Return int64 ``(K, K)`` counts; rows are the true class, columns the predicted one."""
    flat = np.bincount(truth.astype(np.int64) * n_classes + predicted.astype(np.int64), minlength=n_classes**2)
    return flat.reshape(n_classes, n_classes)


@dataclass(frozen=True, slots=True, kw_only=True)
class Scores:
    """Figures of one evaluation; NaN where there is nothing to count.

    Attributes
    ----------
    balanced_accuracy
        Mean recall over the classes that occur in the truth, so that "always rest" scores one over their number.
    macro_f1
        Mean F1 over the classes that occur in the truth or are predicted.
    chance
        ``accuracy`` of always predicting the most frequent class.
    """

    n: int
    accuracy: float
    balanced_accuracy: float
    macro_f1: float
    chance: float
    recall: tuple[float, ...]
    counts: tuple[int, ...]
    confusion: NDArray[np.int64]

    def per_gesture(self, classes: Sequence[str]) -> dict[str, GestureFigures]:
        """Return the figures of each gesture; the recall of one without windows is None."""
        return {
            name: GestureFigures(recall=None if n == 0 else round(recall, 6), n=n)
            for name, recall, n in zip(classes, self.recall, self.counts, strict=True)
        }


def score(truth: NDArray[Any], predicted: NDArray[Any], n_classes: int) -> Scores:
    """Return the figures of predicted class indices ``(N,)`` against true ones ``(N,)``."""
    confusion = confusion_matrix(truth, predicted, n_classes)
    counts, named, right = confusion.sum(axis=1), confusion.sum(axis=0), np.diag(confusion)
    n = int(counts.sum())
    with np.errstate(invalid="ignore", divide="ignore"):
        recall = right / counts
        f1 = 2 * right / (counts + named)
    present, mentioned = counts > 0, (counts + named) > 0
    nan = float("nan")
    return Scores(
        n=n,
        accuracy=float(right.sum() / n) if n else nan,
        balanced_accuracy=float(recall[present].mean()) if n else nan,
        macro_f1=float(f1[mentioned].mean()) if n else nan,
        chance=float(counts.max() / n) if n else nan,
        recall=tuple(float(value) for value in recall),
        counts=tuple(int(value) for value in counts),
        confusion=confusion,
    )


def score_trimmed(
    truth: NDArray[Any], predicted: NDArray[Any], into_stretch_ms: NDArray[Any], n_classes: int
) -> Scores:
    """Return the figures without the windows that start less than ``TRIM_MS`` into their stretch."""
    kept = into_stretch_ms >= TRIM_MS
    return score(truth[kept], predicted[kept], n_classes)
