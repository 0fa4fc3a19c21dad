"""Train a classifier on labelled sessions, and report its accuracy on held-out data."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semg.domain import ClassifierKind
from semg.errors import TrainingError
from semg.signals.dataset import LabelledSamples, WindowSet
from semg.signals.model.classifier import Classifier
from semg.signals.model.forward import softmax
from semg.signals.training import report as reports
from semg.signals.training.advice import advise, count_repetitions, silent_channels
from semg.signals.training.calibration import decision_figures, operating_points, reliability
from semg.signals.training.dynamic_fit import try_dynamic, with_dynamic
from semg.signals.training.event_figures import event_figures
from semg.signals.training.label_alignment import measure_alignment
from semg.signals.training.metrics import Scores, score
from semg.signals.training.options import TrainingOptions
from semg.signals.training.population_prior import PopulationPrior
from semg.signals.training.progress import TrainingProgress
from semg.signals.training.splits import Fold, folds_of
from semg.signals.training.trainer import FoldResult, Trainer, follow
from semg.signals.training.training_report import (
    FIGURES,
    FINISHED,
    HELD_OUT,
    BaselineFigures,
    CalibratedFigures,
    CalibrationFigures,
    Comparison,
    GestureFigures,
    Split,
    SummaryFigures,
    TrainingReport,
)
from semg.signals.training.verdict import judge_version

BASELINES: tuple[ClassifierKind, ...] = ("logcov_lda", "td_lda")


@dataclass(frozen=True, slots=True)
class TrainingResult:
    """A classifier fitted on all data, and the report of classifiers tested on data held out of their training sets."""

    classifier: Classifier
    report: TrainingReport


def _never() -> bool:
    return False


def _ignore_progress(progress: TrainingProgress) -> None:
    """Ignore the progress: the default callback."""


def _unused(classifier: Classifier) -> None:
    """Ignore the classifier: the default callback."""


def fit(
    sessions: Sequence[LabelledSamples],
    kind: ClassifierKind = "cnn",
    *,
    options: TrainingOptions | None = None,
    seed: int | None = None,
    progress: Callable[[TrainingProgress], None] = _ignore_progress,
    should_stop: Callable[[], bool] = _never,
    calibration: LabelledSamples | None = None,
    base: PopulationPrior | None = None,
) -> Classifier:
    """Return a classifier fitted on all of some sessions, without a report, which ``evaluate.py`` tests on others.

    One repetition of each gesture is enough. Other parameters and errors as ``train``.
    """
    trainer = Trainer(
        sessions,
        kind,
        options or TrainingOptions(),
        seed,
        progress,
        should_stop,
        calibration=calibration,
        base=base,
        single_repetitions=True,
    )
    by, folds = folds_of(trainer.data)
    if calibration is not None and by == "repetition":
        folds = []
    trainer.networks = 2 if folds else 1
    results = [trainer.try_fold(folds[0], "choosing the calibration of confidences")] if folds else []
    last_epoch = results[0].last_epoch if results else None
    weights = trainer.weights_of(results)
    held = trainer.fit(trainer.data, "final fit", trainer.calibration, weights, last_epoch=last_epoch)
    return with_dynamic(held, trainer.dynamic)


def train(
    sessions: Sequence[LabelledSamples],
    kind: ClassifierKind = "cnn",
    *,
    options: TrainingOptions | None = None,
    seed: int | None = None,
    progress: Callable[[TrainingProgress], None] = _ignore_progress,
    should_stop: Callable[[], bool] = _never,
    calibration: LabelledSamples | None = None,
    base: PopulationPrior | None = None,
    previous: Classifier | None = None,
    ready: Callable[[Classifier], None] = _unused,
) -> TrainingResult:
    """Return a classifier fitted on all sessions, with a report of classifiers tested on held-out data.

    Parameters
    ----------
    sessions
        In time order; with two or more each of the newest is held out once for the report, otherwise repetitions are.
    options
        The defaults if None.
    seed
        Overrides ``options.seed``.
    progress
        Called from this thread, several times a second.
    should_stop
        Called between batches.
    calibration
        A short session (10 s of rest, each gesture once) of the current placement.
    base
        Population prior; not used where it does not fit.
    previous
        The classifier in use until now, compared on the same windows except those of its training set.
    ready
        Called with the classifier as soon as it is usable; the report follows.

    Raises
    ------
    TrainingError
        When no classifier can be fitted on the data; the message says why and what to do.
    TrainingStopped
        When ``should_stop`` returned True.
    """
    started = time.perf_counter()
    trainer = Trainer(
        sessions, kind, options or TrainingOptions(), seed, progress, should_stop, calibration=calibration, base=base
    )
    by, folds = folds_of(trainer.data)
    if calibration is not None and by == "repetition":
        folds = []  # within one session nothing can serve as another placement's calibration
    if not folds:
        if calibration is None:
            raise TrainingError(
                "No repetition could be held out to test the classifier: record every gesture at least twice."
            )
        by = "none"
    trainer.networks = len(folds) + 1
    trainer.say(f"{len(trainer.data)} windows of {len(trainer.classes)} gestures, {len(folds)} parts held out in turn")
    if trainer.base_refusal:
        trainer.say(f"the {trainer.base_refusal} does not fit these signals: trained from scratch")
    results = [trainer.try_fold(folds[0], "held-out test 1")] if folds else []
    ensemble_weights = trainer.weights_of(results)
    last_epoch = results[0].last_epoch if results else None
    held = trainer.fit(trainer.data, "final fit", trainer.calibration, ensemble_weights, last_epoch=last_epoch)
    classifier = with_dynamic(held, trainer.dynamic)
    trained_s = time.perf_counter() - started
    ready(classifier)
    trainer.say("the classifier is ready, its report follows")
    for number, fold in enumerate(folds[1:], 2):
        results.append(trainer.try_fold(fold, f"held-out test {number}"))
    calibrated = None if calibration is None else _compare_calibration(trainer)
    if results:
        report = replace(
            _held_out_report(trainer, results, folds, kind), previous=_compare_previous(trainer, results, previous)
        )
    else:
        assert calibrated is not None
        report = _calibration_only(calibrated, trainer)
    timed = trainer.data.windows if len(trainer.data) else np.zeros((0, 1, 1), np.float32)
    if trainer.dynamic is not None:
        trainer.say(f"{len(trainer.dynamic.dynamic)} dynamic gestures, each performance judged once")
        report = replace(report, dynamic=try_dynamic(trainer.dynamic, classifier.decision.begin_confidence))
    report = replace(
        report,
        calibration=calibrated,
        split=_describe(by, calibration is not None, len(folds)),
        held_out=tuple(name for each in results for name in each.held_out),
        seed=trainer.seed,
        last_epoch=last_epoch or trainer.options.epochs if kind == "cnn" else None,
        classifier=kind,
        base=classifier.training["base"],
        n_parameters=classifier.n_parameters,
        model_bytes=len(classifier.to_bytes()),
        us_per_window=round(reports.serving_us(classifier, timed), 1),
        train_s=round(trained_s, 2),
        report_s=round(time.perf_counter() - started, 2),
        written=report.written | FINISHED,
    )
    alignment = measure_alignment([*sessions, *([] if calibration is None else [calibration])])
    report = replace(report, verdict=judge_version(report, alignment))
    trainer.say(f"held out: balanced accuracy {100 * (report.balanced_accuracy or 0.0):.1f} %")
    trainer.finish(f"done in {report.report_s:.0f} s")
    return TrainingResult(classifier, report)


def _held_out_report(
    trainer: Trainer, results: Sequence[FoldResult], folds: Sequence[Fold], kind: ClassifierKind
) -> TrainingReport:
    """Return the figures over all held-out windows."""
    data, truth, probabilities = _pooled(trainer, results)
    report = reports.figures(trainer.classes, data, probabilities)
    hop_ms = trainer.window.hop_samples * 1000 / trainer.window.rate_hz
    spec = results[0].classifier.decision
    points, chosen = operating_points(trainer.classes, data, probabilities, spec, hop_ms, trainer.options.false_per_min)
    baselines: dict[str, BaselineFigures] = {}
    for plain in BASELINES:
        again = results if plain == kind else [trainer.try_fold(fold, f"{plain} beside it", plain) for fold in folds]
        windows, _, named = _pooled(trainer, again)
        scored = reports.figures(trainer.classes, windows, named)
        baselines[plain] = BaselineFigures(
            accuracy=scored.accuracy,
            balanced_accuracy=scored.balanced_accuracy,
            macro_f1=scored.macro_f1,
            trimmed=scored.trimmed,
        )
    silent = silent_channels(trainer.data.windows, trainer.channels)
    repetitions = count_repetitions(
        [(trainer.data.stretches[i].label, i) for i in np.unique(trainer.data.stretch).tolist()]
    )
    n_sessions = len(np.unique(trainer.data.session_index))
    return replace(
        report,
        baseline=replace(baselines["logcov_lda"], classifier="logcov_lda"),
        baselines=baselines,
        folds=tuple(_fold_line(trainer, each) for each in results),
        train_windows=int(np.mean([(fold.train & trainer.usable(trainer.data)).sum() for fold in folds])),
        reliability=reliability(truth, probabilities),
        decisions=decision_figures(trainer.classes, data, probabilities, spec, hop_ms),
        events=event_figures(trainer.classes, data, probabilities, spec, trainer.window),
        operating_points=points,
        operating_point=chosen,
        silent_channels=tuple(silent),
        advice=advise(trainer.classes, np.array(report.confusion), repetitions, n_sessions, silent, n_sessions > 1),
        written=report.written | HELD_OUT,
    )


def _pooled(
    trainer: Trainer, results: Sequence[FoldResult]
) -> tuple[WindowSet, NDArray[np.int64], NDArray[np.float32]]:
    """Return the held-out windows of all folds; each fold's confidences are calibrated on the others'.

    With a single fold the default calibration is used.
    """
    chunks = []
    for number, each in enumerate(results):
        others = [other for index, other in enumerate(results) if index != number]
        chunks.append(softmax(trainer.weights_of(others).inverse_temperature * each.log_probabilities))
    windows = [each.data for each in results]
    data = WindowSet(
        np.concatenate([each.windows for each in windows]),
        np.concatenate([each.stretch for each in windows]),
        trainer.data.stretches,
        np.concatenate([each.into_stretch_ms for each in windows]),
        np.concatenate([each.stretch_ms for each in windows]),
        np.concatenate([each.end_index for each in windows]),
        np.concatenate([each.session_index for each in windows]),
    )
    return data, np.concatenate([each.truth for each in results]), np.concatenate(chunks)


def _fold_line(trainer: Trainer, result: FoldResult) -> dict[str, object]:
    scores = score(result.truth, result.log_probabilities.argmax(axis=1), len(trainer.classes))
    return {
        "held_out": list(result.held_out),
        "windows": scores.n,
        "accuracy": round(scores.accuracy, 6) if scores.n else None,
        "balanced_accuracy": round(scores.balanced_accuracy, 6) if scores.n else None,
    }


def _compare_previous(
    trainer: Trainer, results: Sequence[FoldResult], previous: Classifier | None
) -> Comparison | None:
    """Compare with the classifier in use until now, on held-out windows of sessions outside its training set."""
    if previous is None:
        return None
    seen = set(previous.training.get("sessions", [])) | set(previous.training.get("calibration_sessions", []))
    same = (previous.channels, previous.window, previous.conditioning) == (
        trainer.channels, trainer.window, trainer.conditioning
    )  # fmt: skip
    if not same or not set(trainer.classes) <= set(previous.classes):
        return Comparison(why="it has other channels, windows or gestures")
    rows = []
    for each in results:
        names = np.array([stretch.session for stretch in each.data.stretches])
        unseen = ~np.isin(names[each.data.stretch], sorted(seen))
        if unseen.any():
            rows.append((each, unseen))
    if not rows:
        return Comparison(why="it was trained on every session that was held out")
    columns = [previous.classes.index(name) for name in trainer.classes]
    truth = np.concatenate([each.truth[unseen] for each, unseen in rows])
    new = np.concatenate([each.log_probabilities[unseen].argmax(axis=1) for each, unseen in rows])
    old = np.concatenate(
        [follow(previous, each.data.select(unseen))[:, columns].argmax(axis=1) for each, unseen in rows]
    )
    mine, theirs = (score(truth, predicted, len(trainer.classes)) for predicted in (new, old))
    return Comparison(comparable=True, windows=len(truth), new=_summarise(mine), previous=_summarise(theirs))


def _summarise(scores: Scores) -> SummaryFigures:
    return SummaryFigures(
        accuracy=round(scores.accuracy, 6),
        balanced_accuracy=round(scores.balanced_accuracy, 6),
        macro_f1=round(scores.macro_f1, 6),
    )


def _compare_calibration(trainer: Trainer) -> CalibrationFigures:
    """Return the scores on the calibration before and after it, each repetition predicted without itself.

    These many classifiers have a network of one epoch only: the closed-form and dense branches carry the adaptation.
    """
    assert trainer.calibration is not None
    calibration = trainer.calibration
    plain = trainer.fit(trainer.data, "before the calibration", network=False)
    truth = trainer.truth(calibration)
    before = plain.predict_proba(calibration.windows).argmax(axis=1)
    after = np.zeros(len(truth), np.int64)
    for stretch in np.unique(calibration.stretch):
        left_out = calibration.stretch == stretch
        rest = calibration.select(~left_out)
        if len(set(rest.labels.tolist())) < 2:
            after[left_out] = before[left_out]
            continue
        adapted = trainer.fit(trainer.data, "leave-one-out", rest, network=False)
        after[left_out] = adapted.predict_proba(calibration.windows[left_out]).argmax(axis=1)
    scored = [
        CalibratedFigures(
            accuracy=round(each.accuracy, 6),
            balanced_accuracy=round(each.balanced_accuracy, 6),
            macro_f1=round(each.macro_f1, 6),
            confusion=reports.as_rows(each.confusion),
        )
        for each in (score(truth, predicted, len(trainer.classes)) for predicted in (before, after))
    ]
    return CalibrationFigures(windows=len(truth), by="leave-one-repetition-out", before=scored[0], after=scored[1])


def _calibration_only(calibrated: CalibrationFigures, trainer: Trainer) -> TrainingReport:
    """Return the figures of a report where only the calibration could be held out."""
    after = calibrated.after
    assert trainer.calibration is not None
    assert after is not None
    confusion = np.array(after.confusion)
    counts = confusion.sum(axis=1)
    recall = np.diag(confusion) / np.maximum(counts, 1)
    return TrainingReport(
        accuracy=after.accuracy,
        balanced_accuracy=after.balanced_accuracy,
        macro_f1=after.macro_f1,
        trimmed={"accuracy": None, "macro_f1": None},
        per_gesture={
            name: GestureFigures(recall=round(float(recall[k]), 6) if counts[k] else None, n=int(counts[k]))
            for k, name in enumerate(trainer.classes)
        },
        confusion=after.confusion,
        classes=tuple(trainer.classes),
        windows=calibrated.windows,
        chance=round(float(counts.max() / max(1, counts.sum())), 6),
        chance_balanced=round(1 / max(1, len(trainer.classes)), 6),
        trials=len(np.unique(trainer.calibration.stretch)),
        written=FIGURES,
    )


def _describe(by: str, calibrated: bool, n_folds: int) -> Split:
    if by == "none":
        said = "each repetition of the calibration held out in turn"
    else:
        what = "session" if by == "session" else "a fifth of the repetitions"
        said = f"each {what} held out in turn" if by == "session" else f"{what} of every gesture held out in turn"
        if calibrated:
            said += ", its first repetition of each gesture used as the calibration"
    return Split(by=by, folds=n_folds, description=f"{said}, before anything was fitted")
