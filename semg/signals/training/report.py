"""Scores of a classifier on held-out windows."""

from __future__ import annotations

import time
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semg.signals.dataset import WindowSet
from semg.signals.model.classifier import Classifier
from semg.signals.training.metrics import score, score_trimmed
from semg.signals.training.training_report import FIGURES, TrainingReport

TIMED_WINDOWS = 200


def figures(classes: Sequence[str], data: WindowSet, probabilities: NDArray[np.float32]) -> TrainingReport:
    """Return a report of nothing but the figures of predictions on held-out windows; None where there are no windows.

    Raises
    ------
    ValueError
        When a window has a label that is not among the classes.
    """
    index = {name: i for i, name in enumerate(classes)}
    unknown = sorted(set(data.labels.tolist()) - set(index))
    if unknown:
        raise ValueError(f"the classifier does not know {', '.join(unknown)}")
    truth = np.array([index[name] for name in data.labels.tolist()], dtype=np.int64)
    predicted = probabilities.argmax(axis=1)
    scores = score(truth, predicted, len(classes))
    trimmed = score_trimmed(truth, predicted, data.into_stretch_ms, len(classes))
    return TrainingReport(
        accuracy=_number(scores.accuracy),
        balanced_accuracy=_number(scores.balanced_accuracy),
        macro_f1=_number(scores.macro_f1),
        trimmed={"accuracy": _number(trimmed.accuracy), "macro_f1": _number(trimmed.macro_f1)},
        per_gesture=scores.per_gesture(classes),
        confusion=as_rows(scores.confusion),
        classes=tuple(classes),
        windows=scores.n,
        chance=_number(scores.chance),
        chance_balanced=round(1 / max(1, len(classes)), 6),
        trials=len(np.unique(np.stack([data.session_index, data.stretch], axis=1), axis=0)),
        written=FIGURES,
    )


def as_rows(confusion: NDArray[np.int64]) -> tuple[tuple[int, ...], ...]:
    """Return a confusion matrix as a report holds it."""
    return tuple(map(tuple, confusion.tolist()))


def evaluate(classifier: Classifier, data: WindowSet) -> TrainingReport:
    """Return ``figures`` of a stored classifier without adaptation."""
    return figures(classifier.classes, data, classifier.predict_proba(data.windows))


def serving_us(classifier: Classifier, windows: NDArray[np.float32]) -> float:
    """Return the median time of a prediction of one window alone, in microseconds, on this machine now."""
    times = []
    for row in range(min(TIMED_WINDOWS, len(windows))):
        started = time.perf_counter()
        classifier.predict_proba(windows[row : row + 1])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e6 if times else float("nan")


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)
