"""Reorder the streams of all profiles that send text, and build blocks of samples.

Nearly every sample continues its profile's last one, which is checked for a whole batch at once; the samples of a
profile with any other event (a first sample, a gap, a duplicate, a boot) are passed one by one through its
``TextStream``, which implements the rules.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.block_table import ROW, BlockTable
from semg.domain import Device
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.device_clock import BatchClockFit, ClockFit
from semg.ingest.text.segment import RECENT_US, SampleKey
from semg.ingest.text.text_stream import MAX_BLOCK_US, TextStream
from semg.signals.gaps import gap_step_us
from semg.wire.plausible_times import are_surely_near
from semg.wire.udp import EPOCH_MS_FROM

IDLE_US = 120_000_000
"""A profile that is silent for this long starts a new segment afterwards, and uses no memory until then."""

_HISTORY_US = 2 * RECENT_US
"""How long after their arrival accepted samples can be looked up."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples of many profiles in order of arrival, as columns.

    Attributes
    ----------
    profile_indices
        Index of each sample's profile in the registry, int64 ``(n,)``.
    device_ms, received_us
        int64 ``(n,)``.
    ordinals
        Number of earlier samples in the same datagram with the same time, int64 ``(n,)``.
    value_starts, values
        Where each sample's values begin in the float32 ``values``; there are as many as the device has channels.
    """

    profile_indices: NDArray[np.int64]
    device_ms: NDArray[np.int64]
    received_us: NDArray[np.int64]
    ordinals: NDArray[np.int64]
    value_starts: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Accepted:
    """Samples of a flush that continued their streams: one block per profile, sorted by profile number."""

    newest_received_us: int
    table: BlockTable


class BatchTextStream:
    """Turns text samples into blocks. Not safe to use from several threads.

    Parameters
    ----------
    wait_us
        How long a suspected gap is held open.
    counters
        Incremented here.
    emit
        Called with blocks when they are ready, in order.
    take_over
        Called with a profile before its stream begins: ends any other stream of the profile and returns its last
        segment's id (0 for none).
    """

    def __init__(
        self,
        wait_us: int,
        counters: Counters,
        emit: Callable[[BlockTable], None],
        take_over: Callable[[int], int],
    ) -> None:
        self._emit = emit
        self._wait_us = wait_us
        self._counters = counters
        self._take_over = take_over
        self._devices: list[Device] = []
        self._trackers: dict[int, TextStream] = {}
        self._holding: set[int] = set()
        self._history: deque[_Accepted] = deque()
        self._evicted_us = 0
        self._make_columns()

    @property
    def holds(self) -> bool:
        """Whether samples wait for a gap to be filled."""
        return bool(self._holding)

    def clock_of(self, user_id: int) -> tuple[ClockFit, int] | None:
        """Return the clock of a profile that sends text and the resolution of its times, µs; None for any other."""
        tracker = self._trackers.get(user_id)
        return None if tracker is None or tracker.clock is None else (tracker.clock, tracker.resolution_us)

    def set_devices(self, devices: Mapping[int, Device]) -> None:
        """Apply the registry. A changed device starts a run; the state of a removed one is dropped.

        ``Batch.profile_indices`` index the registry sorted by profile number.
        """
        known = [devices[user_id] for user_id in sorted(devices)]
        if known == self._devices:
            return
        for index, device in enumerate(self._devices):
            tracker = self._trackers.get(device.user_id)
            if tracker is None:
                continue
            self._pull(index, tracker)
            new = devices.get(device.user_id)
            if new is None:
                del self._trackers[device.user_id]
                self._holding.discard(device.user_id)
            elif new != device:
                tracker.set_rate(new.rate_hz)
                self._emit_from(tracker)
        self._devices = known
        self._make_columns()
        for index, device in enumerate(self._devices):
            if device.user_id in self._trackers:
                self._put(index, self._trackers[device.user_id])

    def push(self, batch: Batch) -> None:
        """Process samples."""
        if not len(batch.profile_indices):
            return
        order = np.argsort(batch.profile_indices, kind="stable")
        profile_indices, device_us, received_us = (
            batch.profile_indices[order],
            batch.device_ms[order] * 1000,
            batch.received_us[order],
        )
        begins = np.empty(len(profile_indices), bool)
        begins[0], begins[1:] = True, profile_indices[1:] != profile_indices[:-1]
        starts = np.flatnonzero(begins)
        own = profile_indices[starts]
        continues = self._continues(own, profile_indices, starts, device_us, received_us)
        if not continues.all():
            ends = np.append(starts[1:], len(profile_indices))
            for index in np.flatnonzero(~continues).tolist():
                self._push_alone(int(own[index]), batch, order[starts[index] : ends[index]])
            if not continues.any():
                return
            kept = np.repeat(continues, ends - starts)
            order, profile_indices, device_us, received_us = (
                order[kept],
                profile_indices[kept],
                device_us[kept],
                received_us[kept],
            )
            lengths = (ends - starts)[continues]
            starts, own = np.cumsum(lengths) - lengths, own[continues]
        self._accept(own, starts, device_us, received_us, batch.value_starts[order], batch.values)

    def release(self, now_us: int) -> None:
        """Stop waiting for missing samples whose wait has expired, and drop the state of silent profiles."""
        for user_id in list(self._holding):
            tracker = self._trackers[user_id]
            tracker.release(now_us)
            self._emit_from(tracker)
            if not tracker.holds:
                self._holding.discard(user_id)
                self._put(self._index_of(user_id), tracker)
        while self._history and not 0 <= now_us - self._history[0].newest_received_us <= _HISTORY_US:
            self._history.popleft()
        if not 0 <= now_us - self._evicted_us <= IDLE_US // 4:
            self._evicted_us = now_us
            self._evict(now_us)

    def end(self, user_id: int) -> int:
        """End a profile's stream, emit what it holds and return its last segment's id (0 for none)."""
        tracker = self._trackers.pop(user_id, None)
        if tracker is None:
            return 0
        self._holding.discard(user_id)
        self._follows[self._index_of(user_id)] = False
        tracker.release(0, everything=True)
        self._emit_from(tracker)
        return tracker.segment_id

    def end_all(self) -> None:
        """Emit everything that is held, without waiting longer."""
        for user_id in sorted(self._holding):
            self.end(user_id)

    def _make_columns(self) -> None:
        """Rebuild the columns, with no stream tracked in them yet."""
        n = len(self._devices)
        self._user_ids = np.array([device.user_id for device in self._devices], np.int64)
        self._widths = np.array([device.n_channels for device in self._devices], np.int64)
        self._gap_us = gap_step_us(np.array([1e6 / device.rate_hz for device in self._devices]))
        self._follows = np.zeros(n, bool)
        self._epoch = np.zeros(n, bool)
        self._segment_ids = np.zeros(n, np.int64)
        self._newest_us = np.zeros(n, np.int64)
        self._newest_received_us = np.zeros(n, np.int64)
        self._clocks = BatchClockFit(n)

    def _index_of(self, user_id: int) -> int:
        return int(np.searchsorted(self._user_ids, user_id))

    def _continues(
        self,
        own: NDArray[np.int64],
        profile_indices: NDArray[np.int64],
        starts: NDArray[np.int64],
        device_us: NDArray[np.int64],
        received_us: NDArray[np.int64],
    ) -> NDArray[np.bool_]:
        """Return for which profiles every sample follows the last one within a gap's length, bool ``(k,)``."""
        before = np.empty_like(device_us)
        before[1:] = device_us[:-1]
        before[starts] = self._newest_us[own]
        step = device_us - before
        near = are_surely_near(device_us + self._clocks.offsets_us(profile_indices), received_us)
        follows = np.logical_and.reduceat((step > 0) & (step < self._gap_us[profile_indices]) & near, starts)
        last_us = device_us[np.append(starts[1:], len(device_us)) - 1]
        follows &= self._follows[own] & ((last_us >= EPOCH_MS_FROM * 1000) == self._epoch[own])
        return np.asarray(follows & (last_us - device_us[starts] < MAX_BLOCK_US))

    def _accept(
        self,
        own: NDArray[np.int64],
        starts: NDArray[np.int64],
        device_us: NDArray[np.int64],
        received_us: NDArray[np.int64],
        value_starts: NDArray[np.int64],
        values: NDArray[np.float32],
    ) -> None:
        """Build one block from each profile's samples, which continue its stream."""
        ends = np.append(starts[1:], len(device_us))
        before_us, last_us = self._newest_us[own], device_us[ends - 1]
        counts = ends - starts
        widths = self._widths[own]
        rows = np.zeros(len(own), ROW)
        rows["user_id"], rows["segment_id"] = self._user_ids[own], self._segment_ids[own]
        rows["clock_offset_us"] = self._clocks.advance(
            own, starts, device_us, received_us, device_us[starts], before_us
        )
        rows["device_us"], rows["received_us"] = device_us[starts], received_us[starts]
        rows["n_samples"], rows["n_channels"] = counts, widths
        self._newest_us[own] = last_us
        self._newest_received_us[own] = received_us[ends - 1]
        table = BlockTable(rows, device_us, received_us, _gathered(values, value_starts, np.repeat(widths, counts)))
        self._emit(table)
        self._history.append(_Accepted(int(received_us.max()), table))

    def _push_alone(self, index: int, batch: Batch, samples: NDArray[np.int64]) -> None:
        """Pass a profile's samples through its tracker in order of arrival."""
        device = self._devices[index]
        tracker = self._trackers.get(device.user_id)
        if tracker is None:
            after_id = self._take_over(device.user_id)
            tracker = TextStream(device.user_id, device.rate_hz, self._wait_us, self._counters, after_id)
            self._trackers[device.user_id] = tracker
        self._pull(index, tracker)
        width = device.n_channels
        for sample in samples.tolist():
            first = int(batch.value_starts[sample])
            values = tuple(batch.values[first : first + width].tolist())
            device_ms, received_us = int(batch.device_ms[sample]), int(batch.received_us[sample])
            tracker.push(device_ms, received_us, values, int(batch.ordinals[sample]))
        self._emit_from(tracker)
        if tracker.holds:
            self._holding.add(device.user_id)
        else:
            self._holding.discard(device.user_id)
            self._put(index, tracker)

    def _emit_from(self, tracker: TextStream) -> None:
        blocks = tracker.take()
        if blocks:
            self._emit(BlockTable.from_blocks(blocks))

    def _put(self, index: int, tracker: TextStream) -> None:
        """Track a stream in the columns if only its next sample is expected."""
        state = tracker.stream_state
        if state is None:
            return
        self._follows[index] = True
        self._epoch[index], self._segment_ids[index] = state.epoch, state.segment_id
        self._newest_us[index], self._newest_received_us[index] = state.newest_us, state.newest_received_us
        self._clocks.put(index, state.clock)

    def _pull(self, index: int, tracker: TextStream) -> None:
        """Move a stream back to its tracker, after the samples that were accepted in the columns."""
        if not self._follows[index]:
            return
        self._follows[index] = False
        user_id, segment_id = int(self._user_ids[index]), int(self._segment_ids[index])
        tracker.resume(
            int(self._newest_us[index]),
            int(self._newest_received_us[index]),
            lambda since_us: self._recent(user_id, segment_id, since_us),
        )

    def _recent(self, user_id: int, segment_id: int, since_us: int) -> Iterator[SampleKey]:
        """Yield the keys of a segment's samples that were accepted in the columns."""
        for accepted in self._history:
            table = accepted.table
            index = int(np.searchsorted(table.rows["user_id"], user_id))
            if index == len(table) or table.rows["user_id"][index] != user_id:
                continue
            if table.rows["segment_id"][index] != segment_id:
                continue
            (block,) = table.take(np.array([index])).blocks()
            for device_us, values in zip(block.device_us.tolist(), block.samples.tolist(), strict=True):
                if device_us >= since_us:
                    yield device_us, tuple(values), 0

    def _evict(self, now_us: int) -> None:
        for user_id, tracker in list(self._trackers.items()):
            index = self._index_of(user_id)
            seen_us = max(tracker.seen_us, int(self._newest_received_us[index]))
            if now_us - seen_us > IDLE_US and not tracker.holds:
                self._follows[index] = False
                del self._trackers[user_id]


def _gathered(values: NDArray[np.float32], starts: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the concatenated values of some samples."""
    width = int(widths[0])
    if len(values) % width == 0 and bool((widths == width).all()) and bool((starts % width == 0).all()):
        return values.reshape(-1, width)[starts // width].ravel()
    ends = np.cumsum(widths)
    return values[np.repeat(starts - (ends - widths), widths) + np.arange(int(ends[-1]))]
