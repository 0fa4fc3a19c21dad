"""Recent increase of counters, by key, from periodic readings of monotonic counts."""

from __future__ import annotations

from collections import deque
from collections.abc import Collection, Mapping


class RecentCounts:
    """Readings of the last ``keep_s`` seconds. One thread at a time."""

    def __init__(self, keep_s: float) -> None:
        self._keep_us = round(keep_s * 1e6)
        self._readings: dict[int, deque[tuple[int, tuple[int, ...]]]] = {}
        self._read_us = 0

    def note(
        self, now_us: int, counts: Mapping[int, tuple[int, ...]], since_us: Mapping[int, int] | None = None
    ) -> None:
        """Record a reading. Keys that it lacks are removed; a new one has counted since the reading before.

        Parameters
        ----------
        since_us
            When the counting of a key began or restarted: earlier readings of it are discarded.
        """
        begun = since_us or {}
        for key in self._readings.keys() - counts.keys():
            del self._readings[key]
        for key, values in counts.items():
            readings = self._readings.get(key)
            if readings is None:
                began_us = begun.get(key, self._read_us or now_us - 1_000_000)
                readings = self._readings[key] = deque([(min(began_us, now_us - 1), (0,) * len(values))])
            elif begun.get(key, 0) > readings[0][0]:
                newest = readings[-1][1]
                readings.clear()
                readings.append((min(begun[key], now_us - 1), newest))
            readings.append((now_us, values))
            while len(readings) > 2 and not 0 <= now_us - readings[0][0] <= self._keep_us:
                readings.popleft()
        self._read_us = now_us

    def growth(self, key: int, seconds: float) -> tuple[tuple[int, ...], float]:
        """Return the increase of a key's counts in the last ``seconds``, and the actual time span, s."""
        readings = self._readings[key]
        now_us, newest = readings[-1]
        at_us, oldest = next(one for one in readings if now_us - one[0] <= seconds * 1e6 + 500_000)
        grown = tuple(max(0, new - old) for new, old in zip(newest, oldest, strict=True))
        return grown, max(1e-3, (now_us - at_us) / 1e6)

    def __contains__(self, key: int) -> bool:
        return key in self._readings

    def forget(self, keys: Collection[int]) -> None:
        """Discard the readings of some keys."""
        for key in keys:
            self._readings.pop(key, None)
