"""Decimation for the screen: no peak lost, no gap hidden."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st

from semg.domain import Block
from semg.signals.display.decimation import decimate

RATE_HZ = 200.0
STEP_US = 5000


def block(first: int, samples: np.ndarray, starts_run: bool = False) -> Block:
    device_us = (np.arange(first, first + len(samples)) * STEP_US).astype(np.int64)
    return Block(1, 0, starts_run, False, 0, device_us, device_us, samples.astype(np.float32))


def test_nothing_gives_nothing() -> None:
    assert decimate([], RATE_HZ, 0, 1000, 100) is None


def test_short_signal_is_given_whole() -> None:
    samples = np.arange(20.0).reshape(10, 2)
    drawn = decimate([block(0, samples)], RATE_HZ, 0, 10 * STEP_US, 100)
    assert drawn is not None
    np.testing.assert_array_equal(drawn.values, samples)
    assert drawn.gaps == ()


@given(st.integers(0, 2**32 - 1), st.integers(500, 5000), st.integers(3, 100))
def test_lowest_and_highest_values_survive(seed: int, n: int, n_columns: int) -> None:
    samples = np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32)
    drawn = decimate(
        [block(0, samples[: n // 2]), block(n // 2, samples[n // 2 :])], RATE_HZ, 0, n * STEP_US, n_columns
    )
    assert drawn is not None
    assert len(drawn.values) <= max(2 * n_columns, 0) or n <= 2 * n_columns
    np.testing.assert_array_equal(drawn.values.min(axis=0), samples.min(axis=0))
    np.testing.assert_array_equal(drawn.values.max(axis=0), samples.max(axis=0))
    assert (np.diff(drawn.server_us) >= 0).all()


def test_single_peak_in_a_million_samples_is_drawn() -> None:
    samples = np.zeros((1_000_000, 1), np.float32)
    samples[654_321] = 7
    drawn = decimate([block(0, samples)], RATE_HZ, 0, len(samples) * STEP_US, 1000)
    assert drawn is not None
    assert drawn.values.max() == 7
    assert len(drawn.values) == 2000


def test_gap_breaks_the_line_and_is_told() -> None:
    blocks = [block(0, np.ones((1000, 2))), block(3000, np.ones((1000, 2)), starts_run=True)]
    drawn = decimate(blocks, RATE_HZ, 0, 4000 * STEP_US, 100)
    assert drawn is not None
    assert drawn.gaps == ((999 * STEP_US, 3000 * STEP_US),)
    broken = np.flatnonzero(np.isnan(drawn.values[:, 0]))
    assert len(broken) == 1
    assert 999 * STEP_US < drawn.server_us[broken[0]] < 3000 * STEP_US


def test_gap_shorter_than_a_pixel_is_still_told() -> None:
    blocks = [block(0, np.ones((5000, 1))), block(5003, np.ones((5000, 1)), starts_run=True)]
    drawn = decimate(blocks, RATE_HZ, 0, 10_003 * STEP_US, 50)
    assert drawn is not None
    assert len(drawn.gaps) == 1


def test_rms_is_about_the_mean() -> None:
    samples = np.tile([[99.0], [101.0]], (500, 1))
    drawn = decimate([block(0, samples)], RATE_HZ, 0, 1000 * STEP_US, 10)
    assert drawn is not None
    np.testing.assert_allclose(drawn.rms, 1.0)
    assert (drawn.low[0], drawn.high[0]) == (99.0, 101.0)
