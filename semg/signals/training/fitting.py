"""Fit the branches of a classifier on windows that were selected and split elsewhere."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from sklearn.discriminant_analysis import LinearDiscriminantAnalysis

from semg.errors import TrainingError
from semg.signals.training.covariance import shrunk_covariance_of

if TYPE_CHECKING:
    from semg.signals.training.population_prior import ClassPrior

Arrays = dict[str, NDArray[np.float32]]


BRANCH_BALANCE = 0.25
"""``balance`` of the closed-form branch beside a network; see ``docs/recognition.md``."""
REST_QUANTILE = 0.02


class TrainingStopped(TrainingError):
    """The training was stopped on request."""


@dataclass(frozen=True, slots=True, kw_only=True)
class NetworkOptions:
    """How the convolutional branch is trained.

    Attributes
    ----------
    last_epoch
        Epoch after which the training ends early; see ``early_stopping``.
    windows_per_epoch
        Windows sampled per epoch, balanced by ``balance``: the training time does not grow with the data.
    balance
        0 samples classes as often as they occur, 1 equally often.
    mixing_jitter
        Standard deviation of the random channel mixing that simulates another placement of the electrodes.
    gain_jitter
        Standard deviation (natural logarithm) of the random channel gains that simulate another day's skin contact.
    """

    epochs: int = 18
    last_epoch: int | None = None
    windows_per_epoch: int = 4000
    batch: int = 128
    learning_rate: float = 4e-3
    weight_decay: float = 0.02
    balance: float = 0.5
    mixing_jitter: float = 0.05
    gain_jitter: float = 0.3


def fit_scale(windows: NDArray[np.float32], envelope: bool) -> Arrays:
    """Return the offset and gain of each channel that ``forward.scale`` applies.

    Raw EMG has no mean after its high-pass; an envelope's zero is taken to be its level at rest, from where a gain
    of the electrode acts. A channel that never moves gets gain 0.
    """
    offset = np.zeros(windows.shape[1])
    if envelope:
        offset = np.quantile(windows.mean(axis=2), REST_QUANTILE, axis=0)
    spread = np.sqrt(np.square(windows - offset[:, None]).mean(axis=(0, 2)))
    gain = np.where(spread > 1e-6, 1.0 / np.maximum(spread, 1e-6), 0.0)
    return {"scale_offset": offset.astype(np.float32), "scale_gain": gain.astype(np.float32)}


def class_shares(y: NDArray[np.int64], n_classes: int, balance: float) -> NDArray[np.float64]:
    """Return the prior of each class: its frequency to the power ``1 - balance``, normalised."""
    counts = np.bincount(y, minlength=n_classes).astype(np.float64)
    shares = counts ** (1.0 - balance)
    return np.asarray(shares / shares.sum())


def fit_linear(features: NDArray[np.float32], y: NDArray[np.int64], shares: NDArray[np.float64]) -> Arrays:
    """Return a linear discriminant with Ledoit-Wolf shrinkage of the pooled covariance.

    Parameters
    ----------
    features
        Float32 ``(N, F)``.
    y
        Class indices ``(N,)``; every class occurs.
    shares
        Priors ``(K,)``.
    """
    model = LinearDiscriminantAnalysis(solver="lsqr", shrinkage="auto", priors=shares)
    model.fit(features.astype(np.float64), y)
    coef, intercept = model.coef_, model.intercept_
    if len(shares) == 2:
        # sklearn keeps the difference of two classes only.
        coef, intercept = np.vstack([np.zeros_like(coef), coef]), np.concatenate([[0.0], intercept])
    return {"lda_coef": coef.astype(np.float32), "lda_intercept": intercept.astype(np.float32)}


def fit_discriminant(
    features: NDArray[np.float32],
    y: NDArray[np.int64],
    weights: NDArray[np.float64],
    shares: NDArray[np.float64],
    base: ClassPrior | None = None,
) -> Arrays:
    """Return a linear discriminant of weighted windows, with Ledoit-Wolf shrinkage of the pooled covariance.

    Parameters
    ----------
    features
        Float32 ``(N, F)``, centred.
    weights
        ``(N,)``: weight of each window.
    shares
        Priors ``(K,)``.
    base
        Population prior of the covariance and the means.
    """
    wide = features.astype(np.float64)
    n_classes = len(shares)
    means = np.stack([np.average(wide[y == k], axis=0, weights=weights[y == k]) for k in range(n_classes)])
    residuals = (wide - means[y]) * np.sqrt(weights / weights.mean())[:, None]
    covariance = shrunk_covariance_of(residuals)
    if base is not None:
        covariance, means = base.update(covariance, means)
    coef = np.linalg.solve(covariance, means.T).T
    intercept = np.log(shares) - 0.5 * np.sum(coef * means, axis=1)
    return {
        "lda_coef": coef.astype(np.float32),
        "lda_intercept": intercept.astype(np.float32),
        "class_means": means.astype(np.float32),
    }


def fit_network(
    scaled: NDArray[np.float32],
    y: NDArray[np.int64],
    n_classes: int,
    rate_hz: float,
    options: NetworkOptions,
    seed: int,
    on_epoch: Callable[[int, float], None],
    should_stop: Callable[[], bool],
    weights: NDArray[np.float64] | None = None,
    update: Callable[[Arrays], None] | None = None,
) -> Arrays:
    """Return the trained convolutional branch as ``forward`` reads it.

    Parameters
    ----------
    scaled
        Float32 ``(N, C, T)``.
    on_epoch
        Called after every epoch with its number from 1 and its mean loss.
    should_stop
        Called before every batch.
    weights
        ``(N,)``: sampling weight of each window, instead of ``options.balance``.
    update
        Called with the network after every epoch.

    Raises
    ------
    TrainingStopped
        When ``should_stop`` returned True.
    """
    import torch  # only here: everything else of training must start without it

    from semg.signals.training.network import Network, export, network_shape

    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        network = Network(network_shape(scaled.shape[1], scaled.shape[2], n_classes, rate_hz))
        data, target = torch.from_numpy(scaled), torch.from_numpy(y)
        weight = torch.from_numpy(class_shares(y, n_classes, options.balance) / np.bincount(y, minlength=n_classes))
        sampling_weights = weight[target] if weights is None else torch.from_numpy(weights / weights.sum())
        per_epoch = min(len(y), options.windows_per_epoch)
        steps = options.epochs * max(1, -(-per_epoch // options.batch))
        optimiser = torch.optim.AdamW(network.parameters(), lr=options.learning_rate, weight_decay=options.weight_decay)
        schedule = torch.optim.lr_scheduler.OneCycleLR(
            optimiser, max_lr=options.learning_rate, total_steps=steps, pct_start=0.2
        )
        identity = torch.eye(scaled.shape[1])
        network.train()
        for epoch in range(1, options.epochs + 1):
            order = torch.multinomial(sampling_weights, per_epoch, replacement=True, generator=generator)
            total = 0.0
            for chosen in order.split(options.batch):
                if should_stop():
                    raise TrainingStopped("The training was asked to stop.")
                batch = data[chosen]
                n, c, _ = batch.shape
                mixing = identity + options.mixing_jitter * torch.randn(n, c, c, generator=generator)
                gains = torch.exp(options.gain_jitter * torch.randn(n, c, 1, generator=generator))
                batch = torch.bmm(mixing * gains, batch)
                loss = torch.nn.functional.cross_entropy(network(batch), target[chosen])
                optimiser.zero_grad(set_to_none=True)
                loss.backward()
                optimiser.step()
                schedule.step()
                total += float(loss.detach()) * n
            if update is not None:
                update(export(network.eval()))
                network.train()
            on_epoch(epoch, total / per_epoch)
            if epoch == options.last_epoch:
                break
        network.eval()
        return export(network)
