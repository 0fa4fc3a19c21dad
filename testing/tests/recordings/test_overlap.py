"""A calibration may share no row with a test, however it was cut or copied."""

import gzip
from pathlib import Path

import pytest

from semg.errors import RecordingError
from semg.jobs.evaluation import evaluate_recordings
from semg.recordings.csv_format import load_recording
from semg.recordings.overlap import shared_rows
from semg.signals.synthesis import SyntheticArm, make_plan
from testing.kits.recording_kit import write_recording

GESTURES = ("rest", "fist", "pinch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("overlap")
    for index in (1, 2):
        made = SyntheticArm(0, 4, gestures=GESTURES).session(index, make_plan(GESTURES, 3, 2.0))
        write_recording(
            folder / f"s{index}.csv.gz", made.samples, made.device_ms, list(made.gestures), made.repetitions
        )
    header, *rows = gzip.open(folder / "s2.csv.gz", "rt").read().splitlines()

    def write(name: str, chosen: list[str]) -> None:
        (folder / f"{name}.csv").write_text("\n".join([header, *chosen]) + "\n")

    write("first", rows[:1200])
    write("rest_of_it", rows[1200:])
    write("one_more", rows[:1201])
    write("moved", [f"{5 * i},{row.split(',', 1)[1]}" for i, row in enumerate(rows[600:1400])])
    return folder


def shared(folder: Path, first: str, second: str) -> int:
    return shared_rows(load_recording(folder / first), load_recording(folder / second))


def test_parts_of_a_recording_share_nothing(folder):
    assert shared(folder, "first.csv", "rest_of_it.csv") == 0


def test_one_common_row_is_found(folder):
    assert shared(folder, "one_more.csv", "rest_of_it.csv") == 1


def test_copied_rows_with_another_time_are_found(folder):
    assert shared(folder, "moved.csv", "rest_of_it.csv") > 100


def test_recordings_that_count_from_the_same_time_share_nothing(folder):
    assert shared(folder, "s1.csv.gz", "s2.csv.gz") == 0


def test_evaluation_refuses_a_calibration_that_is_tested_on(folder):
    train, test = [folder / "s1.csv.gz"], [folder / "rest_of_it.csv"]
    report = evaluate_recordings(train, test, kind="logcov_lda", calibrate=folder / "first.csv")
    assert report.extra["calibrated_on"] == "first.csv"
    with pytest.raises(RecordingError, match="one_more.csv shares 1 row with rest_of_it.csv"):
        evaluate_recordings(train, test, kind="logcov_lda", calibrate=folder / "one_more.csv")
    with pytest.raises(RecordingError, match="shares .* rows with"):
        evaluate_recordings(train, test, kind="logcov_lda", calibrate=folder / "rest_of_it.csv")
