"""Labelled samples of a session, and the windows that training and evaluation take from them.

The signal is conditioned continuously and cut on one grid from each reset on, exactly as live; a window counts
as labelled only when it lies entirely within one stretch.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import ConditioningSpec, Sensor, WindowSpec
from semg.signals.windows import WindowStream

PIECE_S = 10.0
"""Seconds of samples whose windows are made at once where they are not all kept."""


@dataclass(frozen=True, slots=True)
class Stretch:
    """Consecutive samples of one gesture's one repetition in one session.

    ``dynamic``: the gesture is a short dynamic one, performed once in them and recognised as a whole; no window of it
    is a posture, so that it gives none.
    """

    label: str
    repetition: int
    session: str
    dynamic: bool = False


@dataclass(frozen=True, slots=True)
class LabelledSamples:
    """One session's samples in time order.

    Attributes
    ----------
    samples
        Float32 ``(n, C)``, in the sensor's own unit.
    starts_run
        Bool ``(n,)``: the sample does not continue the previous one (a boot, a gap). The first sample always
        starts a run, whatever its flag says.
    stretch
        Int32 ``(n,)``: index into ``stretches``, -1 where nothing is labelled. A stretch's samples are consecutive.
    """

    samples: NDArray[np.float32]
    starts_run: NDArray[np.bool_]
    stretch: NDArray[np.int32]
    stretches: tuple[Stretch, ...]
    channels: tuple[str, ...]
    rate_hz: float
    sensor: Sensor = "raw"
    mains_hz: float = 50.0

    def __post_init__(self) -> None:
        n, n_channels = len(self.samples), len(self.channels)
        if self.samples.shape != (n, n_channels):
            raise ValueError(f"samples must be (n, {n_channels}), got {self.samples.shape}")
        if self.starts_run.shape != (n,) or self.stretch.shape != (n,):
            raise ValueError(f"starts_run and stretch must have {n} values")
        if n and not -1 <= int(self.stretch.min()) <= int(self.stretch.max()) < len(self.stretches):
            raise ValueError(f"stretch must lie between -1 and {len(self.stretches) - 1}")


@dataclass(frozen=True, slots=True)
class WindowSet:
    """Labelled windows of one or more sessions.

    Attributes
    ----------
    windows
        Float32 ``(N, C, T)``, conditioned.
    stretch
        Int32 ``(N,)``: index into ``stretches``, which hold those of all sessions.
    into_stretch_ms
        Float32 ``(N,)``: time from the stretch's first sample to the window's first sample.
    stretch_ms
        Float32 ``(N,)``: length of the window's stretch.
    end_index
        Int64 ``(N,)``: the window's last sample, counted in its own session.
    session_index
        Int32 ``(N,)``: which of the given sessions the window comes from.
    """

    windows: NDArray[np.float32]
    stretch: NDArray[np.int32]
    stretches: tuple[Stretch, ...]
    into_stretch_ms: NDArray[np.float32]
    stretch_ms: NDArray[np.float32]
    end_index: NDArray[np.int64]
    session_index: NDArray[np.int32]

    @property
    def labels(self) -> NDArray[np.str_]:
        """Label of each window, ``(N,)`` of str."""
        names = np.array([stretch.label for stretch in self.stretches] or [""])
        return names[self.stretch]

    def __len__(self) -> int:
        return len(self.windows)

    def select(self, chosen: NDArray[np.bool_] | NDArray[np.int64]) -> WindowSet:
        """Return the windows of a mask or of indices, with all stretches kept."""
        return WindowSet(
            self.windows[chosen],
            self.stretch[chosen],
            self.stretches,
            self.into_stretch_ms[chosen],
            self.stretch_ms[chosen],
            self.end_index[chosen],
            self.session_index[chosen],
        )


def channel_columns(available: Sequence[str], wanted: Sequence[str]) -> list[int]:
    """Return the column of each wanted channel.

    Raises
    ------
    KeyError
        Naming the first missing channel.
    """
    column = {name: index for index, name in enumerate(available)}
    return [column[name] for name in wanted]


def iterate_grid(
    labelled: LabelledSamples, channels: Sequence[str], conditioning: ConditioningSpec, spec: WindowSpec
) -> Iterator[tuple[NDArray[np.float32], NDArray[np.int64]]]:
    """Yield the windows of ``grid_windows`` in order, those of some seconds at a time.

    Together they may be ``MAX_OVERLAP`` times as large as the samples.
    """
    stream = WindowStream(conditioning, spec, channel_columns(labelled.channels, channels))
    starts = np.union1d(np.flatnonzero(labelled.starts_run), [0]).astype(np.int64)
    stops = np.append(starts[1:], len(labelled.samples))
    piece = max(1, round(PIECE_S * spec.rate_hz))
    for start, stop in zip(starts.tolist(), stops.tolist(), strict=True):
        for at in range(start, stop, piece):
            windows, ends = stream.push(labelled.samples[at : min(at + piece, stop)], starts_run=at == start)
            yield windows, ends + at


def grid_windows(
    labelled: LabelledSamples, channels: Sequence[str], conditioning: ConditioningSpec, spec: WindowSpec
) -> tuple[NDArray[np.float32], NDArray[np.int64]]:
    """Return every window of the grid, labelled or not, across edges or not, as in a live stream.

    Returns
    -------
    windows
        Float32 ``(N, C, T)``.
    ends
        Int64 ``(N,)``: index into the session's samples of each window's last sample.
    """
    pieces = list(iterate_grid(labelled, channels, conditioning, spec))
    return np.concatenate([windows for windows, _ in pieces]), np.concatenate([ends for _, ends in pieces])


def make_windows(
    sessions: Sequence[LabelledSamples],
    channels: Sequence[str],
    conditioning: ConditioningSpec,
    spec: WindowSpec,
) -> WindowSet:
    """Return the windows of the grid that lie entirely within one stretch of a held gesture.

    Parameters
    ----------
    sessions
        In order; their stretches are numbered consecutively across sessions.
    channels
        Names of the channels to use, in order.
    """
    chunks: list[WindowSet] = []
    stretches: list[Stretch] = []
    for index, session in enumerate(sessions):
        chunk = _session_windows(session, channels, conditioning, spec)
        offset = len(stretches)
        stretches.extend(session.stretches)
        chunks.append(
            WindowSet(
                chunk.windows,
                chunk.stretch + np.int32(offset),
                (),
                chunk.into_stretch_ms,
                chunk.stretch_ms,
                chunk.end_index,
                np.full(len(chunk), index, np.int32),
            )
        )
    if not chunks:
        raise ValueError("make_windows needs at least one session")
    return WindowSet(
        np.concatenate([chunk.windows for chunk in chunks]),
        np.concatenate([chunk.stretch for chunk in chunks]),
        tuple(stretches),
        np.concatenate([chunk.into_stretch_ms for chunk in chunks]),
        np.concatenate([chunk.stretch_ms for chunk in chunks]),
        np.concatenate([chunk.end_index for chunk in chunks]),
        np.concatenate([chunk.session_index for chunk in chunks]),
    )


def _session_windows(
    session: LabelledSamples,
    channels: Sequence[str],
    conditioning: ConditioningSpec,
    spec: WindowSpec,
) -> WindowSet:
    windows, ends = grid_windows(session, channels, conditioning, spec)
    first = ends - (spec.window_samples - 1)
    # Equal ids at both ends mean one stretch throughout, because a stretch's samples are consecutive.
    inside = (session.stretch[ends] >= 0) & (session.stretch[first] == session.stretch[ends])
    ids = session.stretch[ends]
    dynamic = np.array([stretch.dynamic for stretch in session.stretches] or [False])
    if dynamic.any():
        inside &= ~dynamic[ids]
    begin = np.zeros(max(1, len(session.stretches)), np.int64)
    length = np.zeros(max(1, len(session.stretches)), np.int64)
    present, begin_at, count = np.unique(session.stretch, return_index=True, return_counts=True)
    labelled = present >= 0
    begin[present[labelled]], length[present[labelled]] = begin_at[labelled], count[labelled]
    sample_ms = 1000.0 / session.rate_hz
    into_ms, stretch_ms = (first - begin[ids]) * sample_ms, length[ids] * sample_ms
    return WindowSet(
        windows[inside],
        ids[inside].astype(np.int32),
        session.stretches,
        into_ms[inside].astype(np.float32),
        stretch_ms[inside].astype(np.float32),
        ends[inside],
        np.zeros(int(inside.sum()), np.int32),
    )
