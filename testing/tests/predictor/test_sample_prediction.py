"""Raw samples are predicted in portions: the same answers, and bounded memory."""

from __future__ import annotations

import tracemalloc

import numpy as np
import pytest

from semg.domain import Device
from semg.predictor import sample_prediction
from semg.predictor.sample_prediction import InputError, predict_samples
from semg.signals.model.adaptation import BLOCK
from semg.signals.model.classifier import Classifier
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from testing.kits.recording_kit import labelled_session

GESTURES = ("rest", "fist", "open_hand")
ARM = SyntheticArm(2, 4, gestures=GESTURES)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return fit([labelled_session(ARM, 1, make_plan(GESTURES, 3, 1.5))], "cnn", options=TrainingOptions(epochs=1))


@pytest.fixture(scope="module")
def device(classifier) -> Device:
    return Device(1, classifier.channels, classifier.window.rate_hz)


@pytest.fixture(scope="module")
def data() -> np.ndarray:
    """Of another session, 30 s at least."""
    return labelled_session(ARM, 2, make_plan(GESTURES, 4, 2.0)).samples


def test_portions_give_what_one_would(classifier, device, data, monkeypatch):
    pauses = []
    whole = predict_samples(classifier, device, data, lambda: pauses.append(1))
    assert len(pauses) == 1
    assert len(whole) > 4 * BLOCK
    monkeypatch.setattr(sample_prediction, "PORTION_VALUES", 1)
    assert predict_samples(classifier, device, data, lambda: pauses.append(1)) == whole
    assert len(pauses) > 5


def test_memory_does_not_grow_with_the_windows(classifier, device, data, monkeypatch):
    monkeypatch.setattr(sample_prediction, "PORTION_VALUES", 20_000)
    many = np.tile(data, (40_000 // len(data) + 1, 1))[:40_000]
    values = 40_000 // classifier.window.hop_samples * classifier.window.window_samples * len(classifier.channels)
    predict_samples(classifier, device, many[:4000])
    tracemalloc.start()
    predict_samples(classifier, device, many)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert peak < 4 * values  # what the windows alone would take


def test_too_many_windows_are_refused(classifier, device, monkeypatch):
    monkeypatch.setattr(sample_prediction, "MOST_WINDOWS", 3)
    spec = classifier.window
    most = spec.settle_samples + spec.window_samples + 2 * spec.hop_samples
    assert len(predict_samples(classifier, device, np.zeros((most, 4), np.float32))) == 3
    with pytest.raises(InputError, match=f"at most {most} samples"):
        predict_samples(classifier, device, np.zeros((most + 1, 4), np.float32))


def test_too_few_samples_and_wrong_channels_are_refused(classifier, device):
    with pytest.raises(InputError, match="for one window, got 10"):
        predict_samples(classifier, device, np.zeros((10, 4), np.float32))
    with pytest.raises(InputError, match="expected 4 channels a row"):
        predict_samples(classifier, device, np.zeros((1000, 3), np.float32))
