"""Repetitions that look odd: those that are wrong are found, the others left alone."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from numpy.typing import NDArray

from semg.domain import REST, ConditioningSpec
from semg.settings import PROJECT_DIR
from semg.signals.odd_repetitions import Performance, find_odd, perform, thumbnail
from semg.signals.synthesis import SyntheticArm, make_plan
from testing.benchmarks.odd_repetitions import ERRORS, measure

DATA = PROJECT_DIR.parent / "shared" / "data"
GESTURES = (REST, "fist", "open_hand", "flexion")
RATE_HZ = 500.0
SPEC = ConditioningSpec("raw", RATE_HZ, 50.0)
Raw = dict[int, tuple[str, NDArray[np.float32]]]


@pytest.fixture(scope="module")
def raw() -> Raw:
    """A session of a synthetic arm: five repetitions of three gestures, with rest between them."""
    arm = SyntheticArm(seed=1, channels=6, gestures=GESTURES, rate_hz=RATE_HZ)
    made = arm.session(1, make_plan(GESTURES, repetitions=5, seconds=3.0))
    edges = np.flatnonzero((made.gestures[1:] != made.gestures[:-1]) | (np.diff(made.repetitions) != 0)) + 1
    parts = np.split(np.arange(len(made.samples)), edges)
    return {
        k: (str(made.gestures[part[0]]), made.samples[part]) for k, part in enumerate(parts) if made.gestures[part[0]]
    }


def judged(raw: Raw, **changed: NDArray[np.float32]) -> dict[int, str]:
    """What is found when some repetitions, by ``_<number>``, are replaced."""
    samples = {k: changed.get(f"_{k}", one) for k, (_, one) in raw.items()}
    made = {k: perform(gesture, samples[k], SPEC) for k, (gesture, _) in raw.items()}
    return {k: one.kind for k, one in find_odd(made).items()}


def first(raw: Raw, gesture: str) -> int:
    return next(k for k, (name, _) in raw.items() if name == gesture)


def test_good_session_has_nothing_odd(raw: Raw) -> None:
    assert sum(gesture != REST for gesture, _ in raw.values()) == 15
    assert judged(raw) == {}


@pytest.mark.parametrize("gesture", ["fist", "open_hand", "flexion"])
def test_each_error_is_found_alone_and_named(raw: Raw, gesture: str) -> None:
    k = first(raw, gesture)
    right = raw[k][1]
    rest = np.resize([one for name, one in raw.values() if name == REST][1], right.shape)
    other = raw[first(raw, "fist" if gesture == "open_hand" else "open_hand")][1]
    n = round(1.5 * RATE_HZ)
    late = np.concatenate([rest[:n], right[:-n]])
    mean = right.mean(axis=0)
    weak = (mean + 0.12 * (right - mean) + (rest - rest.mean(axis=0))).astype(np.float32)
    assert judged(raw, **{f"_{k}": rest}) == {k: "nothing"}
    assert judged(raw, **{f"_{k}": other}) == {k: "another"}
    assert judged(raw, **{f"_{k}": late}) == {k: "late"}
    assert judged(raw, **{f"_{k}": weak}) in ({k: "weak"}, {k: "nothing"})


def test_sentence_says_what_it_looks_like(raw: Raw) -> None:
    k = first(raw, "fist")
    made = {n: perform(gesture, one, SPEC) for n, (gesture, one) in raw.items()}
    made[k] = perform("fist", raw[first(raw, "open_hand")][1], SPEC)
    assert find_odd(made)[k].reason == "looks like open_hand"


def test_excluded_repetition_is_no_measure_for_the_others(raw: Raw) -> None:
    rest = np.resize(raw[first(raw, REST)][1], raw[first(raw, "fist")][1].shape)
    fists = [k for k, (name, _) in raw.items() if name == "fist"]
    made: dict[int, Performance] = {
        k: perform(gesture, rest if k in fists[1:4] else one, SPEC, is_sibling=k not in fists[1:4])
        for k, (gesture, one) in raw.items()
    }
    assert set(find_odd(made)) == set(fists[1:4]), "three wrong ones would be the rule, if they counted"


def test_few_or_short_repetitions_are_not_judged(raw: Raw) -> None:
    fist, rest = raw[first(raw, "fist")], raw[first(raw, REST)]
    assert find_odd({}) == {}
    assert find_odd({1: perform(REST, rest[1], SPEC)}) == {}
    assert find_odd({1: perform(*fist, SPEC), 2: perform(*rest, SPEC)}) == {}
    assert find_odd({1: perform("fist", fist[1][:20], SPEC), 2: perform(*rest, SPEC)}) == {}


def test_thumbnail_is_short_and_follows_the_envelope() -> None:
    course = np.repeat([[0.0, 0.0], [4.0, 2.0]], 50, axis=0)
    drawn = thumbnail(course, 10)
    assert drawn.tolist() == [0.0] * 5 + [3.0] * 5
    assert len(thumbnail(course[:3], 10)) == 3
    assert len(thumbnail(course[:0], 10)) == 0


@pytest.mark.recordings
@pytest.mark.skipif(not (DATA / "myo_26082-1.csv.gz").exists(), reason="the recordings are not there")
def test_real_recordings_have_few_odd_ones_and_errors_are_found() -> None:
    n, odd, counts = 0, 0, dict.fromkeys([f"{error} {what}" for error in ERRORS for what in ("tried", "found")], 0)
    for name in ("myo_12548-1", "myo_40052-2", "myo_91827-1"):
        performed, found, tried = measure(Path(DATA / f"{name}.csv.gz"), "raw", each=4)
        n, odd = n + performed, odd + found.total()
        counts = {key: value + tried[key] for key, value in counts.items()}
    assert odd <= 0.05 * n
    for error in ERRORS:
        assert counts[f"{error} found"] >= 0.8 * counts[f"{error} tried"] > 0
