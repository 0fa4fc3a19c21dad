"""NinaPro's MATLAB files: movements and repetitions as labels; files that lie are refused before they are unpacked."""

from __future__ import annotations

import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import savemat

from semg.errors import RecordingError
from semg.formats import ninapro
from semg.formats.neutral import NeutralRecording, ReadLimits, ReadOptions
from testing.kits.neutral_kit import joined, outside

N = 600
EMG = np.random.default_rng(0).standard_normal((N, 12)).astype(np.float32)
STIMULUS = np.repeat([0, 3, 0, 3, 0, 1], 100)
REPETITION = np.repeat([0, 1, 0, 2, 0, 1], 100)
AT_2000 = ReadOptions(rate_hz=2000)


def file(path: Path, *, compressed: bool = True, **more: Any) -> Path:
    content = {"emg": EMG, "restimulus": STIMULUS[:, None], "rerepetition": REPETITION[:, None].astype(np.uint8),
               "exercise": 1, "subject": 4, "glove": np.zeros((N, 22)), **more}  # fmt: skip
    savemat(path, {name: one for name, one in content.items() if one is not None}, do_compression=compressed)
    return path


def labels(got: NeutralRecording) -> list[tuple[str, int, int]]:
    return [(one.gesture, one.number, round(one.start_us / 500)) for one in got.labels]


@pytest.mark.parametrize("compressed", [True, False])
def test_movements_and_repetitions_are_labels(tmp_path: Path, compressed: bool) -> None:
    (got,) = ninapro.read(file(tmp_path / "S4_E1_A1.mat", compressed=compressed), AT_2000)
    assert np.array_equal(joined(got).samples, EMG)
    assert labels(got) == [
        ("rest", 0, 0), ("E1 movement 3", 1, 100), ("rest", 0, 200), ("E1 movement 3", 2, 300), ("rest", 0, 400),
        ("E1 movement 1", 1, 500),
    ]  # fmt: skip
    assert (got.about.name, got.about.person, got.about.rate_hz) == ("S4_E1_A1", "4", 2000)


def test_files_of_version_7_3_are_read(tmp_path: Path) -> None:
    h5py = outside("h5py")
    with h5py.File(tmp_path / "s.mat", "w", userblock_size=512) as out:
        out["emg"], out["restimulus"], out["rerepetition"] = EMG.T, STIMULUS[None], REPETITION[None]
    (got,) = ninapro.read(tmp_path / "s.mat", AT_2000)
    assert np.array_equal(joined(got).samples, EMG)
    assert [one[0] for one in labels(got)][:2] == ["rest", "movement 3"]


def test_labels_of_the_prompts_are_taken_where_there_are_no_others(tmp_path: Path) -> None:
    path = file(tmp_path / "s.mat", restimulus=None, rerepetition=None, stimulus=STIMULUS)
    (got,) = ninapro.read(path, AT_2000)
    assert "has no restimulus: labels are those of the prompts" in got.notes[0]
    assert [one[1] for one in labels(got)] == [1, 1, 2, 2, 3, 1], "without numbers, runs are counted"


@pytest.mark.parametrize(
    ("more", "options", "match"),
    [
        ({"emg": None}, AT_2000, "has no table “emg”"),
        ({}, ReadOptions(), "give it with --rate-hz"),
        ({"restimulus": STIMULUS[:-1]}, AT_2000, "another length"),
        ({"restimulus": STIMULUS * -1}, AT_2000, "whole numbers from 0"),
        ({"restimulus": STIMULUS + 0.5}, AT_2000, "whole numbers from 0"),
        ({"emg": EMG * np.nan}, AT_2000, "no numbers"),
        ({"emg": np.zeros((600, 65))}, AT_2000, "65 columns"),
    ],
)
def test_files_that_make_no_sense_are_refused(
    tmp_path: Path, more: dict[str, Any], options: ReadOptions, match: str
) -> None:
    with pytest.raises(RecordingError, match=match):
        list(ninapro.read(file(tmp_path / "s.mat", **more), options))


def test_a_file_that_unpacks_to_more_than_the_limits_is_not_unpacked(tmp_path: Path) -> None:
    path = file(tmp_path / "s.mat", emg=np.zeros((8_000_000, 12), np.int8))
    assert path.stat().st_size < 1 << 20
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(RecordingError, match="8,000,000 samples of 12 channels"):
        list(ninapro.read(path, ReadOptions(rate_hz=100, limits=ReadLimits(rows=10**6))))
    assert time.monotonic() - started < 1
    assert tracemalloc.get_traced_memory()[1] < 5 << 20
    tracemalloc.stop()


@pytest.mark.parametrize("at", [0, 100, 129, 133, 136, 200, 700])
def test_damage_is_a_sentence(tmp_path: Path, at: int) -> None:
    content = bytearray(file(tmp_path / "s.mat").read_bytes())
    for k in range(4):
        content[at + k] ^= 0x5A
    (tmp_path / "s.mat").write_bytes(content)
    try:
        list(ninapro.read(tmp_path / "s.mat", AT_2000))
    except RecordingError as exc:
        assert "s.mat" in str(exc)


def test_names_and_shapes_are_those_of_scipy(tmp_path: Path) -> None:
    from scipy.io import whosmat

    path = file(tmp_path / "s.mat", a_rather_long_name=np.zeros((2, 3, 4)), a=np.zeros((5, 1)))
    mine = [(one.name, one.shape) for one in ninapro.variables_of(path)]
    assert mine == [(name, shape) for name, shape, _ in whosmat(path)]
