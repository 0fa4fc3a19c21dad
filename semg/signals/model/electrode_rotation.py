"""Electrode rotations: the band worn turned by whole electrodes, or the other way round.

A rotation is a permutation of the channels. The model that compares rotations is a Gaussian for each class over the
log-covariance of windows that share one scale, so that rotating a window only permutes its features.
"""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from semg.signals.features import log_covariance

Rotation = tuple[int, ...]
CLEAR_NATS = 4.0
"""Mean log-likelihood per window by which a rotation must exceed the current one in the median class. On recordings
right ones led by 6 to 43; wrong ones by 1 at most, compared by labels with four days, and by 2 without labels
(``docs/recognition.md``)."""
SOFTNESS = 0.2
"""Factor on log-likelihoods when classes are weighted, because neighbouring windows are highly correlated."""
SHIFT_ROUNDS = 4
SHIFT_PRIOR_WINDOWS = 20.0
"""Number of windows of a class after which half of its displacement is applied."""


@lru_cache(maxsize=32)
def rotations_of(n_channels: int) -> tuple[Rotation, ...]:
    """Return all rotations of a ring of channels, identity first: every roll, and every roll of the mirrored ring."""
    ring = list(range(n_channels))
    rotations: dict[Rotation, None] = {}
    for direction in (ring, ring[::-1]):
        for steps in range(n_channels):
            rotations[tuple(direction[steps:] + direction[:steps])] = None
    return tuple(rotations)


def inverse(rotation: Rotation) -> Rotation:
    """Return the inverse of a rotation."""
    return tuple(int(index) for index in np.argsort(rotation))


@lru_cache(maxsize=32)
def feature_indices(n_channels: int, envelope: bool) -> NDArray[np.intp]:
    """Return the indices that permute features as each of ``rotations_of`` permutes the channels, ``(R, F)``."""
    size = n_channels + int(envelope)
    rows, columns = np.triu_indices(size)
    index = np.zeros((size, size), np.intp)
    index[rows, columns] = index[columns, rows] = np.arange(len(rows))
    found = []
    for rotation in rotations_of(n_channels):
        order = np.append(np.array(rotation, np.intp), size - 1)[:size]  # an envelope's constant is not permuted
        found.append(index[order[rows], order[columns]])
    return np.stack(found)


@lru_cache(maxsize=32)
def band_feature_indices(n_channels: int, bands: int, envelope: bool) -> NDArray[np.intp]:
    """Return ``feature_indices`` for the features of several bands side by side, or for ``envelope_features``."""
    indices = feature_indices(n_channels, envelope)
    found = [indices + band * indices.shape[1] for band in range(bands)]
    if envelope:
        found.append(np.array(rotations_of(n_channels), np.intp) + indices.shape[1])
    return np.concatenate(found, axis=1)


def rotation_features(
    windows: NDArray[np.float32], gain: float | NDArray[np.float32], envelope: bool
) -> NDArray[np.float32]:
    """Return the features that compare rotations: log-covariance with one gain for all channels, float32 ``(N, F)``.

    Parameters
    ----------
    gain
        Of all windows, or of each, ``(N, 1, 1)``.
    """
    return log_covariance(windows * np.asarray(gain, np.float32), with_mean=envelope)


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
        return np.asarray(own[:, None] + features @ self._linear.T + self._constant)

    def labelled_leads(
        self, features: NDArray[np.floating], y: NDArray[np.int64], indices: NDArray[np.intp]
    ) -> NDArray[np.float64]:
        """Return by how much each rotation fits labelled windows of another session better than none, centred for each.

        As in ``RotationComparison.typical_lead`` the gestures vote.

        Returns
        -------
        ``(R,)``: mean log-likelihood of a window, in nats, over that with the first rotation, for the median class.
        """
        present = np.unique(y)
        likelihoods = []
        for order in indices:
            rotated = features[:, order].astype(np.float64)
            shift = np.mean([rotated[y == k].mean(axis=0) - self.means[k] for k in present], axis=0)
            joint = self.log_joint(rotated - shift)
            likelihoods.append([joint[y == k, k].mean() for k in present])
        found = np.array(likelihoods)
        return np.asarray(np.median(found - found[0], axis=1))

    def unlabelled_fit(
        self, features: NDArray[np.floating], indices: NDArray[np.intp], centre: NDArray[np.floating]
    ) -> tuple[NDArray[np.float64], NDArray[np.intp]]:
        """Return the likelihood of unlabelled windows under one rotation, after fitting a shift common to the classes.

        Parameters
        ----------
        features
            ``(N, F)``, of the windows as received.
        indices
            ``(F,)``: the rotation's row of ``feature_indices``.

        Returns
        -------
        likelihood
            ``(N,)``: log-likelihood of each window, in nats, up to a constant.
        assigned
            ``(N,)``: its most likely class.
        """
        from semg.signals.model.kernels import PRIOR_CLASSES, common_displacement  # brings numba, for who follows

        rotated = (features[:, indices] - centre).T  # (F, N): sums over few classes are fast along the first axis
        # Terms common to all classes cancel in the weights; the products are computed once for all iterations.
        each = self._linear @ rotated + self._constant[:, None]
        shift = np.zeros(len(rotated))
        for _ in range(SHIFT_ROUNDS):
            joint = each - (self._linear @ shift)[:, None]
            weights = np.exp(SOFTNESS * (joint - joint.max(axis=0)))
            weights /= weights.sum(axis=0)
            counts = weights.sum(axis=1)
            displacements = (weights @ rotated.T) / np.maximum(counts, 1e-9)[:, None] - self.means
            shift = common_displacement(displacements, counts / (counts + SHIFT_PRIOR_WINDOWS), PRIOR_CLASSES)
        centred = rotated - shift[:, None]
        joint = each - (self._linear @ shift)[:, None] - 0.5 * np.sum((self.precision @ centred) * centred, axis=0)
        top = joint.max(axis=0)
        return top + np.log(np.exp(joint - top).sum(axis=0)), joint.argmax(axis=0)


class RotationComparison:
    """A comparison of all rotations on the same windows, computed in small steps.

    Parameters
    ----------
    features
        ``(N, F)`` of ``rotation_features``; must not be changed later.
    indices
        ``(R, F)`` of ``feature_indices``.
    centre
        ``(F,)``.
    """

    def __init__(
        self,
        model: RotationModel,
        features: NDArray[np.float32],
        indices: NDArray[np.intp],
        centre: NDArray[np.floating],
    ) -> None:
        self._model, self._features, self._indices = model, features, indices
        self._centre = centre.astype(np.float64)
        self._fits: list[tuple[NDArray[np.float64], NDArray[np.intp]]] = []

    def go_on(self, share: float) -> None:
        """Compare further rotations until a share, 0 to 1, of them is done."""
        while len(self._fits) < share * len(self._indices):
            self._fits.append(self._model.unlabelled_fit(self._features, self._indices[len(self._fits)], self._centre))

    @property
    def scores(self) -> list[float]:
        """Mean log-likelihood of a window under each rotation compared so far, in nats, up to a constant."""
        return [float(likelihood.mean()) for likelihood, _ in self._fits]

    def typical_lead(self, candidate: int, current: int, min_windows: int) -> tuple[float, int]:
        """Return by how much a rotation explains the median class better than another one, and of how many.

        A turned band changes every gesture. A gesture that is performed otherwise today, or an electrode that lies
        otherwise, changes one: its windows may fit another rotation by any amount, and are outvoted.

        Parameters
        ----------
        candidate, current
            Which rotations; a window counts for the class that the candidate assigns it to.
        min_windows
            Classes with fewer windows are left out.
        """
        likelihood, assigned = self._fits[candidate]
        apart = likelihood - self._fits[current][0]
        of_classes = [apart[assigned == k] for k in range(len(self._model.means))]
        leads = [float(mine.mean()) for mine in of_classes if len(mine) >= min_windows]
        return (float(np.median(leads)), len(leads)) if leads else (0.0, 0)
