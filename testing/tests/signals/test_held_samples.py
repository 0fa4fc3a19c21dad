"""Samples that are sent again are found, and values that a signal repeats by itself are not called so."""

from __future__ import annotations

import numpy as np
import pytest
from numpy.typing import NDArray

from semg.domain import Device
from semg.recordings.csv_format import read_recording
from semg.signals.held_samples import ALONE, find_held, mark_held
from semg.signals.quality import assess_channels
from testing.kits.recording_kit import RECORDINGS

SECONDS, RATE_HZ = 3, 200


def device(
    n_channels: int, *, sensor: str = "raw", low: float = -128, high: float = 127, hz: float = RATE_HZ
) -> Device:
    return Device(1, tuple(f"a{index}" for index in range(n_channels)), hz, sensor, low, high, 0)  # type: ignore[arg-type]


def noise(n_channels: int, spread: float, seed: int = 0) -> NDArray[np.float32]:
    """Raw signals of a converter with whole values."""
    rng = np.random.default_rng(seed)
    return np.round(spread * rng.standard_normal((SECONDS * RATE_HZ, n_channels))).astype(np.float32)


def every_second(samples: NDArray[np.float32]) -> NDArray[np.float32]:
    return np.repeat(samples[::2], 2, axis=0)[: len(samples)]


@pytest.mark.parametrize("n_channels", [1, 2, 4, 8, 16])
@pytest.mark.parametrize("spread", [0.3, 0.5, 1.0, 2.0, 20.0])
def test_a_quiet_sensor_of_low_resolution_is_not_called_held(n_channels: int, spread: float) -> None:
    for seed in range(5):
        found = find_held(noise(n_channels, spread, seed), device(n_channels))
        assert (found.level, found.channels) == ("good", ()), found


@pytest.mark.parametrize("n_channels", [1, 2, 4, 8, 16])
def test_every_second_sample_twice_is_bad(n_channels: int) -> None:
    found = find_held(every_second(noise(n_channels, 20)), device(n_channels))
    assert found.level == "bad"
    assert found.repeated == pytest.approx(0.5, abs=0.06)
    assert "of the samples repeat the one before" in found.reason


@pytest.mark.parametrize(("every", "level"), [(3, "bad"), (10, "fair"), (100, "good")])
def test_samples_put_in_between_count_by_their_share(every: int, level: str) -> None:
    samples = noise(8, 20)
    samples[every - 1 :: every] = samples[every - 2 :: every][: len(samples[every - 1 :: every])]
    found = find_held(samples, device(8))
    assert (found.level, round(found.repeated, 1)) == (level, round(1 / every, 1))


@pytest.mark.parametrize(("held_s", "level"), [(0.05, "good"), (0.1, "fair"), (0.4, "fair"), (1.0, "bad")])
def test_a_stalled_converter_is_found(held_s: float, level: str) -> None:
    samples, n = noise(4, 20), round(held_s * RATE_HZ)
    samples[200 : 201 + n] = samples[200]
    found = find_held(samples, device(4))
    assert found.level == level
    assert found.longest_s == (0 if level == "good" else pytest.approx(held_s))
    assert found.reason.startswith("good" if level == "good" else "all channels stand still")


def test_a_stretch_that_still_lasts_is_found() -> None:
    samples = noise(4, 20)
    samples[-30:] = samples[-30]
    assert find_held(samples, device(4)).longest_s == pytest.approx(29 / RATE_HZ)


def test_all_channels_that_never_move_are_held_and_an_envelope_at_rest_is_not() -> None:
    still = np.full((SECONDS * RATE_HZ, 4), 7, np.float32)
    assert find_held(still, device(4)).level == "bad"
    assert find_held(still[:, :1], device(1)).level == "good"  # that is a flat channel
    assert find_held(still, device(4, sensor="envelope", low=0, high=4095)).level == "good"
    assert find_held(0 * still, device(4, low=0, high=4095)).level == "good"  # clipped


@pytest.mark.parametrize("n_channels", [1, 2, 4])
def test_a_slow_envelope_of_low_resolution_is_not_called_held(n_channels: int) -> None:
    """It moves by one step of its converter now and then, and stands still for longer than a tenth of a second."""
    at_s = np.arange(3 * 500)[:, None] / 500
    rng = np.random.default_rng(1)
    slow = 20 + 6 * np.sin(2 * np.pi * 0.3 * at_s + np.arange(n_channels)) + 0.1 * rng.standard_normal(n_channels)
    found = find_held(
        np.round(slow).astype(np.float32), device(n_channels, sensor="envelope", low=0, high=1023, hz=500)
    )
    assert found.level == "good", found


def test_a_channel_that_is_held_alone_is_named() -> None:
    samples = noise(4, 20)
    samples[100:140, 2] = samples[100, 2]
    found = find_held(samples, device(4))
    assert (found.level, found.channels) == ("good", (2,))
    marked = mark_held(assess_channels(samples, device(4)), found)
    assert [one.reason == ALONE for one in marked] == [False, False, True, False]
    assert marked[2].level == "fair"


def test_both_sides_of_a_gap_are_not_compared() -> None:
    samples = noise(2, 20)
    samples[1::2] = samples[::2]
    at_us = 5000 * np.arange(600, dtype=np.int64)
    assert find_held(samples, device(2), at_us).level == "bad"
    bursts = noise(2, 20)
    bursts[3::3] = bursts[2:-1:3]
    apart_us = at_us + 50_000 * (np.arange(600) // 3)
    assert find_held(bursts, device(2), at_us).level == "bad"
    assert find_held(bursts, device(2), apart_us).level == "good"
    assert find_held(samples[:1], device(2), at_us[:1]).level == "good"


@pytest.mark.recordings
@pytest.mark.skipif(not (RECORDINGS / "myo_10000-1.csv.gz").exists(), reason="no real recordings beside the project")
@pytest.mark.parametrize(
    ("pattern", "sensor", "rate_hz", "low", "high"),
    [("myo_*-1.csv.gz", "raw", 200, -128, 127), ("unibo_*-1.csv.gz", "envelope", 500, 0, 65_535)],
)
def test_real_recordings_raise_no_false_alarm(pattern: str, sensor: str, rate_hz: int, low: int, high: int) -> None:
    length, twice, stalled = 3 * rate_hz, [], []
    for path in sorted(RECORDINGS.glob(pattern)):
        samples = read_recording(path, sensor=sensor).samples  # type: ignore[arg-type]
        own = device(samples.shape[1], sensor=sensor, low=low, high=high, hz=rate_hz)
        for begin in range(0, len(samples) - length, 10 * length):
            part = samples[begin : begin + length]
            found = find_held(part, own)
            assert (found.level, found.channels) == ("good", ()), (begin, found)
            twice.append(find_held(every_second(part), own).level != "good")
            held = part.copy()
            held[length // 2 : length // 2 + rate_hz // 10 + 1] = held[length // 2]
            stalled.append(find_held(held, own).held_s > 0)
    assert np.mean(twice) > (0.99 if sensor == "raw" else 0.75)  # an envelope at rest does not move
    assert np.mean(stalled) > (0.97 if sensor == "raw" else 0.6)
