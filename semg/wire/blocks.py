"""Sample blocks on the bus: a columnar message with the blocks of one or many profiles.

The same bytes serve ``semg.journal.<partition>`` (blocks of many profiles) and ``semg.samples.<userid>`` (blocks of
one). Little-endian throughout; ``docs/wire.md`` shows the layout.
"""

from __future__ import annotations

import struct

import numpy as np

from semg.block_table import ROW, BlockTable
from semg.domain import MAX_CHANNELS, Block
from semg.errors import WireError

MAGIC = b"SEB1"
_HEADER = struct.Struct("<4sIII")


def encode_table(table: BlockTable) -> bytes:
    """Return the message that carries the blocks in this order."""
    counts = table.counts
    device = (table.device_us - np.repeat(table.rows["device_us"], counts)).astype("<i4")
    received = (table.received_us - np.repeat(table.rows["received_us"], counts)).astype("<i4")
    head = _HEADER.pack(MAGIC, len(table), table.n_samples, 0)
    return b"".join([head, table.rows.tobytes(), device.tobytes(), received.tobytes(), table.values.tobytes()])


def decode_table(message: bytes) -> BlockTable:
    """Decode a message of blocks. The values are a read-only view of the message.

    Raises
    ------
    WireError
        With reason ``blocks_magic`` or ``blocks_size``. No byte string raises anything else.
    """
    if len(message) < _HEADER.size or message[:4] != MAGIC:
        raise WireError("blocks_magic", f"expected a message that starts with {MAGIC!r}, got {bytes(message[:4])!r}")
    _, n_blocks, total, _ = _HEADER.unpack_from(message)
    table_end = _HEADER.size + n_blocks * ROW.itemsize
    if len(message) < table_end:
        raise WireError("blocks_size", f"expected {n_blocks} table rows, got {len(message)} bytes in all")
    rows = np.frombuffer(message, ROW, n_blocks, _HEADER.size)
    counts = rows["n_samples"].astype(np.int64)
    channels = rows["n_channels"].astype(np.int64)
    expected = table_end + 8 * total + 4 * int((counts * channels).sum())
    legal = bool(np.all(counts >= 1) and np.all(channels >= 1) and np.all(channels <= MAX_CHANNELS))
    if not legal or int(counts.sum()) != total or len(message) != expected:
        raise WireError("blocks_size", f"expected {expected} bytes by the table, got {len(message)}")
    device_us = np.frombuffer(message, "<i4", total, table_end) + np.repeat(rows["device_us"], counts)
    received_us = np.frombuffer(message, "<i4", total, table_end + 4 * total) + np.repeat(rows["received_us"], counts)
    return BlockTable(rows, device_us, received_us, np.frombuffer(message, "<f4", -1, table_end + 8 * total))


def decode_blocks(message: bytes) -> list[Block]:
    """Decode a message into separate blocks.

    Raises
    ------
    WireError
        As ``decode_table``.
    """
    return decode_table(message).blocks()
