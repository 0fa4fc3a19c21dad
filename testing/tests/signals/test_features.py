"""Log-covariance in two bands: what it tells, and that nothing but the window decides it."""

import numpy as np
import pytest

from semg.signals.features import (
    LEVEL_FLOOR,
    band_covariance,
    choose_crossover_hz,
    envelope_features,
    log_covariance,
)
from semg.signals.model import forward


def tone(hz: float, rate_hz: float = 200.0, n: int = 50, channels: int = 2) -> np.ndarray:
    time = np.arange(n) / rate_hz
    phases = np.arange(channels)[:, None]
    return np.sin(2 * np.pi * hz * time + phases).astype(np.float32)[None]


def test_without_a_crossing_it_is_the_log_covariance():
    windows = np.random.default_rng(0).normal(0, 1, (4, 3, 50)).astype(np.float32)
    np.testing.assert_array_equal(band_covariance(windows, 0.0), log_covariance(windows))
    np.testing.assert_array_equal(
        band_covariance(windows, 0.0, with_mean=True), log_covariance(windows, with_mean=True)
    )


def test_slow_and_fast_signals_of_one_power_differ():
    slow, fast = (band_covariance(tone(hz), 35 / 200)[0] for hz in (15, 80))
    assert slow[0] > slow[3] + 1
    assert fast[3] > fast[0] + 1
    assert abs(log_covariance(tone(15))[0, 0] - log_covariance(tone(80))[0, 0]) < 0.5


def test_gain_moves_both_bands_alike():
    windows = np.random.default_rng(1).normal(0, 1, (3, 2, 50)).astype(np.float32)
    moved = band_covariance(windows * np.float32(np.e), 0.2) - band_covariance(windows, 0.2)
    np.testing.assert_allclose(moved, np.tile([2, 0, 2], 2)[None].repeat(3, 0), atol=1e-3)


def test_a_windows_features_do_not_depend_on_its_neighbours():
    windows = np.random.default_rng(2).normal(0, 1, (70, 8, 50)).astype(np.float32)
    alone = np.concatenate([band_covariance(window[None], 0.175) for window in windows])
    np.testing.assert_allclose(band_covariance(windows, 0.175), alone, atol=1e-6)


@pytest.mark.parametrize("rate_hz", [50, 100, 200, 500, 1000, 2000])
@pytest.mark.parametrize("channels", [1, 4, 8, 16])
def test_every_device_has_features(rate_hz, channels):
    n = round(0.25 * rate_hz)
    crossing = choose_crossover_hz(channels, n, rate_hz)
    assert 0 <= crossing < 0.25
    assert (crossing > 0) == (n >= 3 * channels)
    windows = np.random.default_rng(3).normal(0, 1, (3, channels, n)).astype(np.float32)
    assert np.isfinite(band_covariance(windows, crossing)).all()


def test_features_of_envelopes_hold_each_channels_level():
    windows = np.random.default_rng(4).gamma(2, 1, (6, 3, 40)).astype(np.float32)
    windows[0, 1] = 0  # a silent channel
    found = envelope_features(windows, LEVEL_FLOOR)
    assert found.shape == (6, 4 * 5 // 2 + 3)
    assert np.isfinite(found).all()
    np.testing.assert_array_equal(found[:, :10], log_covariance(windows, with_mean=True))
    louder = envelope_features(windows * np.array([[1], [1], [np.e]], np.float32), LEVEL_FLOOR)
    np.testing.assert_allclose((louder - found)[:, 10:], [[0, 0, 1]] * 6, atol=0.01)


def test_classifier_of_envelopes_stored_before_there_were_levels_is_read_without_them():
    windows = np.random.default_rng(5).gamma(2, 1, (2, 3, 40)).astype(np.float32)
    older = {"crossing": np.zeros(1, np.float32)}
    found = forward.branch_features("cnn", older, windows, True)
    np.testing.assert_array_equal(found, log_covariance(windows, with_mean=True))
    newer = older | {"level_floor": np.array([LEVEL_FLOOR], np.float32)}
    assert forward.branch_features("cnn", newer, windows, True).shape == (2, 13)


@pytest.mark.parametrize("length", [12, 50, 128, 129, 500, 2000])
def test_bands_are_those_of_the_cosine_transform_at_any_length(length):
    """Of long windows no matrix is made: one of 2,000 samples has 64 MB and takes 10 ms a window."""
    window = np.random.default_rng(6).normal(0, 1, (2, 3, length))
    order = np.arange(length)
    cosines = np.cos(np.pi * (order[:, None] + 0.5) * order / length) * np.sqrt(2.0 / length)
    cosines[:, 0] /= np.sqrt(2.0)
    ratio = order / (2 * length * 0.175)
    slow = window @ (cosines / np.sqrt(1 + ratio**2))
    expected = np.concatenate([log_covariance(slow), log_covariance(slow * ratio)], axis=1)
    np.testing.assert_allclose(band_covariance(window.astype(np.float32), 0.175), expected, atol=1e-4)
