"""Samples in ``sample_blocks``, and how far the journal has been copied there.

Rows travel in PostgreSQL's binary COPY format in both directions, built and read with numpy: values come back as the
float32 that they were. One row covers at most ``MAX_ROW_US``, so that a time range finds its rows by ``started_at``.
"""

from __future__ import annotations

import io
import struct
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta

import numpy as np

from semg.domain import Block, Session, us_from_utc, utc_from_us
from semg.errors import NotFoundError, StoreError
from semg.store.pool import Transaction, execute, one, rows

MAX_ROW_US = 1_000_000

_HEADER = b"PGCOPY\n\xff\r\n\0" + struct.pack(">ii", 0, 0)
_TRAILER = struct.pack(">h", -1)
_EPOCH_US = 946_684_800_000_000
"""2000-01-01, from which PostgreSQL counts, in microseconds of the Unix epoch."""

_INT8, _FLOAT4 = 20, 700
_ARRAY = struct.Struct(">iii")
_DIMENSION = struct.Struct(">ii")
_INT8_ITEM = np.dtype([("size", ">i4"), ("value", ">i8")])
_FLOAT4_ITEM = np.dtype([("size", ">i4"), ("value", ">f4")])
_ROW = struct.Struct(">h iq")
_SCALARS = struct.Struct(">iq iq i? i? iq")
_COLUMNS = (
    "user_id, session_id, started_at, segment_id, starts_run, late, clock_offset_us, device_us, received_us, samples"
)


def copy_blocks(tx: Transaction, blocks: Iterable[Block], session_id: int | None = None) -> int:
    """Write blocks, and give the number of rows.

    The caller has made sure that the profiles exist (``profiles.lock_existing``). The days' partitions are made.

    Parameters
    ----------
    session_id
        For imported samples: the session that they belong to.
    """
    pieces = [piece for block in blocks for piece in _pieces(block)]
    if not pieces:
        return 0
    starts = [int(piece.device_us[0]) + piece.clock_offset_us for piece in pieces]
    for day in sorted({utc_from_us(start).date() for start in starts}):
        ensure_partition(tx, day)
    body = [_HEADER]
    for piece, start in zip(pieces, starts, strict=True):
        body.append(_encoded_row(piece, start, session_id))
    body.append(_TRAILER)
    with tx.cursor() as cursor:
        cursor.copy_expert(
            f"COPY sample_blocks ({_COLUMNS}) FROM STDIN WITH (FORMAT binary)", io.BytesIO(b"".join(body))
        )
    return len(pieces)


def list_blocks(tx: Transaction, user_id: int, since: datetime, until: datetime) -> list[Block]:
    """Give what a profile's device sent, as blocks in time order, trimmed to ``[since, until)`` of server time.

    Segments follow one another whole, so that a block without ``starts_run`` continues the one before it that is not
    late. A block that lost its first samples to the trimming does not start a run.
    Imported samples belong to their sessions and are not among these.
    """
    query = "user_id = %s AND session_id IS NULL AND started_at >= %s AND started_at < %s"
    found = _read(tx, query, (user_id, since - timedelta(microseconds=MAX_ROW_US), until))
    since_us, until_us = us_from_utc(since), us_from_utc(until)
    trimmed = (_trimmed(block, since_us, until_us) for block in found)
    return [block for block in trimmed if block is not None]


def list_session_blocks(tx: Transaction, session: Session) -> list[Block]:
    """Give the samples of a session: those of its time, or those imported for it."""
    if session.origin == "capture":
        until = session.ended_at or datetime(9999, 1, 1, tzinfo=UTC)
        return list_blocks(tx, session.user_id, session.started_at, until)
    return list(_read(tx, "user_id = %s AND session_id = %s", (session.user_id, session.session_id)))


def count_samples(tx: Transaction, user_id: int) -> int:
    """Give the number of samples stored for a profile, imported and late ones included."""
    query = "SELECT coalesce(sum(n_samples), 0) AS n FROM sample_blocks WHERE user_id = %s"
    found = one(tx, query, (user_id,))
    return int(found.n) if found is not None else 0


def last_sample_at(tx: Transaction, user_id: int) -> datetime | None:
    """Give the server time of the last sample that a profile's device sent, or None."""
    found = one(
        tx,
        """
        SELECT device_us[n_samples] + clock_offset_us AS at_us FROM sample_blocks
        WHERE user_id = %s AND session_id IS NULL AND NOT late ORDER BY started_at DESC LIMIT 1
        """,
        (user_id,),
    )
    return None if found is None else utc_from_us(int(found.at_us))


def delete_blocks(tx: Transaction, user_id: int) -> int:
    """Erase all samples of a profile, and give the number of rows."""
    return execute(tx, "DELETE FROM sample_blocks WHERE user_id = %s", (user_id,))


def delete_session_blocks(tx: Transaction, session_id: int) -> int:
    """Erase the samples that were imported for a session, and give the number of rows."""
    return execute(tx, "DELETE FROM sample_blocks WHERE session_id = %s", (session_id,))


def ensure_partition(tx: Transaction, day: date) -> None:
    """Make the partition of a day (UTC) unless it is there."""
    execute(tx, "SELECT ensure_sample_partition(%s)", (day,))


def read_progress(tx: Transaction, stream: str, partition: int, created_at: datetime) -> int:
    """Give the last journal sequence that is stored, 0 for none or for an earlier stream of this name."""
    found = one(
        tx,
        "SELECT created_at, sequence FROM journal_progress WHERE stream = %s AND partition = %s",
        (stream, partition),
    )
    return int(found.sequence) if found is not None and found.created_at == created_at else 0


def lock_progress(tx: Transaction, stream: str, partition: int, created_at: datetime) -> int:
    """Give the last journal sequence that is stored, and let nobody else store until the transaction ends.

    Raises
    ------
    NotFoundError
        Another store task already reads a newer stream of this name: this one is gone.
    """
    execute(
        tx,
        """
        INSERT INTO journal_progress (stream, partition, created_at, sequence) VALUES (%s, %s, %s, 0)
        ON CONFLICT DO NOTHING
        """,
        (stream, partition, created_at),
    )
    (found,) = rows(
        tx,
        "SELECT created_at, sequence FROM journal_progress WHERE stream = %s AND partition = %s FOR UPDATE",
        (stream, partition),
    )
    if found.created_at > created_at:
        raise NotFoundError(f"stream {stream} of {created_at} was replaced at {found.created_at}: open it again")
    return int(found.sequence) if found.created_at == created_at else 0


def save_progress(tx: Transaction, stream: str, partition: int, created_at: datetime, sequence: int) -> None:
    """Save the last journal sequence that this transaction stores."""
    execute(
        tx,
        "UPDATE journal_progress SET created_at = %s, sequence = %s WHERE stream = %s AND partition = %s",
        (created_at, sequence, stream, partition),
    )


def _pieces(block: Block) -> Iterator[Block]:
    """Give the block in parts of at most ``MAX_ROW_US`` whose first sample is their earliest."""
    at, times = 0, block.device_us
    if int(times[-1] - times[0]) < MAX_ROW_US and bool(np.all(times[0] <= times)) and bool(np.all(times <= times[-1])):
        yield block
        return
    while at < block.n_samples:
        offsets = times[at:] - times[at]
        outside = np.flatnonzero((offsets < 0) | (offsets >= MAX_ROW_US))
        end = at + int(outside[0]) if outside.size else block.n_samples
        yield _cut(block, at, end)
        at = end


def _cut(block: Block, start: int, end: int) -> Block:
    return replace(
        block,
        starts_run=block.starts_run and start == 0,
        device_us=block.device_us[start:end],
        received_us=block.received_us[start:end],
        samples=block.samples[start:end],
    )


def _trimmed(block: Block, since_us: int, until_us: int) -> Block | None:
    server = block.server_us
    if server[0] >= since_us and server.max() < until_us:
        return block
    inside = np.flatnonzero((server >= since_us) & (server < until_us))
    # One range of indices: the samples of a row are in time order.
    return _cut(block, int(inside[0]), int(inside[-1]) + 1) if inside.size else None


def _encoded_row(block: Block, start_us: int, session_id: int | None) -> bytes:
    session = struct.pack(">i", -1) if session_id is None else struct.pack(">iq", 8, session_id)
    scalars = _SCALARS.pack(
        8, start_us - _EPOCH_US, 8, block.segment_id, 1, block.starts_run, 1, block.late, 8, block.clock_offset_us
    )  # fmt: skip
    arrays = (
        _encoded_array(block.device_us, _INT8, _INT8_ITEM),
        _encoded_array(block.received_us, _INT8, _INT8_ITEM),
        _encoded_array(block.samples, _FLOAT4, _FLOAT4_ITEM),
    )
    return b"".join((_ROW.pack(10, 8, block.user_id), session, scalars, *arrays))


def _encoded_array(values: np.ndarray, oid: int, item: np.dtype) -> bytes:
    items = np.empty(values.size, item)
    items["size"] = item["value"].itemsize
    items["value"] = values.ravel()
    dimensions = b"".join(_DIMENSION.pack(length, 1) for length in values.shape)
    size = _ARRAY.size + len(dimensions) + items.nbytes
    return b"".join((struct.pack(">i", size), _ARRAY.pack(values.ndim, 0, oid), dimensions, items.tobytes()))


def _read(tx: Transaction, condition: str, parameters: Sequence[object]) -> Iterator[Block]:
    with tx.cursor() as cursor:
        query = cursor.mogrify(
            f"SELECT {_COLUMNS} FROM sample_blocks WHERE {condition} "  # noqa: S608 - the conditions of this module
            "ORDER BY segment_id, started_at, received_us[1]",
            parameters,
        ).decode()
        out = io.BytesIO()
        cursor.copy_expert(f"COPY ({query}) TO STDOUT WITH (FORMAT binary)", out)
    view = out.getvalue()
    at = len(_HEADER)
    while view[at : at + 2] != _TRAILER:
        block, at = _decoded_row(view, at)
        yield block


def _decoded_row(data: bytes, at: int) -> tuple[Block, int]:
    _, _, user_id = _ROW.unpack_from(data, at)
    at += _ROW.size
    (session_size,) = struct.unpack_from(">i", data, at)
    at += 4 + max(0, session_size)
    _, _, _, segment_id, _, starts_run, _, late, _, offset = _SCALARS.unpack_from(data, at)
    at += _SCALARS.size
    device, at = _decoded_array(data, at, _INT8_ITEM, 1)
    received, at = _decoded_array(data, at, _INT8_ITEM, 1)
    samples, at = _decoded_array(data, at, _FLOAT4_ITEM, 2)
    block = Block(
        user_id=user_id,
        segment_id=segment_id,
        starts_run=starts_run,
        late=late,
        clock_offset_us=offset,
        device_us=device.astype(np.int64),
        received_us=received.astype(np.int64),
        samples=samples.astype(np.float32),
    )
    return block, at


def _decoded_array(data: bytes, at: int, item: np.dtype, n_dimensions: int) -> tuple[np.ndarray, int]:
    (size,) = struct.unpack_from(">i", data, at)
    found_dimensions, has_null, _ = _ARRAY.unpack_from(data, at + 4)
    if found_dimensions != n_dimensions or has_null:
        raise StoreError(
            f"sample_blocks: expected arrays of {n_dimensions} dimension(s) without NULL, got {found_dimensions}; "
            "the row was not written by this program"
        )
    start = at + 4 + _ARRAY.size
    shape = [_DIMENSION.unpack_from(data, start + 8 * axis)[0] for axis in range(n_dimensions)]
    values = np.frombuffer(data, item, int(np.prod(shape)), start + 8 * n_dimensions)["value"]
    return values.reshape(shape), at + 4 + size
