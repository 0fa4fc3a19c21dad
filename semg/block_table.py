"""Blocks of many profiles as columns, as exchanged between socket, bus, inference and store.

A flush of two hundred wearers is two hundred blocks of a few samples each; as objects each would cost more than its
samples. Here a flush is four arrays, and operations apply to all blocks at once.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import Block

STARTS_RUN, LATE = 1, 2
"""Bits of a row's ``flags``."""

ROW = np.dtype(
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
"""A block: ``device_us`` and ``received_us`` are those of its first sample."""

MAX_SPAN_US = 1_000_000
"""A merged block covers less than this much device time: the length of a row in ``sample_blocks``."""


@dataclass(frozen=True, slots=True)
class BlockTable:
    """Blocks in order, each at least one sample.

    Attributes
    ----------
    rows
        ``ROW`` ``(k,)``, one per block.
    device_us
        int64 ``(n,)``, the concatenated samples of all blocks.
    received_us
        int64 ``(n,)``.
    values
        float32 ``(sum of n_samples * n_channels,)``, sample by sample.
    """

    rows: NDArray[np.void]
    device_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    values: NDArray[np.float32]

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def n_samples(self) -> int:
        """Number of samples of all blocks."""
        return len(self.device_us)

    @property
    def counts(self) -> NDArray[np.int64]:
        """Samples of each block, int64 ``(k,)``."""
        return self.rows["n_samples"].astype(np.int64)

    @property
    def value_counts(self) -> NDArray[np.int64]:
        """Values of each block, int64 ``(k,)``."""
        return np.asarray(self.counts * self.rows["n_channels"])

    @property
    def n_bytes(self) -> int:
        """Size of the blocks in a message, in bytes, without the header."""
        return self.rows.nbytes + 8 * self.n_samples + self.values.nbytes

    @classmethod
    def empty(cls) -> BlockTable:
        """Return a table without blocks."""
        none = np.empty(0, np.int64)
        return cls(np.empty(0, ROW), none, none, np.empty(0, np.float32))

    @classmethod
    def from_blocks(cls, blocks: Sequence[Block]) -> BlockTable:
        """Return the blocks as columns, in their order."""
        if not blocks:
            return cls.empty()
        rows = [
            (
                block.user_id,
                block.segment_id,
                block.clock_offset_us,
                block.device_us[0],
                block.received_us[0],
                *block.samples.shape,
                STARTS_RUN * block.starts_run | LATE * block.late,
            )
            for block in blocks
        ]
        return cls(
            np.array(rows, ROW),
            np.concatenate([block.device_us for block in blocks]),
            np.concatenate([block.received_us for block in blocks]),
            np.concatenate([np.asarray(block.samples, np.float32).ravel() for block in blocks]),
        )

    @classmethod
    def joined(cls, tables: Sequence[BlockTable]) -> BlockTable:
        """Return the concatenated blocks of all tables."""
        filled = [table for table in tables if len(table)]
        if len(filled) < 2:
            return filled[0] if filled else cls.empty()
        return cls(
            np.concatenate([table.rows for table in filled]),
            np.concatenate([table.device_us for table in filled]),
            np.concatenate([table.received_us for table in filled]),
            np.concatenate([table.values for table in filled]),
        )

    def blocks(self) -> list[Block]:
        """Return separate blocks, whose arrays are views of the columns."""
        rows, flags = self.rows, self.rows["flags"]
        columns = (
            rows["user_id"].tolist(),
            rows["segment_id"].tolist(),
            ((flags & STARTS_RUN) != 0).tolist(),
            ((flags & LATE) != 0).tolist(),
            rows["clock_offset_us"].tolist(),
            rows["n_channels"].tolist(),
            np.cumsum(self.counts).tolist(),
            np.cumsum(self.value_counts).tolist(),
        )  # as columns: a field of a row costs as much as the rest of a block
        blocks, at, value_at = [], 0, 0
        for user_id, segment_id, starts, late, offset, n_channels, end, value_end in zip(*columns, strict=True):
            samples = self.values[value_at:value_end].reshape(-1, n_channels)
            device_us, received_us = self.device_us[at:end], self.received_us[at:end]
            blocks.append(Block(user_id, segment_id, starts, late, offset, device_us, received_us, samples))
            at, value_at = end, value_end
        return blocks

    def take(self, indices: NDArray[np.int64]) -> BlockTable:
        """Return the blocks at these indices, in this order."""
        if len(indices) == len(self) and bool((indices[1:] > indices[:-1]).all()):
            return self
        rows = self.rows[indices]
        samples = _spread(self.counts, indices)
        channels = self.rows["n_channels"]
        if len(rows) and bool((channels == channels[0]).all()):
            values = self.values.reshape(-1, int(channels[0]))[samples].ravel()
        else:
            values = self.values[_spread(self.value_counts, indices)]
        return BlockTable(rows, self.device_us[samples], self.received_us[samples], values)

    def where(self, wanted: NDArray[np.bool_]) -> BlockTable:
        """Return the blocks that a mask ``(k,)`` chooses."""
        return self if bool(wanted.all()) else self.take(np.flatnonzero(wanted))

    def merged(self) -> BlockTable:
        """Return the same samples in fewer blocks, profile by profile.

        A block is added to the profile's previous one when it continues it: same segment, same clock offset, same
        channels, no run started, not late. The order of a profile's blocks is kept, but late ones go last.
        """
        if len(self) < 2:
            return self
        late = (self.rows["flags"] & LATE) != 0
        sorted_ = self.take(np.lexsort((late, self.rows["user_id"])))
        rows = sorted_.rows
        begins = np.empty(len(rows), bool)
        begins[0] = True
        begins[1:] = rows["flags"][1:] != 0
        for name in ("user_id", "segment_id", "clock_offset_us", "n_channels"):
            begins[1:] |= rows[name][1:] != rows[name][:-1]
        counts = sorted_.counts
        last_us = sorted_.device_us[np.cumsum(counts) - 1]
        _cut_long(begins, rows["device_us"], last_us)
        first = np.flatnonzero(begins)
        merged = rows[first]
        merged["n_samples"] = np.add.reduceat(counts, first)
        return BlockTable(merged, sorted_.device_us, sorted_.received_us, sorted_.values)


def _spread(counts: NDArray[np.int64], indices: NDArray[np.int64]) -> NDArray[np.int64]:
    """Return the indices of the items in the groups at ``indices``, where all groups' sizes are ``counts``."""
    wanted = counts[indices]
    starts = (np.cumsum(counts) - counts)[indices]
    ends = np.cumsum(wanted)
    shift = np.repeat(starts - (ends - wanted), wanted)
    return np.asarray(shift + np.arange(len(shift)), np.int64)


def _cut_long(begins: NDArray[np.bool_], first_us: NDArray[np.int64], last_us: NDArray[np.int64]) -> None:
    """Let a group that would cover ``MAX_SPAN_US`` or more begin anew where it has to."""
    starts = np.flatnonzero(begins)
    ends = np.append(starts[1:], len(begins))
    for start, end in zip(starts.tolist(), ends.tolist(), strict=True) if _any_long(starts, first_us, last_us) else ():
        begun_us = int(first_us[start])
        for index in range(start + 1, end):
            if int(last_us[index]) - begun_us >= MAX_SPAN_US:
                begins[index] = True
                begun_us = int(first_us[index])


def _any_long(starts: NDArray[np.int64], first_us: NDArray[np.int64], last_us: NDArray[np.int64]) -> bool:
    return bool((np.maximum.reduceat(last_us, starts) - first_us[starts] >= MAX_SPAN_US).any())
