"""The grid of windows: where it lies, and that online equals offline."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from semg.domain import ConditioningSpec, WindowSpec
from semg.signals.conditioning import condition
from semg.signals.windows import StreamWindower, WindowStream, cut
from testing.kits.window_grid import window_ends


def test_first_window_ends_after_settling_and_then_every_hop():
    spec = WindowSpec(rate_hz=200, window_ms=250, hop_ms=50, settle_ms=100)
    assert window_ends(spec, 100).tolist() == [69, 79, 89, 99]
    assert window_ends(spec, 69).tolist() == []


def test_cut_takes_the_samples_up_to_the_end_inclusive():
    spec = WindowSpec(rate_hz=100, window_ms=30, hop_ms=10)
    samples = np.arange(20, dtype=np.float32).reshape(10, 2)
    windows = cut(samples, np.array([2, 9]), spec)
    assert windows.shape == (2, 2, 3)
    assert windows.flags.c_contiguous
    assert windows[1].tolist() == [[14, 16, 18], [15, 17, 19]]


@given(
    rate_hz=st.sampled_from([50.0, 200.0, 1000.0]),
    window_ms=st.sampled_from([100.0, 250.0]),
    hop_ms=st.sampled_from([20.0, 50.0, 400.0]),
    settle_ms=st.sampled_from([0.0, 100.0]),
    cuts=st.lists(st.integers(0, 1500), max_size=40),
    resets=st.sets(st.integers(0, 39), max_size=3),
)
@settings(max_examples=100)
def test_online_windows_equal_offline_windows_for_any_chunking(rate_hz, window_ms, hop_ms, settle_ms, cuts, resets):
    spec = WindowSpec(rate_hz, window_ms, hop_ms, settle_ms)
    conditioning = ConditioningSpec("raw", rate_hz)
    rng = np.random.default_rng(7)
    samples = (2048 + 100 * rng.standard_normal((1500, 4))).astype(np.float32)
    columns = [3, 1]
    edges = [0, *sorted(cuts), 1500]
    stream = WindowStream(conditioning, spec, columns)
    online_windows, online_ends, run_starts = [], [], [0]
    for number, (a, b) in enumerate(zip(edges[:-1], edges[1:], strict=True)):
        starts_run = number == 0 or number in resets
        if starts_run and number:
            run_starts.append(a)
        windows, ends = stream.push(samples[a:b], starts_run)
        online_windows.append(windows)
        online_ends.append(ends + a)
    offline_windows, offline_ends = [], []
    for a, b in zip(run_starts, [*run_starts[1:], 1500], strict=True):
        run = condition(conditioning, samples[a:b, columns])
        ends = window_ends(spec, len(run))
        offline_windows.append(cut(run, ends, spec))
        offline_ends.append(ends + a)
    assert np.array_equal(np.concatenate(online_ends), np.concatenate(offline_ends))
    assert np.concatenate(online_windows).tobytes() == np.concatenate(offline_windows).tobytes()


def test_sample_numbers_in_a_window_are_consecutive_after_many_small_chunks():
    spec = WindowSpec(rate_hz=200, window_ms=250, hop_ms=50, settle_ms=0)
    windower = StreamWindower(spec, 1)
    numbers = np.arange(5000, dtype=np.float32)[:, None]
    seen = 0
    for start in range(0, 5000, 3):
        windows, ends = windower.push(numbers[start : start + 3])
        for window, end in zip(windows, ends, strict=True):
            assert np.array_equal(window[0], np.arange(start + end - 49, start + end + 1))
            seen += 1
    assert seen == len(window_ends(spec, 5000))


def test_a_window_is_a_copy_that_later_samples_do_not_change():
    spec = WindowSpec(rate_hz=100, window_ms=100, hop_ms=100, settle_ms=0)
    windower = StreamWindower(spec, 1)
    windows, _ = windower.push(np.arange(10, dtype=np.float32)[:, None])
    before = windows.copy()
    windower.push(np.full((200, 1), 7, np.float32))
    assert np.array_equal(windows, before)


@pytest.mark.parametrize("n", [0, 1])
def test_too_few_samples_give_an_empty_but_shaped_answer(n):
    windows, ends = StreamWindower(WindowSpec(200), 2).push(np.zeros((n, 2), np.float32))
    assert windows.shape == (0, 2, 50)
    assert ends.shape == (0,)
