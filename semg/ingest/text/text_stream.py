"""Reorder one profile's stream: boots, gaps, duplicates, late samples.

The rules are those of ``docs/wire.md``, "How the server reads a device's time". Decisions depend only on the device
times and the arrival times of the samples, not on how they are split into batches.
"""

from __future__ import annotations

from bisect import insort
from operator import itemgetter

import numpy as np

from semg.domain import Block
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.device_clock import ClockFit
from semg.ingest.text.segment import BACK_US, Arrival, BootState, Recent, Sample, Segment
from semg.signals.gaps import gap_step_us
from semg.wire.udp import EPOCH_MS_FROM

STREAK = 16
"""This many late samples in a row with growing device time mean that the board has restarted."""

BOOT_MISMATCH_US = 200_000
"""How far the step after a boot's first sample may differ from the time between the arrivals."""

BOOT_PERIODS = 8
"""Minimum number of periods for which the possible first sample of a boot waits for one that continues it."""

UNIT_STEPS = 300, 3000
"""Steps of this many periods mean that microseconds were sent as milliseconds."""

MAX_HELD = 4096
MAX_BLOCK_US = 1_000_000


class _Group:
    """Samples that will become one block."""

    __slots__ = ("late", "samples", "segment", "starts_run", "width")

    def __init__(self, segment: Segment, starts_run: bool, late: bool, sample: Sample) -> None:
        self.segment = segment
        self.starts_run = starts_run
        self.late = late
        self.width = len(sample[2])
        self.samples = [sample]

    def takes(self, segment: Segment, sample: Sample) -> bool:
        """Return whether the sample continues the group's block."""
        return (
            self.segment is segment
            and len(sample[2]) == self.width
            and sample[0] >= self.samples[-1][0]
            and sample[0] - self.samples[0][0] < MAX_BLOCK_US
        )


class TextStream:
    """Turns a profile's samples into blocks as they arrive.

    Parameters
    ----------
    user_id
        The profile.
    rate_hz
        The device's nominal rate: what a gap is (``semg.signals.gaps``) follows from it.
    wait_us
        How long a gap is held open for samples that another one overtook.
    counters
        Incremented here.
    after_id
        The id of the profile's last segment, if it had another stream before this one.
    """

    def __init__(self, user_id: int, rate_hz: float, wait_us: int, counters: Counters, after_id: int = 0) -> None:
        self.user_id = user_id
        self.segment_id = after_id
        self.seen_us = 0
        self._wait_us = wait_us
        self._counts = counters.of(user_id)
        self._segment: Segment | None = None
        self._previous: Segment | None = None
        self._held: list[Sample] = []
        self._deadline_us = 0
        self._pending: Arrival | None = None
        self._packet: list[tuple[Arrival, bool]] = []
        self._groups: list[_Group] = []
        self._open: _Group | None = None
        self._open_late: _Group | None = None
        self._broken = True
        self._streak = 0
        self._streak_from = (0, 0)
        self._streak_us = 0
        self.set_rate(rate_hz)

    @property
    def holds(self) -> bool:
        """Whether samples wait: for a gap to be filled, for the rest of a packet, or for confirmation of a boot."""
        return bool(self._held or self._packet) or self._pending is not None

    @property
    def clock(self) -> ClockFit | None:
        """The clock of the current boot; None before the first sample."""
        return None if self._segment is None else self._segment.clock

    @property
    def resolution_us(self) -> int:
        """Smallest step of the device's stamps, which limits the resolution of its times."""
        return 0 if self._segment is None else self._segment.times.resolution_us

    def set_rate(self, rate_hz: float) -> None:
        """Apply a changed device; the next block starts a run."""
        self.release(0, everything=True)
        self._period_us = 1e6 / rate_hz
        self._gap_us = gap_step_us(self._period_us)
        if self._segment is not None:
            self._segment.times.set_period(self._period_us)
        self._broken = True

    @property
    def stream_state(self) -> BootState | None:
        """State of the stream if only its next sample is expected; None otherwise."""
        segment = self._segment
        if segment is None or self.holds or self._broken or segment.emitted_us != segment.newest_us:
            return None
        if not segment.times.is_plain or segment.times.in_packets:
            return None
        return BootState(
            segment_id=segment.segment_id,
            epoch=segment.epoch,
            newest_us=segment.newest_us,
            newest_received_us=segment.newest_received_us,
            clock=segment.clock,
        )

    def resume(self, newest_us: int, newest_received_us: int, recent: Recent) -> None:
        """Continue after samples accepted in the batch since ``stream_state`` was read; each continued the last."""
        assert self._segment is not None
        if newest_us > self._segment.newest_us:
            self.seen_us = newest_received_us
            self._streak = 0
            self._segment.resume(newest_us, newest_received_us, recent)

    def push(self, device_ms: int, received_us: int, values: tuple[float, ...], ordinal: int = 0) -> None:
        """Process a sample as sent in its datagram, at its arrival time.

        ``ordinal`` counts the earlier samples in the same datagram with the same time, which are no duplicates.
        """
        self.seen_us = received_us
        if self.holds and received_us >= self._next_deadline_us():
            self.release(received_us)
        arrival = Arrival(device_ms * 1000, received_us, values, ordinal, device_ms >= EPOCH_MS_FROM)
        if self._packet and arrival.stamp_us != self._packet[0][0].stamp_us:
            self._take_packet()
        segment = self._segment
        if segment is not None and (segment.knows(arrival.key) or self._holds_duplicate(arrival)):
            times = segment.times
            if arrival.stamp_us == times.stamp_us and times.n_in_packet < times.packet_size:
                self._packet.append((arrival, True))
            else:
                self._counts.drop("duplicate")
        elif self._packet:
            self._packet.append((arrival, False))
        else:
            self._take_arrival(arrival)

    def release(self, now_us: int, *, everything: bool = False) -> None:
        """Stop waiting for missing samples whose wait has expired (``everything``: for all)."""
        if self._packet and (everything or _is_over(self._packet[0][0], self._wait_us, now_us)):
            self._take_packet()
        if self._held:
            self._release(now_us, everything=everything)
        if self._pending is not None and (everything or _is_over(self._pending, self._boot_wait_us, now_us)):
            self._settle_pending()

    def take(self) -> list[Block]:
        """Return the blocks that are ready, in order, including late ones."""
        groups, self._groups = self._groups, []
        self._open = self._open_late = None
        return [self._block(group) for group in groups]

    @property
    def _boot_wait_us(self) -> int:
        return max(self._wait_us, round(BOOT_PERIODS * self._period_us))

    def _next_deadline_us(self) -> int:
        """Return when the first wait ends."""
        ends = [self._deadline_us] if self._held else []
        ends += [arrival.received_us + self._wait_us for arrival, _ in self._packet[:1]]
        ends += [] if self._pending is None else [self._pending.received_us + self._boot_wait_us]
        return min(ends)

    def _holds_duplicate(self, arrival: Arrival) -> bool:
        return any(held.key == arrival.key for held, _ in self._packet)

    def _take_packet(self) -> None:
        """Process the samples of a packet that were held because one of them equals another in every field.

        It is a second sample where the packet would be too short without it, otherwise a duplicate.
        """
        packet, self._packet = self._packet, []
        assert self._segment is not None
        times = self._segment.times
        missing = times.packet_size - times.n_in_packet - sum(1 for _, is_duplicate in packet if not is_duplicate)
        for arrival, is_duplicate in packet:
            if is_duplicate and missing <= 0:
                self._counts.drop("duplicate")
                continue
            missing -= is_duplicate
            self._take_arrival(arrival)

    def _take_arrival(self, arrival: Arrival) -> None:
        """Process a sample that is no duplicate."""
        segment = self._segment
        if segment is None:
            self._begin(arrival)
        elif segment.is_continued_by(arrival, self._gap_us):
            time_us = segment.time_of(arrival)
            if time_us is None:
                self._counts.drop("time_stands")
                return
            sample = (time_us, arrival.received_us, arrival.values)
            if time_us < segment.emitted_us:
                self._take_late(segment, arrival, sample)
            else:
                self._accept(segment, arrival, sample)
        elif not self._belongs_to_previous(arrival):
            self._consider_boot(arrival)

    def _consider_boot(self, arrival: Arrival) -> None:
        """Begin a boot once two samples confirm it: one alone may be another board's, or in another unit of time."""
        first = self._pending
        if first is None:
            self._pending = arrival
        elif first.key == arrival.key:
            self._counts.drop("duplicate")
        elif self._is_behind(first, arrival):
            self._pending = None
            self._begin(first)
            self._take_arrival(arrival)
        else:
            step = (arrival.stamp_us - first.stamp_us) / self._period_us
            self._counts.drop("time_unit" if UNIT_STEPS[0] <= step <= UNIT_STEPS[1] else "time_jump")
            self._pending = arrival

    def _is_behind(self, first: Arrival, second: Arrival) -> bool:
        """Return whether a sample continues the possible first sample of a boot."""
        step_us, received_step_us = second.stamp_us - first.stamp_us, second.received_us - first.received_us
        if first.epoch != second.epoch or step_us < -BACK_US:
            return False
        return step_us < self._gap_us or abs(step_us - received_step_us) <= BOOT_MISMATCH_US

    def _settle_pending(self) -> None:
        """Decide on a sample that no other continued: a stray if the stream has continued, otherwise a boot."""
        first, self._pending = self._pending, None
        assert first is not None
        assert self._segment is not None
        if self._segment.newest_received_us > first.received_us:
            self._counts.drop("time_jump")
        else:
            self._begin(first)

    def _belongs_to_previous(self, arrival: Arrival) -> bool:
        """Process a sample of the previous boot that the new boot overtook; return whether it is one."""
        previous = self._previous
        if previous is None or arrival.epoch != previous.epoch:
            return False
        apart_us = abs(arrival.stamp_us - previous.times.stamp_us)
        if max(apart_us, arrival.received_us - previous.newest_received_us) > BACK_US:
            return False
        sample = (arrival.stamp_us, arrival.received_us, arrival.values)
        if previous.knows(arrival.key):
            self._counts.drop("duplicate")
        elif self._is_boot(sample):
            return False
        else:
            previous.remember(arrival.key)
            self._emit_late(previous, sample)
        return True

    def _begin(self, first: Arrival) -> None:
        """Begin a boot and emit its first sample."""
        self._release(first.received_us, everything=True)
        if self._pending is not None:
            self._pending = None
            self._counts.drop("time_jump")
        self._previous = self._segment
        self.segment_id = max(first.received_us, self.segment_id + 1)
        segment = self._segment = Segment(self.segment_id, first, self._period_us)
        segment.remember(first.key)
        segment.clock.add(first.stamp_us, first.received_us)
        self._broken = True
        self._streak = 0
        self._counts.note("segments")
        self._emit(segment, (first.stamp_us, first.received_us, first.values))

    def _accept(self, segment: Segment, arrival: Arrival, sample: Sample) -> None:
        """Accept a sample that no emitted sample has overtaken."""
        device_us, received_us, _ = sample
        self._streak = 0
        if device_us >= segment.newest_us:
            segment.newest_us, segment.newest_received_us = device_us, received_us
        segment.remember(arrival.key)
        segment.clock.add(device_us, received_us)
        held = self._held
        if not held:
            if device_us - segment.emitted_us < self._gap_us:
                self._emit(segment, sample)
                return
            self._deadline_us = received_us + self._wait_us
        insort(held, sample, key=itemgetter(0))
        self._drain(segment)
        if len(held) > MAX_HELD:
            self._release(received_us, everything=True)

    def _take_late(self, segment: Segment, arrival: Arrival, sample: Sample) -> None:
        """Process a sample that emitted ones have overtaken; enough of them in a row are a new boot."""
        if self._is_boot(sample):
            self._begin(arrival)
            return
        segment.remember(arrival.key)
        self._emit_late(segment, sample)

    def _is_boot(self, sample: Sample) -> bool:
        """Return whether the late samples in a row, including this one, show that the board has restarted."""
        device_us, received_us, _ = sample
        if self._streak and device_us >= self._streak_us:
            self._streak += 1
        else:
            self._streak, self._streak_from = 1, (device_us, received_us)
        self._streak_us = device_us
        first_us, first_received_us = self._streak_from
        # A delayed burst of packets also arrives in order, but at once; a running board sends at its own rate.
        at_pace = received_us - first_received_us >= (device_us - first_us) // 2
        return self._streak >= STREAK and device_us > first_us and at_pace

    def _drain(self, segment: Segment) -> None:
        """Emit held samples as far as they continue what was emitted."""
        held, n = self._held, 0
        while n < len(held) and held[n][0] - segment.emitted_us < self._gap_us:
            self._emit(segment, held[n])
            n += 1
        del held[:n]

    def _release(self, now_us: int, *, everything: bool = False) -> None:
        """Skip gaps whose wait has expired; a server clock that was set back ends the wait as well."""
        segment, held = self._segment, self._held
        while segment is not None and held:
            since = min(sample[1] for sample in held)
            self._deadline_us = since + self._wait_us
            if not everything and since <= now_us < self._deadline_us:
                return
            step = held[0][0] - segment.emitted_us
            self._counts.note("missing", max(0, round(step / self._period_us) - 1))
            self._broken = True
            self._emit(segment, held.pop(0))
            self._drain(segment)

    def _emit(self, segment: Segment, sample: Sample) -> None:
        segment.emitted_us = sample[0]
        group = self._open
        if group is not None and not self._broken and group.takes(segment, sample):
            group.samples.append(sample)
            return
        if group is not None and group.width != len(sample[2]):
            self._broken = True
        group = self._open = _Group(segment, self._broken, False, sample)
        self._counts.note("runs", int(self._broken))
        self._broken = False
        self._groups.append(group)

    def _emit_late(self, segment: Segment, sample: Sample) -> None:
        self._counts.note("late")
        if self._open_late is not None and self._open_late.takes(segment, sample):
            self._open_late.samples.append(sample)
            return
        self._open_late = _Group(segment, False, True, sample)
        self._groups.append(self._open_late)

    def _block(self, group: _Group) -> Block:
        device, received, values = zip(*group.samples, strict=True)
        clock = group.segment.clock
        offset = clock.last_offset_us() if group.late else clock.block_offset_us(device[0], device[-1])
        return Block(
            user_id=self.user_id,
            segment_id=group.segment.segment_id,
            starts_run=group.starts_run,
            late=group.late,
            clock_offset_us=offset,
            device_us=np.array(device, np.int64),
            received_us=np.array(received, np.int64),
            samples=np.array(values, np.float32),
        )


def _is_over(since: Arrival, wait_us: int, now_us: int) -> bool:
    """Return whether a wait that began with a sample has ended; a server clock that was set back ends it as well."""
    return not since.received_us <= now_us < since.received_us + wait_us
