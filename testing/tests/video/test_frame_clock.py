"""The server time of each frame, from a log."""

from __future__ import annotations

import io

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.video.frame_clock import _running_median, frame_times, rising
from semg.video.part_log import LogWriter, read_log
from semg.video.reports import NTP_EPOCH_S, unwrap, us_from_ntp
from testing.kits.video_kit import SERVER_US, simulated_log

MS = 1000


@pytest.mark.parametrize(
    ("clocks", "within_us"),
    [
        ({}, 1 * MS),
        ({"ahead_us": -7_200_000_000}, 1 * MS),
        ({"drift_ppm": 50.0, "ahead_us": 3_000_000}, 2 * MS),
        ({"drift_ppm": -100.0}, 2 * MS),
        ({"delay_us": 30_000}, 4 * MS),
        ({"drift_ppm": 50.0, "delay_us": 10_000}, 4 * MS),
    ],
    ids=["same-clock", "two-hours-behind", "drifts", "drifts-back", "busy-server", "drifts-and-busy"],
)
def test_times_are_those_of_the_capture_whatever_the_browsers_clock_does(
    clocks: dict[str, float], within_us: float
) -> None:
    log, true_us = simulated_log(600, **clocks)  # type: ignore[arg-type]
    times_us, error_us = frame_times(log)
    errors = np.abs(times_us - true_us)
    assert np.quantile(errors, 0.99) <= within_us
    assert errors.max() <= 3 * within_us
    assert error_us is not None
    assert np.quantile(errors, 0.99) <= error_us


def test_short_recording_has_exact_times_too() -> None:
    log, true_us = simulated_log(4, ahead_us=500_000)
    times_us, error_us = frame_times(log)
    assert np.abs(times_us - true_us).max() <= 2 * MS
    assert error_us is not None


def test_few_reports_are_used_but_promise_nothing() -> None:
    log, true_us = simulated_log(2, ahead_us=500_000)
    assert len(log.report_media) == 2
    times_us, error_us = frame_times(log)
    assert np.abs(times_us - true_us).max() <= 2 * MS
    assert error_us is None


def test_without_reports_the_frames_least_delay_stays_and_the_error_is_unknown() -> None:
    log, true_us = simulated_log(60, reports=False)
    times_us, error_us = frame_times(log)
    assert error_us is None
    late = times_us - true_us
    assert late.min() > 40 * MS
    assert late.max() < 52 * MS


def test_empty_log_has_no_times() -> None:
    times_us, error_us = frame_times(read_log(io.BytesIO()))
    assert (len(times_us), error_us) == (0, None)


@given(st.lists(st.integers(0, 10**12), min_size=1, max_size=60), st.none() | st.integers(0, 10**12))
def test_times_always_rise(values: list[int], after_us: int | None) -> None:
    times_us = rising(np.array(values, np.int64), after_us)
    assert np.all(np.diff(times_us) > 0)
    assert after_us is None or times_us[0] > after_us
    assert np.all(times_us >= np.array(values))


def test_times_that_rise_stay_as_they_are() -> None:
    times_us = SERVER_US + np.arange(100) * 33_333
    assert np.array_equal(rising(times_us), times_us)
    assert np.array_equal(rising(times_us, SERVER_US - 1_000), times_us)


def test_log_that_was_cut_short_keeps_its_whole_rows() -> None:
    file = io.BytesIO()
    writer = LogWriter(file)
    for index in range(5):
        writer.add_frame(index, SERVER_US + index)
        writer.add_report(index, SERVER_US, SERVER_US + 7)
    log = read_log(io.BytesIO(file.getvalue()[:-5]))
    assert log.media.tolist() == [0, 1, 2, 3, 4]
    assert log.arrival_us.tolist() == [SERVER_US + index for index in range(5)]
    assert log.report_media.tolist() == [0, 1, 2, 3]


@given(st.integers(0, 2**40), st.integers(-(2**31) + 1, 2**31 - 1))
def test_wrapped_timestamp_is_found_near_the_last_one(near: int, step: int) -> None:
    assert unwrap((near + step) & 0xFFFFFFFF, near) == near + step


def test_ntp_time_is_seconds_since_1900_and_a_fraction() -> None:
    assert us_from_ntp((NTP_EPOCH_S + 1) << 32 | 1 << 31) == 1_500_000


@pytest.mark.parametrize("n", [1, 2, 4, 5, 6, 50])
def test_running_median_has_fewer_neighbours_at_the_ends(n: int) -> None:
    values = np.random.default_rng(n).normal(size=n)
    wanted = [np.median(values[max(0, i - 2) : i + 3]) for i in range(n)]
    np.testing.assert_array_equal(_running_median(values, 5), wanted)
