"""How a band of electrodes may be worn otherwise: turned by whole electrodes, or the other way round.

A turn is an order of channels. The model of turns is a Gaussian for each class over the log-covariance of windows that
share one scale, so that turning a window only exchanges the places of its features.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from semg.signals.features import log_covariance

Rotation = tuple[int, ...]
SOFTNESS = 0.2
"""Neighbouring windows say nearly the same: their log-likelihoods count for this part when classes are weighed."""
SHIFT_ROUNDS = 4
SHIFT_PRIOR_WINDOWS = 100.0


@lru_cache(maxsize=32)
def rotations_of(n_channels: int) -> tuple[Rotation, ...]:
    """Return all orders of a ring of channels, as worn first: every roll, and every roll of the mirrored ring."""
    ring = list(range(n_channels))
    orders: dict[Rotation, None] = {}
    for base in (ring, ring[::-1]):
        for places in range(n_channels):
            orders[tuple(base[places:] + base[:places])] = None
    return tuple(orders)


def inverse(turn: Rotation) -> Rotation:
    """Return the turn that undoes another."""
    return tuple(int(place) for place in np.argsort(turn))


@lru_cache(maxsize=32)
def feature_indices(n_channels: int, envelope: bool) -> NDArray[np.intp]:
    """Return where a rotated window's features lie among the others, for each of ``rotations_of``: ``(R, F)``."""
    size = n_channels + int(envelope)
    rows, columns = np.triu_indices(size)
    place = np.zeros((size, size), np.intp)
    place[rows, columns] = place[columns, rows] = np.arange(len(rows))
    found = []
    for turn in rotations_of(n_channels):
        order = np.append(np.array(turn, np.intp), size - 1)[:size]  # the constant of an envelope's covariance stays
        found.append(place[order[rows], order[columns]])
    return np.stack(found)


@lru_cache(maxsize=32)
def band_feature_indices(n_channels: int, bands: int, envelope: bool) -> NDArray[np.intp]:
    """Return ``feature_indices`` for the features of several bands side by side."""
    places = feature_indices(n_channels, envelope)
    return np.concatenate([places + band * places.shape[1] for band in range(bands)], axis=1)


def rotation_features(windows: NDArray[np.float32], gain: float, envelope: bool) -> NDArray[np.float32]:
    """Return what turns are judged by: log-covariance under one gain for all channels, float32 ``(N, F)``."""
    return log_covariance(windows * np.float32(gain), with_mean=envelope)


class RotationModel:
    """Class-conditional Gaussians with one covariance over ``rotation_features``, centred.

    Parameters
    ----------
    means
        ``(K, F)``.
    precision
        ``(F, F)``.
    log_prior
        ``(K,)``.
    """

    def __init__(
        self, means: NDArray[np.floating], precision: NDArray[np.floating], log_prior: NDArray[np.floating]
    ) -> None:
        self.means, self.precision, self.log_prior = means, precision, log_prior
        self._linear = means @ precision
        self._constant = log_prior - 0.5 * np.sum(self._linear * means, axis=1)

    def log_joint(self, features: NDArray[np.floating]) -> NDArray[np.floating]:
        """Return the log-likelihood and prior of each class, ``(N, K)``, up to a constant of the model."""
        own = -0.5 * np.einsum("nf,nf->n", features @ self.precision, features)
        return own[:, None] + features @ self._linear.T + self._constant

    def labelled_scores(
        self, features: NDArray[np.floating], y: NDArray[np.int64], places: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return for each turn how well labelled windows of another session fit, centred for each turn.

        Returns
        -------
        ``(turns,)``: mean log-probability of the true classes, all classes alike.
        """
        present = np.unique(y)
        scores = []
        for order in places:
            turned = features[:, order].astype(np.float64)
            shift = np.mean([turned[y == k].mean(axis=0) - self.means[k] for k in present], axis=0)
            joint = self.log_joint(turned - shift)
            sure = joint - joint.max(axis=1, keepdims=True)
            sure -= np.log(np.exp(sure).sum(axis=1, keepdims=True))
            scores.append(np.mean([sure[y == k, k].mean() for k in present]))
        return np.array(scores)

    def unlabelled_score(
        self, features: NDArray[np.floating], places: NDArray[np.intp], centre: NDArray[np.floating]
    ) -> tuple[float, NDArray[np.float64]]:
        """Return how likely unlabelled windows are under one turn, when one shift common to all of them is allowed.

        Parameters
        ----------
        features
            ``(N, F)``, of the windows as they came.
        places
            ``(F,)``: the turn's row of ``feature_indices``.

        Returns
        -------
        score
            Mean log-likelihood of a window, in nats, up to a constant.
        shares
            ``(K,)``: windows that each class explains.
        """
        turned = (features[:, places] - centre).T  # (F, N): sums over few classes are quick along the first axis
        # What all classes have in common is left out while they are weighed: the products are made once for all rounds.
        each, total, n = self._linear @ turned + self._constant[:, None], turned.sum(axis=1), turned.shape[1]
        shift, shares = np.zeros(len(turned)), np.zeros(len(self.means))
        for _ in range(SHIFT_ROUNDS):
            joint = each - (self._linear @ shift)[:, None]
            weights = np.exp(SOFTNESS * (joint - joint.max(axis=0)))
            shares = (weights / weights.sum(axis=0)).sum(axis=1)
            shift += (total - n * shift - shares @ self.means) / (n + SHIFT_PRIOR_WINDOWS)
        centred = turned - shift[:, None]
        joint = each - (self._linear @ shift)[:, None] - 0.5 * np.sum((self.precision @ centred) * centred, axis=0)
        top = joint.max(axis=0)
        return float(np.mean(top + np.log(np.exp(joint - top).sum(axis=0)))), shares


class RotationComparison:
    """A comparison of all turns by the windows of one moment, made in small steps.

    Parameters
    ----------
    features
        ``(N, F)`` of ``rotation_features``; not changed by anybody later.
    places
        ``(turns, F)`` of ``feature_indices``.
    centre
        ``(F,)``.
    """

    def __init__(
        self,
        model: RotationModel,
        features: NDArray[np.float32],
        places: NDArray[np.intp],
        centre: NDArray[np.floating],
    ) -> None:
        self._model, self._features, self._places = model, features, places
        self._centre = centre.astype(np.float64)
        self.scores: list[float] = []
        self.shares: list[NDArray[np.float64]] = []

    def go_on(self, part: float) -> None:
        """Compare as many turns as make up a part, 0 to 1, of all."""
        while len(self.scores) < part * len(self._places):
            score, shares = self._model.unlabelled_score(self._features, self._places[len(self.scores)], self._centre)
            self.scores.append(score)
            self.shares.append(shares)
