"""Live windows are answered by classifiers that follow their streams, as evaluation does with a recording."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from semg.predictor.model_cache import Loaded, Predictor
from semg.predictor.people import PeopleByLayout
from semg.signals.dataset import grid_windows, make_windows
from semg.signals.model.adaptation import BLOCK, Adapter
from semg.signals.model.classifier import Classifier
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from semg.wire.windows import AlikeWindows, WindowStatus
from testing.kits.predictor_kit import InMemory
from testing.kits.recording_kit import labelled_session
from testing.kits.short_gestures import short_recording

GESTURES = ("rest", "fist", "open_hand", "flexion")
ARM = SyntheticArm(2, 4, gestures=GESTURES)


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    session = labelled_session(ARM, 1, make_plan(GESTURES, 3, 1.5))
    return fit([session], "cnn", options=TrainingOptions(epochs=1))


@pytest.fixture(scope="module")
def windows(classifier) -> NDArray[np.float32]:
    """Of another session."""
    session = labelled_session(ARM, 2, make_plan(GESTURES, 3, 2.0))
    return make_windows([session], classifier.channels, classifier.conditioning, classifier.window).windows[:200]


def ask(predictor: Predictor, windows: NDArray[np.float32], users=1, streams=7, version: int = 1):
    """Answer windows in one request."""
    n = len(windows)
    ids, numbers = np.broadcast_to(users, n).astype(np.int64), np.broadcast_to(streams, n).astype(np.int64)
    answers = predictor.predict_windows(
        [AlikeWindows(np.arange(n), ids, np.full(n, version, np.int64), windows, numbers)]
    )
    assert (answers.statuses == WindowStatus.OK).all()
    return answers.probabilities


@pytest.mark.parametrize("seed", [0, 1, 2])
def test_stream_in_requests_is_answered_as_evaluation_answers_the_recording(classifier, windows, seed) -> None:
    predictor = InMemory({1: Loaded(1, PeopleByLayout().add(classifier))})
    cuts = np.sort(np.random.default_rng(seed).integers(0, len(windows), 30))
    answers = np.concatenate([ask(predictor, part) for part in np.split(windows, cuts) if len(part)])
    np.testing.assert_array_equal(answers, Adapter(classifier).predict_proba(windows))
    assert not np.allclose(answers, classifier.predict_proba(windows), atol=1e-2), "following must change something"


def test_streams_of_two_profiles_in_one_request_learn_nothing_of_each_other(classifier, windows) -> None:
    predictor = InMemory({user: Loaded(1, PeopleByLayout().add(classifier)) for user in (1, 2)})
    other = 1.7 * windows
    both = np.stack([windows, other], 1).reshape(-1, *windows.shape[1:])
    users = np.tile([1, 2], len(windows))
    answers = np.concatenate([ask(predictor, both[i : i + 50], users[i : i + 50]) for i in range(0, len(both), 50)])
    np.testing.assert_array_equal(answers[0::2], Adapter(classifier).predict_proba(windows))
    np.testing.assert_array_equal(answers[1::2], Adapter(classifier).predict_proba(other))


def test_another_number_begins_anew_and_none_is_answered_as_stored(classifier, windows) -> None:
    predictor = InMemory({1: Loaded(1, PeopleByLayout().add(classifier))})
    ask(predictor, windows, streams=7)
    stored = classifier.predict_proba(windows)
    np.testing.assert_allclose(ask(predictor, windows, streams=0), stored, atol=1e-5)
    np.testing.assert_allclose(ask(predictor, windows[:BLOCK], streams=8), stored[:BLOCK], atol=1e-5)


def test_another_version_begins_anew_and_windows_for_the_last_one_do_not_disturb_it(classifier, windows) -> None:
    by_layout = PeopleByLayout()
    member = by_layout.add(classifier)
    predictor = InMemory({1: Loaded(1, member)})
    ask(predictor, windows[:90])
    predictor.loaded[1] = Loaded(2, by_layout.add(classifier), (1, member))
    followed = Adapter(classifier).predict_proba(windows[:100])[90:]
    np.testing.assert_array_equal(ask(predictor, windows[90:100], version=1), followed)  # until the other begins
    stored = classifier.predict_proba(windows)
    expected = Adapter(classifier).predict_proba(windows[100:160])
    first = ask(predictor, windows[100:130], version=2)
    np.testing.assert_allclose(ask(predictor, windows[:30], version=1), stored[:30], atol=1e-5)
    second = ask(predictor, windows[130:160], version=2)
    np.testing.assert_array_equal(np.concatenate([first, second]), expected)


def test_stream_that_another_request_has_is_answered_as_stored(classifier, windows) -> None:
    predictor = InMemory({1: Loaded(1, PeopleByLayout().add(classifier))})
    ask(predictor, windows[:100])
    member = predictor.loaded[1].member
    stored = classifier.predict_proba(windows[:10])
    with member.people.streams(np.array([member.row]), np.array([7])) as held:
        assert held.all()
        np.testing.assert_array_equal(ask(predictor, windows[:10]), stored)
    assert not np.allclose(ask(predictor, windows[:10]), stored, atol=1e-3)


def test_broken_classifier_in_the_same_pass_changes_nothing_for_a_followed_stream(classifier, windows) -> None:
    by_layout = PeopleByLayout()
    member = by_layout.add(classifier)
    unfit = replace(classifier, arrays=classifier.arrays | {"head_weight": np.full((4, 128), np.nan, np.float32)})
    predictor = InMemory({1: Loaded(1, member), 2: Loaded(1, by_layout.add(unfit))})
    ask(predictor, windows[:100])
    part, n = windows[100:110], 20
    ids = np.repeat([1, 2], 10)
    answers = predictor.predict_windows(
        [AlikeWindows(np.arange(n), ids, np.ones(n, np.int64), np.concatenate([part, part]), np.full(n, 7))]
    )
    np.testing.assert_array_equal(answers.probabilities[:10], Adapter(classifier).predict_proba(windows[:110])[100:])
    assert (answers.statuses[:10] == WindowStatus.OK).all()
    assert (answers.statuses[10:] != WindowStatus.OK).all()


def test_plain_classifier_follows_nothing() -> None:
    session = labelled_session(ARM, 1, make_plan(GESTURES, 3, 1.5))
    member = PeopleByLayout().add(fit([session], "logcov_lda"))
    with member.people.streams(np.array([member.row]), np.array([7])) as held:
        assert not held.any()


def test_a_stream_that_begins_anew_within_a_request_is_answered_as_two(classifier, windows) -> None:
    by_layout = PeopleByLayout()
    predictor = InMemory({user: Loaded(1, by_layout.add(classifier)) for user in (1, 2)})
    both = np.stack([windows, windows[::-1]], 1).reshape(-1, *windows.shape[1:])
    users = np.tile([1, 2], len(windows))
    streams = np.where((users == 1) & (np.arange(len(both)) >= 150), 8, 7)
    answers = np.concatenate(
        [ask(predictor, both[i : i + 100], users[i : i + 100], streams[i : i + 100]) for i in range(0, len(both), 100)]
    )
    first, second = Adapter(classifier).predict_proba(windows[:75]), Adapter(classifier).predict_proba(windows[75:])
    np.testing.assert_array_equal(answers[0::2], np.concatenate([first, second]))
    np.testing.assert_array_equal(answers[1::2], Adapter(classifier).predict_proba(windows[::-1]))


def test_a_window_without_a_number_ends_learning_for_its_request_and_its_person_only(classifier, windows) -> None:
    by_layout = PeopleByLayout()
    predictor = InMemory({user: Loaded(1, by_layout.add(classifier)) for user in (1, 2)})
    part = np.concatenate([windows[:30], windows[:30]])
    part[5] = np.nan
    table = AlikeWindows(np.arange(60), np.repeat([1, 2], 30), np.ones(60, np.int64), part, np.full(60, 7))
    answers = predictor.predict_windows([table])
    assert np.flatnonzero(answers.statuses != WindowStatus.OK).tolist() == [5]
    expected = Adapter(classifier).predict_proba(windows[:60])
    np.testing.assert_array_equal(answers.probabilities[30:], expected[:30])
    np.testing.assert_array_equal(answers.probabilities[6:30], classifier.predict_proba(windows[6:30]))
    np.testing.assert_array_equal(ask(predictor, windows[30:60], users=2), expected[30:])
    np.testing.assert_array_equal(ask(predictor, windows[30:60]), Adapter(classifier).predict_proba(windows[30:60]))


@pytest.mark.parametrize("kind", ["cnn", "logcov_lda"])
def test_short_gestures_of_a_stream_are_answered_as_over_the_recording(kind) -> None:
    known, new = short_recording(3, 1, 3, channels=4).labelled, short_recording(3, 2, 2, channels=4).labelled
    short = fit([known], kind, options=TrainingOptions(epochs=1))
    windows, _ = grid_windows(new, short.channels, short.conditioning, short.window)
    recogniser = short.dynamic_recogniser()
    assert recogniser is not None
    expected = recogniser.push_all(windows)
    assert (expected.max(axis=1) > 0.5).sum() >= 6
    predictor = InMemory({1: Loaded(1, PeopleByLayout().add(short)), 2: Loaded(1, PeopleByLayout().add(short))})
    cuts = np.sort(np.random.default_rng(0).integers(0, len(windows), 40))
    answers = np.concatenate([ask(predictor, part) for part in np.split(windows, cuts) if len(part)])
    n_held = len(short.classes)
    np.testing.assert_array_equal(answers[:, n_held:], expected)
    np.testing.assert_array_equal(answers[:, :n_held], Adapter(short).predict_proba(windows))
    alone = ask(predictor, windows[:200], users=2, streams=0)
    assert not alone[:, n_held:].any(), "a window that belongs to no stream completes no performance"


def test_two_streams_in_one_request_hear_their_own_performances_only() -> None:
    known, new = short_recording(3, 1, 3, channels=4).labelled, short_recording(3, 2, 2, channels=4).labelled
    short = fit([known], "logcov_lda")
    windows, _ = grid_windows(new, short.channels, short.conditioning, short.window)
    shifted = np.roll(windows, 31, axis=0)
    recognisers = short.dynamic_recogniser(), short.dynamic_recogniser()
    predictor = InMemory({user: Loaded(1, PeopleByLayout().add(short)) for user in (1, 2)})
    both = np.stack([windows, shifted], 1).reshape(-1, *windows.shape[1:])
    users = np.tile([1, 2], len(windows))
    answers = np.concatenate([ask(predictor, both[i : i + 64], users[i : i + 64]) for i in range(0, len(both), 64)])
    for number, (own, recogniser) in enumerate(zip((windows, shifted), recognisers, strict=True)):
        assert recogniser is not None
        np.testing.assert_array_equal(answers[number::2, len(short.classes) :], recogniser.push_all(own))
