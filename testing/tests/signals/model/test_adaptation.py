"""Following a stream without labels: the same for any chunks, finds a turned band and another gain, harms nothing."""

import dataclasses

import numpy as np
import pytest

from semg.signals.dataset import make_windows
from semg.signals.model import forward
from semg.signals.model.adaptation import BLOCK, Adapter
from semg.signals.model.classifier import Classifier
from semg.signals.model.electrode_rotation import (
    RotationComparison,
    RotationModel,
    feature_indices,
    rotations_of,
)
from semg.signals.model.kernels import PRIOR_CLASSES, common_displacement
from semg.signals.model.replay import keep_part
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from testing.kits.recording_kit import labelled_session

GESTURES = ("rest", "fist", "open_hand", "flexion")
ARM = SyntheticArm(2, 8, gestures=GESTURES)
QUICK = TrainingOptions(epochs=2)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return fit([labelled_session(ARM, 1, make_plan(GESTURES, 4, 2.0))], "cnn", options=QUICK)


@pytest.fixture(scope="module")
def stream(classifier):
    """A longer session: windows, and the truth."""
    session = labelled_session(ARM, 2, make_plan(GESTURES, 6, 2.0))
    data = make_windows([session], classifier.channels, classifier.conditioning, classifier.window)
    return data.windows, np.searchsorted(np.array(classifier.classes), data.labels)


@pytest.mark.parametrize("seed", [0, 1])
def test_same_answers_and_the_same_state_for_any_chunks(classifier, stream, seed):
    """Bit for bit."""
    windows, _ = stream
    whole, pieces = Adapter(classifier), Adapter(classifier)
    expected = whole.predict_proba(windows)
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(windows), 60))
    answers = np.concatenate([pieces.predict_proba(part) for part in np.split(windows, cuts)])
    np.testing.assert_array_equal(answers, expected)
    assert pieces.rotation == whole.rotation
    np.testing.assert_array_equal(pieces.shift, whole.shift)


def test_first_block_is_answered_as_stored(classifier, stream):
    windows, _ = stream
    answers = Adapter(classifier).predict_proba(windows)
    np.testing.assert_allclose(answers[:BLOCK], classifier.predict_proba(windows[:BLOCK]), atol=1e-5)
    assert not np.allclose(answers, classifier.predict_proba(windows), atol=1e-3)


def test_answers_use_nothing_that_comes_later(classifier, stream):
    windows, _ = stream
    spoiled = windows.copy()
    spoiled[100:] *= 3
    first, second = (Adapter(classifier).predict_proba(each)[:100] for each in (windows, spoiled))
    np.testing.assert_allclose(first, second, atol=1e-6)


@pytest.mark.parametrize("place", [1, 4, 7, 11, 14])
def test_turned_band_is_found_in_the_stream(classifier, stream, place):
    windows, truth = stream
    turn = rotations_of(8)[place]
    turned = np.ascontiguousarray(windows[:, list(turn)])
    late = slice(2 * len(windows) // 3, None)
    adapter = Adapter(classifier)
    right = (adapter.predict_proba(turned)[late].argmax(axis=1) == truth[late]).mean()
    as_worn = (Adapter(classifier).predict_proba(windows)[late].argmax(axis=1) == truth[late]).mean()
    assert tuple(np.array(turn)[list(adapter.rotation)]) == rotations_of(8)[0]
    assert right >= as_worn - 0.03
    assert right >= (classifier.predict_proba(turned)[late].argmax(axis=1) == truth[late]).mean() + 0.1


def test_band_worn_as_trained_is_never_turned(classifier, stream):
    adapter = Adapter(classifier)
    adapter.predict_proba(stream[0])
    assert adapter.rotation == rotations_of(8)[0]


def test_one_gesture_that_fits_another_turn_turns_nothing(classifier, stream):
    """A gesture that is performed otherwise today may look like itself on a turned band, and be most of the stream."""
    windows, truth = stream
    of = {name: windows[truth == classifier.classes.index(name)] for name in GESTURES}
    odd = np.ascontiguousarray(of["fist"][:, list(rotations_of(8)[4])])
    adapter = Adapter(classifier)
    for _ in range(4):
        adapter.predict_proba(np.concatenate([odd, odd, of["rest"], of["open_hand"], odd, of["flexion"]]))
        assert adapter.rotation == rotations_of(8)[0]


def test_rest_alone_turns_nothing(classifier, stream):
    windows, truth = stream
    rest = windows[truth == classifier.classes.index("rest")]
    adapter = Adapter(classifier)
    for _ in range(6):
        adapter.predict_proba(rest)
    assert adapter.rotation == rotations_of(8)[0]


def test_another_gain_is_followed(classifier, stream):
    windows, truth = stream
    louder = windows * np.float32(2.5)
    late = slice(len(windows) // 2, None)
    followed = (Adapter(classifier).predict_proba(louder)[late].argmax(axis=1) == truth[late]).mean()
    stored = (classifier.predict_proba(louder)[late].argmax(axis=1) == truth[late]).mean()
    assert followed >= stored
    assert followed > 0.75  # a fifth of the labels run ahead of the hand


def test_long_rest_moves_next_to_nothing(classifier, stream):
    """What is learned from one class alone is believed little: a long pause spoils no gesture."""
    windows, truth = stream
    adapter = Adapter(classifier)
    rest = windows[truth == classifier.classes.index("rest")]
    for _ in range(10):
        adapter.predict_proba(rest)
    after = (adapter.predict_proba(windows).argmax(axis=1) == truth).mean()
    assert after >= (classifier.predict_proba(windows).argmax(axis=1) == truth).mean() - 0.05


def test_plain_methods_and_older_classifiers_are_answered_as_stored(classifier, stream):
    windows, _ = stream
    plain = fit([labelled_session(ARM, 1, make_plan(GESTURES, 2, 1.5))], "logcov_lda")
    kept = {name: a for name, a in classifier.arrays.items() if not name.startswith(("class_means", "turn_", "dense"))}
    older = dataclasses.replace(classifier, arrays=kept | {"mix": np.array([0.5, 0.7], np.float32)})
    for each in (plain, older):
        np.testing.assert_array_equal(Adapter(each).predict_proba(windows), each.predict_proba(windows))
    assert Classifier.from_bytes(older.to_bytes()).predict_proba(windows[:2]).shape == (2, 4)


def test_dense_branch_equals_its_formula(classifier, stream):
    windows = stream[0][:3]
    arrays = classifier.arrays
    held = forward.branch_features("cnn", arrays, forward.scale(arrays, windows), False) - arrays["centre"]
    for layer in (0, 1):
        held = np.maximum(held @ arrays[f"dense{layer}_weight"] + arrays[f"dense{layer}_bias"], 0)
    held = held @ arrays["dense2_weight"] + arrays["dense2_bias"]
    expected = forward.softmax(arrays["mix"][-1] * forward.log_softmax(held))
    np.testing.assert_allclose(keep_part(classifier, "dense").predict_proba(windows), expected, atol=1e-5)


def test_class_that_seems_to_have_moved_far_pulls_nobody_along():
    rng = np.random.default_rng(0)
    apart = np.array([1.0, -0.5]) + rng.normal(0, 0.05, (6, 2))
    believed = np.full(6, 0.9)
    honest = common_displacement(apart, believed, PRIOR_CLASSES)
    np.testing.assert_allclose(honest, [1.0, -0.5], atol=0.25)
    apart[2] = [40.0, 30.0]
    np.testing.assert_allclose(common_displacement(apart, believed, PRIOR_CLASSES), honest, atol=0.3)
    assert np.abs(believed @ apart / believed.sum() - honest).max() > 4


def test_shift_is_believed_less_after_a_calibration(classifier, stream):
    windows, _ = stream
    adapters = [Adapter(dataclasses.replace(classifier, training={"calibrated": known})) for known in (False, True)]
    for adapter in adapters:
        adapter.predict_proba(windows)
    plain, calibrated = (np.linalg.norm(adapter.shift) for adapter in adapters)
    assert 0 < calibrated < 0.8 * plain


def test_lead_of_a_turn_is_that_of_the_median_gesture():
    """What one gesture says, by any amount, is outvoted; what all say is believed."""
    rng = np.random.default_rng(0)
    indices = feature_indices(4, False)
    means = 3 * rng.normal(size=(4, indices.shape[1]))
    model = RotationModel(means, np.eye(indices.shape[1]), np.full(4, -np.log(4)))
    turn = 6
    back = np.argsort(indices[turn])

    def compared(of_turned: int) -> RotationComparison:
        rows = [
            (mean[back] if k < of_turned else mean) + rng.normal(0, 0.3, (60, len(mean)))
            for k, mean in enumerate(means)
        ]
        found = RotationComparison(model, np.concatenate(rows).astype(np.float32), indices, np.zeros(indices.shape[1]))
        found.go_on(1.0)
        return found

    everything = compared(4)
    assert int(np.argmax(everything.scores)) == turn
    lead, seen = everything.typical_lead(turn, 0, 10)
    assert lead > 4
    assert seen == 4
    one, seen = compared(1).typical_lead(turn, 0, 10)
    assert one < 0
    assert seen >= 2
    assert everything.typical_lead(turn, 0, 1000) == (0.0, 0)
