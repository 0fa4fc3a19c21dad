"""Statistics of the datagrams of each profile in the last seconds, from which its stream's health is assessed."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from semg.block_table import BlockTable
from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import ADDRESS_BYTES, readable
from semg.ingest.streams.drop_codes import DROP_CODES, OK
from semg.ingest.streams.sources import BatchResult
from semg.process.recent_counts import RecentCounts
from semg.wire.stream_status import LONG_S, RECENT_S, SHORT_S, ReceivedStatus
from semg.wire.udp2 import BATTERY_UNKNOWN

QUIET_US = 2_000_000
"""After a silence of this length a stream counts as restarted: its rate is measured from then on."""

MAX_REPORTED = 500
"""Maximum number of profiles reported: those received most recently."""

_Range: TypeAlias = tuple[NDArray[np.float32], NDArray[np.float32]]
_NAMES = ("datagrams", "samples", "missing", "late", "runs", "segments")


class ProfileStats:
    """Counters by profile. Not safe to use from several threads.

    Parameters
    ----------
    counters
        Where the streams count gaps, segments and what they drop.
    """

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._recent = RecentCounts(LONG_S)
        self._user_ids = np.zeros(0, np.int64)
        self._ranges: list[_Range] = []
        self._addresses = np.zeros((0, ADDRESS_BYTES), np.uint8)
        self._make(0)

    def set_profiles(self, user_ids: Sequence[int]) -> None:
        """Apply the registry's profiles, sorted by number."""
        before = self._user_ids
        codes, samples, received_us, ranges = self._codes, self._samples, self._received_us, self._ranges
        addresses, widths, since_us = self._addresses, self._widths, self._since_us
        battery, lead_off = self._battery, self._lead_off
        self._user_ids = np.array(user_ids, np.int64)
        self._make(len(user_ids))
        _, at_old, at_new = np.intersect1d(before, self._user_ids, assume_unique=True, return_indices=True)
        self._codes[at_new], self._samples[at_new] = codes[at_old], samples[at_old]
        self._received_us[at_new], self._addresses[at_new] = received_us[at_old], addresses[at_old]
        self._widths[at_new], self._since_us[at_new] = widths[at_old], since_us[at_old]
        self._battery[at_new], self._lead_off[at_new] = battery[at_old], lead_off[at_old]
        self._ranges = [_moved(one, at_old, at_new, len(user_ids)) for one in ranges]
        gone = set(before.tolist()) - set(user_ids)
        self._recent.forget(gone)
        for user_id in gone:
            self._counters.streams.pop(user_id, None)

    def note(
        self,
        profiles: NDArray[np.int64],
        codes: NDArray[np.int8],
        widths: NDArray[np.int64],
        addresses: NDArray[np.uint8],
        now_us: int,
    ) -> None:
        """Count datagrams by profile.

        Parameters
        ----------
        profiles
            Index of each datagram's profile, int64 ``(k,)``; -1 for none.
        codes
            Numbers of ``DROP_CODES``, int8 ``(k,)``.
        widths
            Number of values in each one's samples, int64 ``(k,)``.
        addresses
            Their senders, as in ``DatagramBatch``.
        """
        named = np.flatnonzero(profiles >= 0)
        if not len(named):
            return
        own, n = profiles[named], len(self._user_ids)
        refused = codes[named] != OK
        self._codes[:, OK] += np.bincount(own[~refused], minlength=n)
        if refused.any():
            np.add.at(self._codes, (own[refused], codes[named[refused]]), 1)
        self._since_us[own[now_us - self._received_us[own] > QUIET_US]] = now_us
        self._received_us[own] = now_us
        self._addresses[own], self._widths[own] = addresses[named], widths[named]

    def note_boards(self, profiles: NDArray[np.int64], heard: BatchResult) -> None:
        """Take in what boards told of themselves, in datagrams of which ``note`` was told."""
        taken = np.flatnonzero((profiles >= 0) & (heard.codes == OK))
        if len(taken) and heard.battery is not None and heard.lead_off is not None:
            own = profiles[taken]
            self._battery[own], self._lead_off[own] = heard.battery[taken], heard.lead_off[taken]

    def note_blocks(self, table: BlockTable) -> None:
        """Count the samples of new blocks and update the value ranges."""
        profiles = np.searchsorted(self._user_ids, table.rows["user_id"])
        self._samples += np.bincount(profiles, table.counts, len(self._samples)).astype(np.int64)
        starts = np.cumsum(table.value_counts) - table.value_counts
        lows, highs = self._ranges[-1]
        np.minimum.at(lows, profiles, np.minimum.reduceat(table.values, starts))
        np.maximum.at(highs, profiles, np.maximum.reduceat(table.values, starts))

    def table(self, now_us: int, clock_error_ms: Callable[[int], float | None]) -> dict[int, ReceivedStatus]:
        """Return the status of each profile with datagrams in the last minute; call it once a second."""
        recent = np.flatnonzero((self._received_us > 0) & (now_us - self._received_us <= LONG_S * 1e6))
        if len(recent) > MAX_REPORTED:
            recent = recent[np.argsort(-self._received_us[recent], kind="stable")[:MAX_REPORTED]]
        indices = {int(self._user_ids[index]): index for index in recent.tolist()}
        counts = {user_id: self._counts(user_id, index) for user_id, index in indices.items()}
        self._recent.note(now_us, counts, {user_id: int(self._since_us[index]) for user_id, index in indices.items()})
        low = np.minimum.reduce([ranges[0] for ranges in self._ranges])
        high = np.maximum.reduce([ranges[1] for ranges in self._ranges])
        self._ranges = [*self._ranges[-round(SHORT_S) + 1 :], _no_range(len(self._user_ids))]
        return {
            user_id: self._status(user_id, index, now_us, (low, high), clock_error_ms)
            for user_id, index in indices.items()
        }

    def _status(
        self,
        user_id: int,
        index: int,
        now_us: int,
        ranges: _Range,
        clock_error_ms: Callable[[int], float | None],
    ) -> ReceivedStatus:
        short, seconds = self._recent.growth(user_id, SHORT_S)
        long, long_s = self._recent.growth(user_id, LONG_S)
        counts = dict(zip(_NAMES, short, strict=False))
        recent = dict(zip(_NAMES, self._recent.growth(user_id, RECENT_S)[0], strict=False))
        dropped = zip(DROP_CODES, short[len(_NAMES) :], strict=True)
        low, high = float(ranges[0][index]), float(ranges[1][index])
        host, port = readable(self._addresses[index])
        return ReceivedStatus(
            age_s=round(max(0, now_us - int(self._received_us[index])) / 1e6, 2),
            seconds=round(seconds, 2),
            datagrams=counts["datagrams"],
            samples=counts["samples"],
            refused={reason: n for reason, n in dropped if n and reason != DROP_CODES[OK]},
            missing=counts["missing"],
            late=counts["late"],
            recent_samples=recent["samples"],
            recent_missing=recent["missing"],
            long_s=round(long_s, 2),
            runs=long[_NAMES.index("runs")],
            segments=long[_NAMES.index("segments")],
            low=None if low > high else low,
            high=None if low > high else high,
            address=f"{host}:{port}",
            clock_error_ms=clock_error_ms(user_id),
            channels=int(self._widths[index]),
            battery_percent=None if self._battery[index] == BATTERY_UNKNOWN else int(self._battery[index]),
            lead_off=int(self._lead_off[index]),
        )

    def _counts(self, user_id: int, index: int) -> tuple[int, ...]:
        """Return all counts of a profile: those of ``_NAMES``, then the drops by code."""
        stream, by_code = self._counters.of(user_id), self._codes[index].tolist()
        dropped = (n + stream.dropped[reason] for reason, n in zip(DROP_CODES, by_code, strict=True))
        figures = stream.missing, stream.late, stream.runs, stream.segments
        return sum(by_code), int(self._samples[index]), *figures, *dropped

    def _make(self, n: int) -> None:
        self._codes = np.zeros((n, len(DROP_CODES)), np.int64)
        self._samples = np.zeros(n, np.int64)
        self._received_us = np.zeros(n, np.int64)
        self._ranges = [_no_range(n)]
        self._addresses = np.zeros((n, ADDRESS_BYTES), np.uint8)
        self._widths = np.zeros(n, np.int64)
        self._battery = np.full(n, BATTERY_UNKNOWN, np.uint8)
        self._lead_off = np.zeros(n, np.uint16)
        self._since_us = np.zeros(n, np.int64)


def _no_range(n: int) -> _Range:
    return np.full(n, np.inf, np.float32), np.full(n, -np.inf, np.float32)


def _moved(ranges: _Range, old: NDArray[np.int64], new: NDArray[np.int64], n: int) -> _Range:
    low, high = _no_range(n)
    low[new], high[new] = ranges[0][old], ranges[1][old]
    return low, high
