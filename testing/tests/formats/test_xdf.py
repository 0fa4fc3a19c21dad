"""XDF: pyxdf reads what is written, a round trip keeps all of it, and a file that lies is refused within bounds."""

from __future__ import annotations

import struct
import time
import tracemalloc
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from semg.errors import RecordingError
from semg.formats import xdf, xdf_reader
from semg.formats.neutral import NeutralRecording, ReadLimits, ReadOptions
from testing.kits.neutral_kit import assert_same, joined, outside, recordings, simple

FEW = settings(max_examples=15, suppress_health_check=[HealthCheck.function_scoped_fixture])


@FEW
@given(recordings())
def test_round_trip(tmp_path: Path, recording: NeutralRecording) -> None:
    xdf.write(recording, tmp_path / "r.xdf")
    (got,) = xdf_reader.read(tmp_path / "r.xdf")
    assert_same(recording, got, time_us=1)
    assert got.labels == recording.labels
    late = joined(recording)
    assert np.array_equal(joined(got).samples[joined(got).late], late.samples[late.late])
    assert (got.about.name, got.about.unit, got.about.sensor) == (
        "Monday 1",
        recording.about.unit,
        recording.about.sensor,
    )


def test_pyxdf_reads_samples_times_and_labels(tmp_path: Path) -> None:
    pyxdf = outside("pyxdf")
    xdf.write(simple(unit="mV"), tmp_path / "r.xdf")
    streams, header = pyxdf.load_xdf(str(tmp_path / "r.xdf"), dejitter_timestamps=False)
    assert header["info"]["version"] == ["1.0"]
    signal, markers = streams
    assert np.array_equal(signal["time_series"], joined(simple()).samples)
    assert np.abs(signal["time_stamps"] * 1e6 - joined(simple()).times_us).max() < 1
    assert [one["label"][0] for one in signal["info"]["desc"][0]["channels"][0]["channel"]] == ["a0", "a1", "a2"]
    assert signal["footer"]["info"]["sample_count"] == ["500"]
    said = [row for row in markers["time_series"] if row[1] != "run"]
    assert said[0] == ["rest", "start", "0", "0", ""]
    assert said[3] == ["fist", "end", "1", "1", "slipped"] or said[2] == ["fist", "start", "1", "1", "slipped"]
    assert sum(row[1] == "run" for row in markers["time_series"]) == 2


def header(number: int, kind: str, form: str, rate: float, channels: int = 1) -> bytes:
    text = (
        f"<info><name>{kind}</name><type>{kind}</type><channel_count>{channels}</channel_count>"
        f"<nominal_srate>{rate}</nominal_srate><channel_format>{form}</channel_format><desc/></info>"
    )
    return xdf.chunk(xdf.STREAM_HEADER, struct.pack("<I", number) + text.encode())


def samples(number: int, rows: list[tuple[float | None, bytes]]) -> bytes:
    body = b"".join(
        (b"\0" if at is None else b"\x08" + struct.pack("<d", at)) + content for at, content in rows
    )  # fmt: skip
    return xdf.chunk(xdf.SAMPLES, struct.pack("<I", number) + xdf.varlen(len(rows)) + body)


def test_files_of_others_have_times_now_and_then_clocks_and_markers(tmp_path: Path) -> None:
    values = [struct.pack("<h", k) for k in range(300)]
    rows = [(5.0 + k / 100 if k % 50 == 0 else None, value) for k, value in enumerate(values)]
    markers = [(5.5, "fist"), (6.0, "end"), (7.0, "open")]
    content = xdf.MAGIC + header(7, "EMG", "int16", 100) + header(8, "Markers", "string", 0)
    content += samples(7, rows) + samples(8, [(at, xdf.varlen(len(t)) + t.encode()) for at, t in markers])
    content += b"".join(xdf.chunk(xdf.CLOCK_OFFSET, struct.pack("<Idd", 7, at, 2.0)) for at in (5.0, 8.0))
    content += b"".join(xdf.chunk(xdf.CLOCK_OFFSET, struct.pack("<Idd", 8, at, 2.0)) for at in (5.0, 8.0))
    (tmp_path / "r.xdf").write_bytes(content)
    (got,) = xdf_reader.read(tmp_path / "r.xdf")
    assert joined(got).samples[:, 0].tolist() == list(range(300))
    assert np.abs(joined(got).times_us - (7_000_000 + 10_000 * np.arange(300))).max() <= 1
    assert [(one.gesture, one.start_us, one.end_us) for one in got.labels] == [
        ("fist", 7_500_000, 8_000_000), ("open", 9_000_000, 10_000_000)
    ]  # fmt: skip


SIGNAL = xdf.MAGIC + header(1, "EMG", "float32", 100)
ENTITIES = b'<!DOCTYPE a [<!ENTITY b "bbbb">]><info>&b;</info>'
LIES = {
    "no magic": (b"XDF;", "is no XDF file"),
    "a chunk longer than the file": (SIGNAL + b"\x08" + struct.pack("<Q", 1 << 60), "a chunk says"),
    "a length of three bytes": (SIGNAL + b"\x03abc", "a length of 3 bytes"),
    "an empty chunk": (SIGNAL + b"\x01\x00", "a chunk says 0 bytes"),
    "a billion samples": (
        SIGNAL + xdf.chunk(xdf.SAMPLES, struct.pack("<I", 1) + b"\x08" + struct.pack("<Q", 10**9) + bytes(80)),
        "says that it holds 1,000,000,000 samples",
    ),
    "a sample cut off": (
        SIGNAL + xdf.chunk(xdf.SAMPLES, struct.pack("<I", 1) + xdf.varlen(2) + b"\0abcd\x08ef" + bytes(3)),
        "ends within one",
    ),
    "samples of nobody": (SIGNAL + samples(9, [(1.0, bytes(4))]), "has no header"),
    "entities": (xdf.MAGIC + xdf.chunk(xdf.STREAM_HEADER, b"\1\0\0\0" + ENTITIES), "declares entities"),
    "no XML": (xdf.MAGIC + xdf.chunk(xdf.STREAM_HEADER, b"\1\0\0\0<a>"), "is damaged"),
    "many channels": (xdf.MAGIC + header(1, "EMG", "float32", 100, 10**9), "a stream of 1000000000 channels"),
    "no samples": (SIGNAL, "holds no samples"),
    "a time that is none": (SIGNAL + samples(1, [(float("nan"), bytes(4))]), "ends within one"),
    "times beyond all clocks": (SIGNAL + samples(1, [(1e300, bytes(4))]), "are no seconds"),
}


@pytest.mark.parametrize("name", LIES)
def test_a_file_that_lies_is_refused_within_bounds(tmp_path: Path, name: str) -> None:
    content, match = LIES[name]
    (tmp_path / "r.xdf").write_bytes(content)
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(RecordingError, match=match):
        list(xdf_reader.read(tmp_path / "r.xdf"))
    assert time.monotonic() - started < 2
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()


def test_more_than_the_limits_is_refused(tmp_path: Path) -> None:
    xdf.write(simple(), tmp_path / "r.xdf")
    with pytest.raises(RecordingError, match="more than 100 samples"):
        list(xdf_reader.read(tmp_path / "r.xdf", ReadOptions(limits=ReadLimits(rows=100))))


def test_a_recording_without_samples_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match="has no samples"):
        xdf.write(simple(n=0), tmp_path / "r.xdf")
