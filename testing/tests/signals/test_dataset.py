"""Labelled windows: none crosses an edge, and all lie on the live grid."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.domain import ConditioningSpec, WindowSpec
from semg.signals.dataset import LabelledSamples, Stretch, grid_windows, make_windows
from testing.kits.recording_kit import number_stretches

SPEC = WindowSpec(rate_hz=100, window_ms=100, hop_ms=30, settle_ms=50)
PASS = ConditioningSpec("envelope", 100.0)


def session(
    gestures: list[str], repetitions: list[int], gaps: tuple[int, ...] = (), name: str = "s"
) -> LabelledSamples:
    stretch, stretches = number_stretches(np.array(gestures), np.array(repetitions), name)
    n = len(stretch)
    numbers = np.stack([np.arange(n), 1000 + np.arange(n)], axis=1).astype(np.float32)
    starts_run = np.isin(np.arange(n), gaps)
    return LabelledSamples(numbers, starts_run, stretch, stretches, ("a0", "a1"), 100.0, "envelope")


@given(
    runs=st.lists(st.tuples(st.sampled_from(["rest", "fist", ""]), st.integers(0, 2), st.integers(1, 60)), min_size=1),
    gaps=st.sets(st.integers(1, 300), max_size=4),
)
def test_window_never_crosses_repetition_or_gap(runs, gaps):
    gestures = [gesture for gesture, _, n in runs for _ in range(n)]
    repetitions = [number for _, number, n in runs for _ in range(n)]
    labelled = session(gestures, repetitions, tuple(gaps))
    data = make_windows([labelled], ("a0",), PASS, SPEC)
    for window, stretch in zip(data.windows, data.stretch, strict=True):
        rows = window[0].astype(int)
        assert np.array_equal(rows, np.arange(rows[0], rows[0] + SPEC.window_samples))
        assert set(labelled.stretch[rows]) == {stretch}
        assert not labelled.starts_run[rows[1:]].any()


def test_labelled_windows_are_those_of_the_live_grid():
    labelled = session(["rest"] * 80 + ["fist"] * 70, [0] * 150)
    windows, ends = grid_windows(labelled, ("a0",), PASS, SPEC)
    assert ends.tolist() == list(range(14, 150, 3))
    data = make_windows([labelled], ("a0",), PASS, SPEC)
    kept = np.isin(ends, data.end_index)
    assert np.array_equal(windows[kept], data.windows)
    crossing = ends[~kept]
    assert ((crossing >= 80) & (crossing < 89)).all()


def test_time_into_the_stretch_counts_from_its_first_sample():
    data = make_windows([session(["rest"] * 80 + ["fist"] * 70, [0] * 150)], ("a0",), PASS, SPEC)
    fist = data.labels == "fist"
    first = data.windows[fist][:, 0, 0]
    assert np.allclose(data.into_stretch_ms[fist], (first - 80) * 10)
    assert set(data.stretch_ms[fist]) == {700.0}


def test_equal_pair_that_comes_again_is_another_stretch():
    stretch, stretches = number_stretches(
        np.array(["rest", "rest", "fist", "rest", ""]), np.array([0, 0, 0, 0, 0]), "s"
    )
    assert stretch.tolist() == [0, 0, 1, 2, -1]
    assert stretches == (Stretch("rest", 0, "s"), Stretch("fist", 0, "s"), Stretch("rest", 0, "s"))


def test_channels_are_chosen_by_name_and_order():
    data = make_windows([session(["rest"] * 50, [0] * 50)], ("a1", "a0"), PASS, SPEC)
    assert np.array_equal(data.windows[:, 0] - 1000, data.windows[:, 1])


def test_stretches_of_several_sessions_are_numbered_on():
    one = session(["rest"] * 40 + ["fist"] * 40, [0] * 80, name="one")
    two = session(["rest"] * 40 + ["fist"] * 40, [0] * 80, name="two")
    data = make_windows([one, two], ("a0",), PASS, SPEC)
    assert sorted(set(data.stretch)) == [0, 1, 2, 3]
    assert {data.stretches[i].session for i in data.stretch[data.session_index == 1]} == {"two"}


def test_missing_channel_is_named():
    with pytest.raises(KeyError, match="a9"):
        make_windows([session(["rest"] * 40, [0] * 40)], ("a9",), PASS, SPEC)


def test_flags_of_another_length_are_refused():
    with pytest.raises(ValueError, match="10 values"):
        LabelledSamples(np.zeros((10, 1), np.float32), np.zeros(9, bool), np.zeros(10, np.int32), (), ("a0",), 100.0)


def test_grid_in_pieces_is_the_grid(monkeypatch):
    rng = np.random.default_rng(0)
    samples = rng.normal(0, 1, (1000, 2)).astype(np.float32)
    starts = np.zeros(1000, np.bool_)
    starts[[300, 310, 700]] = True
    labelled = LabelledSamples(samples, starts, np.full(1000, -1, np.int32), (), ("a0", "a1"), 100.0, "raw")
    whole = grid_windows(labelled, ("a0", "a1"), ConditioningSpec("raw", 100.0), SPEC)
    monkeypatch.setattr("semg.signals.dataset.PIECE_S", 0.37)
    pieces = grid_windows(labelled, ("a0", "a1"), ConditioningSpec("raw", 100.0), SPEC)
    for one, other in zip(whole, pieces, strict=True):
        np.testing.assert_array_equal(one, other)
