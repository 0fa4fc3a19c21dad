"""Fit a person's classifier of kind ``cnn`` on aligned sessions, all branches from the same windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.signals.features import LEVEL_FLOOR, choose_crossover_hz
from semg.signals.model.ensemble import DEFAULT_WEIGHTS, EnsembleWeights
from semg.signals.training.alignment import align
from semg.signals.training.channel_permutation import ChannelPermutation
from semg.signals.training.dense import DenseOptions, fit_dense
from semg.signals.training.early_stopping import EarlyStopping
from semg.signals.training.fitting import (
    BRANCH_BALANCE,
    Arrays,
    NetworkOptions,
    TrainingStopped,
    class_shares,
    fit_discriminant,
    fit_network,
)
from semg.signals.training.population_prior import ClassPrior, PopulationPrior

CALIBRATION_PART = 0.4
"""Weight of a calibration relative to all other sessions together; never less than one per window."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Training set: conditioned windows, in time order of their sessions.

    Attributes
    ----------
    windows
        Float32 ``(N, C, T)``.
    y, session
        Class and session of each window, ``(N,)``.
    usable
        Bool ``(N,)``: windows that may be fitted on.
    stretch
        Repetition of each window, ``(N,)``.
    calibrated
        Whether the last session is a calibration of the current placement.
    """

    windows: NDArray[np.float32]
    y: NDArray[np.int64]
    session: NDArray[np.int64]
    usable: NDArray[np.bool_]
    stretch: NDArray[np.int32]
    n_classes: int
    rate_hz: float
    envelope: bool
    calibrated: bool = False


@dataclass(frozen=True, slots=True)
class PersonalOptions:
    """How the branches are trained."""

    network: NetworkOptions
    dense: DenseOptions
    seed: int = 0
    ensemble_weights: EnsembleWeights = DEFAULT_WEIGHTS


def fit_personal(
    training_set: TrainingSet,
    options: PersonalOptions,
    base: PopulationPrior | None,
    classes: Sequence[str],
    on_epoch: Callable[[int, float], None],
    should_stop: Callable[[], bool],
    watch: EarlyStopping | None = None,
) -> Arrays:
    """Return the arrays of a classifier of kind ``cnn``, as ``forward`` and ``Adapter`` read them.

    Parameters
    ----------
    watch
        Updated after every epoch with the network, for its score on held-out windows.

    Raises
    ------
    TrainingStopped
        When ``should_stop`` returned True.
    """
    n_channels, length = training_set.windows.shape[1:]
    crossover = 0.0 if training_set.envelope else choose_crossover_hz(n_channels, length, training_set.rate_hz)
    aligned = align(
        training_set.windows,
        training_set.y,
        training_set.session,
        training_set.n_classes,
        crossover,
        envelope=training_set.envelope,
        calibrated=training_set.calibrated,
        usable=training_set.usable,
    )
    chosen = training_set.usable
    y, features = training_set.y[chosen], aligned.features[chosen]
    weights = window_weights(training_set)[chosen]
    of_training = chosen & (training_set.session < training_set.session.max()) if training_set.calibrated else chosen
    shares = class_shares(training_set.y[of_training], training_set.n_classes, BRANCH_BALANCE)
    repetitions = len(np.unique(training_set.stretch[chosen])) / training_set.n_classes
    known = None
    if base is not None and base.crossover == crossover:
        known = base.prior(classes, repetitions, aligned.rotation_model, training_set.envelope)
    arrays: Arrays = {
        "scale_offset": aligned.offset,
        "scale_gain": aligned.gain,
        "crossing": np.array([crossover], dtype=np.float32),
        "centre": aligned.centre,
        "mix": options.ensemble_weights.after(repetitions).as_array(),
        "turn_means": aligned.rotation_model.means.astype(np.float32),
        "turn_precision": aligned.rotation_model.precision.astype(np.float32),
        "turn_centre": aligned.rotation_centre.astype(np.float32),
        "turn_gain": np.array([aligned.rotation_gain], dtype=np.float32),
    }
    if training_set.envelope:
        arrays["level_floor"] = np.array([LEVEL_FLOOR], dtype=np.float32)
    arrays |= fit_discriminant(features, y, weights, shares, known)

    def check() -> None:
        if should_stop():
            raise TrainingStopped("The training was asked to stop.")

    sampling_weights = weights * (shares / np.bincount(y, weights=weights, minlength=training_set.n_classes))[y]
    # Random numbers are applied in the first session's channel order, however the band is worn now.
    permutation = ChannelPermutation.of_first(aligned.rotations[0], crossover, training_set.envelope)
    expected, scatter = _predictive(features, y, known)
    if scatter is not None:
        scatter = scatter[np.ix_(permutation.features, permutation.features)]
    made = fit_dense(
        expected[:, permutation.features],
        y,
        sampling_weights,
        training_set.n_classes,
        options.dense,
        options.seed,
        check,
        scatter,
    )
    arrays |= permutation.dense_back(made)
    made = fit_network(
        np.ascontiguousarray(aligned.scaled[chosen][:, permutation.channels]),
        y,
        training_set.n_classes,
        training_set.rate_hz,
        options.network,
        options.seed,
        on_epoch,
        should_stop,
        sampling_weights,
        None if watch is None else lambda made: watch.update(arrays | permutation.network_back(made)),
    )
    return arrays | permutation.network_back(made)


def _predictive(
    features: NDArray[np.float32], y: NDArray[np.int64], known: ClassPrior | None
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Return features moved to the prior's predictive means of future repetitions, and the predictive covariance."""
    if known is None:
        return features, None
    means = np.stack([features[y == k].mean(axis=0, dtype=np.float64) for k in range(len(known.means))])
    moved, scatter = known.predictive(means)
    return features + (moved - means)[y].astype(np.float32), scatter


def window_weights(training_set: TrainingSet) -> NDArray[np.float64]:
    """Return the weight of each window: larger for a calibration, which is of the current placement."""
    weights = np.ones(len(training_set.y))
    if training_set.calibrated:
        last = training_set.session == training_set.session.max()
        of_last, of_others = int((last & training_set.usable).sum()), int((~last & training_set.usable).sum())
        if of_last:
            weights[last] = max(1.0, CALIBRATION_PART * of_others / of_last)
    return weights
