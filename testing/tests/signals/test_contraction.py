"""A strong contraction compared with rest, channel by channel."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from semg.domain import Device
from semg.signals.contraction import check_contraction

RATE_HZ = 500.0
DEVICE = Device(1, ("a0", "a1", "a2"), RATE_HZ, "raw", 0, 4095, 50)


def noise(*spreads: float, seconds: float = 2.5, seed: int = 0) -> NDArray[np.float32]:
    made = np.random.default_rng(seed).standard_normal((round(seconds * RATE_HZ), len(spreads)))
    return (2048 + made * np.array(spreads)).astype(np.float32)


def test_channels_that_respond_are_named() -> None:
    check = check_contraction(noise(20, 20, 20), noise(200, 90, 21, seed=1), DEVICE)
    assert check.level == "good"
    assert check.sentence.startswith("The contraction is clear on a0 and a1. 1 of 3 respond little")
    assert [one.answer for one in check.channels] == ["clear", "clear", "none"]
    assert 8 < check.channels[0].times < 13


def test_contraction_that_cannot_be_told_from_rest_says_so() -> None:
    check = check_contraction(noise(20, 20, 20), noise(20, 21, 20, seed=1), DEVICE)
    assert (check.level, check.sentence.split(" on ")[0]) == ("bad", "The contraction cannot be told from rest")


def test_weak_contraction_is_usable_with_advice() -> None:
    check = check_contraction(noise(20, 20, 20), noise(32, 20, 20, seed=1), DEVICE)
    assert check.level == "fair"
    assert "weak, and shows on a0 only" in check.sentence


def test_loose_electrode_is_named_beside_those_that_respond() -> None:
    rest = noise(20, 20, 20)
    rest[:, 2] = 7
    check = check_contraction(rest, noise(200, 200, 200, seed=1), DEVICE)
    assert check.level == "fair"
    assert "Check a2: flat: the electrode or its wire is off" in check.sentence


def test_noise_of_a_count_is_no_contraction() -> None:
    """A dead input that flickers by a count has no rest worth dividing by."""
    check = check_contraction(noise(0.3, 0.3, 0.3), noise(3, 3, 3, seed=1), DEVICE)
    assert check.level == "bad"


def test_envelope_is_compared_by_its_level() -> None:
    device = replace(DEVICE, sensor="envelope")
    quiet = (noise(5, 5, 5) - 1950).clip(0).astype(np.float32)
    loud = (noise(30, 5, 5, seed=1) - 1400).clip(0).astype(np.float32)
    loud[:, 1:] = quiet[:, 1:]
    assert [one.answer for one in check_contraction(quiet, loud, device).channels] == ["clear", "none", "none"]


def test_too_few_samples_are_no_check() -> None:
    check = check_contraction(noise(20, 20, 20)[:100], noise(200, 200, 200), DEVICE)
    assert (check.level, check.channels) == ("bad", ())
    assert check.sentence.startswith("Too few samples")
