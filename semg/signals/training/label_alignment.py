"""Check that labels follow the signal: activity rises from rest when a gesture's label begins.

The amplitude envelope of all channels is correlated with the labels, gesture or rest. The lag of the
highest correlation is how much the labels are early or late; without any correlation, the labels are not those of the
signal.
The onset of activity in the amplitude envelope is the classical reference for labels of movements (Hodges and Bui, "A
comparison of computer-based methods for the determination of onset of muscle contraction using electromyography",
Electroencephalography and Clinical Neurophysiology 101, 1996).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST
from semg.signals.dataset import LabelledSamples

BIN_MS = 100
MAX_LAG_MS = 3000
MIN_BINS = 100
"""Ten seconds of labelled signal, the minimum."""


@dataclass(frozen=True, slots=True)
class LabelAlignment:
    """Correlation of the labels of some sessions with the amplitude of their signals.

    Attributes
    ----------
    correlation
        Correlation of amplitude and labels (1 in a gesture, 0 in rest) without a shift, -1 to 1.
    best
        The highest correlation with shifted labels.
    lag_ms
        The shift of the labels for that; positive: they are early.
    """

    correlation: float
    best: float
    lag_ms: int


def measure_alignment(sessions: Sequence[LabelledSamples]) -> LabelAlignment | None:
    """Measure how labels and amplitude fit; None without rest, without a gesture, or with too little signal."""
    lags = np.arange(-MAX_LAG_MS, MAX_LAG_MS + BIN_MS, BIN_MS)
    sums, weights = np.zeros(len(lags)), 0
    for session in sessions:
        course = _courses(session)
        if course is None:
            continue
        amplitude, active = course
        sums += len(amplitude) * np.array([_correlation(amplitude, active, lag // BIN_MS) for lag in lags.tolist()])
        weights += len(amplitude)
    if not weights:
        return None
    found = sums / weights
    here, best = int(np.flatnonzero(lags == 0)[0]), int(found.argmax())
    return LabelAlignment(round(float(found[here]), 4), round(float(found[best]), 4), int(lags[best]))


def _courses(session: LabelledSamples) -> tuple[NDArray[np.float64], NDArray[np.float64]] | None:
    """Return amplitude and labels of each bin; a label is NaN where there is none, ``(n,)`` both."""
    length = max(1, round(BIN_MS * session.rate_hz / 1000))
    n = len(session.samples) // length
    is_rest = np.array([stretch.label == REST for stretch in session.stretches], bool)
    if n < MIN_BINS or not is_rest.any() or is_rest.all():
        return None
    middle = session.stretch[: n * length].reshape(n, length)[:, length // 2]
    dynamic = np.array([stretch.dynamic for stretch in session.stretches], bool)  # mostly rest, whatever the label says
    active = np.where((middle < 0) | dynamic[middle], np.nan, np.where(is_rest[middle], 0.0, 1.0))
    segments = session.samples[: n * length].astype(np.float64).reshape(n, length, -1)
    # A raw signal moves about its mean, an envelope rises: the mean's rise above its quiet level is the latter's.
    spread = segments.std(axis=1)
    level = segments.mean(axis=1)
    rises = np.maximum(level - np.quantile(level, 0.1, axis=0), 0.0) if session.sensor == "envelope" else 0.0
    amplitude = np.log1p((spread + rises) / np.maximum(np.median(spread + rises, axis=0), 1e-9))
    return amplitude.mean(axis=1), active


def _correlation(amplitude: NDArray[np.float64], active: NDArray[np.float64], lag: int) -> float:
    """Return the correlation of the amplitude with labels delayed by ``lag`` bins."""
    moved, there = (amplitude[lag:], active[: len(active) - lag]) if lag >= 0 else (amplitude[:lag], active[-lag:])
    known = ~np.isnan(there)
    if known.sum() < MIN_BINS // 2 or there[known].std() == 0 or moved[known].std() == 0:
        return 0.0
    return float(np.corrcoef(moved[known], there[known])[0, 1])
