"""Rows of ``sample_blocks`` as PostgreSQL's binary COPY carries them: columns of many blocks to bytes, and back.

numpy converts the samples of all rows at once; a row costs a few slices. Measured against
arrays (``bigint[]``, ``real[]``) on two cores: a third of the CPU in PostgreSQL, 22 instead of 55 bytes on disk for a
sample of 8 channels, read back five times as fast (docs/decisions/storage.md).

``steps`` holds the times after the first sample, device times and then arrivals: as steps from sample to sample in 16
bits where all of a row's fit, otherwise as offsets from the first sample in 32 or 64 bits. ``samples`` holds the values
sample by sample: as 16-bit integers if all of a row's are, otherwise as float32. Both big-endian, as PostgreSQL's own
``int2send`` and ``float4send`` write them; the columns' lengths determine the format. Nothing is rounded.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.block_table import LATE, ROW, STARTS_RUN, BlockTable
from semg.errors import StoreError

WRITTEN = (
    "user_id, session_id, started_at, segment_id, starts_run, late, clock_offset_us, device_us, received_us, span_us, "
    "n_samples, n_channels, steps, samples"
)
"""The columns of ``encoded_rows``, in its order."""

READ = (
    "user_id, segment_id, starts_run, late, clock_offset_us, device_us, received_us, n_samples, n_channels, "
    "steps, samples"
)
"""The columns of ``decoded_rows``, in its order."""

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_TRAILER = struct.pack(">h", -1)
_EPOCH_US = 946_684_800_000_000
"""2000-01-01, from which PostgreSQL counts, in microseconds of the Unix epoch."""

_N_WRITTEN = WRITTEN.count(",") + 1
_FIXED = (
    ("started_at", ">i8"),
    ("segment_id", ">i8"),
    ("starts_run", "?"),
    ("late", "?"),
    ("clock_offset_us", ">i8"),
    ("device_us", ">i8"),
    ("received_us", ">i8"),
    ("span_us", ">i4"),
    ("n_samples", ">i4"),
    ("n_channels", ">i2"),
)
_READ_ROW = struct.Struct(">h iq iq i? i? iq iq iq ii ih i")
_SIZE = struct.Struct(">i")
_TIMES: dict[int, str] = {2: ">u2", 4: ">i4", 8: ">i8"}
_VALUES: dict[int, str] = {2: ">i2", 4: ">f4"}


def encoded_rows(table: BlockTable, session_id: int | None = None) -> bytes:
    """Return the body of ``COPY … FROM STDIN`` that writes each block as a row."""
    counts, ends = table.counts, np.cumsum(table.counts)
    times, widths = _packed_times(table, counts, ends)
    values, value_widths = _packed_values(table)
    value_ends = np.cumsum(table.value_counts)
    heads = _heads(table, ends, widths, session_id)
    sizes = (value_widths * table.value_counts).astype(">i4").tobytes()
    head_bytes, head_size = heads.tobytes(), heads.itemsize
    chunks: list[bytes | memoryview] = [_HEADER]
    at = value_at = 0
    columns = (ends.tolist(), widths.tolist(), value_ends.tolist(), value_widths.tolist())
    for index, (end, width, value_end, value_width) in enumerate(zip(*columns, strict=True)):
        device, received = times[width]
        chunks += (
            head_bytes[index * head_size : (index + 1) * head_size],
            device[width * at : width * end],
            received[width * at : width * end],
            sizes[4 * index : 4 * index + 4],
            values[value_width][value_width * value_at : value_width * value_end],
        )
        at, value_at = end, value_end
    chunks.append(_TRAILER)
    return b"".join(chunks)


@dataclass(frozen=True, slots=True, kw_only=True)
class _Row:
    scalars: tuple[Any, ...]
    width: int
    value_width: int
    device: bytes
    received: bytes
    values: bytes


def decoded_rows(data: bytes) -> BlockTable:
    """Decode the output of ``COPY (SELECT …) TO STDOUT``, sorted by segment, then time, then arrival.

    Raises
    ------
    StoreError
        A row's columns do not fit one another, or the last one is cut off.
    """
    found = []
    at = len(_HEADER)
    while data[at : at + 2] != _TRAILER:
        try:
            row, at = _row(data, at)
        except struct.error as exc:
            raise StoreError("sample_blocks: what the server sent ends in the middle of a row") from exc
        found.append(row)
    found.sort(key=lambda row: (row.scalars[1], row.scalars[3] + row.scalars[2], row.scalars[4]))
    return BlockTable.joined(
        [_table(list(rows_of_width)) for _, rows_of_width in groupby(found, lambda r: (r.width, r.value_width))]
    )


def _heads(
    table: BlockTable, ends: NDArray[np.int64], widths: NDArray[np.int64], session_id: int | None
) -> NDArray[np.void]:
    """Return the rows' fields up to the size of ``steps``; each field follows its size."""
    session: list[tuple[str, str]] = [("session_id_size", ">i4")]
    if session_id is not None:
        session.append(("session_id", ">i8"))
    fixed = [(name, kind) for field, own in _FIXED for name, kind in ((f"{field}_size", ">i4"), (field, own))]
    head = [("fields", ">i2"), ("user_id_size", ">i4"), ("user_id", ">i8"), *session, *fixed, ("steps_size", ">i4")]
    heads = np.zeros(len(table), np.dtype(head))
    rows = table.rows
    heads["fields"] = _N_WRITTEN
    heads["session_id_size"] = -1 if session_id is None else 8
    if session_id is not None:
        heads["session_id"] = session_id
    heads["user_id_size"] = 8
    for field, own in _FIXED:
        heads[f"{field}_size"] = np.dtype(own).itemsize
    for field in ("user_id", "segment_id", "clock_offset_us", "device_us", "received_us", "n_samples", "n_channels"):
        heads[field] = rows[field]
    heads["started_at"] = rows["device_us"] + rows["clock_offset_us"] - _EPOCH_US
    heads["starts_run"] = (rows["flags"] & STARTS_RUN) != 0
    heads["late"] = (rows["flags"] & LATE) != 0
    heads["span_us"] = table.device_us[ends - 1] - rows["device_us"]
    heads["steps_size"] = 2 * widths * rows["n_samples"]
    return heads


def _packed_times(
    table: BlockTable, counts: NDArray[np.int64], ends: NDArray[np.int64]
) -> tuple[dict[int, tuple[memoryview, memoryview]], NDArray[np.int64]]:
    """Return device times and arrivals in every width that a row needs, and each row's width in bytes."""
    starts = ends - counts
    steps = []
    width = np.full(len(table), 2)
    for column in (table.device_us, table.received_us):
        step = np.empty_like(column)
        step[1:] = column[1:] - column[:-1]
        step[starts] = 0
        steps.append(step)
        fits = (np.minimum.reduceat(step, starts) >= 0) & (np.maximum.reduceat(step, starts) < 1 << 16)
        width[~fits] = 4
    wide = np.flatnonzero(width == 4)
    packed = {2: (_view(steps[0], ">u2"), _view(steps[1], ">u2"))} if len(wide) < len(table) else {}
    if len(wide):
        offsets = [column - np.repeat(column[starts], counts) for column in (table.device_us, table.received_us)]
        limit = np.iinfo(np.int32)
        for offset in offsets:
            low, high = np.minimum.reduceat(offset, starts), np.maximum.reduceat(offset, starts)
            width[(low < limit.min) | (high > limit.max)] = 8
        for size in np.unique(width[wide]).tolist():
            packed[size] = (_view(offsets[0], _TIMES[size]), _view(offsets[1], _TIMES[size]))
    return packed, width


def _packed_values(table: BlockTable) -> tuple[dict[int, memoryview], NDArray[np.int64]]:
    """Return the values in every width that a row needs, and each row's width in bytes."""
    values = np.ascontiguousarray(table.values, np.float32)
    with np.errstate(invalid="ignore"):  # a value that does not fit becomes arbitrary, which the comparison finds
        short = values.astype(np.int16)
    exact = short.astype(np.float32).view(np.uint32) == values.view(np.uint32)
    if bool(exact.all()):
        return {2: _view(short, ">i2")}, np.full(len(table), 2)
    value_counts = table.value_counts
    fits = np.logical_and.reduceat(exact, np.cumsum(value_counts) - value_counts)
    packed = {4: _view(values, ">f4")}
    if bool(fits.any()):
        packed[2] = _view(short, ">i2")
    return packed, np.where(fits, 2, 4)


def _view(values: NDArray[Any], kind: str) -> memoryview:
    """Return values in another format as bytes; values that do not fit are not used."""
    return values.astype(kind).view(np.uint8).data


def _row(data: bytes, at: int) -> tuple[_Row, int]:
    # the number of fields first, then each field after its size
    _, *fields, steps_size = _READ_ROW.unpack_from(data, at)
    user_id, segment_id, starts_run, late, offset_us, device_us, received_us, n, channels = fields[1::2]
    at += _READ_ROW.size
    if n <= 0 or channels <= 0 or steps_size < 0:
        raise StoreError(f"sample_blocks: a row of {n} samples of {channels} channels was not written by this program")
    half = at + steps_size // 2
    end = at + steps_size
    (size,) = _SIZE.unpack_from(data, end)
    values = end + _SIZE.size
    width, value_width = steps_size // (2 * n), size // (n * channels)
    fits = width in _TIMES and value_width in _VALUES and values + size <= len(data)
    if not fits or steps_size != 2 * n * width or size != n * channels * value_width:
        raise StoreError(
            f"sample_blocks: {n} samples of {channels} channels do not have {steps_size} bytes of times and {size} of "
            "values; the row was not written by this program"
        )
    flags = STARTS_RUN * starts_run | LATE * late
    scalars = (user_id, segment_id, offset_us, device_us, received_us, n, channels, flags)
    row = _Row(
        scalars=scalars,
        width=width,
        value_width=value_width,
        device=data[at:half],
        received=data[half:end],
        values=data[values : values + size],
    )
    return row, values + size


def _table(rows_of_width: list[_Row]) -> BlockTable:
    """Return rows whose columns have the same widths."""
    rows = np.array([row.scalars for row in rows_of_width], ROW)
    counts = rows["n_samples"].astype(np.int64)
    kind, value_kind = _TIMES[rows_of_width[0].width], _VALUES[rows_of_width[0].value_width]
    times = []
    for name, chunks in (
        ("device_us", [row.device for row in rows_of_width]),
        ("received_us", [row.received for row in rows_of_width]),
    ):
        offsets = np.frombuffer(b"".join(chunks), kind).astype(np.int64)
        if rows_of_width[0].width == 2:
            np.cumsum(offsets, out=offsets)
            offsets -= np.repeat(offsets[np.cumsum(counts) - counts], counts)
        times.append(offsets + np.repeat(rows[name], counts))
    values = np.frombuffer(b"".join([row.values for row in rows_of_width]), value_kind).astype(np.float32)
    return BlockTable(rows, times[0], times[1], values)
