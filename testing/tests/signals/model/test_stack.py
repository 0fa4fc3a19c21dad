"""Many people's classifiers in one table give what each gives alone, in every bit."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from semg.errors import ArtifactError
from semg.signals.model.classifier import Classifier
from semg.signals.model.layout import Layout
from semg.signals.model.stack import CHUNK, Stack
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


def another(given: Classifier, seed: int) -> Classifier:
    """The same kind of classifier with weights of its own."""
    rng = np.random.default_rng(seed)
    exact = ("crossing", "level_floor", "mix")
    arrays = {
        name: array if name in exact or name.endswith("_stride") else array * rng.uniform(0.95, 1.05, array.shape)
        for name, array in given.arrays.items()
    }
    return replace(given, arrays={name: np.asarray(array, np.float32) for name, array in arrays.items()})


@pytest.fixture(scope="module")
def classifiers() -> list[Classifier]:
    three, four = ("rest", "fist", "flexion"), ("rest", "fist", "flexion", "pinch")
    return [
        classifier("cnn", 8, 200.0, "raw", four, 1),
        classifier("cnn", 4, 200.0, "raw", three, 3),
        classifier("cnn", 8, 200.0, "envelope", three, 4),
        classifier("cnn", 16, 100.0, "raw", three, 5),
        classifier("logcov_lda", 8, 200.0, "raw", four, 6),
        classifier("td_lda", 4, 500.0, "raw", three, 7),
    ]


def stacked(some: list[Classifier]) -> Stack:
    stack = Stack(some[0].layout, len(some))
    for row, one in enumerate(some):
        stack.put(row, one.arrays)
    return stack


def windows_for(given: Classifier, n: int, seed: int = 0) -> NDArray[np.float32]:
    shape = (n, len(given.channels), given.window.window_samples)
    spread = 1 / given.arrays["scale_gain"][:, None]
    noise = np.random.default_rng(seed).normal(0, 1, shape)
    return (given.arrays["scale_offset"][:, None] + spread * noise).astype(np.float32)


def test_answers_equal_those_of_each_classifier_alone(classifiers: list[Classifier]) -> None:
    for first in classifiers:
        some = [first, *(another(first, seed) for seed in range(4))]
        stack, windows = stacked(some), windows_for(first, 2 * CHUNK + 7)
        rows = np.random.default_rng(1).integers(0, len(some), len(windows))
        together, features = stack.answer(rows, windows)
        for row, window, answer in zip(rows.tolist(), windows, together, strict=True):
            np.testing.assert_array_equal(answer, some[row].predict_proba(window[None])[0])
        np.testing.assert_allclose(together.sum(axis=1), 1, atol=1e-6)
        assert features.shape == (len(windows), first.layout.n_features)


def test_a_window_is_answered_the_same_in_every_bit_whatever_it_is_asked_with(classifiers: list[Classifier]) -> None:
    for first in classifiers:
        windows = windows_for(first, 3 * CHUNK)
        stack = stacked([first])
        whole, _ = stack.answer(np.zeros(len(windows), np.int64), windows)
        for cut in np.split(np.arange(len(windows)), [1, 2, 9, 70, 71, 150]):
            np.testing.assert_array_equal(stack.answer(np.zeros(len(cut), np.int64), windows[cut])[0], whole[cut])


def test_shift_and_rotation_are_those_of_the_row_and_of_followed_windows_only(classifiers: list[Classifier]) -> None:
    first = classifiers[0]
    stack, windows = stacked([first, another(first, 1)]), windows_for(first, 3)
    rotations = np.stack([np.arange(8), np.roll(np.arange(8), 3)])
    shifts = np.random.default_rng(2).normal(0, 0.3, (2, first.layout.n_features)).astype(np.float32)
    rows = np.array([0, 1, 1])
    plain, features = stack.answer(rows, windows)
    moved, own = stack.answer(rows, windows, np.array([True, True, False]), rotations, shifts)
    np.testing.assert_array_equal(moved[2], plain[2])
    np.testing.assert_array_equal(own[[0, 2]], features[[0, 2]])
    turned, _ = stack.answer(rows[1:2], windows[1:2][:, rotations[1]])
    stack.table[1, stack.layout.starts[2] : stack.layout.starts[3]] += shifts[1]  # the centre
    shifted, _ = stack.answer(rows[1:2], windows[1:2][:, rotations[1]])
    np.testing.assert_allclose(moved[1], shifted[0], atol=1e-5)
    assert not np.allclose(moved[1], turned[0], atol=1e-4)
    assert not np.allclose(moved[0], plain[0], atol=1e-4)


def test_broken_weights_spoil_their_own_answers_only(classifiers: list[Classifier]) -> None:
    for first in classifiers:
        stack, windows = stacked([first, another(first, 1), another(first, 2)]), windows_for(first, 6)
        rows = np.array([0, 1, 2, 0, 1, 2])
        expected, _ = stack.answer(rows, windows)
        stack.table[1] = np.nan
        found, _ = stack.answer(rows, windows)
        assert np.isnan(found[rows == 1]).all()
        np.testing.assert_array_equal(found[rows != 1], expected[rows != 1])


def test_window_beyond_all_numbers_spoils_its_own_answer_only(classifiers: list[Classifier]) -> None:
    first = classifiers[0]
    stack, windows = stacked([first]), windows_for(first, 5)
    expected, _ = stack.answer(np.zeros(5, np.int64), windows)
    windows[2] = np.finfo(np.float32).max
    found, _ = stack.answer(np.zeros(5, np.int64), windows)
    assert np.isnan(found[2]).all()
    np.testing.assert_array_equal(found[[0, 1, 3, 4]], expected[[0, 1, 3, 4]])


def test_equal_layouts_are_those_of_equal_shapes(classifiers: list[Classifier]) -> None:
    layouts: set[Layout] = {one.layout for one in classifiers}
    assert len(layouts) == len(classifiers)
    assert {another(one, 3).layout for one in classifiers} == layouts


@pytest.mark.parametrize(
    ("name", "shape"),
    [
        ("head_weight", (3, 4)),
        ("conv1_weight", (161, 48)),
        ("conv0_bias", (3,)),
        ("dense1_weight", (7, 64)),
        ("lda_intercept", (9,)),
        ("scale_gain", (7,)),
        ("centre", (5,)),
        ("mix", (4,)),
        ("class_means", (2, 2)),
    ],
)
def test_weights_that_do_not_fit_each_other_are_refused(
    classifiers: list[Classifier], name: str, shape: tuple[int, ...]
) -> None:
    """What is compiled checks no bounds."""
    broken = replace(classifiers[0], arrays={**classifiers[0].arrays, name: np.zeros(shape, np.float32)})
    with pytest.raises(ArtifactError):
        broken.predict_proba(windows_for(classifiers[0], 1))


def test_weights_for_another_number_of_features_are_refused(classifiers: list[Classifier]) -> None:
    given = classifiers[4]
    arrays = {**given.arrays, "lda_coef": np.zeros((4, 35), np.float32)}
    with pytest.raises(ValueError, match="features"):
        replace(given, arrays=arrays).predict_proba(windows_for(given, 1))


def test_window_of_another_shape_is_refused(classifiers: list[Classifier]) -> None:
    with pytest.raises(ValueError, match="windows must be"):
        classifiers[0].predict_proba(np.zeros((1, 3, 50), np.float32))


def test_nothing_asked_is_nothing_answered(classifiers: list[Classifier]) -> None:
    assert classifiers[0].predict_proba(np.zeros((0, 8, 50), np.float32)).shape == (0, 4)
