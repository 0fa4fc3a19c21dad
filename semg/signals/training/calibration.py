"""Calibration of confidences, and the effect of voting and rejection: figures for a report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST, DecisionSpec
from semg.signals.dataset import WindowSet
from semg.signals.model.decisions import BatchVoter
from semg.signals.training.training_report import DecisionFigures, Reliability, ReliabilityBin

BINS = 10
MIN_CONFIDENCES = (0.0, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9, 0.95)
VOTES = (1, 3, 5, 9)
HYSTERESES = (0.0, 0.1, 0.3)
"""Settings that a report evaluates beside the classifier's own."""

MIN_RECOGNISED = 0.5
"""Minimum recall of a useful operating point."""


def reliability(truth: NDArray[np.int64], probabilities: NDArray[np.float32]) -> Reliability:
    """Return the calibration of confidences: accuracy in each of ten confidence bins."""
    confidence = probabilities.max(axis=1).astype(np.float64)
    right = probabilities.argmax(axis=1) == truth
    bin_index = np.minimum((confidence * BINS).astype(int), BINS - 1)
    bins, error = [], 0.0
    for number in range(BINS):
        mine = bin_index == number
        n = int(mine.sum())
        error += abs(float(confidence[mine].sum()) - float(right[mine].sum()))
        bins.append(
            ReliabilityBin(
                low=number / BINS,
                high=(number + 1) / BINS,
                windows=n,
                confidence=round(float(confidence[mine].mean()), 6) if n else None,
                accuracy=round(float(right[mine].mean()), 6) if n else None,
            )
        )
    return Reliability(
        bins=tuple(bins),
        calibration_error=round(error / max(1, len(truth)), 6),
        mean_confidence=round(float(confidence.mean()), 6) if len(truth) else None,
    )


def decide_all(
    data: WindowSet, probabilities: NDArray[np.float32], spec: DecisionSpec
) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
    """Return the decision on each window, -1 for rejected, and which windows begin a stretch; all stretches at once.

    The vote restarts with every stretch, as after a gap: the windows between two stretches are missing.
    """
    n, n_classes = probabilities.shape
    first = np.append(True, data.stretch[1:] != data.stretch[:-1])[:n]
    begins = np.flatnonzero(first)
    lengths = np.diff(np.append(begins, n))
    bank, decided = BatchVoter(), np.full(n, -1, np.int64)
    for stream in range(len(begins)):
        bank.set_stream(stream, spec, n_classes)
    # The longest first: the stretches with a window at a step are then always a prefix.
    order = np.argsort(-lengths, kind="stable")
    begins, lengths = begins[order], lengths[order]
    for step in range(int(lengths.max(initial=0))):
        streams = np.arange(int(np.searchsorted(-lengths, -step)))
        rows, starting = begins[streams] + step, np.full(len(streams), step == 0)
        decided[rows], _ = bank.push(streams, starting, probabilities[rows], np.full(len(streams), n_classes))
    return decided, first


def decision_figures(
    classes: Sequence[str],
    data: WindowSet,
    probabilities: NDArray[np.float32],
    spec: DecisionSpec,
    hop_ms: float,
) -> DecisionFigures:
    """Return the scores of decisions; the vote restarts with every stretch."""
    index = {name: i for i, name in enumerate(classes)}
    truth = np.array([index[name] for name in data.labels.tolist()], np.int64)
    decided, first = decide_all(data, probabilities, spec)
    n, right = len(truth), decided == truth
    rejected = int((decided < 0).sum())
    before = np.where(first, -1, np.append(-1, decided[:-1])[:n])
    of_rest = truth == index.get(REST, -1)
    begins = of_rest & (decided >= 0) & (decided != truth) & (decided != before)
    minutes = int(of_rest.sum()) * hop_ms / 60_000
    return DecisionFigures(
        vote_n=spec.vote_n,
        min_confidence=spec.min_confidence,
        hysteresis=spec.hysteresis,
        accuracy=round(int(right.sum()) / (n - rejected), 6) if n > rejected else None,
        rejected=round(rejected / n, 6) if n else None,
        recognised=round(float(np.mean([right[truth == k].mean() for k in np.unique(truth)])), 6) if n else None,
        false_activations_per_min=round(int(begins.sum()) / minutes, 3) if minutes > 0 else None,
    )


def operating_points(
    classes: Sequence[str],
    data: WindowSet,
    probabilities: NDArray[np.float32],
    spec: DecisionSpec,
    hop_ms: float,
    false_per_min: float,
) -> tuple[tuple[DecisionFigures, ...], DecisionFigures | None]:
    """Return ``decision_figures`` for several votes, thresholds and hystereses, and the best of them for a target.

    See ``choose_operating_point``.
    """
    points = tuple(
        decision_figures(classes, data, probabilities, DecisionSpec(vote_n, threshold, hysteresis), hop_ms)
        for vote_n in sorted({spec.vote_n, *VOTES})
        for hysteresis in sorted({spec.hysteresis, *HYSTERESES})
        for threshold in MIN_CONFIDENCES
    )
    return points, choose_operating_point(points, false_per_min)


def choose_operating_point(points: Sequence[DecisionFigures], false_per_min: float) -> DecisionFigures | None:
    """Return the point with the highest recall among those within the target of false activations per minute of rest.

    A tie goes to fewer votes, hence the fastest. None without rest, or when no point meets the target and recognises at
    least ``MIN_RECOGNISED``: one that rejects everything meets every target.
    """
    kept = [
        point
        for point in points
        if point.false_activations_per_min is not None
        and point.false_activations_per_min <= false_per_min
        and (point.recognised or 0.0) >= MIN_RECOGNISED
    ]
    if not kept:
        return None
    return max(kept, key=lambda point: (point.recognised or 0.0, -point.vote_n))
