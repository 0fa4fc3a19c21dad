"""Parquet files that somebody uploads are converted in a process that may do nothing else, and bounded."""

from __future__ import annotations

import io
from dataclasses import replace
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.parquet
import pytest

from semg.errors import RecordingError
from semg.recordings import encoded_text
from semg.recordings.csv_format import UPLOAD, load_recording

pytestmark = pytest.mark.slow


def put(folder: Path, table: pa.Table, **options: object) -> Path:
    path = folder / "r.parquet"
    out = io.BytesIO()
    pa.parquet.write_table(table, out, **options)
    path.write_bytes(out.getvalue())
    return path


def samples(n: int = 400) -> dict[str, object]:
    return {
        "server_at": pa.array(np.arange(n) * 5000 + 1_790_000_000_000_000, pa.timestamp("us", "UTC")),
        "a0": np.arange(n, dtype=np.float32),
        "gesture": pa.array(["rest"] * (n // 2) + ["fist"] * (n - n // 2)).dictionary_encode(),
        "repetition": np.ones(n, np.int32),
    }


@pytest.mark.parametrize("compression", ["zstd", "snappy", "gzip", "none"])
def test_file_is_read_as_it_was_written(tmp_path: Path, compression: str) -> None:
    recording = load_recording(put(tmp_path, pa.table(samples()), compression=compression, row_group_size=150))
    assert recording.labelled.samples[:, 0].tolist() == list(range(400))
    assert recording.device_ms.tolist() == [5.0 * index for index in range(400)]
    assert [(one.label, one.repetition) for one in recording.labelled.stretches] == [("rest", 1), ("fist", 1)]


def test_damaged_file_is_refused_with_its_name(tmp_path: Path) -> None:
    path = put(tmp_path, pa.table(samples()))
    whole = path.read_bytes()
    rng = np.random.default_rng(0)
    for cut in (5, 200, len(whole) - 3):
        path.write_bytes(whole[:cut])
        with pytest.raises(RecordingError, match=r"r\.parquet cannot be read: it is not a readable Parquet file"):
            load_recording(path, limits=UPLOAD)
    for _ in range(5):
        noisy = bytearray(whole)
        for at in rng.integers(4, len(whole), 40).tolist():
            noisy[at] ^= int(rng.integers(1, 256))
        path.write_bytes(bytes(noisy))
        try:
            load_recording(path, limits=UPLOAD)
        except RecordingError:
            continue


def test_file_of_too_many_rows_or_columns_is_refused_before_it_is_unpacked(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as small:
        small.setattr(encoded_text, "MAX_PARQUET_BYTES", 100)
        with pytest.raises(RecordingError, match="at most 100 are read of a Parquet file"):
            load_recording(put(tmp_path, pa.table(samples())))
    monkeypatch.setattr(encoded_text, "MAX_PARQUET_ROWS", 399)
    with pytest.raises(RecordingError, match="at most 399 rows"):
        load_recording(put(tmp_path, pa.table(samples())))
    wide = pa.table(samples() | {f"b{index}": np.zeros(400) for index in range(80)})
    with pytest.raises(RecordingError, match="64 columns"):
        load_recording(put(tmp_path, wide))


def test_small_file_that_unpacks_to_a_large_one_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    table = pa.table({"time": np.arange(3_000_000) * 0.005, "a0": np.zeros(3_000_000)})
    path = put(tmp_path, table, compression="zstd")
    monkeypatch.setattr(encoded_text, "PARQUET", replace(encoded_text.PARQUET, memory_bytes=400 << 20))
    with pytest.raises(RecordingError, match=r"r\.parquet (cannot be read|unpacks)"):
        load_recording(path, limits=replace(UPLOAD, text_bytes=4 << 20))
