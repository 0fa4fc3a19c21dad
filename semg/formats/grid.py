"""An even grid for formats that store no times: gaps are filled, and said where they lie."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from semg.errors import RecordingError
from semg.formats.neutral import Label, NeutralRecording, Portion, no_samples

MAX_FILL_S = 6 * 3600.0
"""Longest time without samples that is filled, all gaps together."""


@dataclass(frozen=True, slots=True)
class Span:
    """Samples of the grid, from ``first`` until before ``end``."""

    first: int
    end: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Survey:
    """What a first pass finds out.

    Attributes
    ----------
    start_us
        Time of the grid's first sample.
    n_grid
        Length of the grid, filled samples included.
    labels
        Each label that holds samples, with those samples.
    low, high
        Float64 ``(C,)``: smallest and largest value of each channel.
    whole
        Whether all values are whole numbers.
    """

    start_us: int
    n_grid: int
    n_samples: int
    gaps: tuple[Span, ...]
    late: tuple[Span, ...]
    labels: tuple[tuple[Label, Span], ...]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    whole: bool


class _Placer:
    """Gives each sample its position on the grid, the same in every pass.

    Samples of a run are consecutive, however the device's clock drifts; a run begins where its first sample's time
    lies, and at least one filled sample behind the run before it.
    """

    def __init__(self, rate_hz: float) -> None:
        self._rate_hz, self._end, self.start_us = rate_hz, 0, 0
        self._begun, self._was_late = False, False

    def place(self, portion: Portion) -> NDArray[np.int64]:
        """Return the positions of a portion's samples, int64 ``(n,)``."""
        n = len(portion.times_us)
        if not self._begun:
            self.start_us, self._begun = int(portion.times_us[0]), True
        begins = portion.starts_run.copy()
        begins[1:] |= portion.late[1:] != portion.late[:-1]
        firsts = np.flatnonzero(begins)
        positions = self._end + np.arange(n)
        ends = np.append(firsts[1:], n)[: len(firsts)]
        for at, until in zip(firsts.tolist(), ends.tolist(), strict=True):
            end = self._end if at == 0 else int(positions[at - 1]) + 1
            measured = round((int(portion.times_us[at]) - self.start_us) * self._rate_hz / 1e6)
            was_late = self._was_late if at == 0 else bool(portion.late[at - 1])
            # Where late samples border on others, their own annotation parts the two.
            filled = 1 if portion.starts_run[at] and end and not was_late and not portion.late[at] else 0
            positions[at:until] = max(measured, end + filled) + np.arange(until - at)
        self._end, self._was_late = int(positions[-1]) + 1, bool(portion.late[-1])
        return positions


@dataclass(slots=True)
class _Spans:
    """Collects spans that may continue from portion to portion."""

    spans: list[list[int]] = field(default_factory=list)

    def add(self, first: int, end: int) -> None:
        if end <= first:
            return
        if self.spans and self.spans[-1][1] == first:
            self.spans[-1][1] = end
        else:
            self.spans.append([first, end])

    def all(self) -> tuple[Span, ...]:
        return tuple(Span(first, end) for first, end in self.spans)


def survey(recording: NeutralRecording) -> Survey:
    """Return what a first pass over a recording finds out.

    Raises
    ------
    RecordingError
        It has no samples, or its gaps are too long to be filled.
    """
    rate_hz, channels = recording.about.rate_hz, len(recording.about.channels)
    placer, gaps, late = _Placer(rate_hz), _Spans(), _Spans()
    starts_us = np.array([one.start_us for one in recording.labels], np.int64)
    ends_us = np.array([one.end_us for one in recording.labels], np.int64)
    firsts, ends = np.full(len(starts_us), -1, np.int64), np.zeros(len(starts_us), np.int64)
    low, high = np.full(channels, np.inf), np.full(channels, -np.inf)
    whole, end, n_samples, n_filled = True, 0, 0, 0
    for portion in recording.portions():
        positions = placer.place(portion)
        n_samples += len(positions)
        low = np.minimum(low, portion.samples.min(axis=0))
        high = np.maximum(high, portion.samples.max(axis=0))
        whole = whole and bool((portion.samples == np.rint(portion.samples)).all())
        before = np.append(end, positions[:-1] + 1)
        for at in np.flatnonzero(positions > before).tolist():
            gaps.add(int(before[at]), int(positions[at]))
            n_filled += int(positions[at] - before[at])
        edge = np.flatnonzero(np.diff(np.concatenate([[False], portion.late, [False]]).astype(np.int8)))
        for at, until in zip(edge[::2].tolist(), edge[1::2].tolist(), strict=True):
            late.add(int(positions[at]), int(positions[until - 1]) + 1)
        index = np.searchsorted(portion.times_us, starts_us)
        new = (firsts < 0) & (index < len(positions))
        firsts[new] = positions[index[new]]
        index = np.searchsorted(portion.times_us, ends_us)
        ends[index > 0] = positions[index[index > 0] - 1] + 1
        end = int(positions[-1]) + 1
        if n_filled > MAX_FILL_S * rate_hz:
            raise RecordingError(
                f"session “{recording.about.name}” has gaps of more than {MAX_FILL_S / 3600:g} hours, which this "
                "format would fill with samples. Export it as parquet or hdf5, which store each sample's time."
            )
    if not n_samples:
        raise no_samples(recording.about.name)
    labels = tuple(
        (label, Span(first, until))
        for label, first, until in zip(recording.labels, firsts.tolist(), ends.tolist(), strict=True)
        if 0 <= first < until
    )
    return Survey(
        start_us=placer.start_us, n_grid=end, n_samples=n_samples, gaps=gaps.all(), late=late.all(), labels=labels,
        low=low, high=high, whole=whole,
    )  # fmt: skip


def iterate_filled(recording: NeutralRecording, size: int) -> Iterator[NDArray[np.float32]]:
    """Yield the grid's samples, ``(size, C)`` each and the last one shorter; a gap holds the value before it."""
    placer, channels = _Placer(recording.about.rate_hz), len(recording.about.channels)
    chunk, n, last = np.empty((size, channels), np.float32), 0, np.zeros(channels, np.float32)
    end = 0
    for portion in recording.portions():
        positions = placer.place(portion)
        begins = np.flatnonzero(np.append(True, np.diff(positions) != 1))
        for at, until in zip(begins.tolist(), [*begins[1:].tolist(), len(positions)], strict=True):
            missing = int(positions[at]) - end
            while missing:
                taken = min(missing, size - n)
                chunk[n : n + taken] = last
                n, missing = n + taken, missing - taken
                if n == size:
                    yield chunk
                    n = 0
            while at < until:
                taken = min(until - at, size - n)
                chunk[n : n + taken] = portion.samples[at : at + taken]
                at, n = at + taken, n + taken
                if n == size:
                    yield chunk
                    n = 0
            last = portion.samples[until - 1]
            end = int(positions[until - 1]) + 1
    if n:
        yield chunk[:n]


def dropped_note(recording: NeutralRecording, found: Survey) -> tuple[str, ...]:
    """Return a sentence on labels without samples, which no grid can hold."""
    n = len(recording.labels) - len(found.labels)
    return (f"{n} labels hold no sample and are left out.",) if n else ()
