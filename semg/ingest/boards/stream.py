"""One board's datagrams on their way to one profile: put in order, gaps and late ones told, made into blocks."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from semg.domain import Block
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.device_clock import ClockFit
from semg.wire.udp2 import DatagramV2

MAX_HELD = 256
"""Datagrams held while one is missing: more than 2,000 samples a second fill in the longest wait."""


class BoardStream:
    """Turns new datagrams, as they arrive, into blocks.

    Parameters
    ----------
    user_id
        The profile.
    wait_us
        How long a missing datagram is waited for.
    counters
        Counted up here.
    segment_ids
        The last segment's id by profile, kept by all streams together.
    emit
        Called with each block, in order.
    """

    def __init__(
        self,
        user_id: int,
        wait_us: int,
        counters: Counters,
        segment_ids: dict[int, int],
        emit: Callable[[Block], None],
    ) -> None:
        self.user_id = user_id
        self._wait_us = wait_us
        self._counts = counters.of(user_id)
        self._segment_ids = segment_ids
        self._emit = emit
        self._clock = ClockFit()
        self._segment_id = 0
        self._last_us: int | None = None
        self._expected: int | None = None
        self._held: dict[int, tuple[DatagramV2, int]] = {}
        self._deadline_us = 0
        self._broken = True

    @property
    def holds(self) -> bool:
        """Whether datagrams wait for a missing one."""
        return bool(self._held)

    @property
    def clock(self) -> ClockFit:
        """The clock of the segment that runs."""
        return self._clock

    @property
    def standing(self) -> tuple[int, int, int, ClockFit] | None:
        """Next number, segment, last device time and clock when nothing but the next datagram is expected."""
        if self._held or self._broken or self._expected is None or self._last_us is None:
            return None
        return self._expected, self._segment_id, self._last_us, self._clock

    def resume(self, n: int, last_us: int) -> None:
        """Go on behind ``n`` datagrams that were taken elsewhere since ``standing`` was read."""
        if n:
            assert self._expected is not None
            self._expected += n
            self._last_us = last_us
            self._clock.continue_from(last_us)

    def push(self, number: int, datagram: DatagramV2, received_us: int) -> None:
        """Take in a datagram that was not seen before, at its moment of arrival; numbers of a boot do not wrap."""
        if self._held and received_us >= self._deadline_us:
            self.release(received_us)
        if self._expected is None:
            self._expected = number
        if number < self._expected:
            self._put_late(datagram, received_us)
            return
        if not self._held:
            if number == self._expected:
                self._put(datagram, received_us)
                return
            self._deadline_us = received_us + self._wait_us
        self._held[number] = datagram, received_us
        self._drain()
        if len(self._held) > MAX_HELD:
            self.release(received_us, everything=True)

    def release(self, now_us: int, *, everything: bool = False) -> None:
        """Go on behind what is missing when its time is over; a server clock that was set back ends the wait too."""
        while self._held:
            since = min(received_us for _, received_us in self._held.values())
            self._deadline_us = since + self._wait_us
            if not everything and since <= now_us < self._deadline_us:
                return
            self._expected = min(self._held)
            self._broken = True
            self._drain()

    def break_run(self) -> None:
        """Let what follows start a run: the device was changed."""
        self.release(0, everything=True)
        self._broken = True

    def _drain(self) -> None:
        while self._expected in self._held:
            self._put(*self._held.pop(self._expected))

    def _put(self, datagram: DatagramV2, received_us: int) -> None:
        """Emit the expected datagram."""
        assert self._expected is not None
        self._expected += 1
        device_us = _times(datagram)
        first_us, last_us = int(device_us[0]), int(device_us[-1])
        if self._last_us is None or first_us <= self._last_us:
            self._begin_segment(received_us)
        else:
            step_us, period_us = first_us - self._last_us, datagram.period_ns / 1000
            self._broken = self._broken or step_us > 1.5 * period_us + 1000
            if self._broken:
                self._counts.note("missing", max(0, round(step_us / period_us) - 1))
        self._last_us = last_us
        self._clock.add(last_us, received_us)
        self._counts.note("runs", int(self._broken))
        starts_run, self._broken = self._broken, False
        offset_us = self._clock.block_offset_us(first_us, last_us)
        self._emit(self._block(datagram, device_us, received_us, offset_us, starts_run=starts_run, late=False))

    def _put_late(self, datagram: DatagramV2, received_us: int) -> None:
        """Emit a datagram whose place was passed."""
        self._counts.note("late", len(datagram.samples))
        offset_us = self._clock.last_offset_us()
        self._emit(self._block(datagram, _times(datagram), received_us, offset_us, starts_run=False, late=True))

    def _begin_segment(self, received_us: int) -> None:
        """Begin with a new clock: the stream starts, or the board's clock went back within a boot."""
        self._segment_id = max(received_us, self._segment_ids.get(self.user_id, 0) + 1)
        self._segment_ids[self.user_id] = self._segment_id
        self._clock = ClockFit()
        self._broken = True
        self._counts.note("segments")

    def _block(
        self,
        datagram: DatagramV2,
        device_us: NDArray[np.int64],
        received_us: int,
        offset_us: int,
        *,
        starts_run: bool,
        late: bool,
    ) -> Block:
        return Block(
            user_id=self.user_id,
            segment_id=self._segment_id,
            starts_run=starts_run,
            late=late,
            clock_offset_us=offset_us,
            device_us=device_us,
            received_us=np.full(len(device_us), received_us, np.int64),
            samples=datagram.samples.astype(np.float32),
        )


def _times(datagram: DatagramV2) -> NDArray[np.int64]:
    """Return the device time of each sample, µs, int64 ``(n,)``."""
    steps_ns = np.arange(len(datagram.samples), dtype=np.int64) * datagram.period_ns
    return datagram.device_us + steps_ns // 1000
