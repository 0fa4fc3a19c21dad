"""The forward pass of every kind of classifier, used by the predictor, every evaluation and every replay.

Training uses torch; serving does not, because batch-1 calls of small networks are mostly call overhead
there. Features are numpy's, what follows is compiled (``kernels``). A test checks that both agree within 1e-5.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from semg.domain import ClassifierKind
from semg.signals.features import band_covariance, envelope_features, lagged, log_covariance, time_domain
from semg.signals.model.layout import layers_of, network_sections

Arrays = Mapping[str, NDArray[np.float32]]


def softmax(scores: NDArray[np.floating]) -> NDArray[np.float32]:
    """Return probabilities of scores ``(N, K)``, each row summing to 1."""
    shifted = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(shifted / shifted.sum(axis=1, keepdims=True), dtype=np.float32)


def log_softmax(scores: NDArray[np.floating]) -> NDArray[np.floating]:
    """Return the logarithms of the probabilities of scores ``(N, K)``."""
    shifted = scores - scores.max(axis=1, keepdims=True)
    return np.asarray(shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True)))


def scale(arrays: Arrays, windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return windows ``(N, C, T)`` normalised by the training data's offset and spread of each channel."""
    return (windows - arrays["scale_offset"][:, None]) * arrays["scale_gain"][:, None]


def branch_features(
    kind: ClassifierKind, arrays: Arrays, scaled: NDArray[np.float32], envelope: bool
) -> NDArray[np.float32]:
    """Return the features of the closed-form branch, float32 ``(N, F)``; a network's has ``crossing`` in its arrays."""
    if kind == "td_lda":
        return time_domain(scaled)
    if kind != "cnn":
        return log_covariance(scaled, with_mean=envelope)
    if "level_floor" in arrays:
        return envelope_features(scaled, float(arrays["level_floor"][0]))
    if "crossing" in arrays:
        return band_covariance(scaled, float(arrays["crossing"][0]), with_mean=envelope)
    # Stored before there were bands.
    return log_covariance(lagged(scaled, [int(lag) for lag in arrays["lags"]]), with_mean=envelope)


def network_scores(arrays: Arrays, scaled: NDArray[np.float32]) -> NDArray[np.float64]:
    """Return the logits ``(N, K)`` of the convolutional branch of scaled windows ``(N, C, T)``.

    Layers ``conv0, conv1, …`` (weight ``(width * inputs, outputs)``, taps in time order) are valid convolutions
    with a stride, each followed by a rectifier; then mean and spread over time, and a linear layer.
    """
    from semg.signals.model import kernels  # brings numba: 0.2 s and 72 MB, for who predicts

    layers, n_classes = layers_of(arrays), len(arrays["head_bias"])
    row = np.concatenate([arrays[name].ravel() for name, _ in network_sections(layers, n_classes)], dtype=np.float32)
    found = np.empty((len(scaled), n_classes))
    kernels.network_scores(row, 0, np.array(layers, np.int64), np.ascontiguousarray(scaled), found)
    return found
