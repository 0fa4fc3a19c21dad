"""Windows of many people's classifiers in one pass: what every classifier does alike is done once for all."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Hashable, Sequence

import numpy as np
from numpy.typing import NDArray

from semg.signals import runtime
from semg.signals.classifier import Classifier


def predict_together(
    requests: Sequence[tuple[Classifier, NDArray[np.float32]]],
) -> list[NDArray[np.float32]]:
    """Give each classifier's probabilities of its own windows.

    The closed-form features, most of the time of a window by itself, are reckoned for all windows of a shape at once;
    scaling, network and discriminant stay each classifier's own. Equal to ``Classifier.predict_proba`` of each.

    Parameters
    ----------
    requests
        Classifiers with their conditioned windows, float32 ``(n, C, T)``, of the shape that the classifier wants.

    Returns
    -------
    Float32 ``(n, K)`` for each request, in their order.

    Raises
    ------
    ValueError
        A window has another shape than its classifier wants.
    """
    alike: dict[Hashable, list[int]] = defaultdict(list)
    for index, (classifier, windows) in enumerate(requests):
        classifier.check_shape(windows)
        alike[_features_of(classifier)].append(index)
    answers: dict[int, NDArray[np.float32]] = {}
    for members in alike.values():
        answers |= zip(members, _predict([requests[index] for index in members]), strict=True)
    return [answers[index] for index in range(len(requests))]


def _features_of(classifier: Classifier) -> Hashable:
    """Give what classifiers must share so that their features can be reckoned together."""
    lags = tuple(classifier.arrays["lags"].tolist()) if classifier.kind == "cnn" else ()
    shape = (len(classifier.channels), classifier.window.window_samples)
    return (classifier.kind, lags, shape, classifier.conditioning.sensor == "envelope")


def _predict(requests: Sequence[tuple[Classifier, NDArray[np.float32]]]) -> list[NDArray[np.float32]]:
    first = requests[0][0]
    parts = [runtime.scale(classifier.arrays, windows) for classifier, windows in requests]
    scaled = parts[0] if len(parts) == 1 else np.concatenate(parts)
    envelope = first.conditioning.sensor == "envelope"
    features = runtime.branch_features(first.kind, first.arrays, scaled, envelope)
    answers, at = [], 0
    for (classifier, windows), part in zip(requests, parts, strict=True):
        end = at + len(windows)
        own = runtime.mixed_scores(classifier.kind, classifier.arrays, part, features[at:end])
        answers.append(runtime.softmax(own))
        at = end
    return answers
