"""BIDS: the validator finds no error, and what is written is read back, also where only events.tsv has the labels."""

from __future__ import annotations

import shutil
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import HealthCheck, given, settings

from semg.errors import RecordingError
from semg.formats import bids_reader, tab_separated
from semg.formats.bids import Dataset
from semg.formats.neutral import NeutralRecording
from testing.kits.neutral_kit import assert_same, label_rows, live, outside, recordings, simple, validated

FEW = settings(max_examples=8, suppress_health_check=[HealthCheck.function_scoped_fixture])


def write(folder: Path, *people: str) -> None:
    dataset = Dataset(folder, "Test")
    for person in people:
        recording = simple(names=("rest", "=1+1", "Größe ☝", "BAD_one"))
        about = replace(recording.about, person=person, handedness="right", purposes=("flexor", "", "extensor"))
        dataset.add(replace(recording, about=about), "1")
        dataset.add(replace(recording, about=replace(about, sensor="envelope", unit="mV", mains_hz=0.0)), "2")
    dataset.close()


def test_the_validator_finds_no_error(tmp_path: Path) -> None:
    write(tmp_path / "set", "7", "12")
    issues = validated(tmp_path / "set")
    assert [one for one in issues if one["severity"] == "error"] == []
    recommended = {"TOO_FEW_AUTHORS", "NO_AUTHORS", "JSON_KEY_RECOMMENDED", "SIDECAR_KEY_RECOMMENDED"}
    assert {one["code"] for one in issues} <= recommended, "what the platform does not know"


@FEW
@given(recordings())
def test_round_trip(tmp_path: Path, recording: NeutralRecording) -> None:
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    dataset = Dataset(tmp_path / "set", "Test")
    dataset.add(recording, "1")
    dataset.close()
    (got,) = bids_reader.read(tmp_path / "set")
    assert_same(recording, got, step=1e-6, time_us=300)
    assert (got.about.name, got.about.person, got.about.sensor) == ("Monday 1", "P7KQX3M", recording.about.sensor)


def test_labels_of_others_come_from_the_table_of_events(tmp_path: Path) -> None:
    write(tmp_path / "set", "7")
    for path in tmp_path.rglob("*_emg.bdf"):
        content = path.read_bytes()
        path.write_bytes(content.replace(b"repetition", b"REPETITION").replace(b"\x15", b"\x14"))
    got = next(bids_reader.read(tmp_path / "set"))
    wanted = [row and (row[0], row[1], row[2]) for row in label_rows(simple(names=("rest", "=1+1", "Größe ☝")))]
    found = [row and (row[0], row[1], row[2]) for row in label_rows(got)]
    assert [row for row in found if row and row[0] == "=1+1"] == [row for row in wanted if row and row[0] == "=1+1"]
    assert got.about.mains_hz == 50


def test_mne_finds_the_recording_within_the_folder(tmp_path: Path) -> None:
    mne = outside("mne")
    write(tmp_path / "set", "7")
    path = tmp_path / "set" / "sub-7" / "ses-2" / "emg" / "sub-7_ses-2_task-gestures_emg.bdf"
    raw = mne.io.read_raw_bdf(path, verbose="error")
    assert raw.ch_names == ["a0", "a1", "a2"]
    events = tab_separated.read(path.with_name("sub-7_ses-2_task-gestures_events.tsv"))
    mine = [one for one in zip(raw.annotations.description, raw.annotations.onset, strict=True) if one[0] == "=1+1"]
    assert mine[0][1] == pytest.approx(float(events[1]["onset"])), "from the first sample, in both"
    assert events[1]["trial_type"] == "=1+1"


def test_a_folder_without_recordings_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"holds no sub-…_emg.bdf"):
        list(bids_reader.read(tmp_path))


@pytest.mark.parametrize("content", [b"[" * 100_000, b"{}" * 10, b"\xff\xff", b"[1]"])
def test_a_sidecar_that_is_damaged_is_passed_over(tmp_path: Path, content: bytes) -> None:
    write(tmp_path / "set", "7")
    for path in tmp_path.rglob("*_emg.json"):
        path.write_bytes(content)
    assert len(live(next(bids_reader.read(tmp_path / "set"))).times_us) == 500


def test_a_table_whose_rows_differ_in_length_is_refused_by_its_line(tmp_path: Path) -> None:
    (tmp_path / "t.tsv").write_text("onset\tduration\n1\n")
    with pytest.raises(RecordingError, match="line 2 has 1 cells"):
        tab_separated.read(tmp_path / "t.tsv")
