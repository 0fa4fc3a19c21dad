"""Signal quality: each fault is found in its channel, and a good signal is called good."""

from __future__ import annotations

import numpy as np
import pytest

from semg.domain import Device
from semg.signals.quality import assess_channels, assess_stream, worst

RATE_HZ = 1000.0
DEVICE = Device(1, ("a0", "a1", "a2", "a3"), RATE_HZ, "raw", 0, 4095, 50)
N = 3000
TIME_S = np.arange(N) / RATE_HZ


def good_signal(seed: int = 0) -> np.ndarray:
    generator = np.random.default_rng(seed)
    return (2048 + 150 * generator.standard_normal((N, 4))).astype(np.float32)


def levels(samples: np.ndarray, device: Device = DEVICE) -> list[str]:
    return [one.level for one in assess_channels(samples.astype(np.float32), device)]


def test_good_signal_is_good() -> None:
    found = assess_channels(good_signal(), DEVICE)
    assert [one.level for one in found] == ["good"] * 4
    assert [one.channel for one in found] == list(DEVICE.channels)
    assert found[0].rms == pytest.approx(150, rel=0.05)


def test_flat_channel_is_bad_and_the_others_are_not() -> None:
    samples = good_signal()
    samples[:, 2] = 512
    assert levels(samples) == ["good", "good", "bad", "good"]
    assert "flat" in assess_channels(samples, DEVICE)[2].reason


def test_saturation_is_bad_when_frequent_and_fair_when_rare() -> None:
    samples = good_signal()
    samples[::10, 0] = 4095
    samples[::200, 1] = 0
    assert levels(samples) == ["bad", "fair", "good", "good"]


def test_channel_stuck_at_the_top_is_saturated_not_flat() -> None:
    samples = good_signal()
    samples[:, 0] = 4095
    assert "saturated" in assess_channels(samples, DEVICE)[0].reason


def test_mains_hum_is_found_at_its_frequency_only() -> None:
    samples = good_signal()
    samples[:, 1] += (600 * np.sin(2 * np.pi * 50 * TIME_S)).astype(np.float32)
    samples[:, 2] += (600 * np.sin(2 * np.pi * 83 * TIME_S)).astype(np.float32)
    found = assess_channels(samples, DEVICE)
    assert found[1].level == "bad"
    assert "hum" in found[1].reason
    assert found[1].hum > 0.8
    assert found[2].hum < 0.1


@pytest.mark.parametrize("lost", [0.05, 0.3, 0.5])
@pytest.mark.parametrize("mains_hz", [50, 60])
def test_a_loose_electrode_is_found_while_packets_are_lost(lost: float, mains_hz: float) -> None:
    rng = np.random.default_rng(3)
    rate_hz, packet = 200.0, 7
    at_s = np.arange(4 * 200) / rate_hz
    wave = 700 * np.sin(2 * np.pi * mains_hz * at_s + 1)
    samples = 2048 + 60 * rng.standard_normal((len(at_s), 4))
    samples[:, 2] += wave
    kept = np.repeat(rng.random(len(at_s) // packet + 1) >= lost, packet)[: len(at_s)]
    device = Device(1, DEVICE.channels, rate_hz, "raw", 0, 4095, mains_hz)
    at_us = (at_s * 1e6).astype(np.int64)[kept]
    found = assess_channels(samples[kept].astype(np.float32), device, at_us=at_us)
    assert [one.level for one in found] == ["good", "good", "bad", "good"]
    assert "hum" in found[2].reason
    assert found[2].hum == pytest.approx(0.98, abs=0.06)
    assert found[0].hum < 0.2


def test_an_unbroken_stream_is_judged_the_same_with_its_times() -> None:
    samples = good_signal()
    at_us = (TIME_S * 1e6).astype(np.int64)
    assert assess_channels(samples, DEVICE, at_us=at_us) == assess_channels(samples, DEVICE)


def test_weak_hum_is_fair() -> None:
    samples = (2048 + 10 * np.random.default_rng(0).standard_normal((N, 4))).astype(np.float32)
    samples[:, 0] += (60 * np.sin(2 * np.pi * 50 * TIME_S)).astype(np.float32)
    assert levels(samples)[0] == "fair"


def test_noise_of_a_loose_electrode_is_bad() -> None:
    samples = good_signal()
    samples[:, 3] = 2048 + np.random.default_rng(1).uniform(-1900, 1900, N)
    assert levels(samples)[3] == "bad"


def test_envelope_at_rest_is_good_although_it_lies_at_the_low_end() -> None:
    device = Device(1, DEVICE.channels, RATE_HZ, "envelope", 0, 4095, 0)
    samples = np.abs(3 * np.random.default_rng(0).standard_normal((N, 4))).round().astype(np.float32)
    assert levels(samples, device) == ["good"] * 4


def test_too_few_samples_say_nothing_good() -> None:
    assert levels(good_signal()[:100]) == ["bad"] * 4


def test_other_number_of_channels_is_an_error() -> None:
    with pytest.raises(ValueError, match=r"\(n, 4\)"):
        assess_channels(np.zeros((1000, 3), np.float32), DEVICE)


def stream(rate_hz: float = 200.0, seconds: float = 3.0) -> np.ndarray:
    return (np.arange(round(rate_hz * seconds)) * 1e6 / rate_hz).astype(np.int64)


def test_stream_at_its_rate_is_good() -> None:
    found = assess_stream(stream(), 200.0, 3.0)
    assert (found.level, found.loss) == ("good", 0.0)
    assert found.rate_hz == pytest.approx(200.0)


@pytest.mark.parametrize(("share", "level"), [(0.03, "fair"), (0.2, "bad")])
def test_loss_is_counted(share: float, level: str) -> None:
    times = stream()
    kept = np.random.default_rng(0).random(len(times)) >= share
    kept[[0, -1]] = True
    found = assess_stream(times[kept], 200.0, 3.0)
    assert found.level == level
    assert found.loss == pytest.approx(1 - kept.mean(), abs=0.005)


def test_wrong_rate_is_bad_and_named() -> None:
    found = assess_stream(stream(100.0), 200.0, 3.0)
    assert found.level == "bad"
    assert "100" in found.reason
    assert "200" in found.reason


def test_silence_is_bad() -> None:
    assert assess_stream(np.zeros(0, np.int64), 200.0, 3.0).level == "bad"


def test_worst_of_nothing_is_good() -> None:
    assert worst([]) == "good"
    assert worst(["good", "fair"]) == "fair"
    assert worst(["fair", "bad", "good"]) == "bad"


def test_samples_of_one_time_have_a_rate_that_is_a_number() -> None:
    found = assess_stream(np.repeat(stream()[::2], 2), 200.0, 3.0)
    assert found.rate_hz == pytest.approx(200.0, rel=0.01)
