"""Features of the closed-form branches: log-covariance and time-domain features of windows."""

from __future__ import annotations

from collections.abc import Sequence
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray
from scipy.fft import dct

LEVEL_FLOOR = 1e-3
LOADING = 1e-3
"""Diagonal loading: fraction of the mean channel power that is added to every covariance's diagonal, so that the
logarithm exists even with a dead channel or fewer samples than channels."""

BAND_HZ, BAND_PART = 70.0, 0.35
"""Crossover frequency of ``band_covariance`` in hertz, and its maximum as a fraction of the Nyquist frequency: 35 Hz at
200 Hz. On real recordings 25 to 70 Hz did equally well (``docs/recognition.md``)."""
SHORT = 128
"""Samples up to which a window's bands are a product with a matrix that is kept (at most 262 kB), which is faster
there; of a transform, time and memory grow little with the length."""
BAND_SAMPLES = 3.0
"""A window is split into bands if it has at least this many samples per channel."""


def log_covariance(windows: NDArray[np.floating], *, with_mean: bool = False) -> NDArray[np.float32]:
    """Return the matrix logarithm of each window's channel covariance, its upper triangle as a vector.

    Distances between such vectors are those of the log-Euclidean metric of Arsigny et al. (SIAM J. Matrix Anal.
    Appl. 29 (2007) 328): a gain on a channel becomes a shift, which a linear classifier can absorb.

    Parameters
    ----------
    windows
        Float32 ``(N, C, T)``, scaled to comparable channels.
    with_mean
        For envelopes, whose level is the signal: the covariance is that of the channels and a constant 1, which
        holds the mean as well as the spread.

    Returns
    -------
    Float32 ``(N, C (C + 1) / 2)``, with ``C + 1`` instead of ``C`` when ``with_mean``; off-diagonal entries are
    multiplied by the root of 2, so that the vector's length is the matrix's norm. NaN of a window that is not finite.
    """
    from semg.signals.symmetric_logarithm import logarithms  # brings numba: 0.2 s and 72 MB, for who computes features

    n, n_channels, length = windows.shape
    if with_mean:
        windows = np.concatenate([windows, np.ones((n, 1, length), np.float32)], axis=1)
        n_channels += 1
    # In float64: the logarithm magnifies float32 rounding, which depends on the summation order, to 1e-4 in the result.
    wide = windows.astype(np.float64)
    covariance = wide @ wide.transpose(0, 2, 1)
    covariance *= 1.0 / length
    diagonal = covariance.reshape(n, -1)[:, :: n_channels + 1]  # a view
    diagonal += LOADING / n_channels * diagonal.sum(axis=1, keepdims=True) + 1e-9
    found = np.empty((n, n_channels * (n_channels + 1) // 2), np.float32)
    logarithms(covariance, found)
    return found


def band_covariance(windows: NDArray[np.float32], crossover: float, *, with_mean: bool = False) -> NDArray[np.float32]:
    """Return ``log_covariance`` of a window's low band and of its high band, side by side.

    A covariance alone holds no spectral information. Two small matrices hold as much of it as one of the channels and
    delayed copies of them, for less than half of the computing time (``docs/recognition.md``).

    Parameters
    ----------
    windows
        Float32 ``(N, C, T)``, scaled to comparable channels.
    crossover
        Crossover frequency, at which both bands have half of the power, as a fraction of the rate; 0 for no split.
    with_mean
        As ``log_covariance``; only without a split.

    Returns
    -------
    Float32 ``(N, C (C + 1))``, or the result of ``log_covariance`` without a split.
    """
    if crossover <= 0:
        return log_covariance(windows, with_mean=with_mean)
    n, n_channels, length = windows.shape
    bands = _bands(windows, crossover).reshape(2 * n, n_channels, length)
    return log_covariance(bands).reshape(n, -1)


def envelope_features(windows: NDArray[np.float32], level_floor: float) -> NDArray[np.float32]:
    """Return ``log_covariance`` of a window of envelopes with its mean, and the logarithm of each channel's mean level.

    The matrix's logarithm mixes the channels' levels; beside it they are better told apart on another day
    (``docs/recognition.md``).

    Parameters
    ----------
    windows
        Float32 ``(N, C, T)``, scaled to comparable channels.
    level_floor
        Added to the levels, so that a silent channel has a logarithm.

    Returns
    -------
    Float32 ``(N, (C + 1) (C + 2) / 2 + C)``.
    """
    level = np.log(np.abs(windows).mean(axis=2, dtype=np.float64) + level_floor).astype(np.float32)
    return np.concatenate([log_covariance(windows, with_mean=True), level], axis=1)


def _bands(windows: NDArray[np.float32], crossover: float) -> NDArray[np.float64]:
    """Return the low and the high band of windows as cosine coefficients, ``(N, 2, C, T)``.

    First-order slopes over the window's cosine transform; the bands' powers add up to the whole. In float64, so that
    the summation order, which depends on the number of windows, affects no probability.
    """
    n, n_channels, length = windows.shape
    wide = windows.astype(np.float64)
    if length <= SHORT:
        split = wide.reshape(n * n_channels, length) @ _band_filters(length, crossover)
        return split.reshape(n, n_channels, 2, length).transpose(0, 2, 1, 3)
    slow, ratio = _slopes(length, crossover)
    low = dct(wide, norm="ortho", axis=2) * slow
    return np.stack([low, low * ratio], axis=1)


def _slopes(length: int, crossover: float) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return what the low band keeps of each coefficient, and the high band's ratio to that, ``(T,)`` each."""
    ratio = np.arange(length) / (2 * length * crossover)
    return 1.0 / np.sqrt(1.0 + ratio**2), ratio


@lru_cache(maxsize=64)
def _band_filters(length: int, crossover: float) -> NDArray[np.float64]:
    """Return the matrix that splits a short window into its low and its high band, ``(T, 2 T)``."""
    cosines = dct(np.eye(length), norm="ortho", axis=1)
    slow, ratio = _slopes(length, crossover)
    filters = np.concatenate([cosines * slow, cosines * (ratio * slow)], axis=1)
    filters.setflags(write=False)
    return np.asarray(filters)


def choose_crossover_hz(n_channels: int, window_samples: int, rate_hz: float) -> float:
    """Return the crossover frequency as a fraction of the rate; 0 when windows are too short for their channels."""
    if window_samples < BAND_SAMPLES * n_channels:
        return 0.0
    return float(np.float32(min(BAND_HZ, BAND_PART * rate_hz / 2) / rate_hz))


def lagged(windows: NDArray[np.float32], lags: Sequence[int]) -> NDArray[np.float32]:
    """Return windows with delayed copies of their channels added, as classifiers before band splitting used them.

    Parameters
    ----------
    windows
        Float32 ``(N, C, T)``.
    lags
        Samples, each at least 1.

    Returns
    -------
    Float32 ``(N, C (1 + len(lags)), T - max(lags))``.
    """
    if not lags:
        return windows
    longest, length = max(lags), windows.shape[2]
    return np.concatenate([windows[:, :, longest - lag : length - lag] for lag in (0, *lags)], axis=1)


def time_domain(windows: NDArray[np.float32]) -> NDArray[np.float32]:
    """Return the features of Hudgins et al. (IEEE Trans. Biomed. Eng. 40 (1993) 82) for each channel.

    Mean absolute value, waveform length, zero crossings and slope sign changes; the first two as logarithms, the
    last two per sample.

    Parameters
    ----------
    windows
        Float32 ``(N, C, T)``, scaled to comparable channels.

    Returns
    -------
    Float32 ``(N, 4 C)``.
    """
    step = np.diff(windows, axis=2)
    length = windows.shape[2]
    floor = np.float32(1e-3)
    level = np.log(np.abs(windows).mean(axis=2) + floor)
    path = np.log(np.abs(step).sum(axis=2) / length + floor)
    crossings = (windows[:, :, 1:] * windows[:, :, :-1] < 0).sum(axis=2) / length
    slope_changes = (step[:, :, 1:] * step[:, :, :-1] < 0).sum(axis=2) / length
    return np.concatenate([level, path, crossings, slope_changes], axis=1).astype(np.float32)
