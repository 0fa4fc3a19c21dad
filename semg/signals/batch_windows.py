"""The streams of all profiles whose models want windows of one kind: their buffers as arrays. No I/O.

What a flush brings is handled in turns: in each, every profile takes at most one piece of its samples, of at most a
hop and up to the next session edge, so that a piece completes at most one window and a turn is the same array
operations for all profiles.
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
    """What streams of one group share.

    ``columns`` are the places of the model's channels in a sample of ``n_device_channels`` values.
    """

    window: WindowSpec
    conditioning: ConditioningSpec
    columns: tuple[int, ...]
    n_device_channels: int


@dataclass(frozen=True, slots=True, kw_only=True)
class DueSlots:
    """Windows that became due in one turn, of different streams.

    Attributes
    ----------
    slots
        Which streams, int64 ``(N,)``.
    windows
        float32 ``(N, C, T)``, conditioned.
    device_us, server_us, received_us
        Of each window's last sample, int64 ``(N,)``.
    starts_run
        Which are the first after a reset.
    numbers
        Of each stream, int64 ``(N,)``: another one when a session has begun or ended, so that what the classifier has
        learned of the electrodes' place is forgotten. A gap or a boot moves no electrode.
    """

    slots: NDArray[np.int64]
    windows: NDArray[np.float32]
    device_us: NDArray[np.int64]
    server_us: NDArray[np.int64]
    received_us: NDArray[np.int64]
    starts_run: NDArray[np.bool_]
    numbers: NDArray[np.int64]

    def take(self, places: NDArray[np.int64] | NDArray[np.bool_]) -> DueSlots:
        """Return some of the windows."""
        return DueSlots(
            slots=self.slots[places],
            windows=self.windows[places],
            device_us=self.device_us[places],
            server_us=self.server_us[places],
            received_us=self.received_us[places],
            starts_run=self.starts_run[places],
            numbers=self.numbers[places],
        )


@dataclass(frozen=True, slots=True)
class _SampleChunks:
    """Consecutive samples of a slot each, not yet taken; int64 or bool ``(k,)``."""

    slot: NDArray[np.int64]
    segment: NDArray[np.int64]
    offset_us: NDArray[np.int64]
    first: NDArray[np.int64]
    """Place of the first sample in the flush."""
    value: NDArray[np.int64]
    """Place of the first value in the flush."""
    count: NDArray[np.int64]
    starts: NDArray[np.bool_]
    whole: NDArray[np.bool_]
    """Begins where its block begins, so that what lies before it is looked at."""
    edge: NDArray[np.bool_]
    """Begins at a session's edge."""

    def take(self, places: NDArray[np.int64]) -> _SampleChunks:
        return _SampleChunks(
            self.slot[places], self.segment[places], self.offset_us[places], self.first[places],
            self.value[places], self.count[places], self.starts[places], self.whole[places], self.edge[places],
        )  # fmt: skip

    def behind(self, places: NDArray[np.int64], skipped: NDArray[np.int64], wide: int, edge: bool) -> _SampleChunks:
        """Return what is left of pieces behind their first ``skipped`` samples of ``wide`` values."""
        left = self.take(places)
        return replace(
            left,
            first=left.first + skipped,
            value=left.value + skipped * wide,
            count=left.count - skipped,
            starts=np.full(len(places), edge),
            whole=np.zeros(len(places), bool),
            edge=np.full(len(places), edge),
        )

    @staticmethod
    def joined(parts: list[_SampleChunks]) -> _SampleChunks:
        if len(parts) == 1:
            return parts[0]
        return _SampleChunks(
            np.concatenate([p.slot for p in parts]), np.concatenate([p.segment for p in parts]),
            np.concatenate([p.offset_us for p in parts]), np.concatenate([p.first for p in parts]),
            np.concatenate([p.value for p in parts]), np.concatenate([p.count for p in parts]),
            np.concatenate([p.starts for p in parts]), np.concatenate([p.whole for p in parts]),
            np.concatenate([p.edge for p in parts]),
        )  # fmt: skip


class BatchWindowStream:
    """Streams by slot. One thread at a time.

    A window equals, bit for bit, the one that ``WindowStream`` cuts offline from the same samples.
    """

    def __init__(self, kind: StreamSpec) -> None:
        self.kind = kind
        spec = kind.window
        self._length, self._hop = spec.window_samples, spec.hop_samples
        self._first_end = spec.settle_samples + spec.window_samples - 1
        # Before the first window all samples since the reset wait, later those since the last window.
        self._ring = spec.settle_samples + spec.window_samples + 2 * spec.hop_samples
        self._longest_step_us = 1.5e6 / spec.rate_hz + 1000  # as ingest, docs/wire.md
        self._columns = np.asarray(kind.columns, np.int64)
        self._back = np.arange(1 - self._length, 1)
        self._bank = BatchConditioner(kind.conditioning, len(kind.columns))
        self._free: list[int] = []
        self._samples = np.zeros((0, self._ring, len(kind.columns)), np.float32)  # conditioned up to the last window
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
        # Not where another worker, or this one before a restart, may have been.
        self._numbers[slot] = secrets.randbelow(MAX_STREAM_NUMBER) + 1
        self._edges.pop(slot, None)
        self.n_streams += 1
        return slot

    def remove_stream(self, slot: int) -> None:
        """Forget a stream; its slot may become another's."""
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
        self, table: BlockTable, places: NDArray[np.int64], slots: NDArray[np.int64], ends: NDArray[np.int64],
        value_ends: NDArray[np.int64],
    ) -> list[DueSlots]:  # fmt: skip
        """Take this group's blocks of a flush, and give the windows that become due.

        Late blocks, blocks that were seen before (the bus may deliver one again when a publish was retried) and
        blocks with another number of channels are left out.

        Parameters
        ----------
        places, slots
            Which blocks of the table, and the slot of each.
        ends, value_ends
            Cumulated numbers of samples and of values of all the table's blocks.
        """
        rows = table.rows[places]
        usable = (rows["flags"] & LATE == 0) & (rows["n_channels"] == self.kind.n_device_channels)
        if not usable.all():
            rows, places, slots = rows[usable], places[usable], slots[usable]
        counts = rows["n_samples"].astype(np.int64)
        left = _SampleChunks(
            slots,
            rows["segment_id"],
            rows["clock_offset_us"],
            ends[places] - counts,
            value_ends[places] - counts * self.kind.n_device_channels,
            counts,
            rows["flags"] & STARTS_RUN != 0,
            np.ones(len(rows), bool),
            np.zeros(len(rows), bool),
        )
        due: list[DueSlots] = []
        while len(left.slot):
            _, turn = np.unique(left.slot, return_index=True)
            pieces, later = left, []
            if len(turn) < len(left.slot):
                pieces = left.take(turn)
                later = [left.take(np.setdiff1d(np.arange(len(left.slot)), turn))]
            pieces, rest = self._shorten(self._accepted(table, pieces), table)
            left = _SampleChunks.joined([*rest, *later]) if rest or later else pieces.take(turn[:0])
            if len(pieces.slot) and (found := self._append(table, pieces)) is not None:
                due.append(found)
        return due

    def _accepted(self, table: BlockTable, pieces: _SampleChunks) -> _SampleChunks:
        """Leave out what was seen before, and start a run where the bus has lost what a block continues."""
        last_segment, last_us = self._last_segment[pieces.slot], self._last_us[pieces.slot]
        same = pieces.segment == last_segment
        newest_us = table.device_us[pieces.first + pieces.count - 1]
        known = (pieces.segment < last_segment) | (same & (newest_us <= last_us))
        steps = table.device_us[pieces.first] - last_us  # no step inside a run is that long
        lacking = pieces.whole & (~same | (steps > self._longest_step_us))
        pieces = replace(pieces, starts=pieces.starts | lacking)
        return pieces.take(np.flatnonzero(~known)) if known.any() else pieces

    def _shorten(self, pieces: _SampleChunks, table: BlockTable) -> tuple[_SampleChunks, list[_SampleChunks]]:
        """End each piece before the next session edge and after a hop at most; give what is left as well."""
        rest: list[_SampleChunks] = []
        last_us = table.device_us[pieces.first + pieces.count - 1] + pieces.offset_us
        for place in np.flatnonzero(self._next_edge_us[pieces.slot] <= last_us).tolist():
            at = self._edge_in(pieces, place, table)
            if at < pieces.count[place]:
                rest.append(pieces.behind(np.array([place]), np.array([at]), self.kind.n_device_channels, True))
                pieces.count[place] = at
        long = np.flatnonzero(pieces.count > self._hop)
        if len(long):
            skipped = np.full(len(long), self._hop)
            rest.insert(0, pieces.behind(long, skipped, self.kind.n_device_channels, False))
            pieces = replace(pieces, count=np.minimum(pieces.count, self._hop))
        return pieces, rest

    def _edge_in(self, pieces: _SampleChunks, place: int, table: BlockTable) -> int:
        """Return how many samples lie before the piece's first edge behind its beginning; edges before are done."""
        slot, count = int(pieces.slot[place]), int(pieces.count[place])
        first = int(pieces.first[place])
        server_us = table.device_us[first : first + count] + pieces.offset_us[place]
        edges, at = self._edges[slot], 0
        while at == 0 and edges and edges[0] <= server_us[-1]:
            at = int(np.searchsorted(server_us, edges.pop(0)))
            pieces.starts[place] |= at == 0
            pieces.edge[place] |= at == 0
        self._next_edge_us[slot] = edges[0] if edges else NEVER_US
        return at or count

    def _append(self, table: BlockTable, pieces: _SampleChunks) -> DueSlots | None:
        """Take a piece of each slot, and give the windows that it completes."""
        slots, count = pieces.slot, pieces.count
        if pieces.starts.any():
            self._reset(slots[pieces.starts])
            at_edge = slots[pieces.edge]
            self._numbers[at_edge] = self._numbers[at_edge] % MAX_STREAM_NUMBER + 1
        before = self._seen[slots]
        after = before + count
        owner = np.repeat(np.arange(len(slots)), count)
        within = np.arange(len(owner)) - np.repeat(np.cumsum(count) - count, count)
        values = (pieces.value[owner] + within * self.kind.n_device_channels)[:, None] + self._columns
        self._samples[slots[owner], (before[owner] + within) % self._ring] = table.values[values]
        self._seen[slots] = after
        last = pieces.first + count - 1
        self._last_segment[slots], self._last_us[slots] = pieces.segment, table.device_us[last]
        self._last_server_us[slots] = table.device_us[last] + pieces.offset_us
        end = self._next_end[slots]
        due = np.flatnonzero(end < after)
        if not len(due):
            return None
        place = (pieces.first + end - before)[due]
        return self._cut(slots[due], end[due], place, pieces.offset_us[due], table)

    def _cut(
        self, slots: NDArray[np.int64], end: NDArray[np.int64], place: NDArray[np.int64],
        offset_us: NDArray[np.int64], table: BlockTable,
    ) -> DueSlots | None:  # fmt: skip
        """Condition what waits up to each window's end, and cut the windows."""
        waiting = end + 1 - self._conditioned[slots]
        for n in np.unique(waiting).tolist():
            self._condition(slots[waiting == n], n)
        self._next_end[slots] = end + self._hop
        windows = self._samples[slots[:, None], (end[:, None] + self._back) % self._ring]
        fresh = self._fresh[slots]
        self._fresh[slots] = False
        device_us = table.device_us[place]
        due = DueSlots(
            slots=slots,
            windows=np.ascontiguousarray(windows.transpose(0, 2, 1)),
            device_us=device_us,
            server_us=device_us + offset_us,
            received_us=table.received_us[place],
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
        """Leave out windows with numbers that are none, and begin their streams anew: they concern nobody else."""
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
