"""Reorder boards' datagrams, detect gaps and late datagrams, and build blocks of samples.

``BoardStream`` is one board's stream; ``BatchBoardStream`` determines for many boards at once which datagrams continue
their board's last one, and leaves the others to each board's own stream.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.block_table import ROW, BlockTable
from semg.domain import Block
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.device_clock import BatchClockFit, ClockFit
from semg.signals.gaps import gap_step_us
from semg.wire.plausible_times import are_surely_near, is_far
from semg.wire.udp2 import HEADER, DatagramV2

MAX_HELD = 256
"""Datagrams held while one is missing: more than 2,000 samples a second fill in the longest wait."""


class BoardStream:
    """Turns new datagrams into blocks as they arrive.

    Parameters
    ----------
    user_id
        The profile.
    wait_us
        How long to wait for a missing datagram, µs.
    counters
        Incremented here.
    segment_ids
        The last segment's id by profile, shared by all streams.
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
        """The clock of the current segment."""
        return self._clock

    @property
    def stream_state(self) -> tuple[int, int, int, ClockFit] | None:
        """Next number, segment, last device time and clock; None unless the next datagram is all that is expected."""
        if self._held or self._broken or self._expected is None or self._last_us is None:
            return None
        return self._expected, self._segment_id, self._last_us, self._clock

    def resume(self, n: int, last_us: int) -> None:
        """Continue after ``n`` datagrams that were accepted in the batch since ``stream_state`` was read."""
        if n:
            assert self._expected is not None
            self._expected += n
            self._last_us = last_us
            self._clock.continue_from(last_us)

    def push(self, number: int, datagram: DatagramV2, received_us: int) -> None:
        """Process a new datagram at its arrival time; the numbers of a boot do not wrap."""
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
        """Skip missing datagrams whose wait has expired; a server clock that was set back ends the wait too."""
        while self._held:
            since = min(received_us for _, received_us in self._held.values())
            self._deadline_us = since + self._wait_us
            if not everything and since <= now_us < self._deadline_us:
                return
            self._expected = min(self._held)
            self._broken = True
            self._drain()

    def break_run(self) -> None:
        """Make the next block start a run, because the device was changed."""
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
        if self._last_us is None or first_us <= self._last_us or self._is_far(last_us, received_us):
            self._begin_segment(received_us)
        else:
            step_us, period_us = first_us - self._last_us, datagram.period_ns / 1000
            self._broken = self._broken or step_us >= gap_step_us(period_us)
            if self._broken:
                self._counts.note("missing", max(0, round(step_us / period_us) - 1))
        self._last_us = last_us
        self._clock.add(last_us, received_us)
        self._counts.note("runs", int(self._broken))
        starts_run, self._broken = self._broken, False
        offset_us = self._clock.block_offset_us(first_us, last_us)
        self._emit(self._block(datagram, device_us, received_us, offset_us, starts_run=starts_run, late=False))

    def _put_late(self, datagram: DatagramV2, received_us: int) -> None:
        """Emit a datagram that later ones have overtaken, unless its time is none of this segment's clock."""
        device_us = _times(datagram)
        if self._is_far(int(device_us[-1]), received_us):
            self._counts.drop("time_jump", len(datagram.samples))
            return
        self._counts.note("late", len(datagram.samples))
        offset_us = self._clock.last_offset_us()
        self._emit(self._block(datagram, device_us, received_us, offset_us, starts_run=False, late=True))

    def _is_far(self, last_us: int, received_us: int) -> bool:
        return is_far(last_us + self._clock.last_offset_us(), received_us)

    def _begin_segment(self, received_us: int) -> None:
        """Begin a segment with a new clock: the stream starts, or the board's clock went back or far ahead."""
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


SEQUENCES = 1 << 32


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Datagrams whose tags and sizes are valid, as columns.

    Attributes
    ----------
    board_indices
        Index of each datagram's board among the known ones, int64 ``(n,)``.
    heads
        ``HEADER_ROW`` ``(n,)``.
    data
        uint8 ``(n, SLOT_BYTES)``: the datagrams' bytes.
    received_us
        int64 ``(n,)``.
    """

    board_indices: NDArray[np.int64]
    heads: NDArray[np.void]
    data: NDArray[np.uint8]
    received_us: NDArray[np.int64]

    def take(self, indices: NDArray[np.int64]) -> Datagrams:
        """Return the datagrams at these indices, in this order."""
        return Datagrams(
            self.board_indices[indices], self.heads[indices], self.data[indices], self.received_us[indices]
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class BoardStreamStates:
    """State of a board's stream of which only the next datagram is expected."""

    user_id: int
    boot_id: int
    next_sequence: int
    channels: int
    segment_id: int
    last_us: int


class BatchBoardStream:
    """The state of each board's stream that decides whether a datagram continues it.

    Parameters
    ----------
    n
        How many boards are known.
    """

    def __init__(self, n: int) -> None:
        self._follows = np.zeros(n, bool)
        self._user_ids = np.zeros(n, np.int64)
        self._boots = np.zeros(n, np.uint32)
        self._sequences = np.zeros(n, np.uint32)
        self._channels = np.zeros(n, np.uint8)
        self._segment_ids = np.zeros(n, np.int64)
        self._last_us = np.zeros(n, np.int64)
        self._newest_us = np.zeros(n, np.int64)
        self._taken = np.zeros(n, np.int64)
        self.clocks = BatchClockFit(n)

    def put(self, index: int, stream_state: BoardStreamStates) -> None:
        """Track a board's stream from this state; the caller puts its clock into ``clocks`` as well."""
        self._follows[index] = True
        self._user_ids[index], self._segment_ids[index] = stream_state.user_id, stream_state.segment_id
        self._boots[index], self._sequences[index] = stream_state.boot_id, stream_state.next_sequence % SEQUENCES
        self._channels[index], self._last_us[index] = stream_state.channels, stream_state.last_us
        self._newest_us[index], self._taken[index] = -1, 0

    def pull(self, index: int) -> tuple[int, int] | None:
        """Stop tracking a board's stream.

        Returns
        -------
        Number of datagrams accepted since ``put`` and the last one's last device time; None if it was not tracked.
        """
        if not self._follows[index]:
            return None
        self._follows[index] = False
        return int(self._taken[index]), int(self._last_us[index])

    def newest_us(self, index: int) -> int:
        """Return the device time of the newest datagram accepted of a tracked board; -1 if there is none."""
        return int(self._newest_us[index]) if self._follows[index] else -1

    def accept(self, datagrams: Datagrams) -> tuple[BlockTable, NDArray[np.bool_]]:
        """Accept the datagrams of those boards whose datagrams all continue the stream.

        Parameters
        ----------
        datagrams
            Sorted by board, and by arrival within a board.

        Returns
        -------
        table, taken
            One block per accepted datagram, and a mask of the accepted datagrams, bool ``(n,)``.
        """
        board_indices, heads = datagrams.board_indices, datagrams.heads
        begins = np.empty(len(board_indices), bool)
        begins[0], begins[1:] = True, board_indices[1:] != board_indices[:-1]
        starts = np.flatnonzero(begins)
        own, counts = board_indices[starts], np.diff(starts, append=len(board_indices))
        within = np.arange(len(board_indices)) - np.repeat(starts, counts)
        first_us = heads["device_us"].astype(np.int64)
        period_ns = heads["period_ns"].astype(np.int64)
        last_us = first_us + (heads["samples"].astype(np.int64) - 1) * period_ns // 1000
        before_us = np.empty_like(last_us)
        before_us[1:] = last_us[:-1]
        before_us[starts] = self._last_us[own]
        step_us = first_us - before_us
        good = self._follows[board_indices] & (step_us > 0) & (step_us < gap_step_us(period_ns / 1000))
        good &= heads["boot_id"] == self._boots[board_indices]
        good &= heads["sequence"] == self._sequences[board_indices] + within.astype(np.uint32)
        good &= heads["channels"] == self._channels[board_indices]
        good &= are_surely_near(last_us + self.clocks.offsets_us(board_indices), datagrams.received_us)
        taken_boards = np.logical_and.reduceat(good, starts)
        taken = np.repeat(taken_boards, counts)
        if not taken_boards.any():
            return BlockTable.empty(), taken
        if not taken_boards.all():
            datagrams, first_us, last_us = datagrams.take(np.flatnonzero(taken)), first_us[taken], last_us[taken]
            own, counts, before_us = own[taken_boards], counts[taken_boards], before_us[taken]
            starts = np.cumsum(counts) - counts
        return self._blocks(datagrams, own, starts, counts, first_us, last_us, before_us[starts]), taken

    def _blocks(
        self,
        datagrams: Datagrams,
        own: NDArray[np.int64],
        starts: NDArray[np.int64],
        counts: NDArray[np.int64],
        first_us: NDArray[np.int64],
        last_us: NDArray[np.int64],
        before_us: NDArray[np.int64],
    ) -> BlockTable:
        received_us = datagrams.received_us
        offsets = self.clocks.advance(own, starts, last_us, received_us, first_us[starts], before_us)
        self._last_us[own], self._newest_us[own] = last_us[starts + counts - 1], first_us[starts + counts - 1]
        self._sequences[own] += counts.astype(np.uint32)
        self._taken[own] += counts
        heads, lengths = datagrams.heads, datagrams.heads["samples"].astype(np.int64)
        rows = np.zeros(len(heads), ROW)
        rows["user_id"], rows["segment_id"] = (
            self._user_ids[datagrams.board_indices],
            self._segment_ids[datagrams.board_indices],
        )
        rows["clock_offset_us"] = np.repeat(offsets, counts)
        rows["device_us"], rows["received_us"] = first_us, received_us
        rows["n_samples"], rows["n_channels"] = lengths, heads["channels"]
        ends = np.cumsum(lengths)
        steps = np.arange(int(ends[-1])) - np.repeat(ends - lengths, lengths)
        passed_us = steps * np.repeat(heads["period_ns"].astype(np.int64), lengths) // 1000
        device_us = np.repeat(first_us, lengths) + passed_us
        return BlockTable(rows, device_us, np.repeat(received_us, lengths), payloads(datagrams.data, heads))


def payloads(data: NDArray[np.uint8], heads: NDArray[np.void]) -> NDArray[np.float32]:
    """Return the concatenated samples of datagrams, float32."""
    sizes = 2 * heads["samples"].astype(np.int64) * heads["channels"]
    chunks: Sequence[NDArray[np.uint8]]
    if bool((sizes == sizes[0]).all()):
        end = HEADER.size + int(sizes[0])
        return np.ascontiguousarray(data[:, HEADER.size : end]).view("<i2").ravel().astype(np.float32)
    chunks = [row[HEADER.size : HEADER.size + size] for row, size in zip(data, sizes.tolist(), strict=True)]
    return np.concatenate(chunks).view("<i2").astype(np.float32)
