"""Summarise a long signal in bins of a fifth of a second, to display hours without reading every sample again."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.domain import Block
from semg.signals.display.decimation import GAP_PERIODS, DecimatedSignal, broken

BIN_US = 200_000
"""At 8 channels, an hour takes 2.4 MB; a picture of 1,200 columns shows 4 minutes before it needs samples."""

_MAGIC = b"SES1"
_MAX_US = 1 << 53
_HEADER = struct.Struct("<4sIIIqqq")


@dataclass(frozen=True, slots=True)
class Summary:
    """Samples of one number of channels, in bins that have at least one sample.

    Attributes
    ----------
    bin_us
        int64 ``(m,)``: server time at which each bin begins, a multiple of ``BIN_US``, increasing.
    count
        int32 ``(m,)``: samples in the bin.
    low, high, mean, variance
        float32 ``(m, n_channels)``; the variance is about the bin's mean.
    gaps
        ``(from_us, to_us)`` of the intervals without samples.
    first_us, last_us
        Server time of the first and of the last sample.
    """

    bin_us: NDArray[np.int64]
    count: NDArray[np.int32]
    low: NDArray[np.float32]
    high: NDArray[np.float32]
    mean: NDArray[np.float32]
    variance: NDArray[np.float32]
    gaps: tuple[tuple[int, int], ...]
    first_us: int
    last_us: int

    @property
    def n_samples(self) -> int:
        """Number of samples summarised."""
        return int(self.count.sum())


def summarise(blocks: Sequence[Block], n_channels: int, rate_hz: float) -> Summary | None:
    """Return blocks in time order in bins; late ones and those with another number of channels are ignored."""
    usual = [block for block in blocks if not block.late and block.samples.shape[1] == n_channels]
    if not usual:
        return None
    times = np.concatenate([block.server_us for block in usual])
    samples = np.concatenate([block.samples for block in usual])
    # A step back of the clock fit between two blocks must not open an earlier bin again.
    bins = np.maximum.accumulate(times // BIN_US)
    first = np.flatnonzero(np.r_[True, np.diff(bins) > 0])
    count = np.diff(np.r_[first, len(bins)])
    sums = np.add.reduceat(samples, first, axis=0, dtype=np.float64)
    mean = sums / count[:, None]
    centred = samples - np.repeat(mean, count, axis=0)
    variance = np.add.reduceat(centred**2, first, axis=0) / count[:, None]
    steps = np.diff(times)
    breaks = np.flatnonzero(steps > GAP_PERIODS * 1e6 / rate_hz)
    return Summary(
        bins[first] * BIN_US,
        count.astype(np.int32),
        np.minimum.reduceat(samples, first, axis=0),
        np.maximum.reduceat(samples, first, axis=0),
        mean.astype(np.float32),
        variance.astype(np.float32),
        tuple((int(times[i]), int(times[i + 1])) for i in breaks),
        int(times[0]),
        int(times[-1]),
    )


def join(summaries: Sequence[Summary], rate_hz: float) -> Summary | None:
    """Concatenate consecutive summaries; a gap between two of them is recorded."""
    if not summaries:
        return None
    gaps: list[tuple[int, int]] = []
    for index, each in enumerate(summaries):
        if index and each.first_us - summaries[index - 1].last_us > GAP_PERIODS * 1e6 / rate_hz:
            gaps.append((summaries[index - 1].last_us, each.first_us))
        gaps += each.gaps
    return Summary(
        np.concatenate([summary.bin_us for summary in summaries]),
        np.concatenate([summary.count for summary in summaries]),
        np.concatenate([summary.low for summary in summaries]),
        np.concatenate([summary.high for summary in summaries]),
        np.concatenate([summary.mean for summary in summaries]),
        np.concatenate([summary.variance for summary in summaries]),
        tuple(gaps),
        summaries[0].first_us,
        summaries[-1].last_us,
    )


def draw(summary: Summary, since_us: int, until_us: int, n_columns: int) -> DecimatedSignal | None:
    """Decimate the bins that overlap a time range to at most ``2 · n_columns`` points; None without samples.

    A bin at an edge counts as a whole: figures are off by a fifth of a second at most.
    """
    inside = (summary.bin_us > since_us - BIN_US) & (summary.bin_us < until_us)
    if not inside.any():
        return None
    bin_us, low, high = summary.bin_us[inside], summary.low[inside], summary.high[inside]
    width_us = max(1, until_us - since_us) / n_columns
    column = np.clip(((bin_us - since_us) / width_us).astype(np.int64), 0, n_columns - 1)
    first = np.flatnonzero(np.r_[True, np.diff(column) > 0])
    last = np.r_[first[1:], len(column)] - 1
    shown_us = np.empty(2 * len(first), np.int64)
    shown_us[0::2] = np.maximum(bin_us[first], since_us)
    shown_us[1::2] = np.clip(bin_us[last] + BIN_US // 2, shown_us[0::2], max(until_us, since_us))
    shown = np.empty((2 * len(first), low.shape[1]), np.float32)
    shown[0::2] = np.minimum.reduceat(low, first, axis=0)
    shown[1::2] = np.maximum.reduceat(high, first, axis=0)
    gaps = tuple((begin, end) for begin, end in summary.gaps if end > since_us and begin < until_us)
    shown_us, shown = broken(shown_us, shown, gaps)
    count = summary.count[inside].astype(np.float64)
    n = count.sum()
    mean = summary.mean[inside].astype(np.float64)
    middle = count @ mean / n
    rms = np.sqrt(count @ (summary.variance[inside] + (mean - middle) ** 2) / n)
    return DecimatedSignal(
        server_us=shown_us,
        values=shown,
        gaps=gaps,
        rms=rms,
        low=low.min(axis=0).astype(np.float64),
        high=high.max(axis=0).astype(np.float64),
        n_samples=int(n),
    )


def to_bytes(summary: Summary, start_us: int) -> bytes:
    """Return a summary as bytes to be stored; its bins begin within 2³¹ bins of ``start_us``."""
    n_bins, n_channels = summary.low.shape
    head = _HEADER.pack(
        _MAGIC, n_bins, n_channels, len(summary.gaps), start_us, summary.first_us, summary.last_us
    )  # fmt: skip
    offsets = ((summary.bin_us - start_us) // BIN_US).astype("<i4")
    floats = [getattr(summary, name).astype("<f4").tobytes() for name in ("low", "high", "mean", "variance")]
    gaps = np.array(summary.gaps, "<i8").tobytes()
    return b"".join((head, offsets.tobytes(), summary.count.astype("<i4").tobytes(), *floats, gaps))


def from_bytes(content: bytes | memoryview) -> Summary:
    """Decode the bytes of ``to_bytes``.

    Raises
    ------
    ValueError
        The bytes are damaged, or of another form.
    """
    if len(content) < _HEADER.size:
        raise ValueError(f"a summary has {_HEADER.size} bytes at least, got {len(content)}")
    magic, n_bins, n_channels, n_gaps, start_us, first_us, last_us = _HEADER.unpack_from(content)
    expected = _HEADER.size + n_bins * (8 + 16 * n_channels) + 16 * n_gaps
    if magic != _MAGIC or len(content) != expected:
        raise ValueError(f"a summary of {expected} bytes was expected, got {len(content)}")
    at = _HEADER.size

    def take(kind: str, *shape: int) -> NDArray[Any]:
        nonlocal at
        made = np.frombuffer(content, kind, int(np.prod(shape)), at).reshape(shape)
        at += made.nbytes
        return made

    offsets, count = take("<i4", n_bins), take("<i4", n_bins)
    low, high, mean, variance = (take("<f4", n_bins, n_channels) for _ in range(4))
    gaps = take("<i8", n_gaps, 2)
    if not n_bins or (count <= 0).any() or (np.diff(offsets.astype(np.int64)) <= 0).any():
        raise ValueError("the bins of a summary grow, and each has samples")
    if not all(np.isfinite(values).all() for values in (low, high, mean, variance)) or (variance < 0).any():
        raise ValueError("a summary's values are finite, and no variance is negative")
    if max(abs(start_us), abs(first_us), abs(last_us)) >= _MAX_US:
        raise ValueError("a summary's times lie beyond all clocks")
    return Summary(
        offsets.astype(np.int64) * BIN_US + start_us,
        count,
        low,
        high,
        mean,
        variance,
        tuple((begin, end) for begin, end in gaps.tolist()),
        first_us,
        last_us,
    )
