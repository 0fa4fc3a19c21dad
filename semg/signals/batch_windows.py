"""Cut windows from the streams of all profiles whose models share a stream spec, with their buffers as arrays. No I/O.

A flush is processed in passes: in each, every profile takes at most one chunk of its samples, of at most a hop and up
to the next session edge, so that a chunk completes at most one window and a pass is the same array operations for all
profiles.
"""

from __future__ import annotations

import secrets
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from semg.block_table import LATE, STARTS_RUN, BlockTable
from semg.domain import ConditioningSpec, WindowSpec
from semg.signals.conditioning import BatchConditioner

NEVER_US = np.iinfo(np.int64).max
MAX_EDGES = 16
MAX_STREAM_NUMBER = 65_535
"""Numbers of streams go from 1 to this: two bytes in a request of windows (docs/wire.md)."""


@dataclass(frozen=True, slots=True)
class StreamSpec:
    """Window, conditioning and channels that the streams of one group share.

    ``columns`` are the indices of the model's channels in a sample of ``n_device_channels`` values.
    """

    window: WindowSpec
    conditioning: ConditioningSpec
    columns: tuple[int, ...]
    n_device_channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSlots:
    """Windows that became due in one pass, each of another stream.

    Attributes
    ----------
    slots
        Slot of each stream, int64 ``(N,)``.
    windows
        float32 ``(N, C, T)``, conditioned.
    device_us, server_us, received_us
        Of each window's last sample, int64 ``(N,)``.
    starts_run
        Which windows are the first after a reset, bool ``(N,)``.
    numbers
        Number of each stream, int64 ``(N,)``: it changes when a session begins or ends, so that the classifier discards
        what it has learned of the electrodes' placement. A gap or a boot moves no electrode.
    """

    slots: NDArray[np.int64]
    windows: NDArray[np.float32]
    device_us: NDArray[np.int64]
    server_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    starts_run: NDArray[np.bool_]
    numbers: NDArray[np.int64]

    def take(self, indices: NDArray[np.int64] | NDArray[np.bool_]) -> DueSlots:
        """Return a selection of the windows."""
        return DueSlots(
            slots=self.slots[indices],
            windows=self.windows[indices],
            device_us=self.device_us[indices],
            server_us=self.server_us[indices],
            received_us=self.received_us[indices],
            starts_run=self.starts_run[indices],
            numbers=self.numbers[indices],
        )


@dataclass(frozen=True, slots=True)
class _SampleChunks:
    """Chunks of consecutive samples of one slot each, not yet processed; int64 or bool ``(k,)``."""

    slot: NDArray[np.int64]
    segment: NDArray[np.int64]
    offset_us: NDArray[np.int64]
    first: NDArray[np.int64]
    """Index of the first sample in the flush."""
    value: NDArray[np.int64]
    """Index of the first value in the flush."""
    count: NDArray[np.int64]
    starts: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    """Whether the chunk begins at its block's beginning, so that the step before it is checked."""
    edge: NDArray[np.bool_]
    """Whether the chunk begins at a session's edge."""

    def take(self, indices: NDArray[np.int64]) -> _SampleChunks:
        return _SampleChunks(
            self.slot[indices], self.segment[indices], self.offset_us[indices], self.first[indices],
            self.value[indices], self.count[indices], self.starts[indices], self.whole[indices], self.edge[indices],
        )  # fmt: skip

    def behind(self, indices: NDArray[np.int64], skipped: NDArray[np.int64], wide: int, edge: bool) -> _SampleChunks:
        """Return the remainder of chunks after their first ``skipped`` samples of ``wide`` values."""
        left = self.take(indices)
        return replace(
            left,
            first=left.first + skipped,
            value=left.value + skipped * wide,
            count=left.count - skipped,
            starts=np.full(len(indices), edge),
            whole=np.zeros(len(indices), bool),
            edge=np.full(len(indices), edge),
        )

    @staticmethod
    def joined(chunks: list[_SampleChunks]) -> _SampleChunks:
        if len(chunks) == 1:
            return chunks[0]
        return _SampleChunks(
            np.concatenate([p.slot for p in chunks]), np.concatenate([p.segment for p in chunks]),
            np.concatenate([p.offset_us for p in chunks]), np.concatenate([p.first for p in chunks]),
            np.concatenate([p.value for p in chunks]), np.concatenate([p.count for p in chunks]),
            np.concatenate([p.starts for p in chunks]), np.concatenate([p.whole for p in chunks]),
            np.concatenate([p.edge for p in chunks]),
        )  # fmt: skip


class BatchWindowStream:
    """Window streams by slot. One thread at a time.

    A window is bitwise equal to the one that ``WindowStream`` cuts offline from the same samples.
    """

    def __init__(self, stream_spec: StreamSpec) -> None:
        self.stream_spec = stream_spec
        spec = stream_spec.window
        self._length, self._hop = spec.window_samples, spec.hop_samples
        self._first_end = spec.settle_samples + spec.window_samples - 1
        # Before the first window all samples since the reset are kept, later those since the last window.
        self._ring = spec.settle_samples + spec.window_samples + 2 * spec.hop_samples
        self._longest_step_us = 1.5e6 / spec.rate_hz + 1000  # as ingest, docs/wire.md
        self._columns = np.asarray(stream_spec.columns, np.int64)
        self._back = np.arange(1 - self._length, 1)
        self._bank = BatchConditioner(stream_spec.conditioning, len(stream_spec.columns))
        self._free: list[int] = []
        self._samples = np.zeros(
            (0, self._ring, len(stream_spec.columns)), np.float32
        )  # conditioned up to the last window
        self._seen, self._conditioned, self._next_end = (np.zeros(0, np.int64) for _ in range(3))  # since the reset
        self._last_segment, self._last_us, self._last_server_us = (np.zeros(0, np.int64) for _ in range(3))
        self._next_edge_us = np.zeros(0, np.int64)
        self._fresh = np.zeros(0, bool)
        self._numbers = np.zeros(0, np.int64)
        self._edges: dict[int, list[int]] = {}
        self.n_streams = 0
        self.not_finite = 0

    def add_stream(self) -> int:
        """Return the slot of a new stream."""
        if not self._free:
            self._make_room(max(8, 2 * len(self._seen)))
        slot = self._free.pop()
        self._reset(np.array([slot]))
        self._last_segment[slot] = self._last_us[slot] = self._last_server_us[slot] = -1
        self._next_edge_us[slot] = NEVER_US
        # Random, so that it differs from a number used by another worker, or by this one before a restart.
        self._numbers[slot] = secrets.randbelow(MAX_STREAM_NUMBER) + 1
        self._edges.pop(slot, None)
        self.n_streams += 1
        return slot

    def remove_stream(self, slot: int) -> None:
        """Remove a stream and free its slot."""
        self._free.append(slot)
        self._edges.pop(slot, None)
        self.n_streams -= 1

    def add_edge(self, slot: int, server_us: int) -> None:
        """Reset conditioning at the first sample from this server time on: a session starts or ends there."""
        edges = self._edges.setdefault(slot, [])
        if server_us > self._last_server_us[slot] and server_us not in edges:
            edges[:] = sorted([*edges, server_us])[-MAX_EDGES:]
            self._next_edge_us[slot] = edges[0]

    def push(
        self, table: BlockTable, indices: NDArray[np.int64], slots: NDArray[np.int64], ends: NDArray[np.int64],
        value_ends: NDArray[np.int64],
    ) -> list[DueSlots]:  # fmt: skip
        """Process this group's blocks of a flush and return the windows that become due.

        Late blocks, duplicates (the bus may deliver a block again when a publish was retried) and blocks with another
        number of channels are ignored.

        Parameters
        ----------
        indices, slots
            Indices of the blocks in the table, and the slot of each.
        ends, value_ends
            Cumulative numbers of samples and of values of all the table's blocks.
        """
        rows = table.rows[indices]
        usable = (rows["flags"] & LATE == 0) & (rows["n_channels"] == self.stream_spec.n_device_channels)
        if not usable.all():
            rows, indices, slots = rows[usable], indices[usable], slots[usable]
        counts = rows["n_samples"].astype(np.int64)
        left = _SampleChunks(
            slots,
            rows["segment_id"],
            rows["clock_offset_us"],
            ends[indices] - counts,
            value_ends[indices] - counts * self.stream_spec.n_device_channels,
            counts,
            rows["flags"] & STARTS_RUN != 0,
            np.ones(len(rows), bool),
            np.zeros(len(rows), bool),
        )
        due: list[DueSlots] = []
        while len(left.slot):
            _, newest_of_slot = np.unique(left.slot, return_index=True)
            chunks, later = left, []
            if len(newest_of_slot) < len(left.slot):
                chunks = left.take(newest_of_slot)
                later = [left.take(np.setdiff1d(np.arange(len(left.slot)), newest_of_slot))]
            chunks, rest = self._shorten(self._accepted(table, chunks), table)
            left = _SampleChunks.joined([*rest, *later]) if rest or later else chunks.take(newest_of_slot[:0])
            if len(chunks.slot) and (found := self._append(table, chunks)) is not None:
                due.append(found)
        return due

    def _accepted(self, table: BlockTable, chunks: _SampleChunks) -> _SampleChunks:
        """Remove duplicates, and start a run where the bus has lost the block before."""
        last_segment, last_us = self._last_segment[chunks.slot], self._last_us[chunks.slot]
        same = chunks.segment == last_segment
        newest_us = table.device_us[chunks.first + chunks.count - 1]
        known = (chunks.segment < last_segment) | (same & (newest_us <= last_us))
        steps = table.device_us[chunks.first] - last_us  # no step within a run is that long
        lacking = chunks.whole & (~same | (steps > self._longest_step_us))
        chunks = replace(chunks, starts=chunks.starts | lacking)
        return chunks.take(np.flatnonzero(~known)) if known.any() else chunks

    def _shorten(self, chunks: _SampleChunks, table: BlockTable) -> tuple[_SampleChunks, list[_SampleChunks]]:
        """End each chunk before the next session edge and after at most a hop; return the remainders as well."""
        rest: list[_SampleChunks] = []
        last_us = table.device_us[chunks.first + chunks.count - 1] + chunks.offset_us
        for index in np.flatnonzero(self._next_edge_us[chunks.slot] <= last_us).tolist():
            at = self._edge_in(chunks, index, table)
            if at < chunks.count[index]:
                rest.append(chunks.behind(np.array([index]), np.array([at]), self.stream_spec.n_device_channels, True))
                chunks.count[index] = at
        long = np.flatnonzero(chunks.count > self._hop)
        if len(long):
            skipped = np.full(len(long), self._hop)
            rest.insert(0, chunks.behind(long, skipped, self.stream_spec.n_device_channels, False))
            chunks = replace(chunks, count=np.minimum(chunks.count, self._hop))
        return chunks, rest

    def _edge_in(self, chunks: _SampleChunks, index: int, table: BlockTable) -> int:
        """Return how many samples precede the chunk's first inner edge, after handling the edges at its beginning."""
        slot, count = int(chunks.slot[index]), int(chunks.count[index])
        first = int(chunks.first[index])
        server_us = table.device_us[first : first + count] + chunks.offset_us[index]
        edges, at = self._edges[slot], 0
        while at == 0 and edges and edges[0] <= server_us[-1]:
            at = int(np.searchsorted(server_us, edges.pop(0)))
            chunks.starts[index] |= at == 0
            chunks.edge[index] |= at == 0
        self._next_edge_us[slot] = edges[0] if edges else NEVER_US
        return at or count

    def _append(self, table: BlockTable, chunks: _SampleChunks) -> DueSlots | None:
        """Append a chunk to each slot and return the windows that it completes."""
        slots, count = chunks.slot, chunks.count
        if chunks.starts.any():
            self._reset(slots[chunks.starts])
            at_edge = slots[chunks.edge]
            self._numbers[at_edge] = self._numbers[at_edge] % MAX_STREAM_NUMBER + 1
        before = self._seen[slots]
        after = before + count
        owner = np.repeat(np.arange(len(slots)), count)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        values = (chunks.value[owner] + within * self.stream_spec.n_device_channels)[:, None] + self._columns
        self._samples[slots[owner], (before[owner] + within) % self._ring] = table.values[values]
        self._seen[slots] = after
        last = chunks.first + count - 1
        self._last_segment[slots], self._last_us[slots] = chunks.segment, table.device_us[last]
        self._last_server_us[slots] = table.device_us[last] + chunks.offset_us
        end = self._next_end[slots]
        due = np.flatnonzero(end < after)
        if not len(due):
            return None
        index = (chunks.first + end - before)[due]
        return self._cut(slots[due], end[due], index, chunks.offset_us[due], table)

    def _cut(
        self, slots: NDArray[np.int64], end: NDArray[np.int64], index: NDArray[np.int64],
        offset_us: NDArray[np.int64], table: BlockTable,
    ) -> DueSlots | None:  # fmt: skip
        """Condition the pending samples up to each window's end, and cut the windows."""
        waiting = end + 1 - self._conditioned[slots]
        for n in np.unique(waiting).tolist():
            self._condition(slots[waiting == n], n)
        self._next_end[slots] = end + self._hop
        windows = self._samples[slots[:, None], (end[:, None] + self._back) % self._ring]
        fresh = self._fresh[slots]
        self._fresh[slots] = False
        device_us = table.device_us[index]
        due = DueSlots(
            slots=slots,
            windows=np.ascontiguousarray(windows.transpose(0, 2, 1)),
            device_us=device_us,
            server_us=device_us + offset_us,
            received_us=table.received_us[index],
            starts_run=fresh,
            numbers=self._numbers[slots],
        )
        good = np.asarray(np.isfinite(due.windows).all(axis=(1, 2)), bool)
        return due if good.all() else self._without_broken(due, good)

    def _condition(self, slots: NDArray[np.int64], n: int) -> None:
        done = self._conditioned[slots]
        where = (slots[:, None], (done[:, None] + np.arange(n)) % self._ring)
        self._samples[where] = self._bank.process(slots, done == 0, self._samples[where])
        self._conditioned[slots] = done + n

    def _without_broken(self, due: DueSlots, good: NDArray[np.bool_]) -> DueSlots | None:
        """Remove windows with values that are not finite and reset their streams, without effect on the others."""
        self._reset(due.slots[~good])
        self.not_finite += int(np.count_nonzero(~good))
        if not good.any():
            return None
        return due.take(good)

    def _reset(self, slots: NDArray[np.int64]) -> None:
        self._seen[slots] = self._conditioned[slots] = 0
        self._next_end[slots] = self._first_end
        self._fresh[slots] = True

    def _make_room(self, n: int) -> None:
        old = len(self._seen)
        for name in (
            "_samples", "_seen", "_conditioned", "_next_end", "_last_segment", "_last_us", "_last_server_us",
            "_next_edge_us", "_fresh", "_numbers",
        ):  # fmt: skip
            held = getattr(self, name)
            setattr(self, name, np.concatenate([held, np.zeros((n - old, *held.shape[1:]), held.dtype)]))
        self._bank.make_room(n)
        self._free += range(n - 1, old - 1, -1)
