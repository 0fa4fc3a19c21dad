"""Parquet and HDF5: every sample with its own time, to the bit; files that lie are refused."""

from __future__ import annotations

import time
import tracemalloc
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, given, settings

from semg.errors import RecordingError
from semg.formats import hdf5, parquet
from semg.formats.described import from_json, to_json
from semg.formats.neutral import NeutralRecording, ReadLimits, ReadOptions
from testing.kits.neutral_kit import assert_same, joined, label_rows, live, outside, recordings, simple

FEW = settings(max_examples=10, suppress_health_check=[HealthCheck.function_scoped_fixture])
LIMITED = ReadOptions(limits=ReadLimits(rows=100_000, values=1_000_000))


@FEW
@given(recordings())
def test_parquet_keeps_the_live_signal_to_the_bit(tmp_path: Path, recording: NeutralRecording) -> None:
    written = parquet.write(recording, tmp_path / "r.parquet")
    (got,) = parquet.read(tmp_path / "r.parquet")
    assert_same(recording, got, time_us=0)
    assert (got.about, got.labels) == (recording.about, recording.labels)
    assert bool(written.notes) == bool(joined(recording).late.any())


@FEW
@given(recordings())
def test_hdf5_keeps_everything_to_the_bit(tmp_path: Path, recording: NeutralRecording) -> None:
    outside("h5py")
    hdf5.write(recording, tmp_path / "r.h5")
    (got,) = hdf5.read(tmp_path / "r.h5")
    before, after = joined(recording), joined(got)
    for name in ("times_us", "samples", "starts_run", "late"):
        assert np.array_equal(getattr(before, name), getattr(after, name))
    assert (got.about, got.labels) == (recording.about, recording.labels)


def test_pandas_reads_the_parquet_file(tmp_path: Path) -> None:
    parquet.write(simple(), tmp_path / "r.parquet")
    table = pd.read_parquet(tmp_path / "r.parquet")
    assert list(table.columns) == ["server_at", "a0", "a1", "a2", "gesture", "repetition"]
    assert np.array_equal(table[["a0", "a1", "a2"]].to_numpy(), joined(simple()).samples)
    said = [row if row and not row[2] else None for row in label_rows(simple())]
    assert table["gesture"].tolist() == [row[0] if row else "" for row in said]


def test_parquet_of_others_is_labelled_by_its_columns(tmp_path: Path) -> None:
    parquet.write(simple(), tmp_path / "r.parquet")
    table = pq.read_table(tmp_path / "r.parquet")
    pq.write_table(table.replace_schema_metadata(None), tmp_path / "o.parquet")
    (got,) = parquet.read(tmp_path / "o.parquet", ReadOptions(channels=("a2", "a0")))
    assert got.about.channels == ("a2", "a0")
    assert got.about.rate_hz == 200
    assert np.array_equal(joined(got).samples, joined(simple()).samples[:, [2, 0]])
    wanted = [row if row and not row[2] else None for row in label_rows(simple())]
    assert label_rows(got) == wanted
    assert np.array_equal(joined(got).starts_run, joined(simple()).starts_run)


@pytest.mark.parametrize("module", [parquet, hdf5])
def test_empty_sessions_and_files_that_are_none_are_refused(tmp_path: Path, module: Any) -> None:
    outside("h5py")
    with pytest.raises(RecordingError, match="“Monday 1” has no samples"):
        module.write(simple(n=0), tmp_path / "e")
    module.write(simple(), tmp_path / "r")
    content = (tmp_path / "r").read_bytes()
    for bad in (b"", b"PAR1", content[: len(content) // 2], content[:100] + bytes(200) + content[300:]):
        (tmp_path / "b").write_bytes(bad)
        try:
            list(module.read(tmp_path / "b"))
        except RecordingError as exc:
            assert "b " in str(exc) or "b:" in str(exc)


def bounded(read: Any, path: Path, match: str) -> None:
    """Assert that a file is refused quickly, and without much memory."""
    tracemalloc.start()
    started = time.monotonic()
    with pytest.raises(RecordingError, match=match):
        list(read(path, LIMITED))
    assert time.monotonic() - started < 3
    assert tracemalloc.get_traced_memory()[1] < 50 << 20
    tracemalloc.stop()


def test_hdf5_with_a_billion_rows_is_refused(tmp_path: Path) -> None:
    h5py = outside("h5py")
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file.create_dataset("samples", (10**9, 8), "<f4", chunks=(4096, 8))
    assert (tmp_path / "r.h5").stat().st_size < 10_000
    bounded(hdf5.read, tmp_path / "r.h5", "1,000,000,000 samples")


def test_hdf5_that_unpacks_endlessly_or_leads_elsewhere_is_refused(tmp_path: Path) -> None:
    h5py = outside("h5py")
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file.create_dataset("samples", (10, 8), "<f4", maxshape=(None, 8), chunks=(50_000_000, 8), compression="gzip")
    bounded(hdf5.read, tmp_path / "r.h5", "in pieces of 1,525 MB")
    (tmp_path / "secret").write_bytes(bytes(400))
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file.create_dataset("samples", (10, 8), "<f4", external=[(str(tmp_path / "secret"), 0, 320)])
    bounded(hdf5.read, tmp_path / "r.h5", "lies in another file")
    with h5py.File(tmp_path / "r.h5", "w") as file:
        file["samples"] = h5py.ExternalLink(str(tmp_path / "s.h5"), "/x")
    bounded(hdf5.read, tmp_path / "r.h5", "has no data set")


def test_parquet_with_a_hundred_million_rows_of_nothing_is_refused(tmp_path: Path) -> None:
    zeros = pa.array(np.zeros(10_000_000, np.float32)).dictionary_encode()
    times = pa.array(np.zeros(10_000_000, np.int64)).cast(pa.timestamp("us", "UTC"))
    pq.write_table(pa.table({"server_at": times, "a0": zeros}), tmp_path / "r.parquet")
    assert (tmp_path / "r.parquet").stat().st_size < 1_000_000
    bounded(parquet.read, tmp_path / "r.parquet", "10,000,000 samples")


@pytest.mark.parametrize(
    "change",
    [
        {"channels": "a0"},
        {"rate_hz": "x"},
        {"rate_hz": float("nan")},
        {"sensor": "other"},
        {"name": 7},
        {"person": None},
    ],
)
def test_a_description_that_is_damaged_is_refused(change: dict[str, Any]) -> None:
    text = to_json(simple().about, simple().labels)
    assert from_json(text, "f").labels == simple().labels
    damaged = replace(simple().about, **change)
    with pytest.raises(RecordingError, match="is damaged or of another version"):
        from_json(to_json(damaged, []), "f")


def test_a_description_of_endless_depth_is_refused() -> None:
    with pytest.raises(RecordingError, match="is damaged"):
        from_json("[" * 1_000_000, "f")


def test_live_samples_of_a_file_without_late_ones_are_all() -> None:
    assert len(live(simple()).times_us) == 500
