"""Many people's classifiers in one pass give what each gives alone."""

from __future__ import annotations

import numpy as np
import pytest

from semg.importing import synthetic_recording
from semg.signals.classifier import Classifier
from semg.signals.options import TrainingOptions
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.together import predict_together
from semg.signals.training import fit


def classifier(
    kind: str, channels: int, rate_hz: float, sensor: str, gestures: tuple[str, ...], seed: int
) -> Classifier:
    arm = SyntheticArm(seed, channels, rate_hz, sensor, gestures=gestures)
    recording = synthetic_recording(arm, arm.session(1, make_plan(gestures, 2, 1.0)), f"s{seed}")
    return fit([recording.labelled], kind, options=TrainingOptions(epochs=1, seed=seed))


@pytest.fixture(scope="module")
def classifiers() -> list[Classifier]:
    three, four = ("rest", "fist", "flexion"), ("rest", "fist", "flexion", "pinch")
    return [
        classifier("cnn", 8, 200.0, "raw", four, 1),
        classifier("cnn", 8, 200.0, "raw", three, 2),
        classifier("cnn", 4, 200.0, "raw", three, 3),
        classifier("cnn", 8, 200.0, "envelope", three, 4),
        classifier("cnn", 16, 100.0, "raw", three, 5),
        classifier("logcov_lda", 8, 200.0, "raw", four, 6),
        classifier("td_lda", 4, 500.0, "raw", three, 7),
    ]


def test_answers_equal_those_of_each_classifier_alone(classifiers: list[Classifier]) -> None:
    rng = np.random.default_rng(0)
    requests = []
    for place in rng.integers(0, len(classifiers), 40):
        chosen = classifiers[place]
        shape = (int(rng.integers(1, 4)), len(chosen.channels), chosen.window.window_samples)
        requests.append((chosen, rng.normal(0, 60, shape).astype(np.float32)))
    together = predict_together(requests)
    for (chosen, windows), answer in zip(requests, together, strict=True):
        np.testing.assert_allclose(answer, chosen.predict_proba(windows), atol=1e-5)
        assert answer.shape == (len(windows), len(chosen.classes))


def test_window_of_another_shape_is_refused(classifiers: list[Classifier]) -> None:
    with pytest.raises(ValueError, match="windows must be"):
        predict_together([(classifiers[0], np.zeros((1, 3, 50), np.float32))])


def test_nothing_asked_is_nothing_answered() -> None:
    assert predict_together([]) == []
