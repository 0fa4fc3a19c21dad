"""How true confidences are, and what voting and rejection make of predictions: figures for a report."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST, DecisionSpec
from semg.signals.dataset import WindowSet
from semg.signals.decisions import Voter

BINS = 10
MIN_CONFIDENCES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
FALSE_PER_MINUTE = 2.0
"""The operating point that a report suggests has at most so many false activations in a minute of rest."""


def reliability(truth: NDArray[np.int64], probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """Give how often predictions are right for each of ten bands of confidence, JSON-able.

    Returns
    -------
    ``bins`` (``low``, ``high``, ``windows``, ``confidence``, ``accuracy``; the last two None without windows),
    ``calibration_error`` (mean distance of confidence and accuracy, weighed by windows), ``mean_confidence``.
    """
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    place = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins, apart = [], 0.0
    for number in range(BINS):
        mine = place == number
        n = int(mine.sum())
        apart += abs(float(confidence[mine].sum()) - float(right[mine].sum()))
        bins.append(
            {
                "low": number / BINS,
                "high": (number + 1) / BINS,
                "windows": n,
                "confidence": round(float(confidence[mine].mean()), 6) if n else None,
                "accuracy": round(float(right[mine].mean()), 6) if n else None,
            }
        )
    return {
        "bins": bins,
        "calibration_error": round(apart / max(1, len(truth)), 6),
        "mean_confidence": round(float(confidence.mean()), 6) if len(truth) else None,
    }


def decision_figures(
    classes: Sequence[str],
    data: WindowSet,
    probabilities: NDArray[np.float32],
    spec: DecisionSpec,
    hop_ms: float,
) -> dict[str, Any]:
    """Give what decisions score, JSON-able; the vote starts anew with every stretch.

    Returns
    -------
    ``vote_n``, ``min_confidence``; ``accuracy`` of what was not rejected and ``rejected``, fractions of 1;
    ``false_activations_per_min``: how often in a minute of rest a decision for another gesture begins, None when no
    rest was held out or the classifier knows none.
    """
    index = {name: i for i, name in enumerate(classes)}
    voter = Voter(spec, len(classes))
    rejected = right = begins = rest_windows = 0
    before: int | None = None
    for row in range(len(data)):
        if row == 0 or data.stretch[row] != data.stretch[row - 1]:
            voter.reset()
            before = None
        decided, _ = voter.push(probabilities[row])
        label = data.stretches[int(data.stretch[row])].label
        rejected += decided is None
        right += decided == index[label]
        if label == REST:
            rest_windows += 1
            begins += decided is not None and classes[decided] != REST and decided != before
        before = decided
    minutes = rest_windows * hop_ms / 60_000
    n = len(data)
    return {
        "vote_n": spec.vote_n,
        "min_confidence": spec.min_confidence,
        "accuracy": round(right / (n - rejected), 6) if n > rejected else None,
        "rejected": round(rejected / n, 6) if n else None,
        "false_activations_per_min": round(begins / minutes, 3) if minutes > 0 else None,
    }


def operating_points(
    classes: Sequence[str], data: WindowSet, probabilities: NDArray[np.float32], vote_n: int, hop_ms: float
) -> tuple[list[dict[str, Any]], dict[str, Any] | None]:
    """Give ``decision_figures`` for several rejection thresholds, and the lowest that keeps ``FALSE_PER_MINUTE``.

    Without rest, or when none keeps it, there is no suggestion.
    """
    points = [
        decision_figures(classes, data, probabilities, DecisionSpec(vote_n, threshold), hop_ms)
        for threshold in MIN_CONFIDENCES
    ]
    kept = [p for p in points if (p["false_activations_per_min"] or 0.0) <= FALSE_PER_MINUTE]
    known = bool(points) and points[0]["false_activations_per_min"] is not None
    return points, kept[0] if known and kept else None
