"""Samples that share a time stamp are spread over their packet, in files and live by one rule."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.signals.packet_times import MAX_LEAD_US, STAMP_US, PacketTimes, spread


def stamped(times_us: np.ndarray, packet: int, resolution_us: int = STAMP_US) -> np.ndarray:
    """The stamps of samples that a device sends in packets, each with the time of its first one."""
    first = np.repeat(times_us[::packet], packet)[: len(times_us)]
    return (first // resolution_us * resolution_us).astype(np.int64)


@pytest.mark.parametrize("packet", [2, 4, 10])
def test_packets_of_a_regular_device_get_the_times_of_its_samples(packet: int) -> None:
    true_us = 1_000_000 + 5000 * np.arange(200, dtype=np.int64)
    assert spread(stamped(true_us, packet), 5000.0).tolist() == true_us.tolist()


def test_stamps_that_grow_stay_as_they_are() -> None:
    stamps = np.array([0, 1000, 7000, 8000], np.int64)
    assert spread(stamps, 1000.0).tolist() == stamps.tolist()


def test_one_doubled_millisecond_moves_one_sample_of_500_hz() -> None:
    stamps = 1000 * np.array([0, 2, 4, 4, 8, 10], np.int64)
    assert spread(stamps, 2000.0).tolist() == [0, 2000, 4000, 6000, 8000, 10_000]


def test_doubled_millisecond_of_a_fast_clock_leaves_no_lasting_lead() -> None:
    stamps = 1000 * np.array([0, 1, 1, *range(2, 40)], np.int64)
    times = spread(stamps, 1000.0)
    assert (np.diff(times) > 0).all()
    assert times[-1] == stamps[-1]


@pytest.mark.parametrize("true_period_us", [4400, 4900, 5100, 5900])
def test_spacing_of_a_device_that_is_off_is_learned(true_period_us: int) -> None:
    true_us = true_period_us * np.arange(4000, dtype=np.int64)
    times = spread(stamped(true_us, 10), 5000.0)
    steps = np.diff(times)
    assert (steps > 0).all()
    assert np.abs(steps[400:] - true_period_us).max() < 2 * STAMP_US
    assert np.abs(times - true_us)[400:].max() < 12_000


@given(
    st.lists(st.tuples(st.integers(0, 40), st.integers(1, 6)), min_size=1, max_size=60),
    st.sampled_from([500.0, 1000.0, 5000.0, 20_000.0]),
)
def test_times_always_grow_and_never_lie_before_their_stamp(packets: list[tuple[int, int]], period_us: float) -> None:
    stamps, at_ms = [], 0
    for step_ms, n in packets:
        at_ms += step_ms
        stamps += [1000 * at_ms] * n
    rule, times = PacketTimes(period_us, stamps[0]), [stamps[0]]
    for stamp in stamps[1:]:
        time_us = rule.next(stamp)
        if time_us is None:
            assert times[-1] - stamp > MAX_LEAD_US - 2 * 1.25 * period_us
        else:
            assert stamp <= time_us <= stamp + MAX_LEAD_US + 2 * period_us
            times.append(time_us)
    assert (np.diff(times) > 0).all()


def test_stamp_that_stands_still_is_no_time() -> None:
    rule = PacketTimes(5000.0, 7000)
    times = [rule.next(7000) for _ in range(300)]
    assert times[:2] == [12_000, 17_000]
    assert times[-1] is None
    assert max(time for time in times if time is not None) == 7000 + MAX_LEAD_US
    with pytest.raises(ValueError, match="stands still at index 201"):
        spread(np.full(300, 7000, np.int64), 5000.0)


def test_stamps_that_fall_are_refused_with_their_index() -> None:
    with pytest.raises(ValueError, match="fall at index 2"):
        spread(np.array([0, 5, 4, 4], np.int64), 1.0)


def test_resolution_is_that_of_the_packets() -> None:
    rule = PacketTimes(5000.0, 0)
    assert rule.resolution_us == STAMP_US
    for packet in range(1, 8):
        for _ in range(4):
            rule.next(20_000 * packet)
    assert (rule.resolution_us, rule.packet_size) == (20_000, 4)
