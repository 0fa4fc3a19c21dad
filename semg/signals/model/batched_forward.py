"""Run windows of many people's classifiers in one pass: operations without weights are done once for all.

Scaling, features and the unfolding of the convolutions run over all windows at once; only the products with a person's
own weights need a call for each person. Stacking the weights would copy 146 kB per window, which costs more.
"""

from __future__ import annotations

from collections.abc import Hashable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.signals.model import forward
from semg.signals.model.classifier import Classifier

NO_CLASS = -1e30
"""Score of a class that a classifier does not have: its probability is 0."""

CHUNK = 64
"""Windows per pass: what they need stays in the cache (testing/benchmarks/predict.py)."""


Weights = tuple[NDArray[np.floating], NDArray[np.floating]]
"""Of a linear step: ``(inputs, outputs)`` and the intercept ``(outputs,)``."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Member:
    """A classifier with its weights arranged for batched passes.

    Attributes
    ----------
    batch_key
        Batch key: classifiers with equal keys can share a pass.
    small
        Concatenated offset and gain of the scaling, ensemble weights and biases of the convolutions.
    convolutions
        Weights ``(width * inputs, outputs)`` of each layer.
    linear, dense, head
        Steps of the discriminant, of the dense branch, and the network's last one.
    centre
        Subtracted from the features, ``(F,)``.
    """

    classifier: Classifier
    batch_key: Hashable
    small: NDArray[np.float32]
    convolutions: tuple[NDArray[np.float32], ...]
    linear: tuple[Weights, ...]
    dense: tuple[Weights, ...]
    head: tuple[Weights, ...]
    centre: NDArray[np.float32] | None

    @property
    def n_bytes(self) -> int:
        """Memory of its arrays in bytes, the classifier's own included."""
        kept = {id(array): array.nbytes for array in self.classifier.arrays.values()}
        own = [self.small, *(array for step in self.linear for array in step)]
        return sum(kept.values()) + sum(array.nbytes for array in own)


@dataclass(frozen=True, slots=True)
class _Run:
    """Neighbouring windows of one classifier."""

    member: Member
    rows: slice


def prepare(classifier: Classifier) -> Member:
    """Arrange a classifier's weights for batched products; they are shared with it where possible."""
    arrays, layers = classifier.arrays, _layers(classifier)
    chunks = [arrays["scale_offset"], arrays["scale_gain"], arrays["mix"]]
    chunks += [arrays[f"conv{layer}_bias"] for layer in range(len(layers))]
    shape = (len(classifier.channels), classifier.window.window_samples)
    spectral = tuple((name, *arrays[name].tolist()) for name in ("lags", "crossing", "level_floor") if name in arrays)
    n_dense = sum(name.startswith("dense") and name.endswith("_weight") for name in arrays)
    dense = tuple((arrays[f"dense{layer}_weight"], arrays[f"dense{layer}_bias"]) for layer in range(n_dense))
    envelope = classifier.conditioning.sensor == "envelope"
    batch_key = (classifier.kind, spectral, shape, envelope, layers, len(arrays["mix"]), n_dense, "centre" in arrays)
    return Member(
        classifier=classifier,
        batch_key=batch_key,
        small=np.concatenate(chunks, dtype=np.float32),
        convolutions=tuple(arrays[f"conv{layer}_weight"] for layer in range(len(layers))),
        linear=((arrays["lda_coef"].T.astype(np.float64), arrays["lda_intercept"].astype(np.float64)),),
        dense=dense,
        head=((arrays["head_weight"].T, arrays["head_bias"]),) if layers else (),
        centre=arrays.get("centre"),
    )


def predict_batch(
    members: Sequence[Member],
    windows: NDArray[np.float32],
    shifts: Sequence[NDArray[np.float32] | None] | None = None,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the probabilities of windows, each from its own classifier, and their features.

    Equal to ``Classifier.predict_proba`` of each, within 1e-5.

    Parameters
    ----------
    members
        A classifier for each window, all with one ``batch_key``; repeats of one in a row are cheaper.
    windows
        Conditioned, float32 ``(N, C, T)``.
    shifts
        Shift of each window's features from those of its classifier's training, ``(F,)`` or None.

    Returns
    -------
    probabilities
        Float32 ``(N, K)`` with the most classes of any as ``K``; 0 behind a classifier's own classes.
    features
        Float32 ``(N, F)`` of the closed-form branch, before the shift.

    Raises
    ------
    ValueError
        The windows have another shape than the classifiers expect, or the batch keys of the classifiers differ.
    """
    if len(members) != len(windows) or any(member.batch_key != members[0].batch_key for member in members):
        raise ValueError("expected one classifier for each window, all alike")
    wide = max((len(member.classifier.classes) for member in members), default=0)
    answers, features = [np.empty((0, wide), np.float32)], []
    for start in range(0, len(members), CHUNK):
        rows = slice(start, start + CHUNK)
        members[start].classifier.check_shape(windows[rows])
        found = _predict(members[rows], windows[rows], None if shifts is None else shifts[rows], wide)
        answers.append(found[0])
        features.append(found[1])
    return np.concatenate(answers), np.concatenate(features) if features else np.empty((0, 0), np.float32)


def _layers(classifier: Classifier) -> tuple[tuple[int, int, int], ...]:
    """Return the rows of weights, the outputs and the stride of each convolution."""
    arrays = classifier.arrays
    layers: list[tuple[int, int, int]] = []
    while f"conv{len(layers)}_weight" in arrays:
        weight, stride = arrays[f"conv{len(layers)}_weight"], arrays[f"conv{len(layers)}_stride"]
        layers.append((weight.shape[0], weight.shape[1], int(stride[0])))
    return tuple(layers)


def _predict(
    members: Sequence[Member],
    windows: NDArray[np.float32],
    shifts: Sequence[NDArray[np.float32] | None] | None,
    wide: int,
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    first, runs = members[0].classifier, _runs(members)
    if len(runs) == 1 and (shifts is None or all(shift is shifts[0] for shift in shifts)):
        return _predict_one(first, windows, wide, shifts[0] if shifts else None)
    n_channels, n_ensemble = len(first.channels), len(first.arrays["mix"])
    small = np.stack([member.small for member in members])
    offset, gain, ensemble_weights, biases = np.split(
        small, [n_channels, 2 * n_channels, 2 * n_channels + n_ensemble], axis=1
    )
    scaled = windows - offset[:, :, None]
    scaled *= gain[:, :, None]
    features = forward.branch_features(first.kind, first.arrays, scaled, first.conditioning.sensor == "envelope")
    moved = _moved(features, members, shifts)
    scores = _products(moved.astype(np.float64), runs, [run.member.linear for run in runs], wide)
    if first.kind == "cnn":
        pooled = _pooled(scaled, runs, biases)
        network = forward.log_softmax(_products(pooled, runs, [run.member.head for run in runs], wide))
        share = ensemble_weights[:, :1]
        scores = forward.log_softmax(scores)
        if members[0].dense:
            dense = forward.log_softmax(_products(moved, runs, [run.member.dense for run in runs], wide))
            dense_share = ensemble_weights[:, 1:2]
            scores = share * network + dense_share * dense + (1 - share - dense_share) * scores
        else:
            scores = share * network + (1 - share) * scores
    return forward.softmax(scores * ensemble_weights[:, -1:]), features


def _predict_one(
    classifier: Classifier, windows: NDArray[np.float32], wide: int, shift: NDArray[np.float32] | None
) -> tuple[NDArray[np.float32], NDArray[np.float32]]:
    """Return the result of ``_predict`` for windows of a single classifier, without the overhead of many."""
    arrays, kind = classifier.arrays, classifier.kind
    scaled = forward.scale(arrays, windows)
    features = forward.branch_features(kind, arrays, scaled, classifier.conditioning.sensor == "envelope")
    answers = forward.softmax(forward.mixed_scores(kind, arrays, scaled, features, shift))
    return np.pad(answers, ((0, 0), (0, wide - answers.shape[1]))), features


def _moved(
    features: NDArray[np.float32], members: Sequence[Member], shifts: Sequence[NDArray[np.float32] | None] | None
) -> NDArray[np.float32]:
    """Return the features without their shifts and the classifiers' centres."""
    if shifts is not None:
        nothing = np.zeros(features.shape[1], np.float32)
        features = features - np.stack([nothing if shift is None else shift for shift in shifts])
    centres = [member.centre for member in members if member.centre is not None]
    return features - np.stack(centres) if centres else features


def _runs(members: Sequence[Member]) -> list[_Run]:
    starts = [0, *(at for at in range(1, len(members)) if members[at] is not members[at - 1])]
    ends = [*starts[1:], len(members)]
    return [_Run(members[start], slice(start, end)) for start, end in zip(starts, ends, strict=True)]


def _products(
    inputs: NDArray[np.floating], runs: Sequence[_Run], steps: Sequence[tuple[Weights, ...]], wide: int
) -> NDArray[np.floating]:
    """Return ``(N, wide)`` scores: each run's inputs through its linear steps, with a rectifier between them."""
    scores = np.full((len(inputs), wide), NO_CLASS, inputs.dtype)
    for run, own in zip(runs, steps, strict=True):
        held = inputs[run.rows]
        for number, (weight, intercept) in enumerate(own):
            if number:
                np.maximum(held, 0, out=held)
            held = held @ weight
            held += intercept
        scores[run.rows, : held.shape[1]] = held
    return scores


def _pooled(scaled: NDArray[np.float32], runs: Sequence[_Run], biases: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the input of the network's last layer, ``(N, 2 * outputs)``; see ``forward.network_scores``."""
    held, at = np.ascontiguousarray(scaled.transpose(0, 2, 1)), 0  # (N, C, T) -> (N, T, C)
    for layer, (rows, outputs, stride) in enumerate(_layers(runs[0].member.classifier)):
        unfolded = np.ascontiguousarray(forward.unfold(held, rows, stride))
        held = np.empty((*unfolded.shape[:2], outputs), np.float32)
        for run in runs:
            weight, own = run.member.convolutions[layer], held[run.rows]
            np.matmul(unfolded[run.rows].reshape(-1, rows), weight, out=own.reshape(-1, outputs))
        held += biases[:, None, at : at + outputs]
        at += outputs
        np.maximum(held, 0, out=held)
    return forward.pool(held)
