"""The protocols of the recognition benchmark: what is fitted on which part of a person's recordings, and what tests it.

A new session is divided first: its *calibration* is the first stretch of each gesture, its *test* the rest, in every
protocol across sessions, with a calibration or without. Every protocol tries the product and both baselines on the same
windows. No step of a fit sees a sample of the test; following sees each window only after it has answered it.
"""

from __future__ import annotations

import sys
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

if __package__ in (None, ""):
    sys.path.insert(0, str(Path(__file__).resolve().parents[2]))

from semg.domain import ClassifierKind
from semg.signals.dataset import LabelledSamples, make_windows
from semg.signals.model.adaptation import Adapter
from semg.signals.model.classifier import Classifier
from semg.signals.model.electrode_rotation import rotations_of
from semg.signals.training.calibration import reliability
from semg.signals.training.metrics import score, score_trimmed
from semg.signals.training.population_prior import PopulationPrior
from semg.signals.training.train import fit, train
from semg.signals.training.trainer import follow
from testing.benchmarks.recognition_sets import Person, first_repetitions, keep, stretches_of, turned

FOLLOWING, STORED = "cnn, following", "cnn as stored"
"""Names of the methods that are the product: as it is served, and without learning from the test."""
BASELINES: tuple[ClassifierKind, ...] = ("logcov_lda", "td_lda")
TURNS = 2
"""Turns of the band that each person is tried with."""


@dataclass(frozen=True, slots=True)
class Row:
    """The figures of one method on one session of a person, in percent unless they are counts."""

    method: str
    person: str
    session: str
    values: dict[str, float]


@dataclass(frozen=True, slots=True)
class Setting:
    """Seed of everything random in the trainings, and what everybody else gave."""

    seed: int = 0
    base: PopulationPrior | None = None


Protocol = Callable[[Person, Setting], Iterator[Row]]


def tried(classifier: Classifier, test: LabelledSamples, *, adapt: bool = True) -> dict[str, float]:
    """Return a classifier's figures on the windows of a test and on its trials, in percent.

    A trial is decided once, by the mean probability over its windows. With ``adapt`` the classifier follows the test's
    stream as live; otherwise it stays as it is stored.
    """
    data = make_windows([test], classifier.channels, classifier.conditioning, classifier.window)
    probabilities = follow(classifier, data) if adapt else classifier.predict_proba(data.windows)
    classes, n_classes = np.array(classifier.classes), len(classifier.classes)
    truth, decided = np.searchsorted(classes, data.labels).astype(np.int64), probabilities.argmax(axis=1)
    ids, first, trial = np.unique(data.stretch, return_index=True, return_inverse=True)
    of_trial = np.zeros((len(ids), n_classes))
    np.add.at(of_trial, trial, probabilities)
    windows, trimmed = score(truth, decided, n_classes), score_trimmed(truth, decided, data.into_stretch_ms, n_classes)
    trials = score(truth[first], of_trial.argmax(axis=1), n_classes)
    values = {
        "accuracy": windows.accuracy,
        "balanced_accuracy": windows.balanced_accuracy,
        "macro_f1": windows.macro_f1,
        "trimmed_accuracy": trimmed.accuracy,
        "trimmed_macro_f1": trimmed.macro_f1,
        "trial_accuracy": trials.accuracy,
        "trial_balanced_accuracy": trials.balanced_accuracy,
        "trial_macro_f1": trials.macro_f1,
        "calibration_error": reliability(truth, probabilities).calibration_error or 0.0,
        "chance": windows.chance,
    }
    return {name: 100 * value for name, value in values.items()} | {"windows": windows.n, "trials": len(ids)}


def _rows(
    person: Person, tests: Sequence[tuple[str, LabelledSamples]], made: Callable[[ClassifierKind], Classifier]
) -> Iterator[Row]:
    """Try the product and both baselines on tests."""
    product = made("cnn")
    for session, test in tests:
        yield Row(FOLLOWING, person.name, session, tried(product, test))
        yield Row(STORED, person.name, session, tried(product, test, adapt=False))
        for kind in BASELINES:
            yield Row(kind, person.name, session, tried(made(kind), test))


def _new(person: Person, setting: Setting, sessions: Sequence[str]) -> Iterator[Row]:
    def made(kind: ClassifierKind) -> Classifier:
        key = (kind, setting.seed)
        if key not in person.fitted:
            person.fitted[key] = fit(person.learned, kind, seed=setting.seed)
        return person.fitted[key]

    if sessions:
        yield from _rows(person, [(name, person.divided(name)[1]) for name in sessions], made)


def _calibrated(person: Person, setting: Setting, sessions: Sequence[str]) -> Iterator[Row]:
    for name in sessions:
        calibration, test = person.divided(name)
        made = partial(_fit, person.learned, setting.seed, calibration=calibration)
        yield from _rows(person, [(name, test)], made)


def _fit(
    learned: Sequence[LabelledSamples],
    seed: int,
    kind: ClassifierKind,
    *,
    calibration: LabelledSamples | None = None,
    base: PopulationPrior | None = None,
) -> Classifier:
    """Fit the product, with a base, or a baseline, without."""
    return fit(learned, kind, seed=seed, calibration=calibration, base=base if kind == "cnn" else None)


def across(person: Person, setting: Setting) -> Iterator[Row]:
    """Fit on the learned sessions, try on each new day."""
    yield from _new(person, setting, person.of.new_days)


def calibrated(person: Person, setting: Setting) -> Iterator[Row]:
    """Fit as ``across`` and on one repetition of each gesture of the new day."""
    yield from _calibrated(person, setting, person.of.new_days)


def posture(person: Person, setting: Setting) -> Iterator[Row]:
    """Fit on the learned sessions, try on another arm posture."""
    yield from _new(person, setting, person.of.postures)


def posture_calibrated(person: Person, setting: Setting) -> Iterator[Row]:
    """Fit as ``posture`` and on one repetition of each gesture in that posture."""
    yield from _calibrated(person, setting, person.of.postures)


def within(person: Person, setting: Setting) -> Iterator[Row]:
    """Fit on a new day without the last repetition of each gesture and every fifth before it, try on those."""
    for name in person.of.new_days:
        session = person.recording(name)
        held = {i for ids in stretches_of(session).values() for i in ids[::-1][::5]}
        rest = [i for i in range(len(session.stretches)) if i not in held]
        made = partial(_fit, [keep(session, rest)], setting.seed)
        yield from _rows(person, [(name, keep(session, held))], made)


def one_repetition(person: Person, setting: Setting) -> Iterator[Row]:
    """Fit on one repetition of each gesture with a base of the others, try on those from the fourth on."""
    yield from _few(person, setting, 1, setting.base)


def three_repetitions(person: Person, setting: Setting) -> Iterator[Row]:
    """Fit on three repetitions of each gesture without a base, try on those from the fourth on."""
    yield from _few(person, setting, 3, None)


def _few(person: Person, setting: Setting, count: int, base: PopulationPrior | None) -> Iterator[Row]:
    others = None if base is None else base.without(names=[person.name])
    for name in person.of.new_days:
        session = person.recording(name)
        learned, test = first_repetitions(session, count), first_repetitions(session, 10_000, 3)
        made = partial(_fit, [keep(session, learned)], setting.seed, base=others)
        yield from _rows(person, [(name, keep(session, test))], made)


def band_turned(person: Person, setting: Setting) -> Iterator[Row]:
    """Fit and try as ``calibrated``, the calibration and the test of the first new day turned alike.

    ``moved`` is by how much the accuracy changes from the band as it was worn.
    """
    if person.of.sensor != "raw":  # a ring of electrodes around the arm; others are placed one by one
        return
    name = person.of.new_days[0]
    calibration, test = person.divided(name)
    as_worn = tried(fit(person.learned, "cnn", seed=setting.seed, calibration=calibration), test)
    possible = rotations_of(len(test.channels))[1:]
    for index in np.random.default_rng([setting.seed, int(person.name)]).permutation(len(possible))[:TURNS]:
        turn = possible[index]
        product = fit(person.learned, "cnn", seed=setting.seed, calibration=turned(calibration, turn))
        values = tried(product, turned(test, turn))
        values["moved"] = abs(values["accuracy"] - as_worn["accuracy"])
        yield Row(FOLLOWING, person.name, f"{name} as {''.join(map(str, turn))}", values)


def own_report(person: Person, setting: Setting) -> Iterator[Row]:
    """Fit as ``across`` with a report; ``reported_minus_honest`` is its accuracy minus that on the first new day."""
    result = train(list(person.learned), "cnn", seed=setting.seed)
    values = tried(result.classifier, person.test)
    values["reported_minus_honest"] = 100 * (result.report.accuracy or 0.0) - values["accuracy"]
    values["training_s"] = result.report.train_s or 0.0
    yield Row(FOLLOWING, person.name, person.of.new_days[0], values)


PROTOCOLS: dict[str, Protocol] = {
    "across": across,
    "calibrated": calibrated,
    "posture": posture,
    "posture-calibrated": posture_calibrated,
    "within": within,
    "1-repetition": one_repetition,
    "3-repetitions": three_repetitions,
    "turned": band_turned,
    "own-report": own_report,
}


def times_us(classifier: Classifier, session: LabelledSamples) -> dict[str, float]:
    """Return the median time of a window in microseconds: alone and in batches of 64, frozen; and following, alone."""
    windows = make_windows([session], classifier.channels, classifier.conditioning, classifier.window).windows
    adapter = Adapter(classifier)

    def median(size: int, rounds: int) -> float:
        taken = []
        for index in range(rounds):
            first = (index * size) % (len(windows) - size)
            part: NDArray[np.float32] = windows[first : first + size]
            started = time.perf_counter()
            classifier.predict_proba(part)
            taken.append(time.perf_counter() - started)
        return float(np.median(taken)) / size * 1e6

    started = time.perf_counter()
    for index in range(1000):
        adapter.predict_proba(windows[index : index + 1])
    following = (time.perf_counter() - started) * 1e3
    return {"alone": median(1, 500), "of 64": median(64, 60), "alone, following (mean)": following}
