"""How a band was put on is told from a few seconds of rest and one gesture."""

from __future__ import annotations

import numpy as np
import pytest

from semg.domain import REST
from semg.signals.dataset import LabelledSamples
from semg.signals.model.classifier import Classifier
from semg.signals.model.donning import can_compare, find_turn
from semg.signals.model.electrode_rotation import Rotation, inverse, rotations_of
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from testing.kits.recording_kit import labelled_session

ARM = SyntheticArm(1, 8)
COLUMNS = tuple(range(8))


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    sessions = [labelled_session(ARM, day, make_plan(ARM.gestures, 3, 2.0)) for day in (1, 2)]
    return fit(sessions, "cnn", options=TrainingOptions(epochs=1))


@pytest.fixture(scope="module")
def worn() -> LabelledSamples:
    return labelled_session(ARM, 3, make_plan(ARM.gestures, 2, 3.5))


def seconds(session: LabelledSamples, label: str) -> np.ndarray:
    """The first performance of a gesture, without the reaction."""
    number = next(index for index, one in enumerate(session.stretches) if one.label == label)
    return session.samples[session.stretch == number][180:]


def turned(samples: np.ndarray, rotation: Rotation) -> np.ndarray:
    return np.ascontiguousarray(samples[:, list(rotation)])


@pytest.mark.parametrize("gesture", [name for name in ARM.gestures if name != REST][:4])
def test_every_rotation_of_the_band_is_found_by_one_gesture(
    classifier: Classifier, worn: LabelledSamples, gesture: str
) -> None:
    rest, strong = seconds(worn, REST), seconds(worn, gesture)
    for rotation in rotations_of(8):
        found = find_turn(classifier, COLUMNS, turned(rest, rotation), turned(strong, rotation), gesture)
        assert found is not None
        if found.is_clear:
            assert found.rotation == inverse(rotation)
            assert found.is_turned == (rotation != COLUMNS)
    placed = find_turn(classifier, COLUMNS, rest, strong, gesture)
    assert placed is not None
    assert not placed.is_turned


def test_turn_is_said_in_electrodes_and_as_mirrored(classifier: Classifier, worn: LabelledSamples) -> None:
    rest, strong = seconds(worn, REST), seconds(worn, "fist")
    rolls = rotations_of(8)
    by_two = find_turn(classifier, COLUMNS, turned(rest, rolls[2]), turned(strong, rolls[2]), "fist")
    back = find_turn(classifier, COLUMNS, turned(rest, rolls[7]), turned(strong, rolls[7]), "fist")
    over = find_turn(classifier, COLUMNS, turned(rest, rolls[8]), turned(strong, rolls[8]), "fist")
    assert by_two is not None
    assert back is not None
    assert over is not None
    assert (by_two.is_turned, by_two.steps, by_two.mirrored) == (True, 2, False)
    assert by_two.rotation[0] == 6, "channel a6 lies where a0 lay"
    assert (back.steps, back.mirrored) == (1, False)
    assert over.mirrored


def test_what_cannot_be_told_is_none(classifier: Classifier, worn: LabelledSamples) -> None:
    rest, strong = seconds(worn, REST), seconds(worn, "fist")
    assert find_turn(classifier, COLUMNS, rest, strong, "a gesture that it never saw") is None
    assert find_turn(classifier, COLUMNS, rest, strong[:100], "fist") is None
    plain = fit([labelled_session(ARM, 1, make_plan((REST, "fist"), 3, 2.0))], "logcov_lda")
    assert not can_compare(plain, "fist")
    four = SyntheticArm(1, 4)
    few = fit([labelled_session(four, 1, make_plan((REST, "fist"), 3, 2.0))], "cnn", options=TrainingOptions(epochs=1))
    assert not can_compare(few, "fist"), "four electrodes tell too little"
    assert find_turn(plain, COLUMNS, rest, strong, "fist") is None
