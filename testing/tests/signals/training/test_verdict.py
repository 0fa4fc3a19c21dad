"""A version says whether it is any good, from its report and from how its labels fit the signal."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest

from semg.domain import REST
from semg.recordings.csv_format import read_recording
from semg.settings import PROJECT_DIR
from semg.signals.dataset import LabelledSamples, Stretch
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.calibration import choose_operating_point
from semg.signals.training.label_alignment import measure_alignment
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import train
from semg.signals.training.training_report import DecisionFigures, TrainingReport
from semg.signals.training.verdict import compare_with_active, judge_version, plain_verdict
from testing.kits.recording_kit import number_stretches, synthetic_recording

pytestmark = pytest.mark.slow
DATA = PROJECT_DIR.parent / "shared" / "data"
CLASSES = ("fist", "flexion", "open", "point", REST)


def per_gesture(**others: tuple[float, int]) -> dict[str, Any]:
    """Recall and number of held-out windows of the five gestures."""
    return {name: dict(zip(("recall", "n"), others.get(name, (0.93, 400)), strict=True)) for name in CLASSES}


def report(**changes: Any) -> TrainingReport:
    """A good report of five gestures."""
    good = {
        "classes": list(CLASSES), "windows": 2000, "trials": 50, "balanced_accuracy": 0.93, "accuracy": 0.95,
        "classifier": "cnn", "baseline": {"balanced_accuracy": 0.9}, "advice": "Record more repetitions.",
        "per_gesture": per_gesture(), "held_out": ["A", "B"],
        "split": {"by": "session"},
    }  # fmt: skip
    return TrainingReport.from_json(good | changes)


@pytest.mark.parametrize(
    ("changes", "level", "code"),
    [
        ({}, "good", "good"),
        ({"balanced_accuracy": 0.2, "baseline": {"balanced_accuracy": 0.2}}, "do not use", "chance"),
        ({"balanced_accuracy": 0.25, "baseline": {"balanced_accuracy": 0.2}}, "do not use", "chance"),
        ({"balanced_accuracy": 0.32, "trials": 10, "baseline": {"balanced_accuracy": 0.3}}, "do not use", "chance"),
        ({"balanced_accuracy": 0.6, "baseline": {"balanced_accuracy": 0.6}}, "usable", "accuracy"),
        ({"balanced_accuracy": 0.8, "baseline": {"balanced_accuracy": 0.9}}, "do not use", "baseline"),
        ({"balanced_accuracy": 0.88, "baseline": {"balanced_accuracy": 0.9}}, "good", "good"),
        ({"classifier": "logcov_lda", "baseline": {"balanced_accuracy": 0.99}}, "good", "good"),
        ({"per_gesture": per_gesture(fist=(0.9, 9))}, "do not use", "few"),
        ({"per_gesture": {}}, "do not use", "few"),
        ({"balanced_accuracy": None, "windows": 0}, "do not use", "few"),
        ({"per_gesture": per_gesture(fist=(0.4, 10))}, "usable", "gesture"),
    ],
)
def test_report_is_judged(changes: dict[str, Any], level: str, code: str) -> None:
    verdict = judge_version(report(**changes))
    assert (verdict.level, verdict.code) == (level, code)
    assert verdict.chance == pytest.approx(0.2)


@pytest.mark.parametrize(
    ("changes", "reason", "step"),
    [
        ({}, "It recognises the gestures well", "Try it on the Live page."),
        ({"balanced_accuracy": 0.2, "baseline": None}, "chance (balanced accuracy 20 %, chance 20 %).",
         "Check that each gesture was performed while it was prompted, and record again."),
        ({"balanced_accuracy": 0.8}, "(80 %, baseline 90 %).",
         "Train the classifier “log-covariance + LDA”, or record more repetitions."),
        ({"balanced_accuracy": 0.6, "baseline": None}, "It is often wrong (", "Record more repetitions."),
        ({"per_gesture": per_gesture(fist=(0.4, 10))}, "“fist” is recognised in only 40 % of its windows (",
         "Record more repetitions of it, or perform it more clearly."),
        ({"per_gesture": per_gesture(fist=(0.9, 9))},
         "Only 9 held-out windows of fist, too few to tell whether it is recognised.",
         "Record each gesture at least five times, for several seconds each."),
    ],
)  # fmt: skip
def test_stored_verdict_is_told_as_reason_and_next_step(changes: dict[str, Any], reason: str, step: str) -> None:
    made = report(**changes)
    stored = judge_version(made)
    plain = plain_verdict(replace(made, verdict=stored))
    assert (plain.level, plain.code) == (stored.level, stored.code)
    assert reason in plain.sentence
    assert plain.next_step == step
    figures = {one.name: one.value for one in plain.figures}
    assert figures["Held-out windows"] == "2,000"
    assert figures["Chance"] == "20.0 %"
    assert all(one.meaning for one in plain.figures)


def test_version_without_a_verdict_is_not_known() -> None:
    for changes, said in (
        ({"pending": True}, "is being tested"),
        ({"incomplete": "the job was stopped."}, "no report: the job was stopped."),
        ({}, "before versions were judged"),
    ):
        plain = plain_verdict(report(**changes))
        assert plain.level == "unknown"
        assert said in plain.sentence


def test_gesture_with_too_few_windows_is_named_whatever_the_others_have() -> None:
    verdict = judge_version(report(windows=2000, per_gesture=per_gesture(point=(1.0, 3))))
    assert "only 3 held-out windows of point, too few" in verdict.sentence
    one = judge_version(report(per_gesture=per_gesture(point=(1.0, 1)))).sentence
    assert "only 1 held-out window of point, too few" in one
    none = judge_version(report(per_gesture=per_gesture(point=(1.0, 0)))).sentence
    assert "each: no held-out windows of point to tell" in none


def test_version_that_is_worse_on_the_same_windows_does_not_take_the_place() -> None:
    worse, better = report(balanced_accuracy=0.8), report()
    assert "worse than the active version (balanced accuracy 80 %; active version 93 %)" in compare_with_active(
        worse, better
    )
    assert compare_with_active(better, worse) == ""
    assert compare_with_active(report(balanced_accuracy=0.92), better) == "", "noise of the training"
    assert compare_with_active(worse, report(held_out=["C"])) == "", "other windows say nothing"
    assert compare_with_active(worse, None) == ""
    scored = {"new": {"balanced_accuracy": 0.7}, "previous": {"balanced_accuracy": 0.9}}
    seen = {"comparable": True, "windows": 500, **scored}
    assert "same 500 held-out windows" in compare_with_active(report(previous=seen), report(held_out=["C"]))
    unseen = {"comparable": False, "why": "it was trained on every session that was held out"}
    assert compare_with_active(report(previous=unseen), report(held_out=["C"])) == ""


def test_operating_point_that_recognises_next_to_nothing_is_never_chosen() -> None:
    points = [
        DecisionFigures(vote_n=3, false_activations_per_min=0.0, recognised=0.02),
        DecisionFigures(vote_n=3, false_activations_per_min=4.0, recognised=0.9),
        DecisionFigures(vote_n=3, false_activations_per_min=1.0, recognised=None),
    ]
    assert choose_operating_point(points, 2.0) is None
    assert choose_operating_point(points, 5.0) == points[1]


# Labels and signal


def sessions(n: int = 2) -> list[LabelledSamples]:
    arm = SyntheticArm(3, 4, 200.0, "raw")
    plan = make_plan(arm.gestures[:4], 3, 3.0)
    return [synthetic_recording(arm, arm.session(index, plan), f"s{index}").labelled for index in range(1, n + 1)]


def with_labels(session: LabelledSamples, changed: np.ndarray, numbers: np.ndarray) -> LabelledSamples:
    stretch, stretches = number_stretches(changed, numbers, "s")
    return replace(session, stretch=stretch, stretches=stretches)


def per_sample(session: LabelledSamples) -> tuple[np.ndarray, np.ndarray]:
    labels = np.array([one.label for one in session.stretches] + [""], object)[session.stretch]
    numbers = np.array([one.repetition for one in session.stretches] + [0])[session.stretch]
    return labels, numbers


def moved(session: LabelledSamples, seconds: float) -> LabelledSamples:
    """The labels, later by some seconds."""
    labels, numbers = per_sample(session)
    shift = round(seconds * session.rate_hz)
    return with_labels(session, np.roll(labels, shift), np.roll(numbers, shift))


def shuffled(session: LabelledSamples, seed: int) -> LabelledSamples:
    """Each stretch with another's label."""
    names = np.random.default_rng(seed).permutation([one.label for one in session.stretches]).tolist()
    named = enumerate(zip(names, session.stretches, strict=True))
    stretches = tuple(Stretch(name, index, one.session) for index, (name, one) in named)
    return replace(session, stretches=stretches)


def test_labels_that_follow_the_signal_fit_best_where_they_are() -> None:
    alignment = measure_alignment(sessions())
    assert alignment is not None
    assert alignment.correlation > 0.5
    assert abs(alignment.lag_ms) <= 500


@pytest.mark.parametrize("seconds", [-1.5, 1.5])
def test_labels_that_are_moved_are_found_with_their_lag(seconds: float) -> None:
    before = measure_alignment(sessions())
    alignment = measure_alignment([moved(one, seconds) for one in sessions()])
    assert before is not None
    assert alignment is not None
    assert alignment.lag_ms == pytest.approx(before.lag_ms - 1000 * seconds, abs=200)
    verdict = judge_version(report(balanced_accuracy=0.6, baseline={}), alignment)
    assert (verdict.level, verdict.code) == ("do not use", "labels")
    assert ("after" if seconds > 0 else "before") in verdict.sentence


def test_labels_of_another_recording_are_told() -> None:
    alignment = measure_alignment([shuffled(one, seed) for seed, one in enumerate(sessions(4))])
    assert alignment is not None
    assert alignment.correlation < 0.3


@pytest.mark.parametrize(
    ("change", "levels"),
    [
        (lambda one, index: one, {"good", "usable"}),
        (shuffled, {"do not use"}),
        (lambda one, index: moved(one, 1.5), {"do not use"}),
    ],
    ids=["right labels", "shuffled labels", "labels half a repetition late"],
)
def test_training_judges_what_it_made(change, levels: set[str]) -> None:
    data = [change(one, index) for index, one in enumerate(sessions(2))]
    made = train(data, "logcov_lda", options=TrainingOptions())
    verdict = made.report.verdict
    assert verdict is not None
    assert verdict.level in levels, verdict
    assert verdict.chance == pytest.approx(1 / len(made.report.classes), abs=1e-6)
    assert made.report.chance_balanced == verdict.chance
    assert made.report.trials > 10


@pytest.mark.recordings
@pytest.mark.skipif(not DATA.exists(), reason="the recordings are not here")
def test_real_recordings_are_good_and_with_shuffled_labels_not_to_be_used() -> None:
    paths = sorted(DATA.rglob("*.csv.gz"))
    first = paths[0]
    person = first.name.rsplit("-", 1)[0]
    data = [read_recording(path) for path in paths if path.name.rsplit("-", 1)[0] == person][:2]
    alignment = measure_alignment(data)
    assert alignment is not None
    assert abs(alignment.lag_ms) < 700
    right = train(data, "logcov_lda").report.level
    wrong = train([shuffled(one, index) for index, one in enumerate(data)], "logcov_lda").report.level
    assert right in ("good", "usable")
    assert wrong == "do not use"
