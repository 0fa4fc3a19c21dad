"""Spans that overlap a time: the same ones that looking at all of them finds."""

from __future__ import annotations

from datetime import timedelta

import numpy as np

from semg.privacy.time_spans import Spans
from testing.kits.store_data import T0


def test_overlapping_spans_are_those_that_looking_at_all_finds() -> None:
    rng = np.random.default_rng(3)
    at = [(T0 + timedelta(minutes=int(since)), timedelta(minutes=int(length)))
          for since, length in zip(rng.integers(0, 2000, 60), rng.integers(1, 300, 60), strict=True)]  # fmt: skip
    made = [(since, since + length) for since, length in at]
    spans = Spans(made)
    for start in range(-30, 2400, 7):
        since, until = T0 + timedelta(minutes=start), T0 + timedelta(minutes=start + 10)
        expected = sorted(span for span in made if span[0] < until and span[1] > since)
        assert spans.overlapping(since, until) == expected
    assert Spans([]).overlapping(T0, T0 + timedelta(days=1)) == []
