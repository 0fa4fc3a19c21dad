"""Figures against ones worked out by hand and by scikit-learn; votes against their definition."""

import time

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as reference

from semg.domain import DecisionSpec
from semg.signals.model.decisions import Voter
from semg.signals.training.metrics import score, score_trimmed
from semg.signals.training.training_report import GestureFigures


@given(st.lists(st.tuples(st.integers(0, 3), st.integers(0, 3)), min_size=1, max_size=60))
def test_figures_equal_scikit_learn(pairs):
    truth, predicted = np.array(pairs).T
    scores = score(truth, predicted, 4)
    present = np.unique(truth)
    recalls = reference.recall_score(truth, predicted, labels=present, average=None, zero_division=0)
    assert scores.accuracy == pytest.approx(reference.accuracy_score(truth, predicted))
    assert scores.balanced_accuracy == pytest.approx(recalls.mean())
    assert scores.macro_f1 == pytest.approx(reference.f1_score(truth, predicted, average="macro", zero_division=0))
    assert scores.confusion.tolist() == reference.confusion_matrix(truth, predicted, labels=range(4)).tolist()


def test_always_rest_scores_chance_and_no_more():
    truth = np.array([0] * 60 + [1] * 20 + [2] * 20)
    scores = score(truth, np.zeros(100, int), 3)
    assert scores.accuracy == scores.chance == 0.6
    assert scores.balanced_accuracy == pytest.approx(1 / 3)
    assert scores.macro_f1 == pytest.approx(0.25)


def test_trimmed_figures_leave_out_the_first_750_ms():
    truth, predicted = np.array([0, 0, 1, 1]), np.array([1, 0, 1, 1])
    trimmed = score_trimmed(truth, predicted, np.array([700.0, 750.0, 900.0, 0.0]), 2)
    assert (trimmed.n, trimmed.accuracy) == (2, 1.0)


def test_gesture_without_windows_has_no_recall():
    found = score(np.array([0]), np.array([0]), 2).per_gesture(("rest", "fist"))
    assert found["fist"] == GestureFigures(recall=None, n=0)


def push_all(voter: Voter, rows: list[list[float]]) -> tuple[int | None, float]:
    for row in rows:
        decision = voter.push(np.array(row, np.float32))
    return decision


def test_first_window_already_decides():
    label, confidence = Voter(DecisionSpec(vote_n=5, min_confidence=0.5), 2).push(np.array([0.2, 0.8], np.float32))
    assert label == 1
    assert confidence == pytest.approx(0.8)


def test_majority_wins_over_one_confident_window():
    label, confidence = push_all(Voter(DecisionSpec(3, 0.0), 2), [[0.45, 0.55], [0.45, 0.55], [0.99, 0.01]])
    assert label == 1
    assert confidence == pytest.approx((0.55 + 0.55 + 0.01) / 3)


def test_equal_votes_are_decided_by_summed_probability():
    assert push_all(Voter(DecisionSpec(2, 0.0), 2), [[0.4, 0.6], [0.9, 0.1]])[0] == 0


def test_low_confidence_is_rejected_and_still_told():
    label, confidence = Voter(DecisionSpec(1, 0.7), 3).push(np.array([0.4, 0.35, 0.25], np.float32))
    assert label is None
    assert confidence == pytest.approx(0.4)


def test_reset_forgets_earlier_windows():
    voter = Voter(DecisionSpec(3, 0.0), 2)
    push_all(voter, [[0.9, 0.1], [0.9, 0.1]])
    voter.reset()
    assert voter.push(np.array([0.3, 0.7], np.float32))[0] == 1


def test_decision_that_begins_needs_more_than_one_that_goes_on():
    voter = Voter(DecisionSpec(1, 0.5, 0.4), 3)  # begins at 0.7, goes on at 0.5
    said = [
        voter.push(np.array(row, np.float32))[0]
        for row in (
            [0.60, 0.30, 0.10],  # sure enough to go on, not to begin
            [0.75, 0.15, 0.10],
            [0.55, 0.40, 0.05],
            [0.50, 0.50, 0.00],
            [0.40, 0.60, 0.00],  # the other is not sure enough to begin, the old one not to go on
            [0.60, 0.40, 0.00],
            [0.10, 0.80, 0.10],
        )
    ]
    assert said == [None, 0, 0, 0, None, None, 1]


def test_decision_goes_on_against_a_majority_that_is_not_sure():
    voter = Voter(DecisionSpec(3, 0.3, 0.5), 2)
    push_all(voter, [[0.9, 0.1]] * 3)
    assert push_all(voter, [[0.48, 0.52]] * 3) == (0, pytest.approx(0.48))


def test_without_hysteresis_every_vote_stands_alone():
    rng = np.random.default_rng(0)
    together = Voter(DecisionSpec(1, 0.4, 0.0), 3)
    for row in rng.dirichlet([1, 1, 1], 100).astype(np.float32):
        assert together.push(row)[0] == Voter(DecisionSpec(1, 0.4, 0.0), 3).push(row)[0]


def test_old_windows_leave_the_vote():
    assert push_all(Voter(DecisionSpec(2, 0.0), 2), [[0.9, 0.1], [0.9, 0.1], [0.4, 0.6], [0.4, 0.6]])[0] == 1


def test_probabilities_of_another_classifier_are_refused():
    with pytest.raises(ValueError, match="expected 2"):
        Voter(DecisionSpec(), 2).push(np.array([0.2, 0.3, 0.5], np.float32))


def test_vote_takes_microseconds():
    voter = Voter(DecisionSpec(5, 0.5), 8)
    row = np.full(8, 0.125, np.float32)
    times = []
    for _ in range(500):
        started = time.perf_counter()
        voter.push(row)
        times.append(time.perf_counter() - started)
    assert np.median(times) < 100e-6
