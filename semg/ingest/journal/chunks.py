"""Split blocks into chunks: one per partition of the journal, each small enough for a message."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from semg.block_table import BlockTable
from semg.wire.messages import partition_of

MAX_MESSAGE_BYTES = 900_000
"""NATS refuses more than 1 MB (its default ``max_payload``), headers included."""


def in_partitions(table: BlockTable, partitions: int) -> list[BlockTable]:
    """Return the blocks of each partition, in their original order."""
    if partitions == 1:
        return [table]
    assigned = partition_of(table.rows["user_id"], partitions)
    return [table.where(assigned == number) for number in range(partitions)]


def in_messages(table: BlockTable, max_bytes: int = MAX_MESSAGE_BYTES) -> Iterator[BlockTable]:
    """Yield the blocks in chunks of at most ``max_bytes``; a larger block is a chunk of its own."""
    if table.n_bytes <= max_bytes:
        yield table
        return
    sizes = table.rows.itemsize + 8 * table.counts + 4 * table.value_counts
    first = size = 0
    for index, own in enumerate(sizes.tolist()):
        if index > first and size + own > max_bytes:
            yield table.take(np.arange(first, index))
            first, size = index, 0
        size += own
    yield table.take(np.arange(first, len(table)))
