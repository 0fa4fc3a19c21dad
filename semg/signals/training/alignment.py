"""Align the labelled sessions of one person: electrode rotation, channel gains, feature means."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.signals.features import LEVEL_FLOOR, band_covariance, envelope_features
from semg.signals.model.electrode_rotation import (
    CLEAR_NATS,
    Rotation,
    RotationModel,
    feature_indices,
    inverse,
    rotation_features,
    rotations_of,
)
from semg.signals.training.covariance import shrunk_covariance_of

ROUNDS = 5
SEARCH_WINDOWS = 3000
SILENT = 1e-6
MIN_SHRINKAGE = 0.01
REST_QUANTILE = 0.02


@dataclass(frozen=True, slots=True, kw_only=True)
class Aligned:
    """Windows of several sessions, aligned as if recorded with one placement of the band.

    Attributes
    ----------
    scaled
        Float32 ``(N, C, T)``: rotated into the last session's channel order, each session with its own gains.
    features
        Float32 ``(N, F)``: ``band_covariance`` or ``envelope_features`` of ``scaled``, each session centred.
    offset, gain
        ``(C,)`` for windows of an unknown session, or of the last session when it is a calibration.
    centre
        ``(F,)``, likewise.
    rotations
        Rotation of each session into the last one's channel order.
    rotation_model, rotation_gain
        For comparing rotations of later windows, in the last session's channel order; ``rotation_gain`` is its scale.
    rotation_centre
        Mean of ``rotation_features`` that ``rotation_model`` is centred on.
    """

    scaled: NDArray[np.float32]
    features: NDArray[np.float32]
    offset: NDArray[np.float32]
    gain: NDArray[np.float32]
    centre: NDArray[np.float32]
    rotations: tuple[Rotation, ...]
    rotation_model: RotationModel
    rotation_gain: float
    rotation_centre: NDArray[np.float64]


def session_effects(
    values: NDArray[np.floating], y: NDArray[np.int64], session: NDArray[np.int64], n_classes: int, n_sessions: int
) -> NDArray[np.float64]:
    """Return the additive effect of each session on every class, with equal class weights, float64 ``(S, F)``.

    A session need not hold every class: only its own classes are compared with the same classes of the others.
    """
    means = np.full((n_sessions, n_classes, values.shape[1]), np.nan)
    for s in range(n_sessions):
        for k in range(n_classes):
            chosen = (session == s) & (y == k)
            if chosen.any():
                means[s, k] = values[chosen].mean(axis=0, dtype=np.float64)
    present = ~np.isnan(means[:, :, :1])
    filled = np.where(present, means, 0.0)
    effects = np.zeros((n_sessions, values.shape[1]))
    for _ in range(ROUNDS):
        of_class = np.where(present, filled - effects[:, None], 0.0).sum(axis=0) / np.maximum(present.sum(axis=0), 1)
        residuals = np.where(present, filled - of_class, 0.0)
        effects = residuals.sum(axis=1) / np.maximum(present.sum(axis=1), 1)
    grand = of_class[present.any(axis=0)[:, 0]].mean(axis=0)
    return np.asarray(effects + grand)


def align(
    windows: NDArray[np.float32],
    y: NDArray[np.int64],
    session: NDArray[np.int64],
    n_classes: int,
    crossover: float,
    *,
    envelope: bool,
    calibrated: bool,
    usable: NDArray[np.bool_],
    levels: bool = True,
) -> Aligned:
    """Align sessions by their labels.

    Parameters
    ----------
    windows
        Float32 ``(N, C, T)``, conditioned.
    y, session
        Class and session of each window, ``(N,)``; sessions are numbered from 0 in time order.
    crossover
        As ``band_covariance``.
    calibrated
        Whether the last session is a calibration of the current placement, so that its gains and its mean are used;
        otherwise the mean of all sessions.
    usable
        Windows that may be fitted on.
    levels
        Whether the features of envelopes hold the channels' levels beside their covariance.
    """
    n_sessions, n_channels = int(session.max()) + 1, windows.shape[1]
    offsets = np.stack([_zero(windows[session == s], envelope) for s in range(n_sessions)])
    held = windows - offsets[session][:, :, None]
    power = np.square(held).mean(axis=2)
    # Never the logarithm of zero: a channel that is silent at times counts with a thousandth of the loudest.
    level = np.log(power + 1e-6 * float(power.mean()) + SILENT**2) / 2
    common_gain = float(np.exp(-level.mean()))
    rotations = _find_rotations(held, y, session, n_classes, common_gain, envelope, usable)
    for s, rotation in enumerate(rotations):
        if rotation != rotations_of(n_channels)[0]:
            mine = session == s
            held[mine] = held[mine][:, list(rotation)]
            level[mine] = level[mine][:, list(rotation)]
            offsets[s] = offsets[s][list(rotation)]
    gains = np.exp(-session_effects(level[usable], y[usable], session[usable], n_classes, n_sessions))
    moves = np.array([(np.abs(held[:, c]) > SILENT).any() for c in range(n_channels)])
    gains = np.where(moves, gains, 0.0).astype(np.float32)
    model, rotation_centre = _rotation_model(held, y, session, n_classes, common_gain, envelope, usable, calibrated)
    for s in range(n_sessions):
        held[session == s] *= gains[s][:, None]
    if envelope and levels:
        features = envelope_features(held, LEVEL_FLOOR)
    else:
        features = band_covariance(held, crossover, with_mean=envelope)
    effects = session_effects(features[usable], y[usable], session[usable], n_classes, n_sessions)
    for s in range(n_sessions):
        features[session == s] -= effects[s].astype(np.float32)
    last = -1 if calibrated else slice(None)
    gain = np.exp(np.log(np.maximum(gains, 1e-12))[last].reshape(-1, n_channels).mean(axis=0)) * moves
    centre = effects[last].reshape(-1, effects.shape[1]).mean(axis=0)
    return Aligned(
        scaled=held,
        features=features,
        offset=offsets[last].reshape(-1, n_channels).mean(axis=0).astype(np.float32),
        gain=gain.astype(np.float32),
        centre=centre.astype(np.float32),
        rotations=tuple(rotations),
        rotation_model=model,
        rotation_gain=common_gain,
        rotation_centre=rotation_centre,
    )


def _zero(windows: NDArray[np.float32], envelope: bool) -> NDArray[np.float32]:
    """Return each channel's zero ``(C,)``: raw EMG has none after its high-pass, an envelope's is its level at rest."""
    if not envelope or len(windows) == 0:
        return np.zeros(windows.shape[1], np.float32)
    return np.asarray(np.quantile(windows.mean(axis=2), REST_QUANTILE, axis=0), np.float32)


def _find_rotations(
    held: NDArray[np.float32],
    y: NDArray[np.int64],
    session: NDArray[np.int64],
    n_classes: int,
    gain: float,
    envelope: bool,
    usable: NDArray[np.bool_],
) -> list[Rotation]:
    """Return the rotation of each session into the last one's channel order.

    Sessions before the last are aligned one by one to those already aligned; the last one, which may be a short
    calibration, is then compared with all of them together. A session is turned only where that is clearly better.
    """
    n_channels, n_sessions = held.shape[1], int(session.max()) + 1
    possible = rotations_of(n_channels)
    as_worn = possible[0]
    if n_sessions < 2 or len(possible) < 2:
        return [as_worn] * n_sessions
    indices = feature_indices(n_channels, envelope)
    searched = []
    for s in range(n_sessions):
        mine = np.flatnonzero((session == s) & usable)
        searched.append(mine[:: max(1, len(mine) // SEARCH_WINDOWS)])
    features = [rotation_features(held[mine], gain, envelope) for mine in searched]
    labels = [y[mine] for mine in searched]
    rotations: dict[int, Rotation] = {}
    order = [*range(n_sessions - 2, -1, -1), n_sessions - 1]
    known: list[int] = []
    for s in order:
        if known:
            chosen = np.concatenate([features[k][:, indices[possible.index(rotations[k])]] for k in known])
            known_y = np.concatenate([labels[k] for k in known])
            of = np.concatenate([np.full(len(labels[k]), i) for i, k in enumerate(known)])
            centred = chosen - session_effects(chosen, known_y, of, n_classes, len(known))[of]
            shared = np.isin(labels[s], known_y)
            model = _fit_rotation_model(centred, known_y, n_classes)
            leads = model.labelled_leads(features[s][shared], labels[s][shared], indices) if shared.any() else [0.0]
            best = int(np.argmax(leads))
            rotations[s] = possible[best] if leads[best] > CLEAR_NATS else as_worn
        else:
            rotations[s] = as_worn
        known.append(s)
    # The last session stays unchanged: the others are rotated into its channel order.
    back = inverse(rotations[n_sessions - 1])
    return [tuple(rotations[s][index] for index in back) for s in range(n_sessions - 1)] + [as_worn]


def _fit_rotation_model(features: NDArray[np.floating], y: NDArray[np.int64], n_classes: int) -> RotationModel:
    """Return the model of centred features; a class without windows gets the mean of all and no prior."""
    wide = features.astype(np.float64)
    means, log_prior = np.zeros((n_classes, wide.shape[1])), np.full(n_classes, -1e3)
    present = np.unique(y)
    for k in present:
        means[k], log_prior[k] = wide[y == k].mean(axis=0), -np.log(len(present))
    residuals = wide - means[y]
    return RotationModel(means, np.linalg.inv(shrunk_covariance_of(residuals, MIN_SHRINKAGE)), log_prior)


def _rotation_model(
    held: NDArray[np.float32],
    y: NDArray[np.int64],
    session: NDArray[np.int64],
    n_classes: int,
    gain: float,
    envelope: bool,
    usable: NDArray[np.bool_],
    calibrated: bool,
) -> tuple[RotationModel, NDArray[np.float64]]:
    chosen = np.flatnonzero(usable)
    chosen = chosen[:: max(1, len(chosen) // (2 * SEARCH_WINDOWS))]
    features = rotation_features(held[chosen], gain, envelope)
    n_sessions = int(session.max()) + 1
    effects = session_effects(features, y[chosen], session[chosen], n_classes, n_sessions)
    centred = features - effects[session[chosen]]
    centre = effects[-1] if calibrated else effects.mean(axis=0)
    return _fit_rotation_model(centred, y[chosen], n_classes), centre
