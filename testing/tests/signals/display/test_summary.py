"""Summaries of long signals: no peak lost, no gap hidden, the same bytes read back."""

from __future__ import annotations

import subprocess
import sys

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.domain import Block
from semg.signals.display import summary
from semg.signals.display.decimation import decimate
from semg.signals.display.spectrum import spectrum

RATE_HZ, STEP_US = 200.0, 5000
START_US = 1_700_000_040_000_000


def block(first: int, samples: np.ndarray, *, late: bool = False) -> Block:
    device_us = (np.arange(first, first + len(samples)) * STEP_US).astype(np.int64)
    return Block(1, 0, False, late, START_US, device_us, device_us, samples.astype(np.float32))


def test_of_nothing_and_of_late_samples_only_there_is_no_summary() -> None:
    assert summary.summarise([], 2, RATE_HZ) is None
    assert summary.summarise([block(0, np.ones((10, 2)), late=True)], 2, RATE_HZ) is None
    assert summary.summarise([block(0, np.ones((10, 3)))], 2, RATE_HZ) is None


@given(st.integers(0, 2**32 - 1), st.integers(2000, 6000), st.integers(3, 60), st.integers(1, 1999))
def test_picture_and_figures_are_those_of_the_samples(seed: int, n: int, n_columns: int, cut: int) -> None:
    samples = np.random.default_rng(seed).standard_normal((n, 3)).astype(np.float32) + 100
    parts = [
        summary.summarise([block(0, samples[:cut])], 3, RATE_HZ),
        summary.summarise([block(cut, samples[cut:])], 3, RATE_HZ),
    ]
    whole = summary.join([part for part in parts if part is not None], RATE_HZ)
    assert whole is not None
    until_us = START_US + n * STEP_US
    drawn = summary.draw(whole, START_US, until_us, n_columns)
    exact = decimate([block(0, samples)], RATE_HZ, START_US, until_us, n_columns)
    assert drawn is not None
    assert exact is not None
    assert drawn.n_samples == n
    assert drawn.gaps == ()
    np.testing.assert_array_equal(drawn.low, exact.low)
    np.testing.assert_array_equal(drawn.high, exact.high)
    np.testing.assert_allclose(drawn.rms, exact.rms, rtol=1e-4)
    np.testing.assert_array_equal(drawn.values.min(axis=0), samples.min(axis=0))
    np.testing.assert_array_equal(drawn.values.max(axis=0), samples.max(axis=0))
    assert (np.diff(drawn.server_us) >= 0).all()
    assert len(drawn.values) <= 2 * n_columns


def test_gap_inside_and_between_parts_is_told() -> None:
    ones = np.ones((100, 1))
    parts = [
        summary.summarise([block(0, ones), block(300, ones)], 1, RATE_HZ),
        summary.summarise([block(1000, ones)], 1, RATE_HZ),
    ]
    whole = summary.join([part for part in parts if part is not None], RATE_HZ)
    assert whole is not None
    at = [START_US + index * STEP_US for index in (99, 300, 399, 1000)]
    assert whole.gaps == ((at[0], at[1]), (at[2], at[3]))
    drawn = summary.draw(whole, START_US, START_US + 1100 * STEP_US, 20)
    assert drawn is not None
    assert np.isnan(drawn.values).any()


def test_bytes_are_read_back_and_damaged_ones_refused() -> None:
    samples = np.random.default_rng(0).standard_normal((500, 2))
    made = summary.summarise([block(0, samples), block(700, samples)], 2, RATE_HZ)
    assert made is not None
    content = summary.to_bytes(made, START_US // 60_000_000 * 60_000_000)
    read = summary.from_bytes(content)
    for name in ("bin_us", "count", "low", "high", "mean", "variance"):
        np.testing.assert_array_equal(getattr(read, name), getattr(made, name))
    assert (read.gaps, read.first_us, read.last_us) == (made.gaps, made.first_us, made.last_us)
    with pytest.raises(ValueError, match="was expected"):
        summary.from_bytes(content[:-1])


def test_spectrum_shows_a_tone_at_its_place_and_its_power() -> None:
    at = np.arange(4000) / RATE_HZ
    tone = np.stack([3 * np.sin(2 * np.pi * 40 * at), np.sin(2 * np.pi * 70 * at)], axis=1).astype(np.float32)
    found = spectrum([tone], RATE_HZ)
    assert found is not None
    peaks = found.frequency_hz[found.density.argmax(axis=0)]
    np.testing.assert_allclose(peaks, [40, 70])
    np.testing.assert_allclose(found.median_hz, [40, 70], atol=1)
    np.testing.assert_allclose(found.density.sum(axis=0), [4.5, 0.5], rtol=0.01)  # power of a sine: half its square
    assert spectrum([tone[:50]], RATE_HZ) is None


@pytest.mark.parametrize("rate_hz", [200.0, 333.0])
def test_spectrum_is_the_mean_of_all_half_overlapping_pieces_of_a_second(rate_hz: float) -> None:
    random = np.random.default_rng(1)
    length = round(rate_hz)
    runs = [random.normal(50, 3, (n, 2)).astype(np.float32) for n in (length - 1, length, 3 * length + 7, 5 * length)]
    window = np.hanning(length)[:, None]
    pieces = [
        run[start : start + length] - run[start : start + length].mean(axis=0, dtype=np.float64)
        for run in runs
        for start in range(0, len(run) - length + 1, length // 2)
    ]
    powers = [np.abs(np.fft.rfft(piece * window, axis=0)) ** 2 for piece in pieces]
    wanted = np.mean(powers, axis=0)[1:] * 2 / (rate_hz * (window**2).sum())
    if length % 2 == 0:
        wanted[-1] /= 2  # half the rate is one frequency, not a pair
    found = spectrum(runs, rate_hz)
    assert found is not None
    assert found.n_pieces == len(pieces)
    np.testing.assert_allclose(found.frequency_hz, np.fft.rfftfreq(length, 1 / rate_hz)[1:])
    np.testing.assert_allclose(found.density, wanted, rtol=1e-6)


def test_scipy_is_loaded_by_the_first_spectrum_only() -> None:
    code = (
        "import sys, numpy, semg.recordings.overview\n"
        "from semg.signals.display.spectrum import spectrum\n"
        "before = 'scipy' in sys.modules\n"
        "spectrum([numpy.ones((300, 1), 'f4')], 200.0)\n"
        "print(before, 'scipy.signal' in sys.modules)"
    )
    told = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True).stdout
    assert told == "False True\n"
