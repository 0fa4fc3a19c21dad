"""Recordings: what is written is read back, and a bad file is refused with a sentence that names the place."""

import csv
import gzip
import io
import re
import tracemalloc
from contextlib import suppress
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from semg.errors import RecordingError
from semg.recordings import columns
from semg.recordings.csv_format import CHUNK_BYTES, UPLOAD, load_recording, read_recording
from semg.wire.file_layout import Layout
from testing.kits.recording_kit import number_stretches, write_recording

HEADER = "millis,a0,a1,gesture,repetition\n"
CHUNK = CHUNK_BYTES // 12
"""More rows than are parsed at once."""


def put(folder, text: str, name: str = "r.csv.gz"):
    path = folder / name
    path.write_bytes(gzip.compress(text.encode()) if name.endswith(".gz") else text.encode())
    return path


def rows(n: int = 10, step: int = 5) -> str:
    return HEADER + "".join(f"{i * step},{i},{-i},rest,0\n" for i in range(n))


@pytest.mark.parametrize("name", ["r.csv.gz", "r.csv"])
def test_written_is_read_back(tmp_path, name):
    samples = np.arange(40, dtype=np.float32).reshape(20, 2) + 0.25
    device_ms = np.arange(20) * 5 + 1000
    gestures = ["rest"] * 8 + [""] * 4 + ["fist"] * 8
    write_recording(tmp_path / name, samples, device_ms, gestures, np.array([1] * 12 + [2] * 8), ("x", "y"))
    recording = load_recording(tmp_path / name, sensor="envelope", mains_hz=60)
    labelled = recording.labelled
    assert np.array_equal(labelled.samples, samples)
    assert np.array_equal(recording.device_ms, device_ms)
    assert (labelled.channels, labelled.rate_hz) == (("x", "y"), 200.0)
    assert (labelled.sensor, labelled.mains_hz) == ("envelope", 60)
    assert [(s.label, s.repetition, s.session) for s in labelled.stretches] == [("rest", 1, "r"), ("fist", 2, "r")]
    assert labelled.stretch.tolist() == [0] * 8 + [-1] * 4 + [1] * 8


@given(samples=arrays.arrays(np.int16, st.tuples(st.integers(2, 30), st.integers(1, 16))))
@settings(max_examples=30)
def test_whole_counts_survive(tmp_path_factory, samples):
    path = tmp_path_factory.mktemp("r") / "r.csv.gz"
    n = len(samples)
    write_recording(path, samples, np.arange(n) * 10, ["rest"] * n, np.zeros(n, int))
    assert np.array_equal(read_recording(path).samples, samples)


def test_samples_of_one_millisecond_stand_evenly_in_it(tmp_path):
    path, n = tmp_path / "fast.csv.gz", 40
    write_recording(path, np.arange(n)[:, None], np.arange(n) // 2, ["rest"] * n, np.zeros(n, int))
    recording = load_recording(path)
    assert recording.device_ms.tolist() == (np.arange(n) / 2).tolist()
    assert recording.labelled.rate_hz == 2000.0
    assert not recording.labelled.starts_run[1:].any()


def test_same_samples_give_the_same_file(tmp_path):
    for name in ("a.csv.gz", "b.csv.gz"):
        write_recording(tmp_path / name, np.ones((5, 1)), np.arange(5) * 5, ["rest"] * 5, np.zeros(5, int))
    assert (tmp_path / "a.csv.gz").read_bytes() == (tmp_path / "b.csv.gz").read_bytes()


def test_gesture_named_like_a_missing_value_stays_a_name(tmp_path):
    path = put(tmp_path, HEADER + "0,1,1,None,0\n5,1,1,nan,0\n10,1,1,rest,0\n")
    assert [stretch.label for stretch in read_recording(path).stretches] == ["None", "nan", "rest"]


def test_gap_in_millis_starts_a_run(tmp_path):
    text = HEADER + "".join(f"{ms},1,1,rest,0\n" for ms in (0, 5, 10, 18, 23, 33, 38))
    assert read_recording(put(tmp_path, text)).starts_run.tolist() == [True, *[False] * 4, True, False]


@pytest.mark.parametrize(
    ("device_ms", "rate_hz"),
    [
        (np.arange(400) * 5, 200.0),
        (np.rint(np.arange(900) * 1000 / 300).astype(int), 300.0),
        (np.arange(400) * 20, 50.0),
        (np.concatenate([np.arange(200) * 4, 5000 + np.arange(200) * 4]), 250.0),
    ],
)
def test_rate_is_found_from_millis(tmp_path, device_ms, rate_hz):
    n = len(device_ms)
    write_recording(tmp_path / "r.csv", np.ones((n, 1)), device_ms, ["rest"] * n, np.zeros(n, int))
    assert read_recording(tmp_path / "r.csv").rate_hz == rate_hz


def test_given_rate_is_used(tmp_path):
    assert read_recording(put(tmp_path, rows()), rate_hz=250).rate_hz == 250


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("", "no rows"),
        ("hello\n1\n", "1 column[.]"),
        ("hello,you\n1,2\n", "lacks the columns millis, gesture; expected the header"),
        ("millis,a0,word\n0,1,rest\n5,1,rest\n", "lacks the column gesture"),
        ("millis,a0,word,gesture\n0,1,x,rest\n5,1,x,rest\n", "Say which are channels"),
        ("millis,gesture,repetition\n0,rest,0\n1,rest,0\n", "0 channel columns"),
        (HEADER, "0 samples"),
        (HEADER + "0,1,2,rest,0\n", "1 samples"),
        (HEADER + "0,1,2,rest,0\n5,,2,rest,0\n", "column a0 .* line 3"),
        (HEADER + "0,1,2,rest,0\n5,nan,2,rest,0\n", "column a0"),
        (HEADER + "0,1,inf,rest,0\n5,1,2,rest,0\n", "column a1"),
        (HEADER + "0,1,x,rest,0\n5,1,2,rest,0\n", "column a1 .* 'x'"),
        (HEADER + "0,1,1e30,rest,0\n5,1,2,rest,0\n", "column a1"),
        (HEADER + "5,1,2,rest,0\n0,1,2,rest,0\n", "millis must not go backwards"),
        (HEADER + "5,1,2,rest,0\n" * 1000, "gives inf samples/s"),
        (HEADER + "0,1,2,rest,one\n5,1,2,rest,0\n", "column repetition"),
        (HEADER + "0,1,2,rest,0\n5000,1,2,rest,0\n", "the steps of millis look like microseconds"),
        (HEADER + "0,1,2,rest,0\n50000,1,2,rest,0\n", "gives 0.02 samples/s; expected 50 to 2000"),
        (HEADER + "0,1,2,rest,0\n5,1,2,rest,0,9,9,9\n7,7\n", "line 3 has 8 fields, but the first line has 5"),
    ],
)
def test_bad_content_is_refused_with_its_place(tmp_path, text, said):
    with pytest.raises(RecordingError, match=said):
        read_recording(put(tmp_path, text))


def test_file_that_is_not_there_is_named(tmp_path):
    with pytest.raises(RecordingError, match=r"gone\.csv\.gz cannot be read"):
        read_recording(tmp_path / "gone.csv.gz")


def test_name_that_promises_gzip_is_checked(tmp_path):
    path = tmp_path / "r.csv.gz"
    path.write_text(rows())
    with pytest.raises(RecordingError, match="not a gzip file"):
        read_recording(path)


def test_cut_off_gzip_is_refused(tmp_path):
    path = put(tmp_path, rows(500))
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(RecordingError, match="cut-off"):
        read_recording(path)


def test_too_large_file_is_refused(tmp_path, monkeypatch):
    with pytest.raises(RecordingError, match="unpacks to more"):
        load_recording(put(tmp_path, rows(50)), limits=replace(UPLOAD, text_bytes=100))
    monkeypatch.setattr("semg.recordings.csv_format.MAX_FILE_BYTES", 10)
    with pytest.raises(RecordingError, match="at most 10"):
        read_recording(put(tmp_path, rows(50)))


@given(st.binary(max_size=300))
@settings(max_examples=60)
def test_noise_never_crashes_the_reader(tmp_path_factory, data):
    path = tmp_path_factory.mktemp("noise") / "r.csv"
    path.write_bytes(data)
    with pytest.raises(RecordingError):
        read_recording(path)


def test_small_file_that_unpacks_to_a_large_one_is_refused_before_it_is_in_memory(tmp_path):
    path = tmp_path / "bomb.csv.gz"
    path.write_bytes(gzip.compress((HEADER + "0,1,1,rest,0\n").encode() + b"0" * 50_000_000))
    assert path.stat().st_size < 100_000
    tracemalloc.start()
    with pytest.raises(RecordingError, match="line of more than 8192 bytes"):
        load_recording(path, limits=replace(UPLOAD, text_bytes=1_000_000))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert most < 10_000_000


@pytest.mark.parametrize("text", ["a," * 1_000_000, "millis," + "x" * 10_000, "a0," * 80 + "\n" + "1," * 80])
def test_header_of_absurd_width_is_refused(tmp_path, text):
    with pytest.raises(RecordingError, match=r"line of more than|it has \d+ columns"):
        load_recording(put(tmp_path, text))


def test_recording_of_several_chunks_is_read_as_one(tmp_path):
    n, path = 2 * CHUNK + 17, tmp_path / "long.csv.gz"
    samples = np.random.default_rng(0).standard_normal((n, 2)).astype(np.float32)
    samples[: CHUNK // 2] = np.rint(samples[: CHUNK // 2])
    gestures = ["rest"] * (CHUNK - 5) + ["fist"] * 10 + [""] * (CHUNK - 5) + ["fist"] * 17
    repetitions = np.array([1] * (CHUNK + 5) + [0] * (CHUNK - 5) + [2] * 10 + [3] * 7)
    write_recording(path, samples, np.arange(n) * 5, gestures, repetitions)
    recording = load_recording(path, limits=UPLOAD)
    stretch, stretches = number_stretches(np.array(gestures, object), repetitions, "long")
    assert np.array_equal(recording.labelled.samples, samples)
    assert recording.labelled.samples.dtype == np.float32
    assert np.array_equal(recording.device_ms, np.arange(n) * 5.0)
    assert np.array_equal(recording.labelled.stretch, stretch)
    assert recording.labelled.stretches == stretches


def test_bad_row_of_a_later_chunk_is_named(tmp_path):
    text = rows(CHUNK + 10) + f"{5 * (CHUNK + 10)},x,1,rest,0\n"
    with pytest.raises(RecordingError, match=rf"column a0 .* line {CHUNK + 12:,} has 'x'"):
        read_recording(put(tmp_path, text))


@pytest.mark.parametrize(
    ("limits", "said"),
    [
        ({"rows": 99}, "more than 99 rows"),
        ({"values": 198}, "more than 99 rows"),
        ({"stretches": 9}, "more than 9 stretches of one gesture and repetition"),
        ({"gaps": 9}, "10 gaps in millis; at most 9"),
    ],
)
def test_recording_is_bounded_in_every_way(tmp_path, limits, said):
    step = [5] * 9 + [50]
    millis = np.cumsum([0, *step * 10])[:101]
    text = HEADER + "".join(f"{ms},1,2,{'rest' if i // 10 % 2 else 'fist'},0\n" for i, ms in enumerate(millis))
    path = put(tmp_path, text)
    just = replace(UPLOAD, rows=101, values=202, stretches=11, gaps=10)
    assert len(load_recording(path, limits=just).device_ms) == 101
    with pytest.raises(RecordingError, match=said):
        load_recording(path, limits=replace(UPLOAD, **limits))


def peak_bytes(path) -> int:
    """Return how much memory the reading of a file takes at its peak, refused or not."""
    tracemalloc.start()
    with suppress(RecordingError):
        load_recording(path, limits=UPLOAD)
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    return most


@pytest.mark.slow
def test_text_is_never_in_memory_as_a_whole(tmp_path):
    path = tmp_path / "padded.csv.gz"
    with gzip.open(path, "wb", 1) as file:
        file.write(HEADER.encode())
        for row in range(0, 20_000, 100):
            file.write("".join(f"{5 * i},{i % 7},{'1'.rjust(3000)},rest,0\n" for i in range(row, row + 100)).encode())
    assert path.stat().st_size < 1_000_000
    assert peak_bytes(path) < 90_000_000, "of 60 MB of text; whole, it stood there three times"
    bomb = tmp_path / "lines.csv.gz"
    bomb.write_bytes(gzip.compress(HEADER.encode() + b"\n" * 200_000_000, 9))
    assert bomb.stat().st_size < 250_000
    assert peak_bytes(bomb) < 30_000_000


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("0,1,1,rest,0\n5," + "1" * 9000 + ",1,rest,0\n", "line of more than 8192 bytes"),
        ("0,1,1,rest,0\n5,1,1," + "," * 9000 + "\n", "line of more than 8192 bytes"),
        ('0,1,1,"rest,0\n' + "5,1,1,rest,0\n" * 9000, "odd number of quotation marks"),
    ],
    ids=["one value", "many columns", "open text"],
)
def test_line_that_never_ends_is_refused(tmp_path, text, said):
    with pytest.raises(RecordingError, match=said):
        load_recording(put(tmp_path, HEADER + text))


def test_lines_are_measured_across_the_pieces_that_are_read(tmp_path):
    from semg.recordings.encoded_text import PIECE_BYTES, BoundedText

    filler = b"x" * 99 + b"\n"
    before = filler * (PIECE_BYTES // 100 - 1)
    short = before + b"y" * (PIECE_BYTES - len(before) + 100) + b"\n" + filler
    assert b"".join(iter(BoundedText("r", io.BytesIO(short), 1 << 30).read1, b"")) == short
    for ending in (b"y" * 8192, b'"' + b"z" * 99 + b"\n"):
        text = BoundedText("r", io.BytesIO(before + b"y" * (PIECE_BYTES - len(before) - 1) + ending + b"\n"), 1 << 30)
        with pytest.raises(RecordingError):
            list(iter(text.read1, b""))


@pytest.mark.parametrize(
    "name", ["=1+1", "+fist", "-fist", "@rest", "'=x", "''-y", "-5", "it's", "“fist”", "a,b", 'a"b']
)
def test_label_that_a_spreadsheet_would_compute_is_written_as_text_and_read_back(tmp_path, name):
    path = tmp_path / "r.csv"
    write_recording(path, np.ones((4, 1)), np.arange(4) * 5, [name] * 4, np.ones(4, int))
    cell = next(csv.DictReader(io.StringIO(path.read_text(encoding="utf-8"))))["gesture"]
    assert not re.match(r"[=+\-@](?!\d+$)", cell)
    assert [stretch.label for stretch in read_recording(path).stretches] == [name]


LONG = "7" * 4290
"""Of digits, as many as Python makes a number of: it takes the square of their number, and no other thread runs."""


@pytest.mark.parametrize(
    ("row", "field"),
    [
        (f"{LONG},1,1,rest,0", 1),
        (f"20,{LONG},1,rest,0", 2),
        (f"20,1,0.{LONG},rest,0", 3),
        (f"20,1,1,,{LONG}", 5),
        (f"20,1,1,{'é' * 2000},0", 4),
        (f'20,1,"1{"," * 70}",rest,0', 3),
    ],
    ids=["time", "channel", "fraction", "repetition", "label", "quoted"],
)
@pytest.mark.parametrize("first_bad", ["x", "1"])
def test_field_that_is_too_long_is_refused_before_anything_is_made_of_it(tmp_path, monkeypatch, row, field, first_bad):
    def parse(*args, **kwargs):
        raise AssertionError("too much was parsed")

    path = put(tmp_path, rows(4) + f"20,{first_bad},1,rest,0\n" + f"{row}\n" * 500)
    monkeypatch.setattr(columns.pd, "read_csv", parse)
    with pytest.raises(RecordingError, match=rf"field {field} of line 7 has [\d,]+ bytes; expected at most (60|1,600)"):
        read_recording(path)


def test_number_of_many_digits_is_refused_as_every_other_one(tmp_path):
    with pytest.raises(RecordingError, match=rf"column a0 must contain finite numbers, but line 6 has '{'7' * 40}'"):
        read_recording(put(tmp_path, rows(4) + f"20,{'7' * 59},1,rest,0\n"))


def test_columns_that_are_not_read_may_hold_long_texts(tmp_path):
    text = "millis,a0,gesture,repetition,note\n" + "".join(f"{5 * i},{i},rest,0,{'n' * 5000}\n" for i in range(20))
    layout = Layout(header=("millis", "a0", "gesture", "repetition", "note"), channels=("a0",))
    recording = load_recording(put(tmp_path, text), layout=layout)
    assert np.array_equal(recording.labelled.samples[:, 0], np.arange(20))


def test_texts_that_are_the_same_label_are_bounded_together(tmp_path, monkeypatch):
    made = []
    monkeypatch.setattr(columns.normal_form, "label", lambda text: made.append(text) or "fist")
    layout, of_each = Layout(header=tuple(HEADER.strip().split(",")), channels=("a0", "a1")), 20
    text = HEADER + "".join(f"{5 * i},1,1,{i // of_each:06},0\n" for i in range(4 * UPLOAD.stretches * of_each))
    assert len(text) > 4 * CHUNK_BYTES
    with pytest.raises(RecordingError, match="more than 5,000 stretches"):
        load_recording(put(tmp_path, text), layout=layout, limits=UPLOAD)
    assert len(made) <= UPLOAD.stretches + 1, "each is normalised once, and no more than there may be"


def test_little_text_is_parsed_at_once_however_long_its_rows_are(tmp_path, monkeypatch):
    parse, sizes = columns.pd.read_csv, []

    def watched(source, **how):
        sizes.append(len(source.getvalue()))
        return parse(source, **how)

    monkeypatch.setattr(columns.pd, "read_csv", watched)
    text = HEADER + "".join(f"{5 * i},1,1,{'n' * 1500},0\n" for i in range(3000))
    assert len(read_recording(put(tmp_path, text)).samples) == 3000
    assert (len(sizes) >= 4, max(sizes) <= CHUNK_BYTES, sum(sizes)) == (True, True, len(text))
