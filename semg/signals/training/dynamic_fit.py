"""Fit the classifier of short dynamic gestures, and try it on sessions or repetitions held out."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Container, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST, ConditioningSpec, WindowSpec
from semg.errors import TrainingError
from semg.signals.dataset import LabelledSamples
from semg.signals.model.classifier import Classifier
from semg.signals.model.dynamic import DynamicRecogniser, TrialSpec, performed, trial_features
from semg.signals.training.dynamic_trials import (
    SessionGrid,
    find_trials,
    fit_thresholds,
    make_grid,
    not_heard,
    onset_of,
    stretch_at,
)
from semg.signals.training.fitting import Arrays, class_shares, fit_discriminant, fit_scale
from semg.signals.training.splits import MAX_FOLDS
from semg.signals.training.training_report import DynamicFigures, GestureFigures

BEFORE_MS, AFTER_MS = 300.0, 700.0
"""What a trial holds before and after the moment at which its onset is found, up to 100 ms after the onset itself. From
600 to 1200 ms after it nothing changed (``docs/recognition.md``); a decision waits for its end."""
CALIBRATION_PART = 0.4
"""Share of a calibration's trials in all weights, as of its windows (``hybrid_fit.CALIBRATION_PART``)."""
NOTHING = ""
"""Column of what was not decided, and row of everything that is no dynamic gesture."""
Known = Sequence[Container[int]]
"""For each session the stretches that may be fitted on."""


@dataclass(frozen=True, slots=True)
class DynamicSet:
    """The training set of dynamic gestures: whole sessions in time order; ``calibrated``: the last is a calibration."""

    grids: tuple[SessionGrid, ...]
    window: WindowSpec
    envelope: bool
    dynamic: tuple[str, ...]
    calibrated: bool

    @property
    def spec(self) -> TrialSpec:
        """The trials of its dynamic gestures, without other labels."""
        hops = [max(1, round(each * self.window.rate_hz / 1000 / self.window.hop_samples))
                for each in (BEFORE_MS, AFTER_MS)]  # fmt: skip
        return TrialSpec(self.dynamic, len(self.dynamic), *hops)


def dynamic_labels(sessions: Sequence[LabelledSamples]) -> tuple[str, ...]:
    """Return the short dynamic gestures of sessions, sorted."""
    return tuple(sorted({one.label for session in sessions for one in session.stretches if one.dynamic}))


def dynamic_set(
    sessions: Sequence[LabelledSamples],
    calibration: LabelledSamples | None,
    channels: Sequence[str],
    conditioning: ConditioningSpec,
    window: WindowSpec,
) -> DynamicSet | None:
    """Return the training set of the dynamic gestures of sessions, or None where there is none.

    Raises
    ------
    TrainingError
        Windows do not overlap, or a gesture of the calibration is not in the sessions.
    """
    every = [*sessions, *([] if calibration is None else [calibration])]
    labels = dynamic_labels(every)
    if not labels:
        return None
    grids = tuple(make_grid(session, channels, conditioning, window) for session in every)
    return DynamicSet(grids, window, conditioning.sensor == "envelope", labels, calibration is not None)


def fit_dynamic(data: DynamicSet, known: Known | None = None) -> tuple[TrialSpec, Arrays]:
    """Return the classifier of trials: what it tells apart, and its weights.

    Sessions are brought together by the mean of the labels that they share with the last one. Labels of held gestures
    are classes of their own, so that what begins like a snap and is held is not called one.

    Parameters
    ----------
    known
        For each session the stretches that may be fitted on; None for all.

    Raises
    ------
    TrainingError
        No performance of one of the gestures stands out from rest.
    """
    arrays = _scale(data, known)
    thresholds = fit_thresholds(data.grids, arrays, data.window, known)
    arrays["dynamic_levels"] = np.array([thresholds.rest, thresholds.on, thresholds.off], np.float32)
    trials = find_trials(data.grids, arrays, data.window, data.spec, thresholds)
    wanted = [
        label != "" and (known is None or index in known[number])
        for label, number, index in zip(trials.labels, trials.session.tolist(), trials.stretch.tolist(), strict=True)
    ]
    trials = trials.select(np.array(wanted, bool))
    if silent := set(data.dynamic) - set(trials.labels.tolist()):
        raise not_heard(sorted(silent))
    classes = (*data.dynamic, *sorted(set(trials.labels.tolist()) - set(data.dynamic)))
    y = np.array([classes.index(label) for label in trials.labels], np.int64)
    if len(y) == len(classes):
        raise TrainingError(f"Record {', '.join(data.dynamic)} at least twice: how performances differ is unknown.")
    newest = trials.session == len(data.grids) - 1
    arrays |= fit_trials(
        trial_features(trials.signals, data.envelope), y, trials.session, newest if data.calibrated else None
    )
    return replace(data.spec, classes=classes), arrays


def fit_trials(
    features: NDArray[np.float32],
    y: NDArray[np.int64],
    session: NDArray[np.int64],
    calibration: NDArray[np.bool_] | None = None,
) -> Arrays:
    """Return the linear discriminant of trials, every class as likely as the others.

    Parameters
    ----------
    features
        Float32 ``(N, F)``.
    y
        Class indices ``(N,)``; every class occurs.
    session
        ``(N,)``: sessions are brought together by the mean of the classes that they share with the last one.
    calibration
        Bool ``(N,)``: the trials of a calibration, which weigh ``CALIBRATION_PART`` of all; None without one.
    """
    moved = features.astype(np.float64)
    _bring_together(moved, y, session)
    weights = np.ones(len(y))
    if calibration is not None and calibration.any() and not calibration.all():
        weights[calibration] = CALIBRATION_PART / (1 - CALIBRATION_PART) * (~calibration).sum() / calibration.sum()
    centre = np.average(moved, axis=0, weights=weights).astype(np.float32)
    shares = class_shares(y, int(y.max()) + 1, 1.0)
    fitted = fit_discriminant((moved - centre).astype(np.float32), y, weights, shares)
    return {
        "dynamic_centre": centre,
        "dynamic_coef": fitted["lda_coef"],
        "dynamic_intercept": fitted["lda_intercept"],
    }


def with_dynamic(classifier: Classifier, data: DynamicSet | None) -> Classifier:
    """Return a classifier that recognises dynamic gestures beside its held ones."""
    if data is None:
        return classifier
    spec, arrays = fit_dynamic(data)
    return replace(classifier, arrays={**classifier.arrays, **arrays}, trials=spec)


def try_dynamic(data: DynamicSet, needed: float) -> DynamicFigures | None:
    """Return what the classifier of trials scores on what was held out in turn; None when nothing can be.

    Parameters
    ----------
    needed
        Probability that a gesture must reach.
    """
    by, held_out = _folds(data)
    tally = Tally(data.dynamic)
    for left_out in held_out:
        known = [set(range(len(g.session.stretches))) - out for g, out in zip(data.grids, left_out, strict=True)]
        try:
            fitted = fit_dynamic(replace(data, calibrated=False), known)
        except TrainingError:  # too little is left without them: none of them is recognised
            fitted = None
        for grid, out in zip(data.grids, left_out, strict=True):
            if out:
                recogniser = fitted and DynamicRecogniser(*fitted, data.window.hop_samples, data.envelope)
                tally.add(grid, out, recogniser, data.window, needed)
    return tally.figures(by) if held_out else None


class Tally:
    """Counts what a recogniser decides on stretches that were held out."""

    def __init__(self, dynamic: Sequence[str]) -> None:
        self.names = (*dynamic, NOTHING)
        self.confusion = np.zeros((len(self.names), len(self.names)), np.int64)
        self.missed = self.doubled = 0
        self.false = {True: 0, False: 0}  # by whether at rest
        self.minutes = {True: 0.0, False: 0.0}

    def add(
        self,
        grid: SessionGrid,
        held_out: set[int],
        recogniser: DynamicRecogniser | None,
        window: WindowSpec,
        needed: float,
    ) -> None:
        """Count the decisions on some stretches of a session, of a recogniser at its begin, or none."""
        found: dict[int, list[int | None]] = defaultdict(list)
        for end, newest, continues in zip(grid.ends.tolist(), grid.newest, grid.continues.tolist(), strict=True):
            row = None if recogniser is None else recogniser.push_hop(newest, continues)
            if recogniser is not None and row is not None:
                at = stretch_at(grid.session, onset_of(end, recogniser.spec, window))
                found[at].append(performed(row, needed))
        for index in sorted(held_out):
            one = grid.session.stretches[index]
            decided = [k for k in found[index] if k is not None]
            if one.dynamic:
                row_of = self.names.index(one.label)
                self.confusion[row_of, decided[0] if decided else -1] += 1
                self.missed += not found[index]
                self.doubled += max(0, len(decided) - 1)
                continue
            for k in found[index]:
                self.confusion[-1, -1 if k is None else k] += 1
            at_rest = one.label == REST
            self.false[at_rest] += len(decided)
            self.minutes[at_rest] += float((grid.session.stretch == index).sum()) / grid.session.rate_hz / 60

    def figures(self, by: str) -> DynamicFigures:
        """Return the figures of everything counted."""
        counts = self.confusion[:-1].sum(axis=1)
        recall = np.diag(self.confusion)[:-1] / np.maximum(counts, 1)
        per_min = {
            rest: round(n / self.minutes[rest], 3) if self.minutes[rest] else None for rest, n in self.false.items()
        }
        return DynamicFigures(
            by=by,
            performances=int(counts.sum()),
            balanced_accuracy=round(float(recall[counts > 0].mean()), 6) if counts.any() else None,
            per_gesture={
                name: GestureFigures(recall=round(float(r), 6) if n else None, n=int(n))
                for name, r, n in zip(self.names[:-1], recall, counts, strict=True)
            },
            classes=self.names,
            confusion=tuple(tuple(row) for row in self.confusion.tolist()),
            missed_onsets=self.missed,
            doubled=self.doubled,
            false_per_min_rest=per_min[True],
            false_per_min_held=per_min[False],
        )


def _scale(data: DynamicSet, known: Known | None) -> Arrays:
    """Return offset and gain of each channel, from the windows of all stretches that may be fitted on."""
    chunks = []
    for number, grid in enumerate(data.grids):
        stretch = grid.session.stretch[grid.ends]
        used = stretch >= 0
        if known is not None:
            used &= np.isin(stretch, [i for i in range(len(grid.session.stretches)) if i in known[number]])
        chunks.append(grid.newest[used])
    fitted = fit_scale(np.concatenate(chunks), data.envelope)
    return {"dynamic_offset": fitted["scale_offset"], "dynamic_gain": fitted["scale_gain"]}


def _bring_together(features: NDArray[np.float64], y: NDArray[np.int64], session: NDArray[np.int64]) -> None:
    """Move each session's features, in place, by the mean distance of the labels that it shares with the last one."""
    last = session == session.max(initial=0)
    for number in np.unique(session[~last]).tolist():
        own = session == number
        shared = np.intersect1d(y[own], y[last])
        if len(shared):
            moves = [features[last & (y == k)].mean(axis=0) - features[own & (y == k)].mean(axis=0) for k in shared]
            features[own] += np.mean(moves, axis=0)


def _folds(data: DynamicSet) -> tuple[str, list[list[set[int]]]]:
    """Return the unit held out, and for each fold the stretches of each session, newest first.

    Whole sessions, as far as the others hold every dynamic gesture; otherwise every gesture's repetitions in turn. A
    calibration is held out with nothing, and fitted on like any session.
    """
    present = [np.unique(g.session.stretch[g.session.stretch >= 0]).tolist() for g in data.grids]
    n_whole = len(data.grids) - data.calibrated
    nothing: list[set[int]] = [set() for _ in data.grids]
    by_session = []
    for number in range(n_whole)[::-1][:MAX_FOLDS]:
        others = [g.session.stretches[i].label for k, g in enumerate(data.grids) if k != number for i in present[k]]
        own = {data.grids[number].session.stretches[i].label for i in present[number]}
        if set(data.dynamic) <= set(others) and own & set(data.dynamic):
            by_session.append([*nothing[:number], set(present[number]), *nothing[number + 1 :]])
    if by_session:
        return "session", by_session
    by_label: dict[str, list[tuple[int, int]]] = defaultdict(list)
    for number in range(n_whole):
        for index in present[number]:
            by_label[data.grids[number].session.stretches[index].label].append((number, index))
    n_folds = min([MAX_FOLDS, *(len(by_label[name]) for name in data.dynamic)])
    if n_folds < 2:
        return "repetition", []
    folds: list[list[set[int]]] = [[set() for _ in data.grids] for _ in range(n_folds)]
    for stretches in by_label.values():
        for order, (number, index) in enumerate(reversed(stretches)):
            folds[order % n_folds][number].add(index)
    return "repetition", folds
