"""Results of measured play as a CSV file: a line for each test."""

from __future__ import annotations

import io
from collections.abc import Sequence

from semg.store.play import PlayResult
from semg.wire import csv_cells

FIGURES = (
    "throughput", "movement_s", "error_rate", "path_efficiency", "overshoots",
    "median_ms", "q1_ms", "q3_ms", "iqr_ms", "answered", "missed", "wrong_first", "early", "trials",
)  # fmt: skip
"""Those of a Fitts' law test, then those of a reaction test; what a kind does not have is empty."""


def results_csv(results: Sequence[PlayResult]) -> bytes:
    """Return a file of results: UTF-8, times in UTC, bits/s, s, ms, and shares of one."""
    text = io.StringIO()
    rows = csv_cells.Writer(text)
    rows.writerow(["played_at", "kind", "model_version", "simulated", *FIGURES])
    for one in results:
        figures = [one.result.get(name) for name in FIGURES]
        rows.writerow([one.played_at.isoformat(), one.kind, one.model_version, one.simulated, *figures])
    return text.getvalue().encode()
