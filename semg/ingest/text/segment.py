"""One boot of a device that sends text: its clock, its newest sample, and its recent samples."""

from __future__ import annotations

from collections import OrderedDict, deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias

from semg.ingest.streams.device_clock import ClockFit
from semg.signals.packet_times import PacketTimes
from semg.wire.plausible_times import is_far

Sample: TypeAlias = tuple[int, int, tuple[float, ...]]
"""``(device_us, received_us, values)``; samples of one packet have been spread over it."""

SampleKey: TypeAlias = tuple[int, tuple[float, ...], int]
"""Key by which a duplicate of a sample is recognised: ``(stamp_us, values, ordinal)``."""

Recent: TypeAlias = Callable[[int], Iterable[SampleKey]]
"""Returns in order the keys of the samples from a device time on that were accepted in the batch."""

BACK_US = 500_000
"""A larger step back is a boot or a wrap of the counter."""

MISMATCH_US = 2_000_000
MISMATCH_SHARE = 0.1
"""How far a forward step may differ from the time between the arrivals before it counts as another boot."""

RECENT_US = 600_000
MAX_RECENT = 4096
_PACKETS_REMEMBERED = 64


class Arrival(NamedTuple):
    """A sample as sent in its datagram.

    Attributes
    ----------
    stamp_us
        The device's time, as sent.
    ordinal
        Number of earlier samples in the same datagram with the same stamp.
    """

    stamp_us: int
    received_us: int
    values: tuple[float, ...]
    ordinal: int
    epoch: bool

    @property
    def key(self) -> SampleKey:
        """The key that a duplicate of the sample would have."""
        return self.stamp_us, self.values, self.ordinal


@dataclass(frozen=True, slots=True, kw_only=True)
class BootState:
    """State of a stream: the boot, its newest sample, its clock."""

    segment_id: int
    epoch: bool
    newest_us: int
    newest_received_us: int
    clock: ClockFit


class Segment:
    """A boot of a device, from its first sample on."""

    __slots__ = (
        "_elsewhere", "_first", "_keys", "_n_since", "_packets", "clock", "emitted_us", "epoch", "newest_received_us",
        "newest_us", "recent", "segment_id", "times",
    )  # fmt: skip

    def __init__(self, segment_id: int, first: Arrival, period_us: float) -> None:
        self.segment_id = segment_id
        self.epoch = first.epoch
        self.clock = ClockFit()
        self.times = PacketTimes(period_us, first.stamp_us)
        self.newest_us = self.emitted_us = first.stamp_us
        self.newest_received_us = first.received_us
        self.recent: deque[SampleKey] = deque()
        self._first = first.stamp_us, first.received_us
        self._keys: set[SampleKey] = set()
        self._packets: OrderedDict[int, int] = OrderedDict()
        self._elsewhere: Recent | None = None
        self._n_since = 0

    def is_continued_by(self, arrival: Arrival, gap_us: float) -> bool:
        """Return whether a sample belongs to this boot: it follows, or the arrival times confirm its step ahead.

        One that continues it, but has come to lie far from its arrival step by step, does not.
        """
        step_us = arrival.stamp_us - self.times.stamp_us
        if arrival.epoch != self.epoch or step_us < -BACK_US:
            return False
        if is_far(arrival.stamp_us + self.clock.last_offset_us(), arrival.received_us):
            return False
        if step_us < gap_us:
            return True
        received_step_us = arrival.received_us - self.newest_received_us
        if abs(step_us - received_step_us) > MISMATCH_US + MISMATCH_SHARE * max(step_us, received_step_us):
            return False
        since_us = arrival.received_us - self._first[1]
        ahead_us = arrival.stamp_us - self._first[0] - since_us
        return ahead_us <= MISMATCH_US + MISMATCH_SHARE * since_us

    def time_of(self, arrival: Arrival) -> int | None:
        """Return a sample's time, µs: its stamp, or its time within its packet; None when the stamp stands still."""
        stamp_us, times = arrival.stamp_us, self.times
        if stamp_us >= times.stamp_us:
            if stamp_us > times.stamp_us and (times.n_in_packet > 1 or times.in_packets):
                self._remember_packet(times.stamp_us, times.newest_us)
            return times.next(stamp_us)
        before_us = self._packets.get(stamp_us)
        time_us = stamp_us if before_us is None else before_us + times.step_us
        self._remember_packet(stamp_us, time_us)
        return time_us

    def knows(self, key: SampleKey) -> bool:
        """Return whether a sample was seen recently."""
        if key[0] > self.times.stamp_us:
            return False
        if self._elsewhere is not None:
            accepted, self._elsewhere = self._elsewhere, None
            others = [other for other in accepted(self.newest_us - RECENT_US) if other not in self._keys]
            in_order = list(self.recent)
            at = max(0, len(in_order) - self._n_since)
            self.recent = deque(in_order[:at] + others + in_order[at:])
            self._keys.update(others)
        return key in self._keys

    def resume(self, newest_us: int, newest_received_us: int, recent: Recent) -> None:
        """Continue after samples that were accepted in the batch."""
        self._elsewhere = recent
        self._n_since = 0
        self.emitted_us = self.newest_us = newest_us
        self.newest_received_us = newest_received_us
        self.times.resume(newest_us)
        self.clock.continue_from(newest_us)

    def remember(self, key: SampleKey) -> None:
        """Remember a sample's key, so that a duplicate is recognised."""
        recent, keys = self.recent, self._keys
        recent.append(key)
        self._n_since += 1
        keys.add(key)
        oldest = self.times.stamp_us - RECENT_US
        while recent[0][0] < oldest or len(recent) > MAX_RECENT:
            keys.discard(recent.popleft())

    def _remember_packet(self, stamp_us: int, newest_us: int) -> None:
        self._packets[stamp_us] = newest_us
        if len(self._packets) > _PACKETS_REMEMBERED:
            self._packets.popitem(last=False)
