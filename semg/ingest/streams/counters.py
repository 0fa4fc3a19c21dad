"""Counters of the ingest service, as reported by its heartbeat."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


class StreamCounts:
    """Counters of one profile's stream since the start; they are added to the totals too."""

    __slots__ = ("_totals", "dropped", "late", "missing", "runs", "segments")

    def __init__(self, totals: Counters) -> None:
        self._totals = totals
        self.dropped: Counter[str] = Counter()
        self.late = self.missing = self.runs = self.segments = 0

    def note(self, name: str, n: int = 1) -> None:
        """Increment ``late``, ``missing``, ``runs`` or ``segments``."""
        setattr(self, name, getattr(self, name) + n)
        setattr(self._totals, name, getattr(self._totals, name) + n)

    def drop(self, reason: str, n: int = 1) -> None:
        """Count samples that were dropped."""
        self.dropped[reason] += n
        self._totals.dropped[reason] += n


@dataclass(slots=True, kw_only=True)
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
    receive_buffer: int = 0
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
    store_refused: int = 0
    store_retries: int = 0
    journal_lag: int = 0
    streams: dict[int, StreamCounts] = field(default_factory=dict)

    def of(self, user_id: int) -> StreamCounts:
        """Return the counters of one profile."""
        return self.streams.setdefault(user_id, StreamCounts(self))

    def as_metrics(self) -> dict[str, Any]:
        """Return the counters as JSON-ready values."""
        names = (name for name in self.__slots__ if name not in ("dropped", "streams"))
        return {name: getattr(self, name) for name in names} | {"dropped": dict(sorted(self.dropped.items()))}
