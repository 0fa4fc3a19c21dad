"""The boards' streams side by side: which datagrams continue their board's last one is seen for a batch at once."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.block_table import ROW, BlockTable
from semg.ingest.streams.clock_bank import BatchClockFit
from semg.wire.udp2 import HEADER

SEQUENCES = 1 << 32


@dataclass(frozen=True, slots=True)
class Datagrams:
    """Datagrams whose tags and sizes are right, as columns.

    Attributes
    ----------
    places
        Each datagram's board, as its place among the known ones, int64 ``(n,)``.
    heads
        ``HEADER_ROW`` ``(n,)``.
    data
        uint8 ``(n, SLOT_BYTES)``: the datagrams' bytes.
    received_us
        int64 ``(n,)``.
    """

    places: NDArray[np.int64]
    heads: NDArray[np.void]
    data: NDArray[np.uint8]
    received_us: NDArray[np.int64]

    def take(self, places: NDArray[np.int64]) -> Datagrams:
        """Return the datagrams at these places, in this order."""
        return Datagrams(self.places[places], self.heads[places], self.data[places], self.received_us[places])


@dataclass(frozen=True, slots=True)
class BoardStreamStates:
    """Where a board's stream stands when nothing but its next datagram is expected."""

    user_id: int
    boot_id: int
    next_sequence: int
    channels: int
    segment_id: int
    last_us: int


class BatchBoardStream:
    """What of each board's stream tells whether a datagram continues it.

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

    def put(self, place: int, standing: BoardStreamStates) -> None:
        """Follow a board's stream from here; its clock is put into ``clocks`` as well."""
        self._follows[place] = True
        self._user_ids[place], self._segment_ids[place] = standing.user_id, standing.segment_id
        self._boots[place], self._sequences[place] = standing.boot_id, standing.next_sequence % SEQUENCES
        self._channels[place], self._last_us[place] = standing.channels, standing.last_us
        self._newest_us[place], self._taken[place] = -1, 0

    def pull(self, place: int) -> tuple[int, int] | None:
        """Stop to follow a board's stream.

        Returns
        -------
        How many datagrams were taken since ``put`` and the last one's last device time; None if it was not followed.
        """
        if not self._follows[place]:
            return None
        self._follows[place] = False
        return int(self._taken[place]), int(self._last_us[place])

    def newest_us(self, place: int) -> int:
        """Return the device time of the newest datagram taken of a followed board; -1 if there is none."""
        return int(self._newest_us[place]) if self._follows[place] else -1

    def accept(self, datagrams: Datagrams) -> tuple[BlockTable, NDArray[np.bool_]]:
        """Take the datagrams of those boards of which every one continues the stream.

        Parameters
        ----------
        datagrams
            Sorted by board; those of a board in the order of their arrival.

        Returns
        -------
        table, taken
            One block a datagram, and which datagrams those are, bool ``(n,)``.
        """
        places, heads = datagrams.places, datagrams.heads
        begins = np.empty(len(places), bool)
        begins[0], begins[1:] = True, places[1:] != places[:-1]
        starts = np.flatnonzero(begins)
        own, counts = places[starts], np.diff(starts, append=len(places))
        within = np.arange(len(places)) - np.repeat(starts, counts)
        first_us = heads["device_us"].astype(np.int64)
        period_ns = heads["period_ns"].astype(np.int64)
        last_us = first_us + (heads["samples"].astype(np.int64) - 1) * period_ns // 1000
        before_us = np.empty_like(last_us)
        before_us[1:] = last_us[:-1]
        before_us[starts] = self._last_us[own]
        step_us = first_us - before_us
        good = self._follows[places] & (step_us > 0) & (step_us <= 1.5 * (period_ns / 1000) + 1000)
        good &= heads["boot_id"] == self._boots[places]
        good &= heads["sequence"] == self._sequences[places] + within.astype(np.uint32)
        good &= heads["channels"] == self._channels[places]
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
        rows["user_id"], rows["segment_id"] = self._user_ids[datagrams.places], self._segment_ids[datagrams.places]
        rows["clock_offset_us"] = np.repeat(offsets, counts)
        rows["device_us"], rows["received_us"] = first_us, received_us
        rows["n_samples"], rows["n_channels"] = lengths, heads["channels"]
        ends = np.cumsum(lengths)
        steps = np.arange(int(ends[-1])) - np.repeat(ends - lengths, lengths)
        passed_us = steps * np.repeat(heads["period_ns"].astype(np.int64), lengths) // 1000
        device_us = np.repeat(first_us, lengths) + passed_us
        return BlockTable(rows, device_us, np.repeat(received_us, lengths), payloads(datagrams.data, heads))


def payloads(data: NDArray[np.uint8], heads: NDArray[np.void]) -> NDArray[np.float32]:
    """Return the samples of datagrams, float32, one datagram behind the other."""
    sizes = 2 * heads["samples"].astype(np.int64) * heads["channels"]
    parts: Sequence[NDArray[np.uint8]]
    if bool((sizes == sizes[0]).all()):
        end = HEADER.size + int(sizes[0])
        return np.ascontiguousarray(data[:, HEADER.size : end]).view("<i2").ravel().astype(np.float32)
    parts = [row[HEADER.size : HEADER.size + size] for row, size in zip(data, sizes.tolist(), strict=True)]
    return np.concatenate(parts).view("<i2").astype(np.float32)
