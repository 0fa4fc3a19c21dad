"""Conditioning: what it removes, and that chunks do not matter."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.domain import ConditioningSpec
from semg.signals.conditioning import Conditioner, condition, design_filters


def tone(hz: float, rate_hz: float, seconds: float = 4.0, level: float = 0.0) -> np.ndarray:
    t = np.arange(round(seconds * rate_hz)) / rate_hz
    return (level + 100 * np.sin(2 * np.pi * hz * t)).astype(np.float32)[:, None]


def settled_rms(conditioned: np.ndarray) -> float:
    return float(np.sqrt(np.mean(np.square(conditioned[len(conditioned) // 2 :]))))


@given(
    rate_hz=st.sampled_from([50.0, 200.0, 1000.0, 2000.0]),
    mains_hz=st.sampled_from([0.0, 50.0, 60.0]),
    sensor=st.sampled_from(["raw", "envelope"]),
    cuts=st.lists(st.integers(0, 300), max_size=12),
    seed=st.integers(0, 2**16),
)
@settings(max_examples=80)
def test_output_is_bit_identical_for_any_chunking(rate_hz, mains_hz, sensor, cuts, seed):
    rng = np.random.default_rng(seed)
    samples = (2048 + 300 * rng.standard_normal((300, 3))).astype(np.float32)
    spec = ConditioningSpec(sensor, rate_hz, mains_hz)
    whole = condition(spec, samples)
    conditioner = Conditioner(spec, 3)
    edges = [0, *sorted(cuts), 300]
    parts = [conditioner.process(samples[a:b]) for a, b in zip(edges[:-1], edges[1:], strict=True)]
    assert np.concatenate(parts).tobytes() == whole.tobytes()


def test_adc_offset_gives_no_step():
    samples = np.full((100, 2), 2048, np.float32)
    assert np.abs(condition(ConditioningSpec("raw", 200.0), samples)).max() < 1e-6


def test_reset_forgets_the_past():
    rng = np.random.default_rng(0)
    samples = rng.standard_normal((50, 2)).astype(np.float32)
    conditioner = Conditioner(ConditioningSpec("raw", 200.0), 2)
    first = conditioner.process(samples)
    conditioner.reset()
    assert np.array_equal(conditioner.process(samples), first)


@pytest.mark.parametrize("rate_hz", [200.0, 500.0, 1000.0, 2000.0])
@pytest.mark.parametrize("mains_hz", [50.0, 60.0])
def test_mains_is_removed_and_emg_is_kept(rate_hz, mains_hz):
    spec = ConditioningSpec("raw", rate_hz, mains_hz)
    hum, muscle = tone(mains_hz, rate_hz), tone(80, rate_hz)
    assert settled_rms(condition(spec, hum)) < 0.03 * settled_rms(hum)
    assert settled_rms(condition(spec, muscle)) > 0.9 * settled_rms(muscle)


def test_no_mains_means_no_notch():
    hum = tone(50, 200)
    assert settled_rms(condition(ConditioningSpec("raw", 200.0, 0.0), hum)) > 0.9 * settled_rms(hum)


def test_notch_is_left_out_where_the_rate_cannot_show_the_mains():
    assert design_filters(ConditioningSpec("raw", 100.0, 50.0)).shape[0] == 1
    assert design_filters(ConditioningSpec("raw", 50.0, 50.0)).shape[0] == 1


def test_band_above_450_hz_is_removed_where_the_rate_allows():
    high = tone(900, 2000)
    assert settled_rms(condition(ConditioningSpec("raw", 2000.0, 0.0), high)) < 0.1 * settled_rms(high)


def test_drift_is_removed():
    drift = tone(0.3, 200, seconds=20, level=2048)
    assert settled_rms(condition(ConditioningSpec("raw", 200.0), drift)) < 1.0


def test_envelope_passes_unchanged_and_uncopied_input_stays_untouched():
    samples = np.arange(20, dtype=np.float32).reshape(10, 2)
    conditioned = condition(ConditioningSpec("envelope", 100.0), samples)
    assert np.array_equal(conditioned, samples)
    assert not np.shares_memory(conditioned, samples)


@pytest.mark.parametrize("rate_hz", [50.0, 99.5, 200.0, 333.3, 946.0, 1000.0, 2000.0])
def test_filters_are_stable_at_every_rate(rate_hz):
    rng = np.random.default_rng(1)
    samples = (2048 + 500 * rng.standard_normal((round(20 * rate_hz), 1))).astype(np.float32)
    conditioned = condition(ConditioningSpec("raw", rate_hz), samples)
    assert np.isfinite(conditioned).all()
    assert settled_rms(conditioned) < 600


def test_wrong_number_of_columns_is_refused():
    with pytest.raises(ValueError, match=r"\(n, 3\)"):
        Conditioner(ConditioningSpec("raw", 200.0), 3).process(np.zeros((5, 2), np.float32))
