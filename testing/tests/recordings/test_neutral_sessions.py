"""Between store and formats: what a stored session becomes, and what a read recording must be to be stored."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings

from semg.block_table import BlockTable
from semg.domain import Block, Device, Session, us_from_utc
from semg.errors import RecordingError, TrainingError
from semg.formats.neutral import Label, NeutralRecording
from semg.recordings import neutral_session
from semg.recordings.columns import UPLOAD
from semg.recordings.format_import import from_csv, new_gestures, prepare, with_names_of
from testing.kits.neutral_kit import label_rows, live, recordings, simple

START = datetime(2026, 1, 5, 12, tzinfo=UTC)
START_US = us_from_utc(START)
SESSION = Session(1, 21, "S", "capture", "completed", START, START, ("a0",), 200.0, "raw", 50.0)
PATH = Path("r.bdf")


def block(first: int, n: int, *, late: bool = False, starts_run: bool = False, shift_us: int = 0) -> Block:
    device_us = 5000 * np.arange(first, first + n)
    values = np.arange(first, first + n, dtype=np.float32)[:, None]
    return Block(21, 0, starts_run, late, START_US + shift_us, device_us, device_us, values)


def portions(monkeypatch: pytest.MonkeyPatch, *tables: list[Block]) -> list[Any]:
    made = [BlockTable.from_blocks(blocks) for blocks in tables]
    monkeypatch.setattr(neutral_session, "iterate_portions", lambda *_, **__: iter(made))
    return list(neutral_session._portions(None, SESSION, neutral_session.PORTION))  # type: ignore[arg-type]


def test_a_clock_that_steps_back_leaves_times_that_grow_and_hands_a_run_on(monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = portions(monkeypatch, [block(0, 4)], [block(4, 4, starts_run=True, shift_us=-6000)])
    assert first.samples.ravel().tolist() == [0, 1, 2, 3]
    assert second.samples.ravel().tolist() == [5, 6, 7], "sample 4 would lie before sample 3"
    assert first.starts_run.tolist() == [True, False, False, False]
    assert second.starts_run.tolist() == [True, False, False]


def test_late_samples_go_where_their_time_is_free(monkeypatch: pytest.MonkeyPatch) -> None:
    given_blocks = [block(0, 3), block(6, 3, starts_run=True), block(2, 3, late=True)]
    (only,) = portions(monkeypatch, given_blocks)
    assert only.samples.ravel().tolist() == [0, 1, 2, 3, 4, 6, 7, 8], "sample 2 is there already"
    assert only.late.tolist() == [False] * 3 + [True] * 2 + [False] * 3
    assert np.flatnonzero(only.starts_run).tolist() == [0, 5]


def test_a_device_that_was_changed_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    wide = replace(block(0, 3), samples=np.zeros((3, 2), np.float32))
    with pytest.raises(TrainingError, match="“S” has samples of \\[2\\] channels, expected 1"):
        portions(monkeypatch, [wide])


@settings(max_examples=30)
@given(recordings())
def test_what_is_prepared_has_the_live_samples_and_their_labels(given_one: NeutralRecording) -> None:
    try:
        prepared = prepare(given_one, PATH, UPLOAD)
    except RecordingError as exc:
        assert "a recording needs at least two" in str(exc)
        return
    labelled = prepared.recording.labelled
    assert np.array_equal(labelled.samples, live(given_one).samples)
    said = [(one.label, one.repetition) for one in labelled.stretches]
    assert [said[index] if index >= 0 else None for index in labelled.stretch.tolist()] == [
        row and row[:2] for row in label_rows(given_one)
    ]
    again = prepare(from_csv(prepared.recording), PATH, UPLOAD)
    assert np.array_equal(again.recording.labelled.stretch, labelled.stretch)
    assert again.recording.labelled.stretches == tuple(replace(one, session="r") for one in labelled.stretches)
    assert np.array_equal(again.recording.device_ms, prepared.recording.device_ms)


def test_labels_are_renamed_left_out_and_normalised() -> None:
    given_one = simple(names=("Rest", "2", "  fist ", "open"))
    prepared = prepare(given_one, PATH, UPLOAD, {"2": "wave", "open": ""})
    assert prepared.gestures == ("rest", "wave", "fist")
    assert new_gestures(prepared, ("rest", "Fist")) == ("wave",)


def test_a_label_that_may_mean_rest_is_asked_about() -> None:
    prepared = prepare(simple(names=("0", "fist")), PATH, UPLOAD)
    assert prepared.recording.notes == ("r.bdf has no label “rest”; if “0” means it, add --label 0=rest.",)


def test_labels_within_each_other_are_refused_by_name() -> None:
    given_one = simple(gap=0)
    outer, inner = given_one.labels[0], given_one.labels[1]
    end_us = outer.start_us + 200_000
    nested = (replace(outer, gesture="outer", end_us=inner.end_us), Label(
        gesture="inner", number=0, start_us=outer.start_us + 100_000, end_us=end_us
    ))  # fmt: skip
    with pytest.raises(RecordingError, match="another label lies within “outer”"):
        prepare(replace(given_one, labels=nested), PATH, UPLOAD)


def test_more_than_the_limits_and_less_than_two_samples_are_refused() -> None:
    with pytest.raises(RecordingError, match="more than 100 samples"):
        prepare(simple(), PATH, replace(UPLOAD, rows=100))
    with pytest.raises(RecordingError, match="1 samples; a recording needs at least two"):
        prepare(simple(n=1), PATH, UPLOAD)


def test_channels_take_the_names_of_a_device_that_has_as_many() -> None:
    prepared = prepare(simple(), PATH, UPLOAD)
    same = with_names_of(prepared, Device(1, ("x", "y", "z"), 200.0))
    assert same.recording.labelled.channels == ("x", "y", "z")
    assert same.recording.notes == ("Its channels a0, a1, a2 are taken as x, y, z, in this order.",)
    assert with_names_of(prepared, Device(1, ("x",), 200.0)) == prepared
