"""A person's classifier of kind ``cnn``: what is fitted on aligned sessions, all branches from the same windows."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.signals.features import choose_crossover_hz
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
"""A calibration weighs as much as this part of all other sessions together, and never less than its windows."""


@dataclass(frozen=True, slots=True)
class TrainingSet:
    """Windows of one training, conditioned, in time order of their sessions.

    Attributes
    ----------
    windows
        Float32 ``(N, C, T)``.
    y, session
        Class and session ``(N,)``.
    usable
        Bool ``(N,)``: windows that may be learned from.
    stretch
        Repetition of each window ``(N,)``.
    calibrated
        Whether the last session is a calibration: the placement that is worn from now on.
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
    mix: EnsembleWeights = DEFAULT_WEIGHTS


def fit_personal(
    material: TrainingSet,
    options: PersonalOptions,
    base: PopulationPrior | None,
    classes: Sequence[str],
    on_epoch: Callable[[int, float], None],
    should_stop: Callable[[], bool],
    watch: EarlyStopping | None = None,
) -> Arrays:
    """Return the arrays of a classifier of kind ``cnn``, as ``runtime`` and ``Adapter`` read them.

    Parameters
    ----------
    watch
        Takes note of how the network does on windows that were left out.

    Raises
    ------
    TrainingStopped
        When ``should_stop`` said so.
    """
    n_channels, length = material.windows.shape[1:]
    crossing = 0.0 if material.envelope else choose_crossover_hz(n_channels, length, material.rate_hz)
    aligned = align(
        material.windows,
        material.y,
        material.session,
        material.n_classes,
        crossing,
        envelope=material.envelope,
        calibrated=material.calibrated,
        usable=material.usable,
    )
    chosen = material.usable
    y, features = material.y[chosen], aligned.features[chosen]
    weights = window_weights(material)[chosen]
    of_training = chosen & (material.session < material.session.max()) if material.calibrated else chosen
    shares = class_shares(material.y[of_training], material.n_classes, BRANCH_BALANCE)
    repetitions = len(np.unique(material.stretch[chosen])) / material.n_classes
    known = None
    if base is not None and base.crossing == crossing:
        known = base.prior(classes, repetitions, aligned.turn_model, material.envelope)
    arrays: Arrays = {
        "scale_offset": aligned.offset,
        "scale_gain": aligned.gain,
        "crossing": np.array([crossing], dtype=np.float32),
        "centre": aligned.centre,
        "mix": options.mix.after(repetitions).as_array(),
        "turn_means": aligned.turn_model.means.astype(np.float32),
        "turn_precision": aligned.turn_model.precision.astype(np.float32),
        "turn_centre": aligned.turn_centre.astype(np.float32),
        "turn_gain": np.array([aligned.turn_gain], dtype=np.float32),
    }
    arrays |= fit_discriminant(features, y, weights, shares, known)

    def check() -> None:
        if should_stop():
            raise TrainingStopped("The training was asked to stop.")

    drawn = weights * (shares / np.bincount(y, weights=weights, minlength=material.n_classes))[y]
    # What is drawn at random meets the channels in the first session's order, however the band is worn now.
    order = ChannelPermutation.of_first(aligned.turns[0], crossing, material.envelope)
    foretold, scatter = _predictive(features, y, known)
    if scatter is not None:
        scatter = scatter[np.ix_(order.features, order.features)]
    made = fit_dense(
        foretold[:, order.features], y, drawn, material.n_classes, options.dense, options.seed, check, scatter
    )
    arrays |= order.dense_back(made)
    made = fit_network(
        np.ascontiguousarray(aligned.scaled[chosen][:, order.channels]),
        y,
        material.n_classes,
        material.rate_hz,
        options.network,
        options.seed,
        on_epoch,
        should_stop,
        drawn,
        None if watch is None else lambda made: watch.update(arrays | order.network_back(made)),
    )
    return arrays | order.network_back(made)


def _predictive(
    features: NDArray[np.float32], y: NDArray[np.int64], known: ClassPrior | None
) -> tuple[NDArray[np.float32], NDArray[np.float64] | None]:
    """Return features as the base lets expect them of repetitions to come, and how these will scatter."""
    if known is None:
        return features, None
    means = np.stack([features[y == k].mean(axis=0, dtype=np.float64) for k in range(len(known.means))])
    moved, scatter = known.predictive(means)
    return features + (moved - means)[y].astype(np.float32), scatter


def window_weights(material: TrainingSet) -> NDArray[np.float64]:
    """Return how much each window counts: those of a calibration more, because they are of the placement worn now."""
    weights = np.ones(len(material.y))
    if material.calibrated:
        last = material.session == material.session.max()
        of_last, of_others = int((last & material.usable).sum()), int((~last & material.usable).sum())
        if of_last:
            weights[last] = max(1.0, CALIBRATION_PART * of_others / of_last)
    return weights
