"""Sample blocks on the bus: a columnar message with the blocks of one or many profiles.

The same bytes serve ``semg.journal.<partition>`` (blocks of many profiles) and ``semg.samples.<userid>`` (blocks of
one). Little-endian throughout; ``docs/wire.md`` draws the layout.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence

import numpy as np

from semg.domain import MAX_CHANNELS, Block
from semg.errors import WireError

MAGIC = b"SEB1"
STARTS_RUN, LATE = 1, 2
_HEADER = struct.Struct("<4sIII")
_ROW = np.dtype(
    [
        ("user_id", "<i8"),
        ("segment_id", "<i8"),
        ("clock_offset_us", "<i8"),
        ("device_us", "<i8"),
        ("received_us", "<i8"),
        ("n_samples", "<u4"),
        ("n_channels", "<u2"),
        ("flags", "<u2"),
    ]
)


def encoded_size(block: Block) -> int:
    """Give the bytes that a block adds to a message."""
    return _ROW.itemsize + block.n_samples * 8 + block.samples.size * 4


def encode_blocks(blocks: Sequence[Block]) -> bytes:
    """Give the message that carries the blocks in this order. A block has at least one sample."""
    table, device, received, samples = [], [], [], []
    for block in blocks:
        flags = STARTS_RUN * block.starts_run | LATE * block.late
        first_device, first_received = block.device_us[0], block.received_us[0]
        clock = (block.segment_id, block.clock_offset_us, first_device, first_received)
        table.append((block.user_id, *clock, *block.samples.shape, flags))
        device.append((block.device_us - first_device).astype("<i4"))
        received.append((block.received_us - first_received).astype("<i4"))
        samples.append(np.ascontiguousarray(block.samples, "<f4").ravel())
    rows = np.array(table, _ROW)
    total = int(rows["n_samples"].sum())
    columns = [np.concatenate(column).tobytes() for column in (device, received, samples)] if blocks else []
    return b"".join([_HEADER.pack(MAGIC, len(blocks), total, 0), rows.tobytes(), *columns])


def decode_blocks(message: bytes) -> list[Block]:
    """Read a message of blocks. Arrays are read-only views of the message where possible.

    Raises
    ------
    WireError
        With reason ``blocks_magic`` or ``blocks_size``. No byte string raises anything else.
    """
    if len(message) < _HEADER.size or message[:4] != MAGIC:
        raise WireError("blocks_magic", f"expected a message that starts with {MAGIC!r}, got {bytes(message[:4])!r}")
    _, n_blocks, total, _ = _HEADER.unpack_from(message)
    table_end = _HEADER.size + n_blocks * _ROW.itemsize
    if len(message) < table_end:
        raise WireError("blocks_size", f"expected {n_blocks} table rows, got {len(message)} bytes in all")
    rows = np.frombuffer(message, _ROW, n_blocks, _HEADER.size)
    counts = rows["n_samples"].astype(np.int64)
    channels = rows["n_channels"].astype(np.int64)
    expected = table_end + 8 * total + 4 * int((counts * channels).sum())
    legal = bool(np.all(counts >= 1) and np.all(channels >= 1) and np.all(channels <= MAX_CHANNELS))
    if not legal or int(counts.sum()) != total or len(message) != expected:
        raise WireError("blocks_size", f"expected {expected} bytes by the table, got {len(message)}")
    device_us = np.frombuffer(message, "<i4", total, table_end) + np.repeat(rows["device_us"], counts)
    received_us = np.frombuffer(message, "<i4", total, table_end + 4 * total) + np.repeat(rows["received_us"], counts)
    values = np.frombuffer(message, "<f4", -1, table_end + 8 * total)
    ends, value_ends = np.cumsum(counts).tolist(), np.cumsum(counts * channels).tolist()
    flags = rows["flags"]
    columns = (
        rows["user_id"].tolist(),
        rows["segment_id"].tolist(),
        ((flags & STARTS_RUN) != 0).tolist(),
        ((flags & LATE) != 0).tolist(),
        rows["clock_offset_us"].tolist(),
    )  # as columns: a field of a row costs as much as the rest of a block
    blocks, at, value_at = [], 0, 0
    for user_id, segment_id, starts, late, offset, c, end, value_end in zip(
        *columns, channels.tolist(), ends, value_ends, strict=True
    ):
        samples = values[value_at:value_end].reshape(-1, c)
        blocks.append(Block(user_id, segment_id, starts, late, offset, device_us[at:end], received_us[at:end], samples))
        at, value_at = end, value_end
    return blocks
