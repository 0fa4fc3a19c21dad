"""Scores of a classifier on held-out windows."""

from __future__ import annotations

import time
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.signals.dataset import WindowSet
from semg.signals.model.classifier import Classifier
from semg.signals.training.metrics import score, score_trimmed

TIMED_WINDOWS = 200


def figures(classes: Sequence[str], data: WindowSet, probabilities: NDArray[np.float32]) -> dict[str, Any]:
    """Return the figures of predictions on held-out windows, JSON-serialisable, at window level.

    Returns
    -------
    ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``trimmed`` (``accuracy``, ``macro_f1`` without the windows
    that start less than 750 ms into their stretch), ``per_gesture``, ``confusion`` (rows true, columns predicted),
    ``classes``, ``windows``, ``trials`` (stretches that the windows are of), ``chance`` (accuracy of always naming the
    most frequent gesture), ``chance_balanced`` (balanced accuracy of guessing); figures without windows are None.

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
    return {
        "accuracy": _number(scores.accuracy),
        "balanced_accuracy": _number(scores.balanced_accuracy),
        "macro_f1": _number(scores.macro_f1),
        "trimmed": {"accuracy": _number(trimmed.accuracy), "macro_f1": _number(trimmed.macro_f1)},
        "per_gesture": scores.per_gesture(classes),
        "confusion": scores.confusion.tolist(),
        "classes": list(classes),
        "windows": scores.n,
        "chance": _number(scores.chance),
        "chance_balanced": round(1 / max(1, len(classes)), 6),
        "trials": len(np.unique(np.stack([data.session_index, data.stretch], axis=1), axis=0)),
    }


def evaluate(classifier: Classifier, data: WindowSet) -> dict[str, Any]:
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
