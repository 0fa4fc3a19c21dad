"""MNE's own files: what MNE read from an exported BDF file and saved comes in as it was."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest

from semg.errors import RecordingError
from semg.formats import bdf_writer, mne_raw, registry
from semg.formats.neutral import ReadLimits, ReadOptions
from testing.kits.neutral_kit import joined, label_rows, outside, simple


def test_a_file_that_mne_saved_comes_in_as_it_was(tmp_path: Path) -> None:
    mne = outside("mne")
    recording = simple(unit="uV", names=("rest", "fist", "Größe ☝", "open"))
    bdf_writer.write(recording, tmp_path / "r.bdf")
    raw = mne.io.read_raw_bdf(tmp_path / "r.bdf", preload=True, verbose="error")
    raw.set_channel_types(dict.fromkeys(raw.ch_names, "emg"), verbose="error")
    raw.save(tmp_path / "r_raw.fif", verbose="error")
    (got,) = registry.read(registry.find(tmp_path / "r_raw.fif")[0])
    assert np.abs(joined(got).samples - joined(recording).samples).max() < 1e-3
    shift_us = joined(got).times_us - joined(recording).times_us
    assert set(shift_us.tolist()) == {-123_456}, "MNE reads the start of a BDF file to the second"
    assert np.array_equal(joined(got).starts_run, joined(recording).starts_run)
    assert [row and row[0] for row in label_rows(got)] == [row and row[0] for row in label_rows(recording)]
    assert (got.about.channels, got.about.unit, got.about.name) == (("a0", "a1", "a2"), "uV", "r")


def test_recordings_in_memory_without_a_date_are_taken_from_their_first_sample(tmp_path: Path) -> None:
    mne = outside("mne")
    info = mne.create_info(["x", "y"], 100.0, ["emg", "stim"])
    raw = mne.io.RawArray(1e-6 * np.arange(400).reshape(2, 200), info, verbose="error")
    raw.set_annotations(mne.Annotations([0.5, 1.0], [0.5, 0.0], ["fist", "moment"]))
    got = mne_raw.from_raw(raw, Path("x_raw.fif"))
    assert joined(got).samples[:, 0].tolist() == pytest.approx(range(200), rel=1e-6)
    assert [row and row[0] for row in label_rows(got)] == [None] * 50 + ["fist"] * 50 + [None] * 100
    assert (got.about.dated, got.about.channels) == (False, ("x",))
    assert "1 annotations without a duration" in got.notes[0]
    with pytest.raises(RecordingError, match="at most 10 are read"):
        mne_raw.from_raw(raw, Path("x_raw.fif"), ReadOptions(limits=ReadLimits(rows=10)))
    with pytest.raises(RecordingError, match="has no channel z; it has x, y"):
        mne_raw.from_raw(raw, Path("x_raw.fif"), ReadOptions(channels=("z",)))


def test_what_is_no_file_of_mne_is_refused(tmp_path: Path) -> None:
    outside("mne")
    for content in (b"", b"x" * 1000):
        (tmp_path / "r_raw.fif").write_bytes(content)
        with pytest.raises(RecordingError, match="is no readable file of MNE"):
            list(mne_raw.read(tmp_path / "r_raw.fif"))
