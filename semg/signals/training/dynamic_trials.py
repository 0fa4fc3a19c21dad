"""The trials of labelled sessions, and the thresholds of their onsets, for the training of short dynamic gestures."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST, ConditioningSpec, WindowSpec
from semg.errors import TrainingError
from semg.signals.dataset import LabelledSamples, iterate_grid
from semg.signals.model.dynamic import (
    LEVEL_HOPS,
    POWER_FLOOR,
    Arrays,
    OnsetDetector,
    Thresholds,
    TrialSpec,
    continue_last,
    scale_trials,
)

REST_QUANTILE, PEAK_QUANTILE = 0.95, 0.25
"""The threshold of an onset lies ``ONSET_PART`` of the way between this quantile of the levels at rest and this one of
the highest levels of the performances of the weakest dynamic gesture that stands out from rest at all."""
LOW_QUANTILE = 0.1
"""The level at rest, of all levels, where no rest was recorded."""
LEAST_RISE = 0.5
"""The least distance of that threshold from the level of rest, and of those performances from rest, in nats."""
LAG_MS = 1000.0
"""Not rest: what a stretch of rest begins with, at most half of it, while the hand still ends the gesture before."""
EARLY_MS = 400.0
"""An onset this shortly before a gesture's stretch belongs to it: hands run ahead of a clock's labels, too."""
ONSET_PART, OFF_PART = 0.5, 0.5
"""Where the upper threshold lies, and the lower one as a part of it: of 0.2 to 0.6 and 0.35 to 0.7 the pair with few
missed and few doubled onsets (``docs/recognition.md``)."""


@dataclass(frozen=True, slots=True)
class Trials:
    """Trials of some sessions, in the order of their onsets.

    Attributes
    ----------
    signals
        Float32 ``(N, C, T)``, scaled.
    labels
        The label that each onset lies in, ``(N,)`` of str; empty where nothing is labelled.
    session, stretch
        Int64 ``(N,)``: the session's index, and the stretch's in it; -1 where nothing is labelled.
    onset
        Int64 ``(N,)``: the sample of the session that each onset was found at.
    """

    signals: NDArray[np.float32]
    labels: NDArray[np.str_]
    session: NDArray[np.int64]
    stretch: NDArray[np.int64]
    onset: NDArray[np.int64]

    def __len__(self) -> int:
        return len(self.signals)

    def select(self, chosen: NDArray[np.bool_]) -> Trials:
        """Return the trials of a mask."""
        return Trials(
            self.signals[chosen], self.labels[chosen], self.session[chosen], self.stretch[chosen], self.onset[chosen]
        )


@dataclass(frozen=True, slots=True)
class SessionGrid:
    """A session with every window of its grid, each by its newest hop: together they are no larger than the signal.

    Attributes
    ----------
    newest
        Float32 ``(N, C, hop_samples)``, conditioned.
    continues
        Bool ``(N,)``: whether a window continues the one before it.
    ends
        Int64 ``(N,)``: each window's last sample.
    """

    session: LabelledSamples
    newest: NDArray[np.float32]
    continues: NDArray[np.bool_]
    ends: NDArray[np.int64]


def make_grid(
    session: LabelledSamples, channels: Sequence[str], conditioning: ConditioningSpec, window: WindowSpec
) -> SessionGrid:
    """Return a session with the windows that a live stream of it would have.

    Raises
    ------
    TrainingError
        Windows do not overlap, so that what lies between them is never seen.
    """
    if window.hop_samples >= window.window_samples:
        raise TrainingError(
            f"Dynamic gestures need windows that overlap: choose a hop below the window's {window.window_ms:g} ms."
        )
    hop = window.hop_samples
    newest = [np.zeros((0, len(channels), hop), np.float32)]
    continues, ends = [np.zeros(0, np.bool_)], [np.zeros(0, np.int64)]
    last: NDArray[np.float32] | None = None
    for windows, piece_ends in iterate_grid(session, channels, conditioning, window):
        if not len(windows):
            continue
        of_piece = continue_last(windows, hop)
        if last is not None:
            of_piece[0] = continue_last(np.concatenate([last, windows[:1]]), hop)[1]
        last = windows[-1:]
        newest.append(windows[:, :, -hop:].copy())
        continues.append(of_piece)
        ends.append(piece_ends)
    return SessionGrid(session, np.concatenate(newest), np.concatenate(continues), np.concatenate(ends))


def levels_of(grid: SessionGrid, scale: Arrays) -> NDArray[np.float64]:
    """Return the level of activity at each window's end, in nats, ``(N,)``; see ``OnsetDetector``."""
    power = np.square(scale_trials(scale, grid.newest), dtype=np.float64).mean(axis=(1, 2))
    padded = np.concatenate([power[:1].repeat(LEVEL_HOPS - 1), power])
    mean = np.lib.stride_tricks.sliding_window_view(padded, LEVEL_HOPS).mean(axis=1) if len(power) else power
    return np.asarray(np.log(mean + POWER_FLOOR))


def fit_thresholds(
    grids: Sequence[SessionGrid], scale: Arrays, window: WindowSpec, known: Sequence[Container[int]] | None = None
) -> Thresholds:
    """Return the thresholds that lie between a person's rest and the performances of dynamic gestures.

    Parameters
    ----------
    known
        For each session the stretches that may be fitted on; None for all.

    Raises
    ------
    TrainingError
        There is no performance of a dynamic gesture, or none stands out from rest.
    """
    quiet, every = [], []
    peaks: dict[str, list[float]] = defaultdict(list)
    lag = round(LAG_MS * window.rate_hz / 1000 / window.hop_samples)
    for number, grid in enumerate(grids):
        levels, stretch = levels_of(grid, scale), grid.session.stretch[grid.ends]
        every.append(levels)
        for index in np.unique(stretch[stretch >= 0]).tolist():
            if known is not None and index not in known[number]:
                continue
            own, one = levels[stretch == index], grid.session.stretches[index]
            if one.label == REST:
                quiet.append(own[min(len(own) // 2, lag) :])
            elif one.dynamic:
                peaks[one.label].append(float(own.max()))
    if not peaks:
        raise TrainingError("The sessions hold no performance of a dynamic gesture: record each at least twice.")
    at_rest = np.concatenate(quiet or every)
    rest = float(np.quantile(at_rest, 0.5 if quiet else LOW_QUANTILE))
    usual = float(np.quantile(at_rest, REST_QUANTILE)) if quiet else rest
    strength = {label: float(np.quantile(each, PEAK_QUANTILE)) for label, each in peaks.items()}
    heard = [level for level in strength.values() if level >= usual + LEAST_RISE]
    if not heard:
        raise not_heard(list(strength))
    weakest = min(heard)
    on = max(LEAST_RISE, usual + ONSET_PART * (weakest - usual) - rest)
    return Thresholds(rest, on, OFF_PART * on)


def find_trials(
    grids: Sequence[SessionGrid], scale: Arrays, window: WindowSpec, spec: TrialSpec, thresholds: Thresholds
) -> Trials:
    """Return the trials that the detector cuts from sessions, each as a live stream."""
    signals: list[NDArray[np.float32]] = []
    where: list[tuple[int, int, int]] = []
    for number, grid in enumerate(grids):
        detector = OnsetDetector(spec, thresholds)
        comparable = scale_trials(scale, grid.newest)
        for end, newest, continues in zip(grid.ends.tolist(), comparable, grid.continues.tolist(), strict=True):
            trial = detector.push(newest, continues)
            if trial is not None:
                onset = onset_of(end, spec, window)
                signals.append(trial)
                where.append((number, stretch_at(grid.session, onset), onset))
    numbers, stretch, onsets = np.array(where, np.int64).reshape(-1, 3).T
    names = [grids[number].session.stretches[index].label if index >= 0 else "" for number, index, _ in where]
    shape = (0, len(scale["dynamic_gain"]), spec.hops * window.hop_samples)
    found = np.stack(signals) if signals else np.zeros(shape, np.float32)
    return Trials(found, np.array(names, dtype=str), numbers, stretch, onsets)


def not_heard(labels: Sequence[str]) -> TrainingError:
    """Return the error that performances of gestures cannot be told from rest."""
    return TrainingError(
        f"No performance of {', '.join(sorted(labels))} stands out from rest: record it again, each time from a "
        "relaxed hand, or leave this gesture out."
    )


def onset_of(end: int, spec: TrialSpec, window: WindowSpec) -> int:
    """Return the sample that an onset was found at, from the last one of its trial."""
    return end - spec.after_hops * window.hop_samples


def stretch_at(session: LabelledSamples, onset: int) -> int:
    """Return the stretch that an onset belongs to, -1 for none."""
    here = int(session.stretch[onset])
    if here >= 0 and session.stretches[here].label != REST:
        return here
    soon = int(session.stretch[min(len(session.stretch) - 1, onset + round(EARLY_MS * session.rate_hz / 1000))])
    return soon if soon >= 0 and session.stretches[soon].label != REST else here
