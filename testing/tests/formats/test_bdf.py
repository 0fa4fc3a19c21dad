"""BDF+: what is written is read back, by this project and by pyedflib and MNE, and files that lie are refused."""

from __future__ import annotations

import contextlib
import time
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semg.errors import RecordingError
from semg.formats import bdf_writer, edf_header, edf_reader
from semg.formats.edf_annotations import Annotation, decode, encode
from semg.formats.grid import iterate_filled
from semg.formats.neutral import NeutralRecording, ReadLimits, ReadOptions
from testing.kits.neutral_kit import assert_same, joined, label_rows, live, outside, recordings, simple

FEW = settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])


def header_of(path: Path) -> edf_header.Header:
    with path.open("rb") as file:
        return edf_header.read(file, path)


def tolerance(path: Path) -> float:
    """Half a digital step, and what float32 rounds away."""
    signals = [one for one in header_of(path).signals if not one.is_annotation]
    return max(0.0 if one.step == 1 else one.step / 2 + 1e-6 * max(abs(one.low), abs(one.high)) for one in signals)


@FEW
@given(recordings())
def test_round_trip_keeps_samples_times_gaps_and_labels(tmp_path: Path, recording: NeutralRecording) -> None:
    path = tmp_path / "r.bdf"
    bdf_writer.write(recording, path)
    (got,) = edf_reader.read(path)
    drift_us = len(joined(recording).times_us) * 1e6 / recording.about.rate_hz * 1e-6
    assert_same(recording, got, step=tolerance(path), time_us=2.0 + drift_us)
    assert got.about.sensor == recording.about.sensor
    assert got.about.person == recording.about.person
    late = joined(recording).samples[joined(recording).late]
    assert np.abs(joined(got).samples[joined(got).late] - late).max(initial=0) <= tolerance(path)


def test_pyedflib_reads_samples_range_time_and_annotations(tmp_path: Path) -> None:
    pyedflib = outside("pyedflib")
    recording, path = simple(), tmp_path / "r.bdf"
    bdf_writer.write(recording, path)
    filled = np.concatenate(list(iterate_filled(recording, 10_000)))
    with pyedflib.EdfReader(str(path)) as file:
        assert file.getSignalLabels() == ["a0", "a1", "a2"]
        assert (file.getPhysicalMinimum(0), file.getPhysicalMaximum(0)) == (0, 4095)
        assert file.getSampleFrequency(0) == 200
        assert file.getStartdatetime().isoformat().startswith("2026-01-05T12:00:00")
        assert file.starttime_subsecond == 1_234_560, "in units of 100 ns"
        for index in range(3):
            assert np.array_equal(file.readSignal(index)[: len(filled)], filled[:, index])
        onsets, durations, texts = file.readAnnotations()
    said = sorted(zip(texts.tolist(), np.round(onsets, 3).tolist(), durations.tolist(), strict=True))
    assert ("BAD_gap", 1.25, 0.15) in said
    assert ("BAD_gap", 2.65, 0.35) in said, "the filled end of the last record"
    assert ("fist", 0.625, 0.625) in said
    assert ("repetition 1", 0.625, 0.625) in said
    assert ("BAD_excluded: slipped", 0.625, 0.625) in said
    assert ("daumen hoch", 1.4, 0.475) in said


def test_mne_reads_samples_in_volts_and_leaves_out_what_is_bad(tmp_path: Path) -> None:
    mne = outside("mne")
    recording, path = simple(unit="mV", names=("rest", "Größe ☝")), tmp_path / "r.bdf"
    bdf_writer.write(recording, path)
    raw = mne.io.read_raw_bdf(path, preload=True, verbose="error")
    filled = np.concatenate(list(iterate_filled(recording, 10_000)))
    assert np.allclose(raw.get_data()[:, : len(filled)], 1e-3 * filled.T, atol=1e-12)
    assert raw.info["sfreq"] == 200
    assert raw.info["meas_date"].isoformat().startswith("2026-01-05T12:00:00")
    assert {"Größe ☝", "rest", "BAD_gap", "repetition 2"} <= set(raw.annotations.description)
    kept = raw.get_data(reject_by_annotation="omit")
    excluded = 125
    assert kept.shape[1] == len(live(recording).times_us) - excluded


def test_device_range_is_the_files_and_whole_numbers_are_stored_as_they_are(tmp_path: Path) -> None:
    bdf_writer.write(simple(), tmp_path / "r.bdf")
    signal = header_of(tmp_path / "r.bdf").signals[0]
    assert (signal.low, signal.high, signal.digital_low, signal.digital_high, signal.step) == (0, 4095, 0, 4095, 1)


def test_a_recording_without_samples_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="“Monday 1” has no samples"):
        bdf_writer.write(simple(n=0), tmp_path / "r.bdf")
    assert not (tmp_path / "r.bdf").exists()


def test_a_hole_of_days_is_not_filled(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="gaps of more than 6 hours"):
        bdf_writer.write(simple(gap=200 * 3600 * 24), tmp_path / "r.bdf")


def test_names_that_no_header_holds_are_cut_and_said(tmp_path: Path) -> None:
    recording = simple(channels=3)
    names = ("flexor_digitorum_1", "flexor_digitorum_2", "Größe")
    written = bdf_writer.write(replace(recording, about=replace(recording.about, channels=names)), tmp_path / "r.bdf")
    (got,) = edf_reader.read(tmp_path / "r.bdf")
    assert len(set(got.about.channels)) == 3
    assert "16 letters" in written.notes[0]


LIES = {
    "number of data records": (236, b"99999999", "room for"),
    "negative records": (236, b"-7      ", "expected -1 to"),
    "signals": (252, b"9999", "number of signals"),
    "header size": (184, b"512     ", "its header says 512"),
    "duration": (244, b"nan     ", "expected a number"),
    "no duration": (244, b"0       ", "its rate is unknown"),
    "mark": (0, b"\x00BIOSEMI", "is no EDF or BDF file"),
    "samples in a record": (256 + 4 * 216, b"9999999 ", "data record has"),
    "digital range": (256 + 4 * 120, b"8388608 ", "digital range"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_header_that_lies_is_refused_with_what_was_expected(tmp_path: Path, name: str) -> None:
    path = tmp_path / "r.bdf"
    bdf_writer.write(simple(), path)
    at, text, sentence = LIES[name]
    content = bytearray(path.read_bytes())
    content[at : at + len(text)] = text
    path.write_bytes(content)
    with pytest.raises(RecordingError, match=sentence):
        list(edf_reader.read(path))


def test_a_file_that_is_cut_off_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "r.bdf"
    bdf_writer.write(simple(), path)
    content = path.read_bytes()
    for n in (0, 100, 300, len(content) - 1):
        path.write_bytes(content[:n])
        with pytest.raises(RecordingError):
            list(edf_reader.read(path))


def test_more_than_the_limits_is_refused_before_it_is_read(tmp_path: Path) -> None:
    path = tmp_path / "r.bdf"
    bdf_writer.write(simple(), path)
    with pytest.raises(RecordingError, match="at most 100 are read"):
        list(edf_reader.read(path, ReadOptions(limits=ReadLimits(rows=100))))


@settings(max_examples=60)
@given(st.data())
def test_no_damage_raises_anything_but_a_sentence(
    tmp_path_factory: pytest.TempPathFactory, data: st.DataObject
) -> None:
    path = tmp_path_factory.mktemp("bdf") / "r.bdf"
    bdf_writer.write(simple(n=40), path)
    content = bytearray(path.read_bytes())
    n_header = 256 * 5
    for at in data.draw(st.lists(st.integers(0, n_header - 1), min_size=1, max_size=6)):
        content[at] = data.draw(st.sampled_from(b"0123456789-+.eE naXBD\x00\xff"))
    path.write_bytes(content)
    with contextlib.suppress(RecordingError):
        list(edf_reader.read(path))


@given(st.binary(max_size=300))
def test_no_bytes_are_too_strange_for_annotations(content: bytes) -> None:
    for one in decode(content):
        assert one.onset_s == one.onset_s


def test_annotations_of_a_hostile_record_take_linear_time() -> None:
    started = time.monotonic()
    decode(b"+1\x14" * 700_000)
    decode(b"\x14\x00" * 700_000)
    assert time.monotonic() - started < 5


@pytest.mark.parametrize("one", [Annotation(0.25, 1.5, ("fist", "repetition 1")), Annotation(-3.0, 0.0, ("Größe",))])
def test_annotations_are_read_as_written(one: Annotation) -> None:
    assert decode(encode(one) + b"\x00" * 7) == [one]


def test_discontinuous_files_of_others_have_their_gaps(tmp_path: Path) -> None:
    path = tmp_path / "r.bdf"
    bdf_writer.write(simple(n=400, gap=0), path)
    content = bytearray(path.read_bytes())
    content[192:197] = b"BDF+D"
    at = content.rindex(b"+2.123456\x14\x14")
    content[at : at + 2] = b"+9"
    path.write_bytes(content)
    (got,) = edf_reader.read(path)
    assert np.flatnonzero(joined(got).starts_run).tolist() == [0, 200, 399]
    assert joined(got).times_us[399] - joined(got).times_us[0] == 9_000_000
    content[at : at + 2] = b"+0"
    path.write_bytes(content)
    with pytest.raises(RecordingError, match="data records that overlap"):
        list(edf_reader.read(path))


def test_triggers_of_biosemi_are_no_channel(tmp_path: Path) -> None:
    path = tmp_path / "r.bdf"
    bdf_writer.write(simple(), path)
    content = bytearray(path.read_bytes())
    content[256 + 32 : 256 + 48] = b"Status".ljust(16)
    path.write_bytes(content)
    (got,) = edf_reader.read(path)
    assert got.about.channels == ("a0", "a1")


def test_edf_of_others_is_read_by_its_16_bits(tmp_path: Path) -> None:
    pyedflib = outside("pyedflib")
    path = tmp_path / "r.edf"
    signal = np.round(1000 * np.sin(np.arange(1000)))
    with pyedflib.EdfWriter(str(path), 2, pyedflib.FILETYPE_EDFPLUS) as file:
        for index, rate in enumerate((100, 50)):
            file.setSignalHeader(index, {
                "label": f"EMG {index}", "dimension": "uV", "sample_frequency": rate, "physical_min": -32768,
                "physical_max": 32767, "digital_min": -32768, "digital_max": 32767, "transducer": "", "prefilter": "",
            })  # fmt: skip
        file.writeSamples([signal, signal[:500]])
        file.writeAnnotation(1.0, 2.0, "fist")
        file.writeAnnotation(5.0, -1, "a moment")
    (got,) = edf_reader.read(path, ReadOptions(channels=("0",)))
    assert np.array_equal(joined(got).samples[:, 0], signal)
    assert (got.about.rate_hz, got.about.unit, got.about.channels) == (100, "uV", ("0",))
    assert [(one.gesture, one.number) for one in got.labels] == [("fist", 1)]
    assert "1 annotations without a duration" in " ".join(got.notes)
    assert [row[0] for row in label_rows(got) if row] == ["fist"] * 200
