"""What ingest counts: figures of the heartbeat."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import Any


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
    store_retries: int = 0
    journal_lag: int = 0

    def as_metrics(self) -> dict[str, Any]:
        """Give the counters as JSON-ready values."""
        names = (name for name in self.__slots__ if name != "dropped")
        return {name: getattr(self, name) for name in names} | {"dropped": dict(sorted(self.dropped.items()))}
