"""Gesture events of held-out predictions are counted by performance, and on rest by time."""

from __future__ import annotations

import numpy as np
import pytest

from semg.domain import DecisionSpec, WindowSpec
from semg.event_types import EventSpec, EventTimes
from semg.signals.dataset import Stretch, WindowSet
from semg.signals.training.event_figures import event_figures

CLASSES = ("fist", "open", "rest")
WINDOW = WindowSpec(200.0, 200.0, 50.0)
N = 20


def held_out(*stretches: tuple[str, list[str]]) -> tuple[WindowSet, np.ndarray]:
    """Return windows of labelled stretches, and sure predictions as they are named."""
    n = sum(len(named) for _, named in stretches)
    ids = np.concatenate([np.full(len(named), index) for index, (_, named) in enumerate(stretches)])
    into_ms = np.concatenate([50.0 * np.arange(len(named)) for _, named in stretches])
    data = WindowSet(
        np.zeros((n, 1, 1), np.float32), ids.astype(np.int32),
        tuple(Stretch(label, 1, "s") for label, _ in stretches), into_ms.astype(np.float32),
        np.full(n, 1000, np.float32), np.arange(n), np.zeros(n, np.int32),
    )  # fmt: skip
    named = [one for _, each in stretches for one in each]
    return data, np.eye(3, dtype=np.float32)[[CLASSES.index(one) for one in named]]


def test_performances_and_false_presses_are_counted() -> None:
    data, probabilities = held_out(
        ("fist", ["rest"] * 4 + ["fist"] * 16),  # recognised: 200 ms of dwell after window 4
        ("fist", ["open"] * 10 + ["fist"] * 10),  # another one was pressed first
        ("open", ["open", "rest"] * 10),  # never long enough
        ("rest", ["rest"] * 5 + ["fist"] * 7 + ["rest"] * 8),
        ("rest", ["rest"] * N),
    )
    spec = EventSpec(EventTimes(dwell_ms=200))
    found = event_figures(CLASSES, data, probabilities, DecisionSpec(1, 0.0, 0.0), WINDOW, spec)
    assert (found.performances, found.recognised, found.other) == (3, 1, 1)
    assert (found.false_on_rest, found.rest_s) == (1, pytest.approx(2.0))
    assert found.false_per_hour == pytest.approx(1800)
    assert found.median_latency_ms == pytest.approx(8 * 50 + 200)
    assert found.dwell_ms == 200


def test_nothing_held_out_has_no_figures() -> None:
    data, probabilities = held_out(("fist", ["fist"] * N))
    found = event_figures(CLASSES, data, probabilities, DecisionSpec(), WINDOW)
    assert (found.recognised, found.false_per_hour) == (1, None)
