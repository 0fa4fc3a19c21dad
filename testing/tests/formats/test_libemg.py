"""LibEMG folders: repetitions come back as they were, and LibEMG's own data handler reads them (by command)."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings

from semg.errors import RecordingError
from semg.formats import libemg
from semg.formats.neutral import NeutralRecording, ReadOptions
from testing.kits.neutral_kit import joined, label_rows, live, recordings, simple

FEW = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])


def labelled(recording: NeutralRecording) -> list[tuple[int, tuple[str, int], list[float]]]:
    """Return the time, label and values of each sample in a repetition that is not left out."""
    portion, rows = live(recording), label_rows(recording, with_excluded=False)
    values = np.round(portion.samples.astype(np.float64), 9).tolist()
    return [
        (time_us, row[:2], value) for time_us, row, value in zip(portion.times_us.tolist(), rows, values, strict=True)
        if row is not None
    ]  # fmt: skip


@FEW
@given(recordings(with_late=False))
def test_round_trip_of_what_is_labelled(tmp_path: Path, recording: NeutralRecording) -> None:
    shutil.rmtree(tmp_path / "set", ignore_errors=True)
    wanted = labelled(recording)
    if not wanted:
        with pytest.raises(RecordingError, match="has no samples"):
            libemg.write(recording, tmp_path / "set")
        return
    libemg.write(recording, tmp_path / "set")
    (got,) = libemg.read(tmp_path / "set")
    found = labelled(got)
    assert [one[1:] for one in found] == [one[1:] for one in wanted]
    assert max(abs(a[0] - b[0]) for a, b in zip(found, wanted, strict=True)) <= 1
    kept = np.array([row is not None for row in label_rows(recording, with_excluded=False)])
    index = np.flatnonzero(kept)
    follows = np.append(False, np.diff(index) == 1)
    assert np.array_equal(live(got).starts_run[follows], live(recording).starts_run[index][follows])
    assert (got.about.channels, got.about.rate_hz) == (recording.about.channels, recording.about.rate_hz)


def test_files_of_others_need_a_rate_and_follow_each_other(tmp_path: Path) -> None:
    for name, value in (("R_0_C_1.csv", 1), ("R_0_C_0.csv", 0), ("R_1_C_0.csv", 2)):
        (tmp_path / name).write_text(f"{value},{value}.5\n" * 10)
    with pytest.raises(RecordingError, match="--rate-hz"):
        list(libemg.read(tmp_path))
    (got,) = libemg.read(tmp_path, ReadOptions(rate_hz=100))
    assert [(one.gesture, one.number) for one in got.labels] == [("class 0", 0), ("class 1", 0), ("class 0", 1)]
    assert joined(got).samples[:, 0].tolist() == [0] * 10 + [1] * 10 + [2] * 10
    assert np.flatnonzero(joined(got).starts_run).tolist() == [0, 10, 20]


def test_files_of_several_people_are_recordings_of_their_own(tmp_path: Path) -> None:
    for who in ("S1", "S2"):
        (tmp_path / who).mkdir()
        for name in ("Trial1_C_0_R_0_emg.csv", "Trial2_C_0_R_0_emg.csv"):
            (tmp_path / who / name).write_text("1,2\n3,4\n")
    (tmp_path / "S1" / libemg.DETAILS).write_text(json.dumps({"class_map": {"0": "fist"}}))
    got = list(libemg.read(tmp_path, ReadOptions(rate_hz=100)))
    assert len(got) == 4
    assert {label.gesture for one in got for label in one.labels} == {"fist", "class 0"}


@pytest.mark.parametrize(
    ("text", "match"),
    [("a,b\n1,2\n", "no table of numbers"), ("1,2\n3\n", "different length"), ("1\n1,2\n", "no table of numbers"),
     (",".join("1" * 65) + "\n", "65 columns"), ("1,inf\n", "no numbers")],
)  # fmt: skip
def test_files_that_are_no_tables_are_refused_by_name(tmp_path: Path, text: str, match: str) -> None:
    (tmp_path / "C_0_R_0.csv").write_text(text)
    with pytest.raises(RecordingError, match=match):
        list(libemg.read(tmp_path, ReadOptions(rate_hz=100)))


@pytest.mark.elsewhere
@pytest.mark.skipif("LIBEMG_PYTHON" not in os.environ, reason="LibEMG has an environment of its own, of 1 GB")
def test_libemgs_own_data_handler_reads_the_folder(tmp_path: Path) -> None:
    libemg.write(simple(n=800, gap=0, names=("rest", "left out", "fist", "open")), tmp_path)
    code = (
        "import sys\nfrom libemg.data_handler import OfflineDataHandler, RegexFilter\n"
        "classes = [str(k) for k in range(3)]\n"
        "filters = [RegexFilter('C_', '_R_', classes, 'classes'), RegexFilter('_R_', '.csv', ['0', '1'], 'reps')]\n"
        "handler = OfflineDataHandler(); handler.get_data(sys.argv[1], filters)\n"
        "print([(int(c[0, 0]), d.shape, float(d.sum())) for c, d in zip(handler.classes, handler.data)])\n"
    )
    command = [os.environ["LIBEMG_PYTHON"], "-c", code, str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=True, env={"PATH": os.environ["PATH"]})
    said = sorted(json.loads(done.stdout.splitlines()[-1].replace("(", "[").replace(")", "]")))
    samples = joined(simple(n=800, gap=0)).samples
    wanted = [(0, slice(0, 200)), (1, slice(400, 600)), (2, slice(600, 800))]
    assert said == [[k, [200, 3], float(samples[part].sum())] for k, part in wanted]
