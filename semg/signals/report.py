"""What a classifier scores on windows that no fitting step has seen."""

from __future__ import annotations

import time
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.signals import runtime
from semg.signals.classifier import Classifier
from semg.signals.dataset import WindowSet
from semg.signals.metrics import score, score_trimmed

TIMED_WINDOWS = 200


def evaluate(classifier: Classifier, data: WindowSet) -> dict[str, Any]:
    """Give the figures of a classifier on held-out windows, JSON-able, at window level.

    Returns
    -------
    ``accuracy``, ``balanced_accuracy``, ``macro_f1``, ``trimmed`` (``accuracy``, ``macro_f1`` without the windows
    that start less than 750 ms into their stretch), ``per_gesture``, ``confusion`` (rows true, columns predicted),
    ``classes``, ``windows``, ``chance`` (the share of the most frequent gesture); figures without windows are None.

    Raises
    ------
    ValueError
        When a window has a label that is not among the classes.
    """
    index = {name: i for i, name in enumerate(classifier.classes)}
    unknown = sorted(set(data.labels.tolist()) - set(index))
    if unknown:
        raise ValueError(f"the classifier does not know {', '.join(unknown)}")
    truth = np.array([index[name] for name in data.labels.tolist()], dtype=np.int64)
    predicted = classifier.predict_proba(data.windows).argmax(axis=1)
    n_classes = len(classifier.classes)
    scores = score(truth, predicted, n_classes)
    trimmed = score_trimmed(truth, predicted, data.into_stretch_ms, n_classes)
    return {
        "accuracy": _number(scores.accuracy),
        "balanced_accuracy": _number(scores.balanced_accuracy),
        "macro_f1": _number(scores.macro_f1),
        "trimmed": {"accuracy": _number(trimmed.accuracy), "macro_f1": _number(trimmed.macro_f1)},
        "per_gesture": scores.per_gesture(classifier.classes),
        "confusion": scores.confusion.tolist(),
        "classes": list(classifier.classes),
        "windows": scores.n,
        "chance": _number(scores.chance),
    }


def serving_us(classifier: Classifier, windows: NDArray[np.float32]) -> float:
    """Give the median time of a prediction of one window alone, in microseconds, on this machine now."""
    times = []
    for row in range(min(TIMED_WINDOWS, len(windows))):
        started = time.perf_counter()
        classifier.predict_proba(windows[row : row + 1])
        times.append(time.perf_counter() - started)
    return float(np.median(times)) * 1e6 if times else float("nan")


def branch_log_probabilities(
    classifier: Classifier, windows: NDArray[np.float32]
) -> tuple[NDArray[np.floating[Any]], NDArray[np.floating[Any]]]:
    """Give the log-probabilities ``(N, K)`` of the closed-form and of the convolutional branch.

    The second equals the first for a classifier without a network.
    """
    scaled = runtime.scale(classifier.arrays, windows)
    envelope = classifier.conditioning.sensor == "envelope"
    features = runtime.branch_features(classifier.kind, classifier.arrays, scaled, envelope)
    linear = runtime.log_softmax(runtime.linear_scores(classifier.arrays, features))
    if classifier.kind != "cnn":
        return linear, linear
    return linear, runtime.log_softmax(runtime.network_scores(classifier.arrays, scaled))


def _number(value: float) -> float | None:
    return None if np.isnan(value) else round(value, 6)
