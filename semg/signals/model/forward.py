"""The forward pass of every kind of classifier in numpy, used by the predictor and every evaluation.

Training uses torch; serving does not, because batch-1 calls of small networks are mostly call overhead
there. A test checks that both agree within 1e-5.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from numpy.typing import NDArray

from semg.signals.features import band_covariance, envelope_features, lagged, log_covariance, time_domain

Arrays = Mapping[str, NDArray[np.float32]]
BATCH = 512
"""Windows per pass: bounds the memory of an evaluation, and keeps the unfolded input inside the cache."""


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


def branch_features(kind: str, arrays: Arrays, scaled: NDArray[np.float32], envelope: bool) -> NDArray[np.float32]:
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


def linear_scores(arrays: Arrays, features: NDArray[np.floating]) -> NDArray[np.float64]:
    """Return the discriminant scores ``(N, K)`` of the closed-form branch.

    In float64: large terms cancel, so that in float32 the summation order, which is the library's choice, showed in
    the fifth digit of a probability.
    """
    return features.astype(np.float64) @ arrays["lda_coef"].T + arrays["lda_intercept"]


def dense_scores(arrays: Arrays, features: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits ``(N, K)`` of the dense branch: ``dense0, dense1, …``, a rectifier between them."""
    held, layer = features, 0
    while True:
        held = held @ arrays[f"dense{layer}_weight"]
        held += arrays[f"dense{layer}_bias"]
        layer += 1
        if f"dense{layer}_weight" not in arrays:
            return held
        np.maximum(held, 0, out=held)


def network_scores(arrays: Arrays, scaled: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the logits ``(N, K)`` of the convolutional branch.

    Layers ``conv0, conv1, …`` (weight ``(width * inputs, outputs)``, taps in time order) are valid convolutions
    with a stride, each followed by a rectifier; then mean and spread over time, and a linear layer.
    """
    held = np.ascontiguousarray(scaled.transpose(0, 2, 1))  # (N, C, T) -> (N, T, C)
    layer = 0
    while f"conv{layer}_weight" in arrays:
        held = _convolve(
            held, arrays[f"conv{layer}_weight"], arrays[f"conv{layer}_bias"], int(arrays[f"conv{layer}_stride"][0])
        )
        layer += 1
    return pool(held) @ arrays["head_weight"].T + arrays["head_bias"]


def pool(held: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return mean and spread over time of ``(N, T, outputs)``, ``(N, 2 * outputs)``."""
    mean = held.mean(axis=1)
    spread = np.sqrt(np.square(held).mean(axis=1) + np.float32(1e-6))
    return np.concatenate([mean, spread], axis=1)


def unfold(held: NDArray[np.float32], rows: int, stride: int) -> NDArray[np.float32]:
    """Return the contiguous input of each step of a convolution over ``(N, T, inputs)``: a view ``(N, T', rows)``."""
    n, length, inputs = held.shape
    steps = (length - rows // inputs) // stride + 1
    # Reckoned, not read from held.strides: numpy leaves the stride of an axis of length 1 undefined.
    step = held.itemsize * inputs
    return np.lib.stride_tricks.as_strided(
        held, (n, steps, rows), (length * step, stride * step, held.itemsize), writeable=False
    )


def _convolve(
    held: NDArray[np.float32], weight: NDArray[np.float32], bias: NDArray[np.float32], stride: int
) -> NDArray[np.float32]:
    """Return the rectified convolution of ``(N, T, inputs)`` as ``(N, T', outputs)``, unfolded into one product."""
    unfolded = unfold(held, weight.shape[0], stride)
    n, steps, rows = unfolded.shape
    out = np.ascontiguousarray(unfolded).reshape(n * steps, rows) @ weight
    out += bias
    np.maximum(out, 0, out=out)
    return np.asarray(out.reshape(n, steps, -1), dtype=np.float32)


def scores(kind: str, arrays: Arrays, windows: NDArray[np.float32], envelope: bool) -> NDArray[np.float32]:
    """Return the scores ``(N, K)`` whose softmax is the classifier's probability."""
    scaled = scale(arrays, windows)
    return mixed_scores(kind, arrays, scaled, branch_features(kind, arrays, scaled, envelope))


def mixed_scores(
    kind: str,
    arrays: Arrays,
    scaled: NDArray[np.float32],
    features: NDArray[np.float32],
    shift: NDArray[np.float32] | None = None,
) -> NDArray[np.float32]:
    """Return the scores ``(N, K)`` of scaled windows whose closed-form features are known.

    Parameters
    ----------
    shift
        ``(F,)``: shift of the features from those of the training; None for zero.
    """
    if shift is not None:
        features = features - shift
    if kind != "cnn":
        return np.asarray(linear_scores(arrays, features) * arrays["mix"][-1])
    if "centre" in arrays:
        features = features - arrays["centre"]
    linear = log_softmax(linear_scores(arrays, features))
    network = log_softmax(network_scores(arrays, scaled))
    if "dense0_weight" not in arrays:  # classifiers stored before there was a dense branch
        share, inverse_temperature = arrays["mix"]
        return np.asarray(inverse_temperature * (share * network + (1 - share) * linear), dtype=np.float32)
    dense = log_softmax(dense_scores(arrays, features))
    share, dense_share, inverse_temperature = arrays["mix"]
    combined = share * network + dense_share * dense + (1 - share - dense_share) * linear
    return np.asarray(inverse_temperature * combined, dtype=np.float32)


def probabilities(kind: str, arrays: Arrays, windows: NDArray[np.float32], envelope: bool) -> NDArray[np.float32]:
    """Return the probabilities ``(N, K)`` of windows ``(N, C, T)``, in bounded memory."""
    chunks = [
        softmax(scores(kind, arrays, windows[start : start + BATCH], envelope))
        for start in range(0, max(1, len(windows)), BATCH)
        if len(windows)
    ]
    n_classes = len(arrays["lda_intercept"])
    return np.concatenate(chunks) if chunks else np.empty((0, n_classes), np.float32)
