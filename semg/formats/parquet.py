"""Parquet: a row a sample with its time, channels, gesture and repetition; all else as JSON in the file's metadata."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet
from numpy.typing import NDArray

from semg.errors import RecordingError
from semg.formats.described import KEY, from_json, to_json
from semg.formats.labelling import from_columns, index_of
from semg.formats.neutral import (
    DEFAULTS,
    About,
    NeutralRecording,
    ReadOptions,
    Written,
    in_memory,
    no_samples,
    require_size,
)
from semg.formats.sample_columns import GESTURE, REPETITION, TIME, batch_of, schema_of
from semg.signals.gaps import gap_step_us

ROWS_AT_ONCE = 50_000
MAX_COLUMNS = 64
_MAX_NAMES = 100_000
_BYTES_A_VALUE = 16


def write(recording: NeutralRecording, target: Path) -> Written:
    """Write a recording with one portion in memory; late samples, which are no part of the signal, are left out.

    Raises
    ------
    RecordingError
        It has no samples.
    """
    about = recording.about
    kept = [one for one in recording.labels if not one.excluded]
    names = pa.array(["", *(one.gesture for one in kept)], pa.string())
    numbers = np.array([0, *(one.number for one in kept)], np.int32)
    schema = schema_of(about.channels, {"simulated": "true"} if about.simulated else None)
    writer: pa.parquet.ParquetWriter | None = None
    runs: list[int] = []
    n_late = 0
    try:
        for portion in recording.portions():
            live = ~portion.late
            n_late += int(portion.late.sum())
            if not live.any():
                continue
            times_us, samples = portion.times_us[live], portion.samples[live]
            runs += times_us[portion.starts_run[live]].tolist()
            label = index_of(times_us, kept) + np.int32(1)
            batch = batch_of(schema, times_us, samples, label, names, numbers[label])
            writer = writer or pa.parquet.ParquetWriter(target, schema, compression="zstd")
            writer.write_batch(batch)
        if writer is None:
            raise no_samples(about.name)
        writer.add_key_value_metadata({KEY: to_json(about, recording.labels, runs)})
    finally:
        if writer is not None:
            writer.close()
    note = (f"{n_late:,} samples that arrived late are left out: no live window held them.",) if n_late else ()
    return Written((target,), (*recording.notes, *note))


def read(path: Path, options: ReadOptions = DEFAULTS) -> Iterator[NeutralRecording]:
    """Yield the one recording of a file, own or with the same columns.

    Raises
    ------
    RecordingError
        It is no such file, is damaged or too large, or has other columns.
    """
    try:
        yield _read(path, options)
    except (pa.ArrowException, OSError, ValueError, KeyError, TypeError) as exc:
        raise RecordingError(f"{path.name} is no readable Parquet file ({str(exc)[:200]})") from exc


def _read(path: Path, options: ReadOptions) -> NeutralRecording:
    with pa.parquet.ParquetFile(path, memory_map=False, pre_buffer=False) as file:
        names = file.schema_arrow.names
        if TIME not in names or len(names) > MAX_COLUMNS:
            raise RecordingError(
                f"{path.name} has the columns {', '.join(names)[:300]}; expected {TIME}, at most {MAX_COLUMNS - 3} "
                f"channels, {GESTURE} and {REPETITION}"
            )
        described = (file.schema_arrow.metadata or {}).get(KEY.encode())
        if described is None:
            described = (file.metadata.metadata or {}).get(KEY.encode())
        known = None if described is None else from_json(described, path.name)
        channels = [name for name in names if name not in (TIME, GESTURE, REPETITION)]
        channels = [*options.channels] if options.channels is not None else channels
        n_rows = file.metadata.num_rows
        require_size(path, n_rows, len(channels), options.limits)
        unpacked = sum(file.metadata.row_group(k).total_byte_size for k in range(file.metadata.num_row_groups))
        if unpacked > _BYTES_A_VALUE * options.limits.values:
            raise RecordingError(f"{path.name} unpacks to {unpacked >> 20:,} MB, more than its samples can be")
        samples = np.empty((n_rows, len(channels)), np.float32)
        times_us, numbers = np.empty(n_rows, np.int64), np.zeros(n_rows, np.int64)
        labels, found = np.full(n_rows, -1, np.int64), dict[str, int]()
        at = 0
        wanted = [TIME, *channels, *(name for name in (GESTURE, REPETITION) if name in names)]
        for batch in file.iter_batches(ROWS_AT_ONCE, columns=wanted, use_threads=False):
            until = at + len(batch)
            if until > n_rows:
                raise RecordingError(f"{path.name} has more rows than the {n_rows:,} that it says")
            times_us[at:until] = batch[TIME].cast(pa.timestamp("us", "UTC")).cast(pa.int64()).to_numpy()
            for index, name in enumerate(channels):
                samples[at:until, index] = batch[name].cast(pa.float32()).to_numpy(zero_copy_only=False)
            if known is None and GESTURE in names:
                labels[at:until] = _numbered(batch[GESTURE], found, path)
            if REPETITION in names:
                numbers[at:until] = pc.fill_null(batch[REPETITION].cast(pa.int64()), 0).to_numpy()
            at = until
    if known is not None:
        starts_run = np.isin(times_us, np.array(known.runs_us, np.int64))
        return in_memory(known.about, known.labels, times_us, samples, starts_run)
    if not (np.diff(times_us) > 0).all():
        raise RecordingError(f"{path.name}: {TIME} must grow from row to row; sort the file by time")
    return _of_others(options, tuple(channels), times_us, samples, labels, numbers, tuple(found))


def _numbered(column: pa.Array, found: dict[str, int], path: Path) -> NDArray[np.int64]:
    """Return labels as indices into the names that are found, -1 for none."""
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    encoded = pc.fill_null(column.cast(pa.string()), "").dictionary_encode()
    names = encoded.dictionary.to_pylist()
    if len(found) + len(names) > _MAX_NAMES:
        raise RecordingError(f"{path.name} has more than {_MAX_NAMES:,} different gestures")
    indices = [found.setdefault(name, len(found)) if name else -1 for name in names]
    numbers: NDArray[np.int64] = np.array([*indices, -1], np.int64)[encoded.indices.to_numpy(zero_copy_only=False)]
    return numbers


def _of_others(
    options: ReadOptions,
    channels: tuple[str, ...],
    times_us: NDArray[np.int64],
    samples: NDArray[np.float32],
    labels: NDArray[np.int64],
    numbers: NDArray[np.int64],
    names: tuple[str, ...],
) -> NeutralRecording:
    steps = np.diff(times_us)
    period_us = float(np.median(steps)) if len(steps) else 1e6
    rate_hz = options.rate_hz or 1e6 / period_us
    about = About(channels=channels, rate_hz=rate_hz, sensor=options.sensor, mains_hz=options.mains_hz)
    starts_run = np.append(True, steps >= gap_step_us(1e6 / rate_hz))[: len(times_us)]
    made = from_columns(times_us, round(1e6 / rate_hz), labels, numbers, names)
    return in_memory(about, made, times_us, samples, starts_run)
