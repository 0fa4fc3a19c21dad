"""Advise in one sentence what would improve a classifier most, and find channels without signal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST

SILENT_PART = 0.01
"""A channel whose spread is below this fraction of the median channel's is called silent."""
MIN_REPETITIONS = 5
CONFUSED = 0.1
POOR_RECALL = 0.85


def silent_channels(windows: NDArray[np.float32], channels: Sequence[str]) -> list[str]:
    """Return the names of channels with almost no signal."""
    if len(windows) == 0:
        return []
    spread = windows.std(axis=(0, 2), dtype=np.float64)
    return [name for name, each in zip(channels, spread, strict=True) if each <= SILENT_PART * float(np.median(spread))]


def advise(
    classes: Sequence[str],
    confusion: NDArray[np.int64],
    repetitions: dict[str, int],
    n_sessions: int,
    silent: Sequence[str],
    between_sessions: bool,
) -> str:
    """Return one sentence with the first measure that the figures suggest."""
    if silent:
        return f"Channel {', '.join(silent)} is silent: check its electrode and its cable, then record again."
    counts = confusion.sum(axis=1)
    recall = np.diag(confusion) / np.maximum(counts, 1)
    few = sorted(name for name, n in repetitions.items() if n < MIN_REPETITIONS and name != REST)
    apart = confusion / np.maximum(counts, 1)[:, None]
    apart = np.where(np.eye(len(classes), dtype=bool), 0.0, apart)
    wrong, named = np.unravel_index(int(apart.argmax()), apart.shape) if len(classes) > 1 else (0, 0)
    worst = float(apart[wrong, named]) if len(classes) > 1 else 0.0
    if few:
        return f"Record more repetitions of {_listed(few)}: with fewer than {MIN_REPETITIONS}, little can be learned."
    if n_sessions < 2:
        return "Record another session after taking the electrodes off: one placement says nothing about the next."
    if worst > CONFUSED and float(recall[wrong]) < POOR_RECALL:
        return (
            f"{classes[int(wrong)]} is taken for {classes[int(named)]} in {100 * worst:.0f} % of its windows: perform "
            "them more distinctly, or record more repetitions of both."
        )
    if between_sessions and float(recall[counts > 0].mean()) < POOR_RECALL:
        return "Calibrate after putting the band on (10 s of rest and every gesture once): sessions differ a lot."
    return "Nothing stands out: another session on another day would make it more reliable."


def _listed(names: Sequence[str]) -> str:
    return names[0] if len(names) == 1 else f"{', '.join(names[:-1])} and {names[-1]}"


def count_repetitions(labels_and_stretches: Sequence[tuple[str, Any]]) -> dict[str, int]:
    """Return the number of stretches of each label."""
    found: dict[str, set[Any]] = {}
    for label, stretch in labels_and_stretches:
        found.setdefault(label, set()).add(stretch)
    return {label: len(each) for label, each in found.items()}
