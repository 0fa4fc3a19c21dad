"""What ingest counts, and who sends: the figures of the heartbeat."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any

MAX_SOURCES = 200
SOURCE_IDLE_US = 60_000_000
CLEAR_EVERY_US = 1_000_000
"""A full table is searched for silent senders at most this often, so that forged addresses cost nothing."""

Address = tuple[str, int]


@dataclass(slots=True)
class Counters:
    """Totals since the start. ``missing`` counts at the moment of a gap; ``late`` samples may have filled some."""

    received: int = 0
    accepted: int = 0
    dropped: Counter[str] = field(default_factory=Counter)
    late: int = 0
    missing: int = 0
    segments: int = 0
    runs: int = 0
    kernel_drops: int = 0
    untracked_sources: int = 0
    journalled: int = 0
    journal_messages: int = 0
    journal_retries: int = 0
    journal_pending: int = 0
    live_messages: int = 0
    watched_profiles: int = 0
    stored: int = 0
    stored_rows: int = 0
    erased: int = 0
    replayed: int = 0
    journal_expired: int = 0
    journal_damaged: int = 0
    store_retries: int = 0
    journal_lag: int = 0

    def as_metrics(self) -> dict[str, Any]:
        """Give the counters as JSON-ready values."""
        names = (name for name in self.__slots__ if name != "dropped")
        return {name: getattr(self, name) for name in names} | {"dropped": dict(sorted(self.dropped.items()))}


@dataclass(slots=True)
class Source:
    """One sending address as the bench sees it. ``state`` is ``ok`` or the reason of the last dropped datagram.

    ``samples`` counts refused ones too; a datagram that cannot be read is one.
    """

    user_id: int | None = None
    samples: int = 0
    counted: int = 0
    state: str = ""
    values: tuple[float, ...] = ()
    device_ms: int | None = None
    seen_us: int = 0


class Sources:
    """The last senders, at most ``MAX_SOURCES``; a full table makes room by dropping those that fell silent."""

    def __init__(self, counters: Counters) -> None:
        self._counters = counters
        self._by_address: dict[Address, Source] = {}
        self._tabled_us = 0
        self._cleared_us = 0

    def note(self, address: Address, now_us: int) -> Source:
        """Give the entry of an address, counted up by one datagram."""
        source = self._by_address.get(address)
        if source is None:
            source = Source()
            if len(self._by_address) < MAX_SOURCES or self._make_room(now_us):
                self._by_address[address] = source
            else:
                self._counters.untracked_sources += 1
        source.samples += 1
        source.seen_us = now_us
        return source

    def table(self, now_us: int) -> list[dict[str, Any]]:
        """Give the senders, the most recent first, with their rate since the last call."""
        elapsed_s = (now_us - self._tabled_us) / 1e6
        rows = []
        for (host, port), source in sorted(self._by_address.items(), key=lambda item: -item[1].seen_us):
            rate = (source.samples - source.counted) / elapsed_s if elapsed_s > 0 else 0.0
            source.counted = source.samples
            rows.append(
                {
                    "address": f"{host}:{port}",
                    "user_id": source.user_id,
                    "rate_hz": round(rate, 1),
                    "channels": len(source.values),
                    "values": list(source.values),
                    "device_ms": source.device_ms,
                    "state": source.state,
                    "age_s": round(max(0, now_us - source.seen_us) / 1e6, 2),
                }
            )
        self._tabled_us = now_us
        return rows

    def _make_room(self, now_us: int) -> bool:
        if 0 <= now_us - self._cleared_us < CLEAR_EVERY_US:
            return False
        self._cleared_us = now_us
        silent = [at for at, source in self._by_address.items() if now_us - source.seen_us > SOURCE_IDLE_US]
        for address in silent:
            del self._by_address[address]
        return bool(silent)
