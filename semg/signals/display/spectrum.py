"""Power spectral density of signals."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

PIECE_S = 1.0


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Power densities of several channels.

    Attributes
    ----------
    frequency_hz
        float64 ``(k,)``, without 0.
    density
        float64 ``(k, n_channels)``, in the sensor's unit squared per hertz.
    median_hz
        float64 ``(n_channels,)``: median frequency, which decreases with fatigue.
    n_pieces
        Number of segments averaged.
    """

    frequency_hz: NDArray[np.float64]
    density: NDArray[np.float64]
    median_hz: NDArray[np.float64]
    n_pieces: int


def spectrum(runs: Sequence[NDArray[np.float32]], rate_hz: float) -> Spectrum | None:
    """Return the averaged spectrum of runs of samples without gaps; None when none lasts a second.

    Segments of one second with a Hann window that overlap by half (Welch, 1967).

    Parameters
    ----------
    runs
        float32 ``(n, n_channels)`` each.
    """
    from scipy.signal import welch  # half a second and 76 MiB, for who looks at a spectrum only

    length = round(PIECE_S * rate_hz)
    step = max(1, length // 2)
    found, n_pieces = [], []
    for run in runs:
        if len(run) >= length:
            wide = run.astype(np.float64)
            found.append(welch(wide, rate_hz, np.hanning(length), noverlap=length - step, axis=0))
            n_pieces.append((len(run) - length) // step + 1)
    if not found:
        return None
    frequency_hz = found[0][0][1:]
    density = np.average([density[1:] for _, density in found], axis=0, weights=n_pieces)
    share = np.cumsum(density, axis=0)
    middle = np.argmax(share >= 0.5 * share[-1:], axis=0)
    return Spectrum(frequency_hz=frequency_hz, density=density, median_hz=frequency_hz[middle], n_pieces=sum(n_pieces))
