"""How the power of a signal is spread over frequencies."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

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
        float64 ``(n_channels,)``: half of the power lies below it; it falls with fatigue.
    n_pieces
        How many pieces were averaged.
    """

    frequency_hz: NDArray[np.float64]
    density: NDArray[np.float64]
    median_hz: NDArray[np.float64]
    n_pieces: int


def spectrum(runs: Sequence[NDArray[np.float32]], rate_hz: float) -> Spectrum | None:
    """Return the averaged spectrum of unbroken runs of samples; None when none lasts a second.

    Pieces of one second with a Hann window that overlap by half (Welch, 1967).

    Parameters
    ----------
    runs
        float32 ``(n, n_channels)`` each.
    """
    length = round(PIECE_S * rate_hz)
    window = np.hanning(length)[:, None]
    scale = 2.0 / (rate_hz * float((window**2).sum()))
    total: NDArray[np.floating[Any]] | None = None
    n_pieces = 0
    for run in runs:
        for start in range(0, len(run) - length + 1, max(1, length // 2)):
            piece = run[start : start + length].astype(np.float64)
            power = np.abs(np.fft.rfft((piece - piece.mean(axis=0)) * window, axis=0)) ** 2 * scale
            total = power if total is None else total + power
            n_pieces += 1
    if total is None:
        return None
    density = total[1:].astype(np.float64) / n_pieces
    frequency_hz = np.fft.rfftfreq(length, 1 / rate_hz)[1:].astype(np.float64)
    share = np.cumsum(density, axis=0)
    middle = np.argmax(share >= 0.5 * share[-1:], axis=0)
    return Spectrum(frequency_hz=frequency_hz, density=density, median_hz=frequency_hz[middle], n_pieces=n_pieces)
