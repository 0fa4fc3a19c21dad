"""Evaluate across recordings: fit on some files, report on others."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import cast, get_args

import numpy as np

from semg.domain import ClassifierKind, Sensor
from semg.errors import RecordingError, TrainingError
from semg.priors.building import digest_of, load_base
from semg.recordings.csv_format import NO_ANSWERS, LayoutAnswers, load_recording
from semg.recordings.overlap import shared_rows
from semg.signals.dataset import LabelledSamples, WindowSet, make_windows
from semg.signals.model.classifier import Classifier
from semg.signals.training.calibration import decision_figures, reliability
from semg.signals.training.event_figures import event_figures
from semg.signals.training.options import TrainingOptions
from semg.signals.training.report import figures, serving_us
from semg.signals.training.session_checks import RATE_TOLERANCE
from semg.signals.training.train import fit
from semg.signals.training.trainer import follow
from semg.signals.training.training_report import TrainingReport


def paths_from_argument(value: object, name: str) -> list[Path]:
    """Return the files of a command-line value, which fire hands over as text, or as a tuple when it has commas.

    Raises
    ------
    RecordingError
        When no file is named, or one is named twice.
    """
    parts = value if isinstance(value, tuple | list) else str(value).split(",")
    names = [str(part).strip() for part in parts if str(part).strip()]
    if not names or value in (None, True, False):
        raise RecordingError(f"{name} needs the path of at least one recording (gzip CSV), got {value!r}.")
    if len({Path(each).resolve() for each in names}) < len(names):
        raise RecordingError(f"{name} names a recording twice: {', '.join(names)}.")
    return [Path(each) for each in names]


def check_test(learned: Sequence[LabelledSamples], tests: Sequence[LabelledSamples], names: Sequence[str]) -> None:
    """Check, before anything is fitted, that a classifier fitted on some recordings can be tested on others.

    Raises
    ------
    RecordingError
        When a test has other channels, another rate, or a gesture that no training recording has.
    """
    first = learned[0]
    known = {stretch.label for session in learned for stretch in session.stretches}
    for session, name in zip(tests, names, strict=True):
        if session.channels != first.channels:
            raise RecordingError(
                f"{name} has the channels {', '.join(session.channels)}, but the training recordings have "
                f"{', '.join(first.channels)}. Train and test on recordings of the same electrodes."
            )
        if abs(session.rate_hz - first.rate_hz) > RATE_TOLERANCE * first.rate_hz:
            raise RecordingError(
                f"{name} was sampled at {session.rate_hz:g} Hz, the training recordings at {first.rate_hz:g} Hz. "
                "Train and test on recordings of one rate, or give --rate_hz if the column millis is wrong."
            )
        unknown = sorted({stretch.label for stretch in session.stretches} - known)
        if unknown:
            raise RecordingError(
                f"{name} holds the gesture {', '.join(unknown)}, which no training recording has. Add a training "
                f"recording with it, or remove it from the test. Trained were {', '.join(sorted(known))}."
            )


def held_out_windows(classifier: Classifier, tests: Sequence[LabelledSamples]) -> WindowSet:
    """Return the windows that are scored: those of the grid that lie entirely within one stretch."""
    return make_windows(tests, classifier.channels, classifier.conditioning, classifier.window)


def evaluate_recordings(
    train: Sequence[Path],
    test: Sequence[Path],
    *,
    sensor: str = "raw",
    rate_hz: float | None = None,
    mains_hz: float = 50.0,
    kind: str = "cnn",
    seed: int = 0,
    options: TrainingOptions | None = None,
    calibrate: Path | None = None,
    base: Path | None = None,
    adapt: bool = True,
    answers: LayoutAnswers = NO_ANSWERS,
) -> TrainingReport:
    """Return the report of a classifier fitted on some recordings and tested on others.

    Beside the figures it states what was ``trained_on`` and ``calibrated_on``, how many ``base_people`` there were, and
    whether the classifier ``adapts``: keys of its JSON.

    Parameters
    ----------
    calibrate
        A short recording (10 s of rest, each gesture once) of the placement that is tested; no row of it may be in a
        test.
    base
        A population prior from ``pretrain.py``; people who are also in these recordings are excluded from it.
    adapt
        Whether the classifier adapts to each test's stream without labels, as in live use.
    answers
        Known properties of the files' columns.

    Raises
    ------
    RecordingError, TrainingError
        With a message for the command line.
    """
    if sensor not in get_args(Sensor):
        raise RecordingError(f"--sensor must be one of {', '.join(get_args(Sensor))}, got {sensor!r}.")
    if kind not in get_args(ClassifierKind):
        raise TrainingError(f"--classifier must be one of {', '.join(get_args(ClassifierKind))}, got {kind!r}.")
    if isinstance(seed, bool) or not isinstance(seed, int) or seed < 0:
        raise TrainingError(f"--seed must be a whole number from 0 on, got {seed!r}.")
    both = {path.resolve() for path in train} & {path.resolve() for path in test}
    if both:
        raise RecordingError(
            f"{', '.join(sorted(path.name for path in both))} is named for training and for testing; a figure from "
            "data that were trained on says nothing. Name different recordings."
        )
    try:
        rate = None if rate_hz is None else float(rate_hz)
        hum_hz = float(mains_hz)
    except (TypeError, ValueError) as exc:
        raise RecordingError(f"--rate_hz and --mains_hz must be numbers, got {rate_hz!r}, {mains_hz!r}.") from exc
    loaded = [
        load_recording(path, answers=answers, rate_hz=rate, sensor=cast(Sensor, sensor), mains_hz=hum_hz)
        for path in [*train, *([] if calibrate is None else [calibrate]), *test]
    ]
    sessions = [recording.labelled for recording in loaded]
    learned, tests = sessions[: len(train)], sessions[len(loaded) - len(test) :]
    names = [path.name for path in test]
    check_test(learned, tests, names)
    calibration = None
    if calibrate is not None:
        calibration = sessions[len(train)]
        check_test(learned, [calibration], [calibrate.name])
        for other, name in zip(loaded[len(loaded) - len(test) :], names, strict=True):
            shared = shared_rows(loaded[len(train)], other)
            if shared:
                raise RecordingError(
                    f"{calibrate.name} shares {shared} row{'s' if shared > 1 else ''} with {name}; a figure from data "
                    "that were fitted on says nothing. Cut the calibration out of the test."
                )
    prior = None
    if base is not None:
        prior = load_base(base).without(digests={digest_of(session) for session in sessions})
    started = time.perf_counter()
    classifier = fit(
        learned, cast(ClassifierKind, kind), options=options, seed=seed, calibration=calibration, base=prior
    )
    train_s = time.perf_counter() - started
    data = held_out_windows(classifier, tests)
    if len(data) == 0:
        raise RecordingError(f"No window of {classifier.window.window_ms:g} ms fits into a stretch of the test.")
    probabilities = follow(classifier, data) if adapt else classifier.predict_proba(data.windows)
    report = figures(classifier.classes, data, probabilities)
    truth = np.searchsorted(np.array(classifier.classes), data.labels).astype(np.int64)
    hop_ms = classifier.window.hop_samples * 1000 / classifier.window.rate_hz
    return replace(
        report,
        reliability=reliability(truth, probabilities),
        decisions=decision_figures(classifier.classes, data, probabilities, classifier.decision, hop_ms),
        events=event_figures(classifier.classes, data, probabilities, classifier.decision, classifier.window),
        model_bytes=len(classifier.to_bytes()),
        train_s=round(train_s, 3),
        us_per_window=round(serving_us(classifier, data.windows), 1),
        seed=seed,
        held_out=tuple(names),
        base=classifier.training["base"],
        classifier=kind,
        written=report.written | {"seed", "base", "train_s", "us_per_window"},
        extra={
            "trained_on": [path.name for path in train],
            "calibrated_on": None if calibrate is None else calibrate.name,
            "base_people": None if prior is None else len(prior.people),
            "adapts": adapt and kind == "cnn",
        },
    )
