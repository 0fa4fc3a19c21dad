"""Which datagrams of a boot have been seen."""

from __future__ import annotations

SEQUENCES = 1 << 32
"""Sequences wrap here."""

REMEMBERED = 4096
"""Size of the replay window: how far behind the newest one a sequence can still be checked for duplicates."""

_ALL = (1 << REMEMBERED) - 1


class SeenSequences:
    """The sequences seen in one boot, as a bit mask of the last 4,096."""

    def __init__(self, sequence: int) -> None:
        self.newest = sequence
        self._bits = 1

    def number_of(self, sequence: int) -> int:
        """Return the unwrapped number of a datagram in its boot from its sequence, which wraps."""
        half = SEQUENCES // 2
        return self.newest + (sequence - self.newest + half) % SEQUENCES - half

    def refusal(self, number: int) -> str:
        """Record a number; return its drop code, or an empty string if it is new."""
        ahead = number - self.newest
        if ahead > 0:
            self._bits = (self._bits << ahead | 1) & _ALL if ahead < REMEMBERED else 1
            self.newest = number
            return ""
        if ahead <= -REMEMBERED:
            return "replayed"
        bit = 1 << -ahead
        if self._bits & bit:
            return "duplicate"
        self._bits |= bit
        return ""

    def skip(self, n: int) -> None:
        """Record the ``n`` numbers after the newest."""
        self.newest += n
        self._bits = (self._bits << n | ((1 << n) - 1)) & _ALL if n < REMEMBERED else _ALL
