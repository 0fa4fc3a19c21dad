"""One profile's stream put in order: boots, gaps, duplicates, late samples.

The rules are those of ``docs/wire.md``, "How the server reads a device's time". Decisions depend only on the device
times and the moments of arrival of the samples, not on how they are cut into batches.
"""

from __future__ import annotations

from bisect import insort
from collections import deque
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from operator import itemgetter
from typing import TypeAlias

import numpy as np

from semg.domain import Block
from semg.ingest.clock import ClockFit
from semg.ingest.counters import Counters
from semg.wire.udp import EPOCH_MS_FROM

Sample: TypeAlias = tuple[int, int, tuple[float, ...]]
"""``(device_us, received_us, values)``."""

SampleKey: TypeAlias = tuple[int, tuple[float, ...]]
"""What a repeated sample has in common with the first: ``(device_us, values)``."""

Recent: TypeAlias = Callable[[int], Iterable[SampleKey]]
"""Gives the keys of samples from a device time on that were accepted elsewhere, in order."""

BACK_US = 500_000
"""A larger step back is a boot or a wrap of the counter."""

MISMATCH_US = 2_000_000
MISMATCH_SHARE = 0.1
"""How far a forward step may differ from the time between the arrivals before it is another boot."""

STREAK = 16
"""So many late samples in a row with growing device time are a board that has started anew."""

RECENT_US = 600_000
MAX_RECENT = 4096
MAX_HELD = 4096
MAX_BLOCK_US = 1_000_000


class _Segment:
    """A boot: its clock, its newest sample, and what was recently seen of it."""

    __slots__ = (
        "_elsewhere", "_keys", "_n_since", "clock", "emitted_us", "epoch", "newest_received_us", "newest_us", "recent",
        "segment_id",
    )  # fmt: skip

    def __init__(self, segment_id: int, epoch: bool, device_us: int, received_us: int) -> None:
        self.segment_id = segment_id
        self.epoch = epoch
        self.clock = ClockFit()
        self.newest_us = device_us
        self.newest_received_us = received_us
        self.emitted_us = device_us
        self.recent: deque[SampleKey] = deque()
        self._keys: set[SampleKey] = set()
        self._elsewhere: Recent | None = None
        self._n_since = 0

    def knows(self, key: SampleKey) -> bool:
        """Tell whether a sample was seen recently."""
        if key[0] > self.newest_us:
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
        """Go on behind samples that were accepted elsewhere."""
        self._elsewhere = recent
        self._n_since = 0
        self.emitted_us = self.newest_us = newest_us
        self.newest_received_us = newest_received_us
        self.clock.continue_from(newest_us)

    def remember(self, key: SampleKey) -> None:
        """Keep a sample's time and values, so that its repetition is known."""
        recent, keys = self.recent, self._keys
        recent.append(key)
        self._n_since += 1
        keys.add(key)
        oldest = self.newest_us - RECENT_US
        while recent[0][0] < oldest or len(recent) > MAX_RECENT:
            keys.discard(recent.popleft())


@dataclass(frozen=True, slots=True)
class Boot:
    """Where a stream stands: the boot, its newest sample, its clock."""

    segment_id: int
    epoch: bool
    newest_us: int
    newest_received_us: int
    clock: ClockFit


class _Group:
    """Samples that will make one block."""

    __slots__ = ("late", "samples", "segment", "starts_run", "width")

    def __init__(self, segment: _Segment, starts_run: bool, late: bool, sample: Sample) -> None:
        self.segment = segment
        self.starts_run = starts_run
        self.late = late
        self.width = len(sample[2])
        self.samples = [sample]

    def takes(self, segment: _Segment, sample: Sample) -> bool:
        """Tell whether the sample continues the group's block."""
        return (
            self.segment is segment
            and len(sample[2]) == self.width
            and sample[0] >= self.samples[-1][0]
            and sample[0] - self.samples[0][0] < MAX_BLOCK_US
        )


class Tracker:
    """Turns a profile's samples, as they arrive, into blocks.

    Parameters
    ----------
    user_id
        The profile.
    rate_hz
        The device's nominal rate: a step of 1.5 periods + 1 ms or more is a gap.
    wait_us
        How long a gap is held open for samples that another one overtook.
    counters
        Counted up here.
    after_id
        The profile's last segment's id, if another stream was before this one.
    """

    def __init__(self, user_id: int, rate_hz: float, wait_us: int, counters: Counters, after_id: int = 0) -> None:
        self.user_id = user_id
        self.segment_id = after_id
        self.seen_us = 0
        self._wait_us = wait_us
        self._counters = counters
        self._segment: _Segment | None = None
        self._previous: _Segment | None = None
        self._held: list[Sample] = []
        self._deadline_us = 0
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
        """Whether samples wait for a gap to be filled."""
        return bool(self._held)

    @property
    def clock(self) -> ClockFit | None:
        """The clock of the boot that runs; None before the first sample."""
        return None if self._segment is None else self._segment.clock

    def set_rate(self, rate_hz: float) -> None:
        """Take over a changed device: what follows starts a run."""
        if self._held:
            self._release(0, everything=True)
        self._period_us = 1e6 / rate_hz
        self._gap_us = 1.5 * self._period_us + 1000
        self._broken = True

    @property
    def boot(self) -> Boot | None:
        """Where the stream stands when nothing but its next sample is expected; None otherwise."""
        segment = self._segment
        if segment is None or self._held or self._broken or segment.emitted_us != segment.newest_us:
            return None
        return Boot(segment.segment_id, segment.epoch, segment.newest_us, segment.newest_received_us, segment.clock)

    def resume(self, newest_us: int, newest_received_us: int, recent: Recent) -> None:
        """Go on behind samples that were accepted elsewhere since ``boot`` was read: each continued the last."""
        assert self._segment is not None
        if newest_us > self._segment.newest_us:
            self.seen_us = newest_received_us
            self._streak = 0
            self._segment.resume(newest_us, newest_received_us, recent)

    def push(self, device_ms: int, received_us: int, values: tuple[float, ...]) -> None:
        """Take in a sample as its datagram says it, at its moment of arrival."""
        self.seen_us = received_us
        if self._held and received_us >= self._deadline_us:
            self._release(received_us)
        device_us = device_ms * 1000
        key = (device_us, values)
        segment = self._segment
        if segment is not None and segment.knows(key):
            self._counters.dropped["duplicate"] += 1
            return
        epoch = device_ms >= EPOCH_MS_FROM
        sample = (device_us, received_us, values)
        if segment is None or not self._continues(segment, epoch, device_us, received_us):
            if not self._belongs_to_previous(sample, epoch):
                segment = self._begin(sample, epoch)
                self._emit(segment, sample)
            return
        if device_us < segment.emitted_us:
            self._take_late(segment, sample)
            return
        self._accept(segment, sample)

    def release(self, now_us: int, *, everything: bool = False) -> None:
        """Stop waiting for missing samples whose time is over (``everything``: at once)."""
        if self._held:
            self._release(now_us, everything=everything)

    def take(self) -> list[Block]:
        """Give the blocks that are ready, in order; late ones among them."""
        groups, self._groups = self._groups, []
        self._open = self._open_late = None
        return [self._block(group) for group in groups]

    def _continues(self, segment: _Segment, epoch: bool, device_us: int, received_us: int) -> bool:
        """Tell whether a sample belongs to the boot that runs."""
        step = device_us - segment.newest_us
        if epoch != segment.epoch or step < -BACK_US:
            return False
        if step < self._gap_us:
            return True
        arrivals = received_us - segment.newest_received_us
        return abs(step - arrivals) <= MISMATCH_US + MISMATCH_SHARE * max(step, arrivals)

    def _belongs_to_previous(self, sample: Sample, epoch: bool) -> bool:
        """Deal with a sample that the first ones of a new boot have overtaken."""
        previous = self._previous
        if previous is None or epoch != previous.epoch:
            return False
        if max(abs(sample[0] - previous.newest_us), sample[1] - previous.newest_received_us) > BACK_US:
            return False
        if previous.knows((sample[0], sample[2])):
            self._counters.dropped["duplicate"] += 1
        elif self._is_boot(sample):
            return False
        else:
            previous.remember((sample[0], sample[2]))
            self._emit_late(previous, sample)
        return True

    def _begin(self, sample: Sample, epoch: bool) -> _Segment:
        self._release(sample[1], everything=True)
        device_us, received_us, values = sample
        self._previous = self._segment
        self.segment_id = max(received_us, self.segment_id + 1)
        segment = self._segment = _Segment(self.segment_id, epoch, device_us, received_us)
        segment.remember((device_us, values))
        segment.clock.add(device_us, received_us)
        self._broken = True
        self._streak = 0
        self._counters.segments += 1
        return segment

    def _accept(self, segment: _Segment, sample: Sample) -> None:
        """Take a sample whose place has not been passed."""
        device_us, received_us, values = sample
        self._streak = 0
        if device_us >= segment.newest_us:
            segment.newest_us, segment.newest_received_us = device_us, received_us
        segment.remember((device_us, values))
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

    def _take_late(self, segment: _Segment, sample: Sample) -> None:
        """Take a sample whose place has been passed; enough of them in a row are a new boot."""
        if self._is_boot(sample):
            self._emit(self._begin(sample, segment.epoch), sample)
            return
        segment.remember((sample[0], sample[2]))
        self._emit_late(segment, sample)

    def _is_boot(self, sample: Sample) -> bool:
        """Tell whether so many late samples in a row, this one among them, are those of a board that started anew."""
        device_us, received_us, _ = sample
        if self._streak and device_us >= self._streak_us:
            self._streak += 1
        else:
            self._streak, self._streak_from = 1, (device_us, received_us)
        self._streak_us = device_us
        first_us, first_received_us = self._streak_from
        # A delayed bunch of packets also comes in order, but at once; a board that runs comes at its pace.
        at_pace = received_us - first_received_us >= (device_us - first_us) // 2
        return self._streak >= STREAK and device_us > first_us and at_pace

    def _drain(self, segment: _Segment) -> None:
        """Emit held samples as far as they continue what was emitted."""
        held, n = self._held, 0
        while n < len(held) and held[n][0] - segment.emitted_us < self._gap_us:
            self._emit(segment, held[n])
            n += 1
        del held[:n]

    def _release(self, now_us: int, *, everything: bool = False) -> None:
        """Go on behind a gap whose time is over; a server clock that was set back ends the wait as well."""
        segment, held = self._segment, self._held
        while segment is not None and held:
            since = min(sample[1] for sample in held)
            self._deadline_us = since + self._wait_us
            if not everything and since <= now_us < self._deadline_us:
                return
            step = held[0][0] - segment.emitted_us
            self._counters.missing += max(0, round(step / self._period_us) - 1)
            self._broken = True
            self._emit(segment, held.pop(0))
            self._drain(segment)

    def _emit(self, segment: _Segment, sample: Sample) -> None:
        segment.emitted_us = sample[0]
        group = self._open
        if group is not None and not self._broken and group.takes(segment, sample):
            group.samples.append(sample)
            return
        if group is not None and group.width != len(sample[2]):
            self._broken = True
        group = self._open = _Group(segment, self._broken, False, sample)
        self._counters.runs += self._broken
        self._broken = False
        self._groups.append(group)

    def _emit_late(self, segment: _Segment, sample: Sample) -> None:
        self._counters.late += 1
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
