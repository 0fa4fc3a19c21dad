"""Table of senders: their addresses, the last data of each, and which of them are limited for refused datagrams."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.ingest.streams.counters import Counters
from semg.ingest.streams.datagram_batch import Address, DatagramBatch, readable
from semg.ingest.streams.drop_codes import DROP_CODES, OK, TEXT_DROP_CODES

MAX_SOURCES = 200
SOURCE_IDLE_US = 60_000_000
"""A sender that is silent for this long is removed."""
CLEAR_EVERY_US = 1_000_000
"""A full table is searched for silent senders at most this often, so that forged addresses cost nothing."""

DETAILS_EVERY_US = 100_000
"""The last values are updated at most this often, since nobody reads faster."""

MAX_SAID = 60
"""How many bytes of a text that could not be parsed are shown."""

REFUSED_PER_S = 2000
REFUSED_SHARE = 0.98
REFUSED_LOOKED_AT = 32
"""Of a sender with more than ``REFUSED_PER_S`` datagrams refused within a second, and nearly all of them, this many are
processed in each batch."""

_LIMIT_US = 1_000_000


@dataclass(frozen=True, slots=True, kw_only=True)
class BatchResult:
    """Result of a batch of datagrams, as columns.

    Attributes
    ----------
    codes
        Numbers of ``DROP_CODES``, int8 ``(n,)``.
    readable
        Whether the datagram could be read, bool ``(n,)``.
    user_ids
        int64 ``(n,)``: the number in a text, or the profile of a board; -1 where there is none.
    board_ids
        int64 ``(n,)``, -1 for text and for unverified tags.
    device_ms, samples, widths
        int64 ``(n,)``: the last sample's time, the number of samples, and the number of values in each.
    values
        Returns the last sample of the datagram at an index.
    battery, lead_off
        What boards report of themselves, as in ``HEADER_ROW``, ``(n,)`` each; None for text.
    """

    codes: NDArray[np.int8]
    readable: NDArray[np.bool_]
    user_ids: NDArray[np.int64]
    board_ids: NDArray[np.int64]
    device_ms: NDArray[np.int64]
    samples: NDArray[np.int64]
    widths: NDArray[np.int64]
    values: Callable[[int], tuple[float, ...]]
    battery: NDArray[np.uint8] | None = None
    lead_off: NDArray[np.uint16] | None = None


@dataclass(slots=True, kw_only=True)
class _Source:
    """One sender, as shown on the test bench.

    ``state`` is ``ok`` or the last datagram's drop code, ``said`` the beginning of a text that could not be parsed.
    """

    address: Address
    user_id: int | None = None
    board_id: int | None = None
    samples: int = 0
    counted: int = 0
    state: str = ""
    said: str = ""
    values: tuple[float, ...] = ()
    device_ms: int | None = None
    seen_us: int = 0
    details_us: int = 0
    recent: int = 0
    recent_refused: int = 0
    recent_since_us: int = 0


class Sources:
    """The current senders, at most ``MAX_SOURCES``; silent ones are removed."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._by_sender: dict[int, _Source] = {}
        self._limited: dict[int, int] = {}
        self._tabled_us = 0
        self._cleared_us = 0

    def surplus(self, senders: NDArray[np.uint64], now_us: int) -> NDArray[np.bool_] | None:
        """Return which datagrams are too many of a limited sender, bool ``(n,)``; None for none.

        No datagram has to be parsed for this, and no other address loses any. An address can be forged: what looks like
        a board's is looked at all the same (``Boards.worth_verifying``).
        """
        for sender, until_us in list(self._limited.items()):
            if not 0 <= until_us - now_us <= _LIMIT_US:
                del self._limited[sender]
        if not self._limited:
            return None
        surplus = np.zeros(len(senders), bool)
        for sender in self._limited:
            surplus[np.flatnonzero(senders == sender)[REFUSED_LOOKED_AT:]] = True
        return surplus if surplus.any() else None

    def note(self, batch: DatagramBatch, senders: NDArray[np.uint64], result: BatchResult, now_us: int) -> None:
        """Update the senders from the result of a batch."""
        known, inverse = np.unique(senders, return_inverse=True)
        last = np.zeros(len(known), np.int64)
        last[inverse] = np.arange(len(senders))
        samples = np.bincount(inverse, result.samples, len(known)).astype(np.int64).tolist()
        refused = np.bincount(inverse, result.codes != OK, len(known)).astype(np.int64).tolist()
        datagrams = np.bincount(inverse, minlength=len(known)).tolist()
        for index, (sender, newest) in enumerate(zip(known.tolist(), last.tolist(), strict=True)):
            source = self._by_sender.get(sender)
            if source is None:
                if len(self._by_sender) >= MAX_SOURCES and not self._make_room(now_us):
                    self._counters.untracked_sources += 1
                    if refused[index] == datagrams[index] > REFUSED_LOOKED_AT and len(self._limited) < MAX_SOURCES:
                        self._limited[sender] = now_us + _LIMIT_US
                    continue
                source = self._by_sender[sender] = _Source(address=readable(batch.addresses[newest]))
            source.samples += samples[index]
            source.seen_us = now_us
            source.state = DROP_CODES[result.codes[newest]]
            self._count_refused(sender, source, datagrams[index], refused[index], now_us)
            if not 0 <= now_us - source.details_us < DETAILS_EVERY_US:
                source.details_us = now_us
                if result.readable[newest]:
                    source.user_id = _named(result.user_ids[newest])
                    source.board_id = _named(result.board_ids[newest])
                    source.device_ms = int(result.device_ms[newest])
                    source.values = result.values(newest)
                    source.said = ""
                elif source.state in TEXT_DROP_CODES:
                    source.said = _beginning(batch.datagram(newest))

    def table(self, now_us: int) -> list[dict[str, Any]]:
        """Remove silent senders and return the others, the most recent first, with their rate since the last call."""
        self._drop_silent(now_us)
        elapsed_s = (now_us - self._tabled_us) / 1e6
        rows = []
        for source in sorted(self._by_sender.values(), key=lambda source: -source.seen_us):
            rate = (source.samples - source.counted) / elapsed_s if elapsed_s > 0 else 0.0
            source.counted = source.samples
            host, port = source.address
            rows.append(
                {
                    "address": f"{host}:{port}",
                    "user_id": source.user_id,
                    "board_id": source.board_id,
                    "rate_hz": round(rate, 1),
                    "channels": len(source.values),
                    "values": list(source.values),
                    "device_ms": source.device_ms,
                    "state": source.state,
                    "said": source.said,
                    "age_s": round(max(0, now_us - source.seen_us) / 1e6, 2),
                }
            )
        self._tabled_us = now_us
        return rows

    def forget(self, numbers: Collection[int]) -> None:
        """Clear the data of some profile numbers, from text or from a board; addresses stay while they send."""
        for source in self._by_sender.values():
            if source.user_id in numbers:
                source.user_id = source.board_id = source.device_ms = None
                source.values = ()

    def _count_refused(self, sender: int, source: _Source, datagrams: int, refused: int, now_us: int) -> None:
        if not 0 <= now_us - source.recent_since_us < _LIMIT_US:
            source.recent = source.recent_refused = 0
            source.recent_since_us = now_us
        source.recent += datagrams
        source.recent_refused += refused
        if source.recent_refused > max(REFUSED_PER_S, REFUSED_SHARE * source.recent):
            self._limited[sender] = now_us + _LIMIT_US

    def _make_room(self, now_us: int) -> bool:
        if 0 <= now_us - self._cleared_us < CLEAR_EVERY_US:
            return False
        self._cleared_us = now_us
        return self._drop_silent(now_us)

    def _drop_silent(self, now_us: int) -> bool:
        silent = [sender for sender, source in self._by_sender.items() if now_us - source.seen_us > SOURCE_IDLE_US]
        for sender in silent:
            del self._by_sender[sender]
        return bool(silent)


def _beginning(datagram: bytes) -> str:
    """Return the beginning of a datagram as text, with bytes other than printable ASCII escaped."""
    signs = datagram[:MAX_SAID]
    shown = "".join(chr(sign) if 32 <= sign < 127 else f"\\x{sign:02x}" for sign in signs)
    return shown + ("…" if len(datagram) > MAX_SAID else "")


def _named(number: np.int64) -> int | None:
    return None if number < 0 else int(number)
