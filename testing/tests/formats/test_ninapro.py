"""NinaPro's MATLAB files: movements and repetitions as labels; files that lie are refused before they are unpacked."""

from __future__ import annotations

import contextlib
import struct
import time
import tracemalloc
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from scipy.io import loadmat, savemat, whosmat

from semg.errors import RecordingError
from semg.formats import mat5, ninapro
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


@pytest.mark.parametrize("compressed", [True, False])
def test_names_shapes_and_values_are_those_of_scipy(tmp_path: Path, compressed: bool) -> None:
    rng = np.random.default_rng(1)
    kinds = ("f8", "f4", "i1", "u1", "i2", "u2", "i4", "u4", "i8", "u8")
    more = {f"a_rather_long_name_{kind}": (100 * rng.standard_normal((3, 5))).astype(kind) for kind in kinds}
    more |= {"a": np.zeros((2, 3, 4)), "b": np.array([[7]], np.uint8), "complex": np.array([1j]), "text": "text",
             "list": np.array([{"x": 1}], object), "none": np.zeros((0, 3))}  # fmt: skip
    path = file(tmp_path / "s.mat", compressed=compressed, **more)
    mine = mat5.variables_of(path)
    shapes = [(one.name, one.shape) for one in mine if one.name != "text"]  # of a text, scipy has none
    assert shapes == [(name, shape) for name, shape, _ in whosmat(path) if name != "text"]
    theirs = loadmat(path)
    numeric = [one for one in mine if one.numeric]
    assert {one.name for one in mine} - {one.name for one in numeric} == {"complex", "text", "list"}
    for one in numeric:
        assert np.array_equal(mat5.load(path, one), theirs[one.name]), one.name


def test_a_shape_that_lies_is_refused(tmp_path: Path) -> None:
    content = file(tmp_path / "s.mat", compressed=False).read_bytes()
    (tmp_path / "s.mat").write_bytes(content.replace(struct.pack("<ii", N, 12), struct.pack("<ii", N, 11), 1))
    with pytest.raises(RecordingError, match="should have 6,600 values, and has 28,800 bytes"):
        list(ninapro.read(tmp_path / "s.mat", AT_2000))


def test_a_file_that_ends_scipys_process_ends_in_a_sentence(tmp_path: Path) -> None:
    random = np.random.default_rng(2)
    content = file(tmp_path / "s.mat", compressed=False, emg=np.zeros((50, 4), np.float32)).read_bytes()
    for _ in range(300):
        changed = bytearray(content)
        for at in random.integers(128, len(content), random.integers(1, 9)):
            changed[at] = random.integers(256)
        (tmp_path / "s.mat").write_bytes(changed)
        with contextlib.suppress(RecordingError):
            list(ninapro.read(tmp_path / "s.mat", AT_2000))
