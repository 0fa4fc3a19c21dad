"""What gesture events would have come of held-out predictions: figures for a report."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST, DecisionSpec, WindowSpec
from semg.event_types import EventSpec
from semg.signals.dataset import WindowSet
from semg.signals.model.gesture_events import EventMachine
from semg.signals.training.calibration import decide_all
from semg.signals.training.training_report import EventFigures


def event_figures(
    classes: Sequence[str],
    data: WindowSet,
    probabilities: NDArray[np.float32],
    decision: DecisionSpec,
    window: WindowSpec,
    spec: EventSpec | None = None,
) -> EventFigures:
    """Return the scores of gesture events; votes and events restart with every stretch, as after a gap.

    A performance is recognised when its own gesture is pressed first, another gesture when that is pressed first. Every
    press during rest is false.

    Parameters
    ----------
    spec
        Event times; the usual ones if None.
    """
    spec = EventSpec() if spec is None else spec
    decided, first = decide_all(data, probabilities, decision)
    ends_us = np.round(1000 * (data.into_stretch_ms + window.window_ms)).astype(np.int64)
    begins = np.flatnonzero(first).tolist()
    labels = data.labels
    performances = recognised = other = false = 0
    rest_ms, latencies = 0.0, []
    for begin, end in zip(begins, [*begins[1:], len(labels)], strict=True):
        machine = EventMachine(0, spec, 0)
        presses = [
            event
            for winner, at_us in zip(decided[begin:end].tolist(), ends_us[begin:end].tolist(), strict=True)
            for event in machine.push(None if winner < 0 else classes[winner], at_us, 0.0)
            if event.kind == "press"
        ]
        if labels[begin] == REST:
            false += len(presses)
            rest_ms += (end - begin) * window.hop_ms
            continue
        performances += 1
        if presses and presses[0].gesture == labels[begin]:
            recognised += 1
            latencies.append(presses[0].at_us / 1000)
        elif presses:
            other += 1
    return EventFigures(
        performances=performances,
        recognised=recognised,
        other=other,
        false_on_rest=false,
        rest_s=round(rest_ms / 1000, 3),
        median_latency_ms=round(float(np.median(latencies)), 1) if latencies else None,
        dwell_ms=spec.times.dwell_ms,
    )
