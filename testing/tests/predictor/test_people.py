"""Rows of the tables of people: filled at a load, free after an eviction or a swap, never used by two."""

from __future__ import annotations

import gc
import threading
from dataclasses import replace

import numpy as np
import pytest
from numpy.typing import NDArray

from semg.predictor.model_cache import Loaded
from semg.predictor.people import PeopleByLayout
from semg.signals.model.adaptation import Adapter
from semg.signals.model.classifier import Classifier
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from semg.wire.windows import AlikeWindows, WindowStatus, decode_alike, encode_alike
from testing.kits.predictor_kit import InMemory
from testing.kits.recording_kit import labelled_session
from testing.kits.short_gestures import short_recording

GESTURES = ("rest", "fist", "open_hand", "flexion")


@pytest.fixture(scope="module")
def classifier() -> Classifier:
    session = labelled_session(SyntheticArm(2, 4, gestures=GESTURES), 1, make_plan(GESTURES, 2, 1.5))
    return fit([session], "cnn", options=TrainingOptions(epochs=1))


@pytest.fixture(scope="module")
def short() -> Classifier:
    """With dynamic gestures."""
    return fit([short_recording(3, 1, 3, channels=4).labelled], "cnn", options=TrainingOptions(epochs=1))


def another(given: Classifier, seed: int) -> Classifier:
    """Of the same layout, with weights of its own."""
    rng = np.random.default_rng(seed)
    weight = given.arrays["lda_coef"]
    moved = (weight * rng.uniform(0.9, 1.1, weight.shape)).astype(np.float32)
    return replace(given, arrays={**given.arrays, "lda_coef": moved})


def windows_for(given: Classifier, n: int, seed: int) -> NDArray[np.float32]:
    shape = (n, len(given.channels), given.window.window_samples)
    noise = np.random.default_rng(seed).normal(0, 1, shape) / given.arrays["scale_gain"][:, None]
    return (given.arrays["scale_offset"][:, None] + noise).astype(np.float32)


def test_arrays_of_a_member_are_views_of_its_row(classifier) -> None:
    member = PeopleByLayout().add(classifier)
    for name, array in classifier.arrays.items():
        np.testing.assert_array_equal(member.classifier.arrays[name], array)
    assert np.shares_memory(member.classifier.arrays["conv1_weight"], member.people.stack.table)
    assert member.classifier.layout == classifier.layout


def test_a_row_is_free_when_nobody_holds_its_member(classifier) -> None:
    by_layout = PeopleByLayout(rows=2)
    first, second, third = (by_layout.add(another(classifier, seed)) for seed in range(3))
    assert first.people is second.people is not third.people
    assert first.row != second.row
    row, table = first.row, first.people
    del first
    gc.collect()
    again = by_layout.add(another(classifier, 9))
    assert (again.people, again.row) == (table, row)
    np.testing.assert_array_equal(again.classifier.arrays["lda_coef"], another(classifier, 9).arrays["lda_coef"])


def test_a_table_goes_with_its_last_member(classifier, short) -> None:
    by_layout = PeopleByLayout(rows=2)
    members = [by_layout.add(classifier) for _ in range(3)]
    assert sum(map(len, by_layout._tables.values())) == 2
    members.clear()
    gc.collect()
    kept = by_layout.add(short)
    assert list(by_layout._tables) == [kept.people.stack.layout]


def test_a_row_that_is_used_again_has_learned_nothing(classifier) -> None:
    by_layout, windows = PeopleByLayout(rows=2), windows_for(classifier, 100, 0)
    predictor = InMemory({user: Loaded(1, by_layout.add(classifier)) for user in (1, 2)})
    table = AlikeWindows(np.arange(100), np.ones(100, np.int64), np.ones(100, np.int64), windows, np.full(100, 7))
    first = predictor.predict_windows([table]).probabilities
    people = predictor.loaded[1].member.people
    del predictor.loaded[1]
    gc.collect()
    predictor.loaded[1] = Loaded(1, by_layout.add(classifier))
    assert predictor.loaded[1].member.people is people
    np.testing.assert_array_equal(predictor.predict_windows([table]).probabilities, first)


def test_swaps_and_evictions_under_load_change_nobodys_answers(classifier) -> None:
    """A row is not filled again while a request reads it."""
    by_layout = PeopleByLayout(rows=3)
    made = [another(classifier, seed) for seed in range(6)]
    windows = windows_for(classifier, 6, 1)
    expected = [[one.predict_proba(window[None])[0].tobytes() for one in made] for window in windows]
    predictor = InMemory({user: Loaded(1, by_layout.add(made[user])) for user in range(6)})
    stop, wrong = threading.Event(), []

    def ask() -> None:
        table = AlikeWindows(np.arange(6), np.arange(6), np.ones(6, np.int64), windows, np.zeros(6, np.int64))
        while not stop.is_set():
            answers = predictor.predict_windows([table])
            for user in range(6):
                known = answers.probabilities[user].tobytes() in expected[user]
                if not (known or answers.statuses[user] == WindowStatus.NO_MODEL):
                    wrong.append(user)

    threads = [threading.Thread(target=ask) for _ in range(2)]
    for thread in threads:
        thread.start()
    rng = np.random.default_rng(0)
    for _ in range(300):
        user, one = int(rng.integers(6)), int(rng.integers(6))
        if rng.random() < 0.3:
            predictor.loaded.pop(user, None)
        else:
            before = predictor.loaded.get(user)
            previous = None if before is None else (before.version, before.member)
            predictor.loaded[user] = Loaded(1, by_layout.add(made[one]), previous)
    stop.set()
    for thread in threads:
        thread.join()
    assert not wrong
    before = previous = None
    gc.collect()
    loaded = predictor.loaded.values()
    held = {one.member for one in loaded} | {one.previous[1] for one in loaded if one.previous is not None}
    tables = [table for some in by_layout._tables.values() for table in some]
    assert sum(len(table.numbers) - len(table.free) for table in tables) == len(held), "a row for each that is held"
    by_layout.add(made[0])
    assert not any(table.is_unused for some in by_layout._tables.values() for table in some[:-1]), (
        "none is kept for nobody"
    )


def test_mixed_shapes_and_dynamic_gestures_in_one_request_are_answered_as_alone(classifier, short) -> None:
    """Through the request's bytes."""
    session = labelled_session(SyntheticArm(5, 8, gestures=GESTURES[:3]), 1, make_plan(GESTURES[:3], 2, 1.5))
    eight, plain = fit([session], "cnn", options=TrainingOptions(epochs=1)), fit([session], "logcov_lda")
    by_layout = PeopleByLayout()
    made = {1: classifier, 2: short, 3: eight, 4: plain, 5: another(short, 1), 6: another(classifier, 1)}
    predictor = InMemory({user: Loaded(1, by_layout.add(one)) for user, one in made.items()})
    streams = {user: windows_for(one, 90, user) for user, one in made.items()}
    recognisers = {user: one.dynamic_recogniser() for user, one in made.items()}
    found: dict[int, list[NDArray[np.float32]]] = {user: [] for user in made}
    for first in range(0, 90, 6):
        chunks = []
        for user in (3, 1, 2, 4, 6, 5):
            part = streams[user][first : first + 6]
            chunks.append((np.full(6, user), np.ones(6, np.int64), np.full(6, 7), part))
        answers = predictor.predict_windows(decode_alike(encode_alike(chunks)))
        assert (answers.statuses == WindowStatus.OK).all()
        for user in made:
            mine = answers.user_ids == user
            found[user] += list(answers.probabilities[mine, : int(answers.n_classes[mine][0])])
    for user, one in made.items():
        held, recogniser, n = Adapter(one).predict_proba(streams[user]), recognisers[user], len(one.classes)
        np.testing.assert_array_equal(np.stack(found[user])[:, :n], held)
        if recogniser is not None:
            np.testing.assert_array_equal(np.stack(found[user])[:, n:], recogniser.push_all(streams[user]))
