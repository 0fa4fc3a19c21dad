"""Scores live decisions against a recording's labels, and stored samples against sent ones. Pure functions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from semg.domain import Block, WindowSpec
from semg.recordings.csv_format import Recording
from semg.signals.dataset import LabelledSamples


@dataclass(frozen=True, slots=True)
class LiveDecision:
    """A decision as the WebSocket gave it; ``arrived_us`` is the client's clock."""

    label: str | None
    window_end_device_ms: float
    received_us: int
    arrived_us: int


def score_decisions(
    recording: Recording, decisions: Sequence[LiveDecision], window: WindowSpec, vote_n: int
) -> dict[str, Any]:
    """Compare decisions with the labels of the streamed recording.

    A decision counts only when all samples of its window, and of the windows that voted with it, lie in one stretch.
    A rejected decision counts as wrong, and is also counted by itself.

    Returns
    -------
    ``accuracy``, ``balanced_accuracy``, ``per_gesture``, ``decisions``, ``unscored``, ``rejected``, ``chance``.
    """
    labelled = recording.labelled
    index_of = {round(ms * 1000): index for index, ms in enumerate(recording.device_ms.tolist())}
    reach = window.window_samples - 1 + (vote_n - 1) * window.hop_samples
    hits: Counter[str] = Counter()
    totals: Counter[str] = Counter()
    unscored = rejected = 0
    for decision in decisions:
        end = index_of.get(round(decision.window_end_device_ms * 1000))
        truth = None if end is None else _label_throughout(labelled, end - reach, end)
        if truth is None:
            unscored += 1
            continue
        totals[truth] += 1
        hits[truth] += decision.label == truth
        rejected += decision.label is None
    scored = sum(totals.values())
    recall = {name: hits[name] / n for name, n in sorted(totals.items())}
    return {
        "accuracy": round(sum(hits.values()) / scored, 4) if scored else None,
        "balanced_accuracy": round(float(np.mean(list(recall.values()))), 4) if recall else None,
        "per_gesture": {name: {"recall": round(value, 4), "n": totals[name]} for name, value in recall.items()},
        "decisions": len(decisions),
        "unscored": unscored,
        "rejected": rejected,
        "chance": round(max(totals.values()) / scored, 4) if scored else None,
    }


def score_packets(recording: Recording, sent: int, blocks: Iterable[Block]) -> dict[str, int]:
    """Compare stored samples with the first ``sent`` of a recording, by device time and by every value.

    Returns
    -------
    ``sent``; ``stored``: sent samples found with their values; ``duplicated``: found more often than sent;
    ``missing``: not found; ``altered``: stored samples that were never sent like this.
    """
    expected = Counter(
        _keys(np.round(recording.device_ms[:sent] * 1000).astype(np.int64), recording.labelled.samples[:sent])
    )
    found: Counter[tuple[int, bytes]] = Counter()
    for block in blocks:
        found.update(_keys(block.device_us, block.samples))
    return {
        "sent": sent,
        "stored": sum(min(n, found[key]) for key, n in expected.items()),
        "duplicated": sum(max(0, found[key] - n) for key, n in expected.items()),
        "missing": sum(max(0, n - found[key]) for key, n in expected.items()),
        "altered": sum(n for key, n in found.items() if key not in expected),
    }


def latency_ms(decisions: Sequence[LiveDecision]) -> dict[str, float | None]:
    """Return the percentiles of arrival of the window's last sample at the server → decision at the client."""
    if not decisions:
        return {"p50": None, "p99": None, "max": None}
    delays = np.array([decision.arrived_us - decision.received_us for decision in decisions]) / 1000
    p50, p99 = np.percentile(delays, [50, 99])
    return {"p50": round(float(p50), 2), "p99": round(float(p99), 2), "max": round(float(delays.max()), 2)}


def _label_throughout(labelled: LabelledSamples, first: int, last: int) -> str | None:
    """Return the label when all samples lie in one stretch; equal ends mean one, for stretches are consecutive."""
    if first < 0 or labelled.stretch[first] < 0 or labelled.stretch[first] != labelled.stretch[last]:
        return None
    return labelled.stretches[int(labelled.stretch[last])].label


def _keys(device_us: NDArray[np.int64], samples: NDArray[np.float32]) -> list[tuple[int, bytes]]:
    rows = np.ascontiguousarray(samples, np.float32)
    return [(at, row.tobytes()) for at, row in zip(device_us.tolist(), rows, strict=True)]
