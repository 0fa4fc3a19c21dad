"""Calibration after putting the band on again, and what a report says of it and of confidences."""

import dataclasses
import json

import numpy as np
import pytest

from semg.domain import DecisionSpec
from semg.errors import TrainingError
from semg.signals.dataset import LabelledSamples, Stretch, WindowSet, make_windows
from semg.signals.model.decisions import Voter
from semg.signals.model.electrode_rotation import rotations_of
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.advice import advise, silent_channels
from semg.signals.training.calibration import decide_all, decision_figures, operating_points, reliability
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit, train
from testing.kits.recording_kit import labelled_session

pytestmark = pytest.mark.slow
GESTURES = ("rest", "fist", "open_hand", "flexion")
ARM = SyntheticArm(2, 8, gestures=GESTURES)
QUICK = TrainingOptions(epochs=2)


def session(index: int, repetitions: int = 3) -> LabelledSamples:
    return labelled_session(ARM, index, make_plan(GESTURES, repetitions, 2.0))


def turned(data: LabelledSamples, turn) -> LabelledSamples:
    return dataclasses.replace(data, samples=np.ascontiguousarray(data.samples[:, list(turn)]))


def accuracy(classifier, data: LabelledSamples) -> float:
    found = make_windows([data], classifier.channels, classifier.conditioning, classifier.window)
    named = np.array(classifier.classes)[classifier.predict_proba(found.windows).argmax(axis=1)]
    return float(np.mean(named == found.labels))


@pytest.mark.parametrize("kind", ["cnn", "logcov_lda"])
def test_calibration_undoes_every_turn_of_the_band(kind):
    learned, calibration, test = session(1), session(3, 1), session(3)
    as_worn = accuracy(fit([learned], kind, options=QUICK, calibration=calibration), test)
    assert as_worn > 0.75
    for turn in (rotations_of(8)[3], rotations_of(8)[12]):
        adapted = fit([learned], kind, options=QUICK, calibration=turned(calibration, turn))
        # The same windows meet the same random numbers: next to nothing but rounding is left.
        assert accuracy(adapted, turned(test, turn)) == pytest.approx(as_worn, abs=0.002)
        assert accuracy(fit([learned], kind, options=QUICK), turned(test, turn)) < as_worn - 0.1


def test_report_holds_the_calibration_before_and_after():
    worn = turned(session(3, 1), rotations_of(8)[5])
    made = []
    result = train([session(1), session(2)], "cnn", options=QUICK, calibration=worn, ready=made.append)
    report = json.loads(json.dumps(result.report.as_json(), allow_nan=False))
    calibration = report["calibration"]
    assert calibration["after"]["balanced_accuracy"] > calibration["before"]["balanced_accuracy"] + 0.2
    assert sum(map(sum, calibration["after"]["confusion"])) == calibration["windows"]
    assert made == [result.classifier]
    assert report["split"]["by"] == "session"
    assert "used as the calibration" in report["split"]["description"]
    assert result.classifier.training["calibrated"]


def test_one_session_with_a_calibration_is_reported_by_the_calibration():
    report = train([session(1)], "logcov_lda", calibration=session(2, 1)).report
    assert report.split.by == "none"
    assert report.balanced_accuracy == report.calibration.after.balanced_accuracy
    assert report.windows == report.calibration.windows


def test_calibration_of_unknown_or_too_few_gestures_is_refused():
    strange = labelled_session(SyntheticArm(2, 8, gestures=("rest", "wave")), 2, make_plan(("rest", "wave"), 1, 2.0))
    with pytest.raises(TrainingError, match="gesture wave"):
        fit([session(1)], "logcov_lda", calibration=strange)
    lonely = labelled_session(ARM, 2, make_plan(("rest",), 1, 2.0))
    with pytest.raises(TrainingError, match="fewer than two gestures"):
        fit([session(1)], "logcov_lda", calibration=lonely)


def test_report_tells_of_confidence_decisions_baselines_and_what_would_help():
    first, second = session(1), session(2)
    previous = fit([first], "logcov_lda")
    made = train([first, second], "cnn", options=QUICK, previous=previous).report
    report = json.loads(json.dumps(made.as_json()))
    assert len(report["reliability"]["bins"]) == 10
    assert sum(b["windows"] for b in report["reliability"]["bins"]) == report["windows"]
    assert set(report["baselines"]) == {"logcov_lda", "td_lda"}
    assert [fold["held_out"] for fold in report["folds"]] == [["session synthetic-2-2"], ["session synthetic-2-1"]]
    assert report["decisions"]["false_activations_per_min"] is not None
    alike = [p["rejected"] for p in report["operating_points"] if (p["vote_n"], p["hysteresis"]) == (3, 0.1)]
    assert alike == sorted(alike)
    chosen = report["operating_point"]
    assert chosen is None or chosen["false_activations_per_min"] <= QUICK.false_per_min
    assert report["advice"].endswith(".") or ":" in report["advice"]
    assert report["silent_channels"] == []
    # The previous version saw session 1: only session 2 is fair.
    assert report["previous"]["comparable"]
    assert report["previous"]["windows"] == report["folds"][0]["windows"]


def window_set(labels: list[str], stretch: list[int]) -> WindowSet:
    n = len(stretch)
    stretches = tuple(Stretch(label, 1, "s") for label in labels)
    zeros = np.zeros(n, np.float32)
    ids = np.array(stretch, np.int32)
    return WindowSet(np.zeros((n, 1, 4), np.float32), ids, stretches, zeros, zeros, np.arange(n), np.zeros(n, np.int32))


def rows(*confidences: tuple[int, float]) -> np.ndarray:
    return np.array([[c, 1 - c] if k == 0 else [1 - c, c] for k, c in confidences], np.float32)


def test_reliability_counts_right_answers_by_confidence():
    found = reliability(np.array([0, 0, 1, 1]), rows((0, 0.95), (1, 0.95), (1, 0.65), (1, 0.65)))
    last = found.bins[9]
    assert (last.low, last.high, last.windows, last.accuracy) == (0.9, 1.0, 2, 0.5)
    assert last.confidence == pytest.approx(0.95, abs=1e-6)
    assert found.calibration_error == pytest.approx((0.45 * 2 + 0.35 * 2) / 4, abs=1e-5)


def test_false_activations_are_beginnings_in_a_minute_of_rest():
    data = window_set(["rest", "fist"], [0] * 6 + [1] * 2)
    named = rows((1, 0.92), (0, 0.92), (0, 0.92), (1, 0.92), (0, 0.92), (1, 0.92), (0, 0.92), (0, 0.92))
    found = decision_figures(("fist", "rest"), data, named, DecisionSpec(1, 0.0), 500.0)
    assert found.false_activations_per_min == pytest.approx(2 / (6 * 0.5 / 60))
    assert found.accuracy == pytest.approx(5 / 8)
    points, chosen = operating_points(("fist", "rest"), data, named, DecisionSpec(1, 0.0), 500.0, 25.0)
    assert chosen is not None
    # A vote of three hides single windows: no rejection is needed for it.
    assert (chosen.vote_n, chosen.false_activations_per_min) == (3, pytest.approx(20.0))
    assert chosen.recognised == max(p.recognised for p in points if p.false_activations_per_min <= 25)


def test_decisions_of_all_stretches_at_once_equal_one_voter():
    rng = np.random.default_rng(3)
    stretch = np.repeat([0, 1, 2, 3], [7, 1, 12, 5]).tolist()
    data = window_set(["rest", "fist", "rest", "flexion"], stretch)
    named = rng.dirichlet([1, 1, 1], len(stretch)).astype(np.float32)
    spec, expected = DecisionSpec(3, 0.4, 0.3), []
    voter = Voter(spec, 3)
    for row, (here, before) in enumerate(zip(stretch, [-1, *stretch[:-1]], strict=True)):
        if here != before:
            voter.reset()
        winner, _ = voter.push(named[row])
        expected.append(-1 if winner is None else winner)
    assert decide_all(data, named, spec)[0].tolist() == expected


def test_without_rest_there_is_no_operating_point():
    data = window_set(["fist", "flexion"], [0, 0, 1])
    found, chosen = operating_points(
        ("fist", "flexion"), data, rows((0, 0.9), (0, 0.9), (1, 0.9)), DecisionSpec(1), 50.0, 2.0
    )
    assert found[0].false_activations_per_min is None
    assert chosen is None


@pytest.mark.parametrize(
    ("confusion", "repetitions", "sessions", "silent", "said"),
    [
        ([[9, 1], [0, 9]], {"fist": 9, "rest": 9}, 2, ["a3"], "Channel a3 is silent"),
        ([[9, 1], [0, 9]], {"fist": 2, "rest": 9}, 2, [], "more repetitions of fist"),
        ([[9, 1], [0, 9]], {"fist": 9, "rest": 9}, 1, [], "another session"),
        ([[6, 4], [0, 9]], {"fist": 9, "rest": 9}, 2, [], "fist is taken for rest in 40 %"),
        ([[9, 1], [0, 9]], {"fist": 9, "rest": 9}, 2, [], "Nothing stands out"),
    ],
)
def test_advice_names_the_first_thing_that_would_help(confusion, repetitions, sessions, silent, said):
    assert said in advise(("fist", "rest"), np.array(confusion), repetitions, sessions, silent, True)


def test_silent_channel_is_named():
    windows = np.random.default_rng(0).normal(0, 1, (20, 3, 50)).astype(np.float32)
    windows[:, 1] = 7.0
    assert silent_channels(windows, ("a0", "a1", "a2")) == ["a1"]
