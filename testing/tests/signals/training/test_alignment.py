"""Turns of a band, what a session adds to every class, and sessions brought together by their labels."""

import numpy as np
import pytest

from semg.domain import ConditioningSpec, WindowSpec
from semg.signals.dataset import WindowSet, make_windows
from semg.signals.features import band_covariance, envelope_features
from semg.signals.model.electrode_rotation import (
    band_feature_indices,
    feature_indices,
    inverse,
    rotation_features,
    rotations_of,
)
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.alignment import align, session_effects
from testing.kits.recording_kit import labelled_session

GESTURES = ("rest", "fist", "open_hand", "flexion")


@pytest.fixture(scope="module")
def data() -> WindowSet:
    arm = SyntheticArm(1, 6, gestures=GESTURES)
    sessions = [labelled_session(arm, index, make_plan(GESTURES, 2, 1.5)) for index in (1, 2)]
    return make_windows(sessions, sessions[0].channels, ConditioningSpec("raw", 200.0), WindowSpec(200.0))


@pytest.mark.parametrize(("channels", "count"), [(1, 1), (2, 2), (3, 6), (8, 16), (16, 32)])
def test_turns_are_all_rolls_and_mirrored_rolls_each_once(channels, count):
    turns = rotations_of(channels)
    assert len(turns) == len(set(turns)) == count
    assert turns[0] == tuple(range(channels))
    for turn in turns:
        assert tuple(turn[place] for place in inverse(turn)) == turns[0]


@pytest.mark.parametrize("envelope", [False, True])
def test_turning_windows_exchanges_places_of_features(envelope):
    windows = np.random.default_rng(0).normal(0, 1, (5, 4, 40)).astype(np.float32)
    features = rotation_features(windows, 0.5, envelope)
    for turn, order in zip(rotations_of(4), feature_indices(4, envelope), strict=True):
        np.testing.assert_allclose(
            rotation_features(windows[:, list(turn)], 0.5, envelope), features[:, order], atol=1e-4
        )


def test_turning_windows_exchanges_places_of_band_features():
    windows = np.random.default_rng(1).normal(0, 1, (5, 4, 60)).astype(np.float32)
    features = band_covariance(windows, 0.2)
    for turn, order in zip(rotations_of(4), band_feature_indices(4, 2, False), strict=True):
        turned = band_covariance(windows[:, list(turn)], 0.2)
        np.testing.assert_allclose(turned, features[:, order], atol=1e-4)


def test_turning_windows_exchanges_places_of_the_features_of_envelopes():
    windows = np.random.default_rng(3).gamma(2, 1, (5, 4, 60)).astype(np.float32)
    features = envelope_features(windows, 1e-3)
    for turn, order in zip(rotations_of(4), band_feature_indices(4, 1, True), strict=True):
        turned = envelope_features(windows[:, list(turn)], 1e-3)
        np.testing.assert_allclose(turned, features[:, order], atol=1e-4)


def test_session_effect_is_found_though_a_session_lacks_a_class():
    rng = np.random.default_rng(2)
    means, added = np.array([[0.0, 0], [5, 1], [9, -3]]), np.array([[0.0, 0], [2, -1]])
    y = np.array([0, 1, 2] * 30 + [0, 1] * 30)
    session = np.array([0] * 90 + [1] * 60)
    values = means[y] + added[session] + rng.normal(0, 1e-3, (150, 2))
    effects = session_effects(values, y, session, 3, 2)
    np.testing.assert_allclose(effects[1] - effects[0], added[1], atol=0.05)


def aligned(data: WindowSet, windows, calibrated: bool = False):
    y = np.searchsorted(GESTURES, data.labels, sorter=np.argsort(GESTURES)).astype(np.int64)
    session = data.session_index.astype(np.int64)
    usable = data.into_stretch_ms > 300
    return align(windows, y, session, 4, 0.175, envelope=False, calibrated=calibrated, usable=usable)


def test_one_gesture_that_fits_another_turn_turns_no_session(data):
    """An electrode that lies otherwise, or another way to perform a gesture, is no turned band."""
    for turn in rotations_of(6)[1:]:
        windows = data.windows.copy()
        odd = (data.session_index == 1) & (data.labels == "fist")
        windows[odd] = 3 * windows[odd][:, list(turn)]
        assert aligned(data, windows).rotations == (rotations_of(6)[0],) * 2


def test_every_turn_of_a_session_is_undone(data):
    plain = aligned(data, data.windows)
    assert plain.rotations == (rotations_of(6)[0],) * 2
    for turn in rotations_of(6)[1::3]:
        windows = data.windows.copy()
        last = data.session_index == 1
        windows[last] = windows[last][:, list(turn)]
        found = aligned(data, windows, calibrated=True)
        assert found.rotations[1] == rotations_of(6)[0]
        assert found.rotations[0] == turn  # session 1 is brought into the order worn now


def test_gains_of_a_session_are_undone(data):
    plain = aligned(data, data.windows)
    windows = data.windows.copy()
    windows[data.session_index == 0] *= np.linspace(0.5, 2.0, 6, dtype=np.float32)[:, None]
    found = aligned(data, windows)
    np.testing.assert_allclose(found.features, plain.features, atol=0.05)


def test_silent_channel_gets_no_gain(data):
    windows = data.windows.copy()
    windows[:, 2] = 0
    found = aligned(data, windows)
    assert found.gain[2] == 0
    assert np.isfinite(found.features).all()
