"""The streams of all profiles that send text, put in order and made into blocks.

Nearly every sample continues its profile's last one. Whether it does is seen for a whole batch at once; the samples
of a profile where anything else happens (a first sample, a gap, a repetition, a boot) go one by one through its
``TextStream``, which knows the rules.
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
from semg.wire.udp import EPOCH_MS_FROM

IDLE_US = 120_000_000
"""A profile that is silent for this long starts a new segment afterwards, and costs no memory until then."""

_HISTORY_US = 2 * RECENT_US
"""How long accepted samples can be asked for, by their arrival."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Batch:
    """Samples of many profiles in the order of their arrival, as columns.

    Attributes
    ----------
    places
        Each sample's profile, as its place in the registry, int64 ``(n,)``.
    device_ms, received_us
        int64 ``(n,)``.
    ordinals
        How many samples before it in the same datagram have the same time, int64 ``(n,)``.
    value_starts, values
        Where each sample's values begin in the float32 ``values``; there are as many as the device has channels.
    """

    places: NDArray[np.int64]
    device_ms: NDArray[np.int64]
    received_us: NDArray[np.int64]
    ordinals: NDArray[np.int64]
    value_starts: NDArray[np.int64]
    values: NDArray[np.float32]


@dataclass(frozen=True, slots=True)
class _Accepted:
    """Samples of a flush that continued their streams: one block a profile, in the order of the profiles' numbers."""

    newest_received_us: int
    table: BlockTable


class BatchTextStream:
    """Turns text samples into blocks. Not safe to use from several threads.

    Parameters
    ----------
    wait_us
        How long a suspected gap is held open.
    counters
        Counted up here.
    emit
        Called with blocks when they are ready, in order.
    take_over
        Called with a profile before its stream begins: ends what else is under way for the profile, and gives its
        last segment's id (0 for none).
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
        """Take over the registry. A device that changed starts a run; one that is gone is forgotten.

        ``Batch.places`` are places in the registry in the order of the profiles' numbers.
        """
        known = [devices[user_id] for user_id in sorted(devices)]
        if known == self._devices:
            return
        for place, device in enumerate(self._devices):
            tracker = self._trackers.get(device.user_id)
            if tracker is None:
                continue
            self._pull(place, tracker)
            new = devices.get(device.user_id)
            if new is None:
                del self._trackers[device.user_id]
                self._holding.discard(device.user_id)
            elif new != device:
                tracker.set_rate(new.rate_hz)
                self._emit_from(tracker)
        self._devices = known
        self._make_columns()
        for place, device in enumerate(self._devices):
            if device.user_id in self._trackers:
                self._put(place, self._trackers[device.user_id])

    def push(self, batch: Batch) -> None:
        """Take in samples."""
        if not len(batch.places):
            return
        order = np.argsort(batch.places, kind="stable")
        places, device_us, received_us = batch.places[order], batch.device_ms[order] * 1000, batch.received_us[order]
        begins = np.empty(len(places), bool)
        begins[0], begins[1:] = True, places[1:] != places[:-1]
        starts = np.flatnonzero(begins)
        own = places[starts]
        continues = self._continues(own, places, starts, device_us)
        if not continues.all():
            ends = np.append(starts[1:], len(places))
            for index in np.flatnonzero(~continues).tolist():
                self._push_alone(int(own[index]), batch, order[starts[index] : ends[index]])
            if not continues.any():
                return
            kept = np.repeat(continues, ends - starts)
            order, places, device_us, received_us = order[kept], places[kept], device_us[kept], received_us[kept]
            lengths = (ends - starts)[continues]
            starts, own = np.cumsum(lengths) - lengths, own[continues]
        self._accept(own, starts, device_us, received_us, batch.value_starts[order], batch.values)

    def release(self, now_us: int) -> None:
        """Stop waiting for missing samples whose time is over, and forget profiles that fell silent."""
        for user_id in list(self._holding):
            tracker = self._trackers[user_id]
            tracker.release(now_us)
            self._emit_from(tracker)
            if not tracker.holds:
                self._holding.discard(user_id)
                self._put(self._place_of(user_id), tracker)
        while self._history and not 0 <= now_us - self._history[0].newest_received_us <= _HISTORY_US:
            self._history.popleft()
        if not 0 <= now_us - self._evicted_us <= IDLE_US // 4:
            self._evicted_us = now_us
            self._evict(now_us)

    def end(self, user_id: int) -> int:
        """End a profile's stream: what it holds is emitted. Give its last segment's id (0 for none)."""
        tracker = self._trackers.pop(user_id, None)
        if tracker is None:
            return 0
        self._holding.discard(user_id)
        self._follows[self._place_of(user_id)] = False
        tracker.release(0, everything=True)
        self._emit_from(tracker)
        return tracker.segment_id

    def end_all(self) -> None:
        """Emit everything that is held, without waiting longer."""
        for user_id in sorted(self._holding):
            self.end(user_id)

    def _make_columns(self) -> None:
        """Make the columns anew; no stream is followed in them yet."""
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

    def _place_of(self, user_id: int) -> int:
        return int(np.searchsorted(self._user_ids, user_id))

    def _continues(
        self, own: NDArray[np.int64], places: NDArray[np.int64], starts: NDArray[np.int64], device_us: NDArray[np.int64]
    ) -> NDArray[np.bool_]:
        """Return of which profiles every sample follows the last one within a gap's length, bool ``(k,)``."""
        before = np.empty_like(device_us)
        before[1:] = device_us[:-1]
        before[starts] = self._newest_us[own]
        step = device_us - before
        follows = np.logical_and.reduceat((step > 0) & (step < self._gap_us[places]), starts)
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
        """Make one block of each profile's samples, which continue its stream."""
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

    def _push_alone(self, place: int, batch: Batch, samples: NDArray[np.int64]) -> None:
        """Pass a profile's samples, in the order of their arrival, through its tracker."""
        device = self._devices[place]
        tracker = self._trackers.get(device.user_id)
        if tracker is None:
            after_id = self._take_over(device.user_id)
            tracker = TextStream(device.user_id, device.rate_hz, self._wait_us, self._counters, after_id)
            self._trackers[device.user_id] = tracker
        self._pull(place, tracker)
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
            self._put(place, tracker)

    def _emit_from(self, tracker: TextStream) -> None:
        blocks = tracker.take()
        if blocks:
            self._emit(BlockTable.from_blocks(blocks))

    def _put(self, place: int, tracker: TextStream) -> None:
        """Follow a stream in the columns if nothing but its next sample is expected."""
        boot = tracker.boot
        if boot is None:
            return
        self._follows[place] = True
        self._epoch[place], self._segment_ids[place] = boot.epoch, boot.segment_id
        self._newest_us[place], self._newest_received_us[place] = boot.newest_us, boot.newest_received_us
        self._clocks.put(place, boot.clock)

    def _pull(self, place: int, tracker: TextStream) -> None:
        """Let a stream's tracker go on behind what was followed in the columns."""
        if not self._follows[place]:
            return
        self._follows[place] = False
        user_id, segment_id = int(self._user_ids[place]), int(self._segment_ids[place])
        tracker.resume(
            int(self._newest_us[place]),
            int(self._newest_received_us[place]),
            lambda since_us: self._recent(user_id, segment_id, since_us),
        )

    def _recent(self, user_id: int, segment_id: int, since_us: int) -> Iterator[SampleKey]:
        """Yield the keys of a segment's samples that were accepted in the columns."""
        for accepted in self._history:
            table = accepted.table
            place = int(np.searchsorted(table.rows["user_id"], user_id))
            if place == len(table) or table.rows["user_id"][place] != user_id:
                continue
            if table.rows["segment_id"][place] != segment_id:
                continue
            (block,) = table.take(np.array([place])).blocks()
            for device_us, values in zip(block.device_us.tolist(), block.samples.tolist(), strict=True):
                if device_us >= since_us:
                    yield device_us, tuple(values), 0

    def _evict(self, now_us: int) -> None:
        for user_id, tracker in list(self._trackers.items()):
            place = self._place_of(user_id)
            seen_us = max(tracker.seen_us, int(self._newest_received_us[place]))
            if now_us - seen_us > IDLE_US and not tracker.holds:
                self._follows[place] = False
                del self._trackers[user_id]


def _gathered(values: NDArray[np.float32], starts: NDArray[np.int64], widths: NDArray[np.int64]) -> NDArray[np.float32]:
    """Return the values of some samples, one sample behind the other."""
    width = int(widths[0])
    if len(values) % width == 0 and bool((widths == width).all()) and bool((starts % width == 0).all()):
        return values.reshape(-1, width)[starts // width].ravel()
    ends = np.cumsum(widths)
    return values[np.repeat(starts - (ends - widths), widths) + np.arange(int(ends[-1]))]
