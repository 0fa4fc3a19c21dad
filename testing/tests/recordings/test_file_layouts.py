"""Files from elsewhere: their layout is guessed, asked or refused, and no value moves to another column."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from semg.errors import RecordingError
from semg.names import normal_form
from semg.recordings import layout_guess
from semg.recordings.csv_format import Recording, guess_layout, load_recording
from semg.settings import PROJECT_DIR
from semg.wire.file_layout import Layout, LayoutAnswers

CASES = PROJECT_DIR.parent / "shared" / "cases"
needs_cases = pytest.mark.skipif(not CASES.exists(), reason="the cases are not here")
N = 40
TRUE = np.array([(500 + i % 7, 510 - i % 5) for i in range(N)], np.float32)
LABELS = ["rest"] * 20 + ["fist"] * 20


OWN = "millis,a0,a1,gesture,repetition"


def table(sep: str = ",", decimal: str = ".", header: str | None = OWN, step: float = 5) -> str:
    lines = [] if header is None else [header.replace(",", sep)]
    for index, (a, b) in enumerate(TRUE):
        fields = [f"{index * step:g}", f"{a:g}.0", f"{b:g}.0", LABELS[index], "1"]
        lines.append(sep.join(field.replace(".", decimal) for field in fields))
    return "\n".join(lines) + "\n"


def put(folder: Path, text: str | bytes, name: str = "r.csv") -> Path:
    path = folder / name
    path.write_bytes(text if isinstance(text, bytes) else text.encode())
    return path


def assert_true(recording: Recording, rate_hz: float = 200.0) -> None:
    labelled = recording.labelled
    assert np.array_equal(labelled.samples, TRUE)
    assert labelled.rate_hz == rate_hz
    assert recording.device_ms.tolist() == [1000 / rate_hz * index for index in range(N)]
    assert [(one.label, one.repetition) for one in labelled.stretches] == [("rest", 1), ("fist", 1)]
    assert labelled.stretch.tolist() == [0] * 20 + [1] * 20


@pytest.mark.parametrize(
    ("text", "name"),
    [
        (table(), "r.csv"),
        (table(), "R.CSV"),
        (table(";"), "r.csv"),
        (table(";", ","), "r.csv"),
        (table("\t"), "r.tsv"),
        (table("\t", ","), "r.txt"),
        (table(" "), "r.dat"),
        (table().replace("\n", "\r\n"), "r.csv"),
        (table().replace("\n", "\r"), "r.csv"),
        ("\ufeff" + table(), "r.csv"),
        (table().encode("utf-16"), "r.csv"),
        (table(";", ",").encode("utf-16"), "r.csv"),
        (table().encode("utf-16-le"), "r.csv"),
        ("# made by a tool\n% on a day\n\n" + table(), "r.csv"),
        (table().replace("20,", "# a remark\n\n20,", 1), "r.csv"),
        (table().replace(",", ", "), "r.csv"),
        (table().replace("rest", " Rest ").replace("fist", "fist "), "r.csv"),
        (table().rstrip("\n"), "r.csv"),
        (table(header="MILLIS,a0,a1,Gesture,Repetition"), "r.csv"),
        (table(header="time,a0,a1,label,trial"), "r.csv"),
        (table(header="time,a0,a1,label,trial", step=0.005), "r.csv"),
        (table(header="t,a0,a1,label,rep", step=5000), "r.csv"),
    ],
)
def test_file_of_another_tool_is_read_as_what_it_says(tmp_path: Path, text: str | bytes, name: str) -> None:
    recording = load_recording(put(tmp_path, text, name))
    assert_true(recording)
    assert recording.notes == ()
    assert recording.labelled.channels == ("a0", "a1")


def test_endless_line_is_refused_in_every_encoding(tmp_path: Path) -> None:
    """U+0A0A has the byte of a line feed, and is none."""
    text = table() + "\u0a0a" * (1 << 20) + "\n"
    with pytest.raises(RecordingError, match="a line of more than 8192 bytes"):
        load_recording(put(tmp_path, text.encode("utf-16")))


def test_endless_field_is_no_number(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Whether it is one takes the square of its length, when a pattern can match it in many ways."""
    looked_at: list[int] = []

    class Pattern:
        def fullmatch(self, field: str) -> None:
            looked_at.append(len(field))

    monkeypatch.setattr(layout_guess, "_NUMBER", Pattern())
    monkeypatch.setattr(layout_guess, "_COMMA_NUMBER", Pattern())
    layout_guess.guess("r.csv", b"a,b\n" + (b"1," + b"1" * 8000 + b"x\n") * 4)
    assert looked_at
    assert max(looked_at) <= layout_guess.MAX_NUMBER


def test_repetitions_are_counted_from_the_runs_of_a_label(tmp_path: Path) -> None:
    labels = ["rest", "fist", "rest", "fist", "rest"]
    text = "millis,a0,gesture\n" + "".join(f"{5 * i},{i},{labels[i // 4]}\n" for i in range(20))
    stretches = load_recording(put(tmp_path, text)).labelled.stretches
    assert [(one.label, one.repetition) for one in stretches] == [
        ("rest", 1), ("fist", 1), ("rest", 2), ("fist", 2), ("rest", 3),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "questions"),
    [
        (table(step=0.005), {"time_unit"}),
        (table(header=None), {"time", "channels", "label"}),
        (table(header="sample,a0,a1,label,trial", step=1), {"rate_hz"}),
        (table(header="time,a0,a1,gesture,trial").replace("rest", "relax"), {"rest"}),
        (table(header="time,a0,a1,gesture,trial").replace("rest", "0").replace("fist", "1"), {"rest"}),
        (table().replace("gesture", "mood"), {"label", "channels"}),
    ],
)
def test_what_a_file_does_not_settle_is_asked_and_never_assumed(tmp_path: Path, text: str, questions: set[str]) -> None:
    path = put(tmp_path, text)
    found = guess_layout(path)
    assert set(found.questions) == questions
    with pytest.raises(RecordingError, match="Say which|Confirm with|give it with|add --rest"):
        load_recording(path)
    answered = found.layout
    if "label" in questions:
        columns = answered.header
        answered = replace(answered, channels=columns[1:3], label=columns[3], repetition=columns[4])
    if "rate_hz" in questions:
        answered = replace(answered, rate_hz=200.0)
    recording = load_recording(path, layout=answered)
    assert np.array_equal(recording.labelled.samples, TRUE)
    assert recording.device_ms.tolist() == [5.0 * index for index in range(N)]
    assert recording.labelled.stretches[0].label == "rest"
    assert len(found.rows) == 8
    assert Layout.from_json(found.layout.as_json()) == found.layout


def test_file_without_a_time_follows_its_rate(tmp_path: Path) -> None:
    path = put(tmp_path, "a0,a1\n" + "".join(f"{a:g},{b:g}\n" for a, b in TRUE))
    layout = replace(guess_layout(path).layout, rate_hz=200.0, channel_names=("x", "y"))
    recording = load_recording(path, layout=layout)
    assert recording.device_ms.tolist() == [5.0 * index for index in range(N)]
    assert (recording.labelled.channels, recording.labelled.stretches) == (("x", "y"), ())


def test_rate_that_contradicts_the_times_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RecordingError, match=r"in milliseconds, gives 200000 samples/s; expected about the 200 given"):
        layout = replace(guess_layout(put(tmp_path, table(step=0.005))).layout, time_unit="ms")
        load_recording(tmp_path / "r.csv", layout=layout, rate_hz=200)


@pytest.mark.parametrize(
    ("changed", "said"),
    [
        (lambda lines: [*lines[:7], lines[7] + ",98", *lines[8:]], "line 8 has 6 fields, but the first line has 5"),
        (lambda lines: [*lines[:7], "30,500,510,rest", *lines[8:]], "line 8 has 4 fields, but the first line has 5"),
        (lambda lines: ["# one", *lines[:7], "30,500", *lines[8:]], "line 9 has 2 fields, .* 5: “30,500”"),
        (lambda lines: [*lines[:7], "30,5\x000,510,rest,1", *lines[8:]], "NUL bytes"),
        (lambda lines: [*lines[:7], "30,5OO,510,rest,1", *lines[8:]], "column a0 .* line 8 has '5OO'"),
    ],
)
def test_line_that_does_not_fit_is_named_and_nothing_is_shifted(tmp_path: Path, changed, said: str) -> None:
    path = put(tmp_path, "\n".join(changed(table().splitlines())) + "\n")
    with pytest.raises(RecordingError, match=said):
        load_recording(path)


def test_messages_carry_the_files_own_name(tmp_path: Path) -> None:
    path = put(tmp_path, "x", "scratch.csv")
    with pytest.raises(RecordingError, match=r"^Ada, Monday\.CSV: expected a first line"):
        load_recording(path, name="Ada, Monday.CSV")
    recording = load_recording(put(tmp_path, table(), "scratch.csv"), name="Ada, Monday.CSV")
    assert {one.session for one in recording.labelled.stretches} == {"Ada, Monday"}


@pytest.mark.parametrize(
    ("one", "other"),
    [("Fist", "fist"), (" fist  closed ", "Fist Closed"), ("e\u0301toile", "\u00c9toile"), ("STRASSE", "straße")],
)
def test_names_that_look_alike_are_one(one: str, other: str) -> None:
    assert normal_form.key(one) == normal_form.key(other)
    assert normal_form.find(one, ["x", other]) == other


# The files of ../shared/cases


@needs_cases
def test_row_with_a_field_more_is_not_shifted() -> None:
    with pytest.raises(RecordingError, match=r"extra_column\.csv: line 2 has 6 fields, but the first line has 5"):
        load_recording(CASES / "extra_column.csv")


@needs_cases
def test_good_part_of_a_cut_file_is_read_and_the_cut_line_named() -> None:
    recording = load_recording(CASES / "cut_last_line.csv")
    assert_true(recording)
    (note,) = recording.notes
    assert "its last line (42) is incomplete (“200,50”) and is left out" in note
    assert "40 samples" in note


@needs_cases
@pytest.mark.parametrize("name", ["header_blanks.csv", "rest_trailing_blank.csv"])
def test_blanks_are_no_part_of_a_name(name: str) -> None:
    assert_true(load_recording(CASES / name))


@needs_cases
def test_pairs_are_spread_and_one_doubled_millisecond_refuses_nothing() -> None:
    assert_true(load_recording(CASES / "pairs_same_ms.csv"))
    doubled = load_recording(CASES / "one_double_ms.csv")
    assert np.array_equal(doubled.labelled.samples, TRUE)
    assert (np.diff(doubled.device_ms) > 0).all()
    assert doubled.device_ms[-1] == 195.0


@needs_cases
def test_seconds_called_millis_are_asked_about_and_read_as_long_as_they_are() -> None:
    with pytest.raises(RecordingError, match="the steps of millis look like seconds"):
        load_recording(CASES / "seconds.csv")
    with pytest.raises(RecordingError, match="the steps of millis look like seconds"):
        load_recording(CASES / "seconds.csv", rate_hz=200)
    assert_true(load_recording(CASES / "seconds.csv", layout=guess_layout(CASES / "seconds.csv").layout))


@pytest.mark.parametrize(
    ("text", "answers"),
    [
        (table(step=0.005), LayoutAnswers(time_unit="s")),
        (table().replace("rest", "relax"), LayoutAnswers(rest="relax")),
        (table(header="sample,a0,a1,label,trial", step=1), LayoutAnswers(rate_hz=200.0)),
        (table().replace("gesture", "mood"), LayoutAnswers(label="mood")),
        (table("|"), LayoutAnswers(separator="|")),
        (table(header=None), LayoutAnswers(time="c1", channels=("c2", "c3"), label="c4", repetition="c5")),
    ],
)
def test_answers_settle_what_a_file_leaves_open(tmp_path: Path, text: str, answers: LayoutAnswers) -> None:
    recording = load_recording(put(tmp_path, text), answers=answers)
    assert_true(recording)


def test_label_that_looks_like_rest_can_be_a_gesture(tmp_path: Path) -> None:
    path = put(tmp_path, table(";").replace("rest", "relax"))
    stretches = load_recording(path, answers=LayoutAnswers(rest="")).labelled.stretches
    assert [one.label for one in stretches] == ["relax", "fist"]


def test_own_file_without_rest_is_read_and_what_looks_like_rest_is_noted(tmp_path: Path) -> None:
    recording = load_recording(put(tmp_path, table().replace("rest", "relax")))
    assert [one.label for one in recording.labelled.stretches] == ["relax", "fist"]
    assert "“relax”, which may mean rest, will be imported as a gesture" in recording.notes[0]
