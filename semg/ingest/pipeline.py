"""A batch of datagrams to blocks: everything between the socket and the bus, without I/O."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import TypeAlias

from semg.domain import Block, Device
from semg.ingest.boards import FIRST_BYTE, Boards, KnownBoard
from semg.ingest.counters import Address, Counters, Sources
from semg.ingest.decoder import decode_batch
from semg.ingest.tracker import Tracker

Datagram: TypeAlias = tuple[bytes, int, Address]
"""``(bytes, received_us, address)``."""

TRACKER_IDLE_US = 120_000_000
"""A profile that is silent for this long starts a new segment afterwards, and costs no memory until then."""


class Pipeline:
    """Decodes, authenticates and orders what arrives. Not safe to use from several threads.

    A profile gets samples from one place at a time: when a board that is assigned to it begins to send, or text
    begins to come, what came before ends and a new segment starts.

    Parameters
    ----------
    wait_us
        How long a suspected gap is held open.
    counters
        Counted up here; a dropped datagram under its reason.
    """

    def __init__(self, wait_us: int, counters: Counters) -> None:
        self.counters = counters
        self.sources = Sources(counters)
        self._wait_us = wait_us
        self._devices: dict[int, Device] = {}
        self._trackers: dict[int, Tracker] = {}
        self._touched: dict[int, Tracker] = {}
        self._holding: set[int] = set()
        self._ready: list[Block] = []
        self._evicted_us = 0
        self.boards = Boards(wait_us, counters, self._ready.append, self._end_tracker)

    @property
    def holds(self) -> bool:
        """Whether samples wait for a gap to be filled, so that ``process`` must be called again soon."""
        return bool(self._holding or self._ready) or self.boards.holds

    @property
    def n_devices(self) -> int:
        """How many devices are known."""
        return len(self._devices)

    def set_registry(self, devices: Iterable[Device], boards: Iterable[KnownBoard]) -> None:
        """Take over the devices and the boards."""
        self.set_devices(devices)
        self.boards.set_boards(boards)

    def set_devices(self, devices: Iterable[Device]) -> None:
        """Take over the devices. A device that changed starts a run; one that is gone is forgotten."""
        known = {device.user_id: device for device in devices}
        for user_id, tracker in list(self._trackers.items()):
            old, new = self._devices.get(user_id), known.get(user_id)
            if new is None:
                del self._trackers[user_id]
                self._holding.discard(user_id)
            elif old != new:
                tracker.set_rate(new.rate_hz)
        self._devices = known
        self.boards.set_devices(known)

    def process(self, batch: Sequence[Datagram], now_us: int) -> list[Block]:
        """Give the blocks that a batch completes, and those whose wait for a missing sample is over."""
        touched = self._touched
        touched.clear()
        counters, devices, note = self.counters, self._devices, self.sources.note
        dropped = counters.dropped
        counters.received += len(batch)
        texts = iter(decode_batch([item[0] for item in batch if not item[0].startswith(FIRST_BYTE)]))
        for data, received_us, address in batch:
            source = note(address, received_us)
            if data.startswith(FIRST_BYTE):
                self.boards.push(data, received_us, source)
                continue
            sample = next(texts)
            if isinstance(sample, str):
                dropped[sample] += 1
                source.state = sample
                continue
            user_id, device_ms, values = sample
            source.user_id, source.device_ms, source.values = sample
            device = devices.get(user_id)
            refused = _refusal(device, len(values))
            if device is None or refused:
                dropped[refused] += 1
                source.state = refused
                continue
            source.state = "ok"
            tracker = touched.get(user_id)
            if tracker is None:
                tracker = touched[user_id] = self._tracker(device)
            tracker.push(device_ms, received_us, values)
            counters.accepted += 1
        return self._collect(touched, now_us)

    def finish(self, now_us: int) -> list[Block]:
        """Give all that is still held, without waiting longer."""
        self.boards.release(now_us, everything=True)
        for user_id in sorted(self._holding):
            self._end_tracker(user_id)
        return self._take_ready()

    def _end_tracker(self, user_id: int) -> int:
        """End a profile's text stream, and give its last segment's id (0 for none)."""
        tracker = self._trackers.pop(user_id, None)
        if tracker is None:
            return 0
        self._touched.pop(user_id, None)
        self._holding.discard(user_id)
        tracker.release(0, everything=True)
        self._ready += tracker.take()
        return tracker.segment_id

    def _take_ready(self) -> list[Block]:
        blocks = self._ready.copy()
        self._ready.clear()
        return blocks

    def _tracker(self, device: Device) -> Tracker:
        tracker = self._trackers.get(device.user_id)
        if tracker is None:
            after_id = self.boards.leave(device.user_id)
            tracker = Tracker(device.user_id, device.rate_hz, self._wait_us, self.counters, after_id)
            self._trackers[device.user_id] = tracker
        return tracker

    def _collect(self, touched: dict[int, Tracker], now_us: int) -> list[Block]:
        for user_id in self._holding:
            touched.setdefault(user_id, self._trackers[user_id])
        self.boards.release(now_us)
        blocks = self._take_ready()
        for user_id, tracker in touched.items():
            tracker.release(now_us)
            blocks += tracker.take()
            if tracker.holds:
                self._holding.add(user_id)
            else:
                self._holding.discard(user_id)
        if now_us - self._evicted_us > TRACKER_IDLE_US // 4 or now_us < self._evicted_us:
            self._evicted_us = now_us
            self._evict(now_us)
        return blocks

    def _evict(self, now_us: int) -> None:
        for user_id, tracker in list(self._trackers.items()):
            if now_us - tracker.seen_us > TRACKER_IDLE_US and not tracker.holds:
                del self._trackers[user_id]


def _refusal(device: Device | None, n_channels: int) -> str:
    """Give the reason why a profile does not accept a sample, or an empty text."""
    if device is None:
        return "unknown_profile"
    if not device.allow_v1:
        return "v1_not_allowed"
    if device.n_channels != n_channels:
        return "channel_count"
    return ""
