"""Spans of time, of which those that overlap a time are found without looking at all."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Sequence
from datetime import datetime
from itertools import accumulate


class Spans:
    """Spans ``[since, until)``, in any order; they may overlap one another."""

    def __init__(self, spans: Sequence[tuple[datetime, datetime]]) -> None:
        self._spans = sorted(spans)
        self._starts = [since for since, _ in self._spans]
        self._ends = list(accumulate((until for _, until in self._spans), max))  # rising, so that it can be searched

    def overlapping(self, since: datetime, until: datetime) -> list[tuple[datetime, datetime]]:
        """Return the spans that share time with ``[since, until)``, by their starts."""
        first, last = bisect_right(self._ends, since), bisect_left(self._starts, until)
        return [span for span in self._spans[first:last] if span[1] > since]
