"""Many people's classifiers in one pass give what each gives alone."""

from __future__ import annotations

import numpy as np
import pytest

from semg.signals.model.batched_forward import Member, predict_batch, prepare
from semg.signals.model.classifier import Classifier
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from testing.kits.recording_kit import synthetic_recording


def classifier(
    kind: str, channels: int, rate_hz: float, sensor: str, gestures: tuple[str, ...], seed: int
) -> Classifier:
    arm = SyntheticArm(seed, channels, rate_hz, sensor, gestures=gestures)
    recording = synthetic_recording(arm, arm.session(1, make_plan(gestures, 2, 1.0)), f"s{seed}")
    return fit([recording.labelled], kind, options=TrainingOptions(epochs=1, seed=seed))


@pytest.fixture(scope="module")
def members() -> list[Member]:
    three, four = ("rest", "fist", "flexion"), ("rest", "fist", "flexion", "pinch")
    made = [
        classifier("cnn", 8, 200.0, "raw", four, 1),
        classifier("cnn", 8, 200.0, "raw", three, 2),
        classifier("cnn", 4, 200.0, "raw", three, 3),
        classifier("cnn", 8, 200.0, "envelope", three, 4),
        classifier("cnn", 16, 100.0, "raw", three, 5),
        classifier("logcov_lda", 8, 200.0, "raw", four, 6),
        classifier("td_lda", 4, 500.0, "raw", three, 7),
        classifier("td_lda", 4, 500.0, "raw", four, 8),
    ]
    return [prepare(one) for one in made]


@pytest.mark.parametrize("mixed", [True, False])
def test_answers_equal_those_of_each_classifier_alone(members: list[Member], mixed: bool) -> None:
    rng = np.random.default_rng(0)
    for alike in {member.batch_key for member in members}:
        some = [member for member in members if member.batch_key == alike]
        places = rng.integers(0, len(some), 150)
        # In order, whole passes are of one classifier.
        chosen = [some[place] for place in (places if mixed else np.sort(places))]
        first = chosen[0].classifier
        shape = (len(chosen), len(first.channels), first.window.window_samples)
        spread = 1 / first.arrays["scale_gain"][:, None]
        windows = (first.arrays["scale_offset"][:, None] + spread * rng.normal(0, 1, shape)).astype(np.float32)
        together, _ = predict_batch(chosen, windows)
        for member, window, answer in zip(chosen, windows, together, strict=True):
            n = len(member.classifier.classes)
            np.testing.assert_allclose(answer[:n], member.classifier.predict_proba(window[None])[0], atol=1e-5)
            assert not answer[n:].any()


def test_classifiers_of_people_with_other_gestures_go_in_one_pass(members: list[Member]) -> None:
    assert members[0].batch_key == members[1].batch_key
    assert len(members[0].classifier.classes) != len(members[1].classifier.classes)
    assert members[0].batch_key != members[2].batch_key


def test_shifted_features_are_answered_as_unshifted_ones(members: list[Member]) -> None:
    member, rng = members[0], np.random.default_rng(1)
    shape = (2, len(member.classifier.channels), member.classifier.window.window_samples)
    windows = rng.normal(0, 60, shape).astype(np.float32)
    _, features = predict_batch([member] * 2, windows)
    shifts = [None, features[1] - features[0]]
    moved, _ = predict_batch([member] * 2, windows, shifts)
    plain, _ = predict_batch([member] * 2, windows[[0, 0]])
    np.testing.assert_allclose(moved[0], plain[0], atol=1e-5)
    assert not np.allclose(moved[1], predict_batch([member] * 2, windows)[0][1], atol=1e-5)


def test_window_of_another_shape_is_refused(members: list[Member]) -> None:
    with pytest.raises(ValueError, match="windows must be"):
        predict_batch([members[0]], np.zeros((1, 3, 50), np.float32))


def test_classifiers_that_are_not_alike_are_refused(members: list[Member]) -> None:
    with pytest.raises(ValueError, match="alike"):
        predict_batch([members[0], members[2]], np.zeros((2, 8, 50), np.float32))


def test_nothing_asked_is_nothing_answered() -> None:
    assert predict_batch([], np.zeros((0, 8, 50), np.float32))[0].shape == (0, 0)
