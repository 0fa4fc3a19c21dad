"""Results of measured play as a CSV file: a line for each test."""

from __future__ import annotations

import io
from collections.abc import Iterable, Iterator, Sequence

from semg.store.play import PlayFigures
from semg.wire import csv_cells

FIGURES = (
    "throughput", "movement_s", "error_rate", "path_efficiency", "overshoots",
    "median_ms", "q1_ms", "q3_ms", "iqr_ms", "answered", "missed", "wrong_first", "early", "trials",
)  # fmt: skip
"""Those of a Fitts' law test, then those of a reaction test; what a kind does not have is empty."""


def results_csv(portions: Iterable[Sequence[PlayFigures]]) -> Iterator[bytes]:
    """Yield a file of results in pieces: UTF-8, times in UTC, bits/s, s, ms, and shares of one."""
    yield _piece([["played_at", "kind", "model_version", "simulated", *FIGURES]])
    for portion in portions:
        yield _piece(
            [
                one.played_at.isoformat(),
                one.kind,
                one.model_version,
                one.simulated,
                *(one.figures.get(name) for name in FIGURES),
            ]
            for one in portion
        )


def _piece(lines: Iterable[Sequence[object]]) -> bytes:
    text = io.StringIO()
    csv_cells.Writer(text).writerows(lines)
    return text.getvalue().encode()
