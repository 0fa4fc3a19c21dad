"""Detect rows shared by two recordings, because training data must not be tested on."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from semg.recordings.csv_format import Recording

COPIED_ROWS = 20
"""So many rows in a row with equal values, changing at least as often as half of that, are a copy."""


def shared_rows(first: Recording, second: Recording) -> int:
    """Return how many rows two recordings share, 0 when they coincide by chance.

    Rows are the same when they have the same time, the same values and the same label. Two recordings that both count
    time from 0 have many times in common, and now and then a quiet row; when more than half of the rows of a common
    time are the same, it is no chance. Rows that were given another time are found by ``COPIED_ROWS`` in a row.
    """
    if first.labelled.channels != second.labelled.channels:
        return 0
    _, mine, theirs = np.intersect1d(first.device_ms, second.device_ms, assume_unique=True, return_indices=True)
    values = (first.labelled.samples[mine] == second.labelled.samples[theirs]).all(axis=1)
    same = int((values & (_labels(first)[mine] == _labels(second)[theirs])).sum())
    if 2 * same > len(mine):
        return same
    return _copied(first.labelled.samples, second.labelled.samples)


def _labels(recording: Recording) -> NDArray[np.str_]:
    labelled = recording.labelled
    names = np.array([*(f"{stretch.label}\n{stretch.repetition}" for stretch in labelled.stretches), ""])
    return names[labelled.stretch]  # -1, no label, is the last


def _copied(first: NDArray[np.float32], second: NDArray[np.float32]) -> int:
    """Return how many rows of the first begin a run of ``COPIED_ROWS`` that the second holds too, wherever."""
    if min(len(first), len(second)) < COPIED_ROWS:
        return 0
    rng = np.random.default_rng(0)
    factors = rng.integers(1, 2**62, first.shape[1], dtype=np.uint64) | np.uint64(1)
    powers = rng.integers(1, 2**62, COPIED_ROWS, dtype=np.uint64) | np.uint64(1)
    hashes = []
    for samples in (first, second):
        # Wrapping products and sums: a hash of each row, then of each run of rows.
        rows = (np.ascontiguousarray(samples + np.float32(0)).view(np.uint32).astype(np.uint64) * factors).sum(axis=1)
        runs = np.lib.stride_tricks.sliding_window_view(rows, COPIED_ROWS) * powers
        moving = np.concatenate([[False], rows[1:] != rows[:-1]])
        lively = np.lib.stride_tricks.sliding_window_view(moving, COPIED_ROWS).sum(axis=1) * 2 >= COPIED_ROWS
        hashes.append(runs.sum(axis=1)[lively])
    return int(np.isin(hashes[0], hashes[1]).sum())
