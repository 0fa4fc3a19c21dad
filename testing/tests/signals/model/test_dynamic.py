"""Short dynamic gestures: one decision a performance, the same live and over a recording."""

from __future__ import annotations

import json
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from semg.errors import ArtifactError
from semg.signals.dataset import LabelledSamples, grid_windows
from semg.signals.model.classifier import Classifier, spec_from_metadata
from semg.signals.model.dynamic import OnsetDetector, Thresholds, TrialSpec, continue_last, performed
from semg.signals.training.dynamic_fit import onset_of, stretch_at
from semg.signals.training.train import fit
from testing.kits.short_gestures import SHORT, short_recording

SPEC = TrialSpec(("snap", "fist"), 1, 3, 4)
QUIET, LOUD = np.full((2, 5), 0.01, np.float32), np.full((2, 5), 1.0, np.float32)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    return fit([short_recording(3, 1).labelled], "logcov_lda")


@pytest.fixture(scope="module")
def tested() -> LabelledSamples:
    return short_recording(3, 2, 3).labelled


def trials(course: str, breaks: tuple[int, ...] = ()) -> list[int]:
    """Return at which hops trials are complete; `.` is a quiet hop, `#` a loud one."""
    detector = OnsetDetector(SPEC, Thresholds(float(np.log(0.0101)), 2.0, 1.0))
    hops = [LOUD if sign == "#" else QUIET for sign in course]
    done = [detector.push(hop, k > 0 and k not in breaks) for k, hop in enumerate(hops)]
    assert all(one is None or one.shape == (2, 7 * 5) for one in done)
    return [k for k, one in enumerate(done) if one is not None]


def decided(classifier: Classifier, windows: NDArray[np.float32]) -> list[tuple[int, int]]:
    recogniser = classifier.dynamic_recogniser()
    assert recogniser is not None
    found = [(k, performed(recogniser.push(window), 0.5)) for k, window in enumerate(windows)]
    return [(k, which) for k, which in found if which is not None]


def test_trial_begins_from_rest_and_comes_once_however_long_the_activity_lasts() -> None:
    assert trials(".....##..........") == [9]
    assert trials(".....############......##.......") == [9, 27], "held on: one; after rest the next"
    assert trials("....." + "##." * 4 + "......") == [9], "a double tap within a trial is one, and a third needs rest"
    assert trials("#######......") == [], "what was active already begins nothing"


def test_gap_discards_a_trial_and_rest_must_be_heard_again() -> None:
    assert trials(".....##..........", breaks=(8,)) == []
    assert trials(".....##.....##......", breaks=(11,)) == [9], "one hop of rest since the gap is too little"


def test_rest_level_follows_a_contact_that_has_changed() -> None:
    louder = np.full((2, 5), 0.35, np.float32)
    detector = OnsetDetector(SPEC, Thresholds(float(np.log(0.0101)), 2.0, 1.0))
    assert sum(detector.push(louder, k > 0) is not None for k in range(3000)) == 0
    after = [detector.push(hop, True) for hop in [3 * LOUD] * 2 + [louder] * 5]
    assert sum(one is not None for one in after) == 1, "a louder rest is rest after a while, and heard through"


def test_windows_continue_each_other_only_without_a_gap() -> None:
    signal = np.arange(40, dtype=np.float32)
    windows = np.stack([np.stack([signal[k : k + 10]] * 2) for k in (0, 3, 6, 12, 15)])
    assert continue_last(windows, 3).tolist() == [False, True, True, False, True]
    assert continue_last(windows[:0], 3).tolist() == []


def test_every_performance_is_decided_once_and_nothing_else(classifier, tested) -> None:
    windows, ends = grid_windows(tested, classifier.channels, classifier.conditioning, classifier.window)
    assert classifier.trials is not None
    found: dict[int, list[str]] = {}
    for k, which in decided(classifier, windows):
        at = stretch_at(tested, onset_of(int(ends[k]), classifier.trials, classifier.window))
        found.setdefault(at, []).append(classifier.spec.dynamic[which])
    named = {i: tested.stretches[i].label for i in np.unique(tested.stretch).tolist()}
    wanted = {i: [label] for i, label in named.items() if label in SHORT}
    assert sum(found.get(i) == label for i, label in wanted.items()) >= len(wanted) - 1
    assert set(found) <= set(wanted), "rest and held gestures are no performance"


def test_dropped_window_in_a_trial_loses_that_performance_only(classifier, tested) -> None:
    windows, _ = grid_windows(tested, classifier.channels, classifier.conditioning, classifier.window)
    whole = decided(classifier, windows)
    second = whole[1][0]
    kept = np.delete(windows, second - 3, axis=0)
    assert [k + (k >= second - 3) for k, _ in decided(classifier, kept)] == [k for k, _ in whole if k != second]


def test_stored_classifier_recognises_the_same(classifier, tested) -> None:
    again = Classifier.from_bytes(classifier.to_bytes())
    assert again.spec == classifier.spec == spec_from_metadata(classifier.metadata())
    windows, _ = grid_windows(tested, classifier.channels, classifier.conditioning, classifier.window)
    one, other = classifier.dynamic_recogniser(), again.dynamic_recogniser()
    assert one is not None
    assert other is not None
    np.testing.assert_array_equal(one.push_all(windows), other.push_all(windows))
    assert len(classifier.to_bytes()) < 100_000


def test_classifier_without_dynamic_gestures_says_nothing_of_them(classifier) -> None:
    arrays = {name: array for name, array in classifier.arrays.items() if not name.startswith("dynamic")}
    plain = replace(classifier, arrays=arrays, trials=None)
    assert "trials" not in plain.metadata()
    assert plain.dynamic_recogniser() is None
    assert Classifier.from_bytes(plain.to_bytes()).trials is None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("n_dynamic", 0), ("n_dynamic", 99), ("n_dynamic", True), ("before_hops", 0), ("after_hops", 10**6),
        ("after_hops", "14"), ("classes", ["snap", "snap"]), ("classes", []), ("classes", None),
        ("classes", ["snap"]),
    ],
)  # fmt: skip
def test_described_trials_that_do_not_fit_are_refused(classifier, field, value) -> None:
    stored = classifier.trials.as_json() | {field: value}
    with pytest.raises(ArtifactError):
        spec = spec_from_metadata(json.loads(json.dumps(classifier.metadata() | {"trials": stored})))
        Classifier.from_bytes(replace(classifier, trials=spec.trials).to_bytes())


def test_weights_that_are_missing_or_of_another_shape_are_refused(classifier) -> None:
    for name in ("dynamic_gain", "dynamic_centre", "dynamic_coef", "dynamic_levels"):
        lacking = {other: array for other, array in classifier.arrays.items() if other != name}
        with pytest.raises(ArtifactError):
            Classifier.from_bytes(replace(classifier, arrays=lacking).to_bytes())
        shorter = {**classifier.arrays, name: classifier.arrays[name][:-1]}
        with pytest.raises(ArtifactError):
            Classifier.from_bytes(replace(classifier, arrays=shorter).to_bytes())
    with pytest.raises(ArtifactError):
        Classifier.from_bytes(replace(classifier, classes=(*classifier.classes[:-1], "snap")).to_bytes())
