"""The compiled part of the forward pass: each window by its own person's weights, without a Python call between.

A person's weights are one row of a table (``layout.Layout`` tells where in it each array lies), so that windows of many
people need no copy of weights and no call for each person. Every window is computed by itself in the same order of
operations: its probabilities do not depend, in any bit, on the windows that are computed with it.

Compiled by numba at the first call and kept beside this file, or where ``NUMBA_CACHE_DIR`` says; the interpreter's lock
is released meanwhile. ``docs/decisions/runtime.md`` has the measurements.
"""

from __future__ import annotations

import numpy as np
from numba import njit
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Indices = NDArray[np.int64]
Flags = NDArray[np.bool_]

SQUARE_FLOOR = np.float32(1e-6)
"""Added to the mean square over time, as in training (``network.py``)."""
PRIOR_WINDOWS = 50.0
"""Number of windows of a class after which half of its displacement is applied."""
MEMORY_WINDOWS = 1200.0
"""Maximum effective number of windows per class: a minute at the default hop. Older windows decay."""
PRIOR_CLASSES, CALIBRATED_PRIOR_CLASSES = 1.0, 6.0
"""Weight of no displacement, in classes; a calibration has told where the session's features lie
(``docs/recognition.md``)."""
MEDIAN_ROUNDS, MEDIAN_FLOOR = 8, 0.3


@njit(nogil=True, cache=True)
def _log_softmax(scores: Doubles) -> None:
    """Replace scores ``(K,)`` by the logarithms of their probabilities."""
    top = scores[0]
    for k in range(1, len(scores)):
        top = max(top, scores[k])
    total = 0.0
    for k in range(len(scores)):
        total += np.exp(scores[k] - top)
    total = top + np.log(total)
    for k in range(len(scores)):
        scores[k] -= total


@njit(nogil=True, cache=True)
def _linear(row: Floats, at: int, features: Floats, scores: Doubles) -> None:
    """Write the discriminant's scores of centred features: a weight ``(K, F)``, then an intercept ``(K,)``.

    In float64: large terms cancel.
    """
    n, n_classes = len(features), len(scores)
    for k in range(n_classes):
        total, weight = 0.0, row[at + k * n : at + (k + 1) * n]
        for index in range(n):
            total += np.float64(features[index]) * np.float64(weight[index])
        scores[k] = total + np.float64(row[at + n_classes * n + k])


@njit(nogil=True, cache=True)
def _dense(row: Floats, at: int, dense: Indices, features: Floats, scores: Doubles) -> None:
    """Write the dense branch's scores: of each layer a weight ``(inputs, outputs)``, then a bias; rectified between."""
    held = features
    for layer in range(len(dense)):
        inputs, outputs = dense[layer, 0], dense[layer, 1]
        weight = row[at : at + inputs * outputs].reshape(inputs, outputs)
        bias = row[at + inputs * outputs : at + (inputs + 1) * outputs]
        at += (inputs + 1) * outputs
        held = np.dot(held, weight)
        for o in range(outputs):
            held[o] += bias[o]
            if layer + 1 < len(dense):
                held[o] = max(held[o], np.float32(0))
    for k in range(len(scores)):
        scores[k] = held[k]


@njit(nogil=True, cache=True)
def _network(
    row: Floats, at: int, layers: Indices, window: Floats, held: Floats, unfolded: Floats, scores: Doubles
) -> None:
    """Write the convolutional branch's scores of a scaled window ``(C, T)``.

    Of each layer ``layers`` holds the rows of its weight, its outputs and its stride; the weights ``(width * inputs,
    outputs)`` are followed by the biases, the last ones by the head's ``(K, 2 * outputs)`` and its bias. Convolutions
    are valid and rectified; then mean and spread over time. ``held`` and ``unfolded`` are working memory.
    """
    inputs, length = window.shape
    for t in range(length):
        for c in range(inputs):
            held[t * inputs + c] = window[c, t]
    for layer in range(len(layers)):
        n, outputs, stride = layers[layer, 0], layers[layer, 1], layers[layer, 2]
        length = (length - n // inputs) // stride + 1
        for t in range(length):
            unfolded[t * n : (t + 1) * n] = held[t * stride * inputs : t * stride * inputs + n]
        weight = row[at : at + n * outputs].reshape(n, outputs)
        bias = row[at + n * outputs : at + (n + 1) * outputs]
        at += (n + 1) * outputs
        product = held[: length * outputs].reshape(length, outputs)
        np.dot(unfolded[: length * n].reshape(length, n), weight, product)
        for t in range(length):
            for o in range(outputs):
                product[t, o] = max(product[t, o] + bias[o], np.float32(0))
        inputs = outputs
    pooled = unfolded[: 2 * inputs]
    pooled[:] = 0
    for t in range(length):
        for o in range(inputs):
            value = held[t * inputs + o]
            pooled[o] += value
            pooled[inputs + o] += value * value
    for o in range(inputs):
        pooled[o] /= np.float32(length)
        pooled[inputs + o] = np.sqrt(pooled[inputs + o] / np.float32(length) + SQUARE_FLOOR)
    n_classes = len(scores)
    out = np.dot(row[at : at + 2 * n_classes * inputs].reshape(n_classes, 2 * inputs), pooled)
    at += 2 * n_classes * inputs
    for k in range(n_classes):
        scores[k] = out[k] + row[at + k]


@njit(nogil=True, cache=True)
def _working_sizes(layers: Indices, inputs: int, length: int) -> tuple[int, int]:
    """Return the numbers of values in the working memory of ``_network``."""
    held, unfolded = inputs * length, 1
    for layer in range(len(layers)):
        n, outputs = layers[layer, 0], layers[layer, 1]
        length = (length - n // inputs) // layers[layer, 2] + 1
        held, unfolded, inputs = max(held, length * outputs), max(unfolded, length * n, 2 * outputs), outputs
    return held, unfolded


@njit(nogil=True, cache=True)
def network_scores(row: Floats, at: int, layers: Indices, scaled: Floats, found: Doubles) -> None:
    """Write the convolutional branch's scores ``(N, K)`` of scaled windows ``(N, C, T)``; weights from ``at`` on."""
    held_size, unfolded_size = _working_sizes(layers, scaled.shape[1], scaled.shape[2])
    held, unfolded = np.empty(held_size, np.float32), np.empty(unfolded_size, np.float32)
    for n in range(len(scaled)):
        _network(row, at, layers, scaled[n], held, unfolded, found[n])


@njit(nogil=True, cache=True)
def scale(
    table: Floats,
    starts: Indices,
    rows: Indices,
    windows: Floats,
    rotations: Indices,
    follows: Flags,
    scaled: Floats,
) -> None:
    """Write windows ``(N, C, T)`` normalised as the training data was, turned back where a stream is followed."""
    n_channels, length = windows.shape[1:]
    for n in range(len(rows)):
        row = table[rows[n]]
        for c in range(n_channels):
            source = rotations[rows[n], c] if follows[n] else c
            offset, gain = row[starts[0] + c], row[starts[1] + c]
            for t in range(length):
                scaled[n, c, t] = (windows[n, source, t] - offset) * gain


@njit(nogil=True, cache=True)
def answer(
    table: Floats,
    starts: Indices,
    layers: Indices,
    dense: Indices,
    rows: Indices,
    scaled: Floats,
    features: Floats,
    shifts: Floats,
    follows: Flags,
    probabilities: Floats,
) -> None:
    """Write the probabilities ``(N, K)`` of scaled windows ``(N, C, T)`` with features ``(N, F)``.

    Parameters
    ----------
    table
        Weights, a person a row ``(P, n)``.
    starts
        Where in a row each part begins: see ``Layout.starts``.
    layers, dense
        Of each convolution rows, outputs and stride; of each dense layer inputs and outputs.
    rows
        Each window's person, ``(N,)``.
    shifts, follows
        Shift of each person's features from those of the training, ``(P, F)``, and whether a window is answered with
        it, ``(N,)``.
    """
    n_classes = probabilities.shape[1]
    held_size, unfolded_size = _working_sizes(layers, scaled.shape[1], scaled.shape[2])
    held, unfolded = np.empty(held_size, np.float32), np.empty(unfolded_size, np.float32)
    moved = np.empty(features.shape[1], np.float32)
    scores, network, deep = np.empty(n_classes), np.zeros(n_classes), np.zeros(n_classes)
    for n in range(len(rows)):
        row = table[rows[n]]
        moved[:] = features[n]
        if follows[n]:
            moved -= shifts[rows[n]]
        moved -= row[starts[2] : starts[2] + len(moved)]
        _linear(row, starts[4], moved, scores)
        share, dense_share, sharpness = (
            np.float64(row[starts[3]]),
            np.float64(row[starts[3] + 1]),
            np.float64(row[starts[3] + 2]),
        )
        if len(layers):
            _log_softmax(scores)
            _network(row, starts[6], layers, scaled[n], held, unfolded, network)
            _log_softmax(network)
            if len(dense):
                _dense(row, starts[5], dense, moved, deep)
                _log_softmax(deep)
            for k in range(n_classes):
                scores[k] = share * network[k] + dense_share * deep[k] + (1 - share - dense_share) * scores[k]
        for k in range(n_classes):
            scores[k] *= sharpness
        _log_softmax(scores)
        for k in range(n_classes):
            probabilities[n, k] = np.float32(np.exp(scores[k]))


@njit(nogil=True, cache=True)
def common_displacement(
    displacements: NDArray[np.float64], believed: NDArray[np.float64], prior_classes: float
) -> NDArray[np.float64]:
    """Return the displacement common to the classes: their geometric median, with a weight at zero.

    A class that is assigned another's windows seems to have moved far. In a mean it would pull all others along, and be
    confirmed by the windows that it is then assigned; in a median it is outvoted (Weiszfeld's iteration).

    Parameters
    ----------
    displacements
        ``(K, F)``: displacement of each class.
    believed
        ``(K,)``: weight of each.
    prior_classes
        ``PRIOR_CLASSES``, or ``CALIBRATED_PRIOR_CLASSES`` after a calibration.
    """
    common = believed @ displacements / (believed.sum() + prior_classes)
    for _ in range(MEDIAN_ROUNDS):
        weights = believed / (np.sqrt(np.square(displacements - common).sum(axis=1)) + MEDIAN_FLOOR)
        prior = prior_classes / (np.sqrt(np.square(common).sum()) + MEDIAN_FLOOR)
        common = weights @ displacements / (weights.sum() + prior)
    return np.asarray(common)


@njit(nogil=True, cache=True)
def count_positions(rows: Indices, held: Flags, pending: Indices, positions: Indices) -> int:
    """Write each window's index since its row's last adaptation, ``(N,)``, and return the largest; 0 unless held."""
    so_far, largest = np.zeros(len(pending), np.int64), 0
    for n in range(len(rows)):
        positions[n] = 0
        if held[n]:
            positions[n] = pending[rows[n]] + so_far[rows[n]]
            so_far[rows[n]] += 1
            largest = max(largest, positions[n])
    return largest


@njit(nogil=True, cache=True)
def keep(
    rows: Indices,
    learns: Flags,
    windows: Floats,
    features: Floats,
    keep_one_in: int,
    kept_features: Floats,
    kept_windows: Floats,
    pending: Indices,
) -> int:
    """Keep the features of windows that are learned from, and one window in some, behind those of each row's block.

    ``kept_features`` is ``(P, BLOCK, F)``, ``kept_windows`` ``(P, BLOCK / keep_one_in, C, T)``. Returns the number of
    blocks that are complete.
    """
    complete = 0
    for n in range(len(rows)):
        if learns[n]:
            row = rows[n]
            at = pending[row]
            kept_features[row, at] = features[n]
            if at % keep_one_in == 0:
                kept_windows[row, at // keep_one_in] = windows[n]
            pending[row] = at + 1
            complete += at + 1 == kept_features.shape[1]
    return complete


@njit(nogil=True, cache=True)
def move(
    table: Floats,
    starts: Indices,
    dense: Indices,
    rows: Indices,
    features: Floats,
    prior_classes: Doubles,
    shifts: Floats,
    sums: Doubles,
    counts: Doubles,
) -> None:
    """Update the shifts of people with a block of their windows each, by the closed-form and the dense branch.

    Parameters
    ----------
    table, starts, dense
        As ``answer``.
    rows
        Whose, each once, ``(M,)``.
    features
        Of each person's block, ``(P, BLOCK, F)``.
    prior_classes
        Weight of no displacement, ``(P,)``.
    shifts, sums, counts
        State of each person: ``(P, F)``, ``(P, K, F)`` and ``(P, K)``.
    """
    n_classes, n_features = sums.shape[1:]
    moved, centred = np.empty(n_features, np.float32), np.empty(n_features, np.float32)
    scores, deep = np.empty(n_classes), np.empty(n_classes)
    for r in rows:
        row, own_sums, own_counts = table[r], sums[r], counts[r]
        centre = row[starts[2] : starts[2] + n_features]
        for index in range(features.shape[1]):
            centred[:] = features[r, index]
            centred -= centre
            moved[:] = features[r, index]
            moved -= shifts[r]
            moved -= centre
            _linear(row, starts[4], moved, scores)
            _log_softmax(scores)
            _dense(row, starts[5], dense, moved, deep)
            _log_softmax(deep)
            for k in range(n_classes):
                scores[k] = (scores[k] + deep[k]) / 2
            _log_softmax(scores)
            for k in range(n_classes):
                weight = np.exp(scores[k])
                own_counts[k] += weight
                for f in range(n_features):
                    own_sums[k, f] += weight * np.float64(centred[f])
        displacements, believed = np.empty((n_classes, n_features)), np.empty(n_classes)
        for k in range(n_classes):
            fade = min(1.0, MEMORY_WINDOWS / max(own_counts[k], 1e-9))
            own_counts[k] *= fade
            believed[k] = own_counts[k] / (own_counts[k] + PRIOR_WINDOWS)
            for f in range(n_features):
                own_sums[k, f] *= fade
                mean = np.float64(row[starts[7] + k * n_features + f])
                displacements[k, f] = own_sums[k, f] / max(own_counts[k], 1e-9) - mean
        shifts[r] = common_displacement(displacements, believed, prior_classes[r])
