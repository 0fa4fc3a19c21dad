"""Decimate a long signal for the screen: minimum and maximum of every pixel column, and the gaps."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import Block

GAP_PERIODS = 1.5


@dataclass(frozen=True, slots=True, kw_only=True)
class DecimatedSignal:
    """A decimated signal, ready to be plotted as lines.

    Attributes
    ----------
    server_us
        int64 ``(m,)``, increasing.
    values
        float32 ``(m, n_channels)``; a row of NaN breaks the lines at a gap.
    gaps
        ``(from_us, to_us)`` of the intervals without samples, however short.
    rms, low, high
        float64 ``(n_channels,)`` of all samples; RMS is about the mean.
    n_samples
        Number of samples before decimation.
    """

    server_us: NDArray[np.int64]
    values: NDArray[np.float32]
    gaps: tuple[tuple[int, int], ...]
    rms: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    n_samples: int


def decimate(
    blocks: Sequence[Block], rate_hz: float, since_us: int, until_us: int, n_columns: int
) -> DecimatedSignal | None:
    """Decimate blocks in time order to at most ``2 · n_columns`` points and the breaks of gaps; None without samples.

    No peak is lost: each column of the picture keeps its minimum and its maximum. A signal that has no more samples
    than that is returned whole.

    Parameters
    ----------
    blocks
        With equal numbers of channels, without late ones.
    rate_hz
        Nominal rate; a step of more than 1.5 periods is a gap.
    since_us, until_us
        Interval that the columns divide.
    """
    if not blocks:
        return None
    times = np.concatenate([block.server_us for block in blocks])
    samples = np.concatenate([block.samples for block in blocks])
    steps = np.diff(times)
    breaks = np.flatnonzero(steps > GAP_PERIODS * 1e6 / rate_hz)
    gaps = tuple((int(times[i]), int(times[i + 1])) for i in breaks)
    centred = samples.astype(np.float64) - samples.mean(axis=0, dtype=np.float64)
    rms = np.sqrt(np.mean(centred**2, axis=0))
    low, high = samples.min(axis=0).astype(np.float64), samples.max(axis=0).astype(np.float64)
    if len(times) > 2 * n_columns:
        shown_us, shown = _columns(times, samples, since_us, until_us, n_columns)
    else:
        shown_us, shown = times, samples
    shown_us, shown = broken(shown_us, shown, gaps)
    return DecimatedSignal(
        server_us=shown_us, values=shown, gaps=gaps, rms=rms, low=low, high=high, n_samples=len(times)
    )


def _columns(
    times: NDArray[np.int64], samples: NDArray[np.float32], since_us: int, until_us: int, n_columns: int
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    width_us = max(1, until_us - since_us) / n_columns
    column = np.clip(((times - since_us) / width_us).astype(np.int64), 0, n_columns - 1)
    # A backward step of the clock fit between two blocks must not reopen an earlier column.
    column = np.maximum.accumulate(column)
    first = np.flatnonzero(np.r_[True, np.diff(column) > 0])
    last = np.r_[first[1:], len(column)] - 1
    shown_us = np.empty(2 * len(first), np.int64)
    shown_us[0::2], shown_us[1::2] = times[first], np.maximum(times[last], times[first])
    shown = np.empty((2 * len(first), samples.shape[1]), np.float32)
    shown[0::2] = np.minimum.reduceat(samples, first, axis=0)
    shown[1::2] = np.maximum.reduceat(samples, first, axis=0)
    return shown_us, shown


def broken(
    shown_us: NDArray[np.int64], shown: NDArray[np.float32], gaps: Sequence[tuple[int, int]]
) -> tuple[NDArray[np.int64], NDArray[np.float32]]:
    """Insert a row of NaN into every gap between two points."""
    if not gaps:
        return shown_us, shown
    begins = np.array([begin for begin, _ in gaps], np.int64)
    ends = np.array([end for _, end in gaps], np.int64)
    index = np.searchsorted(shown_us, ends, side="left")
    inside = index < len(shown_us)
    index, begins, ends = index[inside], begins[inside], ends[inside]
    distinct = np.r_[True, np.diff(index) > 0] if len(index) else np.zeros(0, bool)
    index, middles = index[distinct], ((begins + ends) // 2)[distinct]
    rows = np.full((len(index), shown.shape[1]), np.nan, np.float32)
    return np.insert(shown_us, index, middles), np.insert(shown, index, rows, axis=0)
