"""Sessions of a synthetic arm with short dynamic gestures beside held ones."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import replace

import numpy as np

from semg.domain import REST, CapturePlan, PlanStep
from semg.recordings.csv_format import Recording
from semg.signals.dataset import LabelledSamples
from semg.signals.synthesis import SyntheticArm
from testing.kits.recording_kit import synthetic_recording

SHORT, HELD = ("snap", "tap", "double_tap", "flick"), ("fist", "open_hand", "extension")
REST_S, SHORT_S, HELD_S = 2.0, 2.0, 3.0


def short_plan(
    seed: int, index: int, repetitions: int, short: Sequence[str] = SHORT, held: Sequence[str] = HELD
) -> CapturePlan:
    """Return a plan with rest before every prompt, in an order of each sitting's own."""
    rng = np.random.default_rng([seed, index, 9])
    steps: list[PlanStep] = []
    at_s = 0.0
    for number in range(1, repetitions + 1):
        for gesture in rng.permutation([*short, *held]).tolist():
            lasts_s = SHORT_S if gesture in short else HELD_S
            steps.append(PlanStep(REST, len(steps) + 1, at_s, at_s + REST_S))
            steps.append(PlanStep(gesture, number, at_s + REST_S, at_s + REST_S + lasts_s))
            at_s += REST_S + lasts_s
    return CapturePlan(tuple(steps))


def short_recording(
    seed: int,
    index: int,
    repetitions: int = 6,
    short: Sequence[str] = SHORT,
    held: Sequence[str] = HELD,
    channels: int = 8,
) -> Recording:
    """Return a sitting of a simulated arm, whose stretches say which gestures are dynamic."""
    arm = SyntheticArm(seed, channels, gestures=(REST, *held))
    made = arm.session(index, short_plan(seed, index, repetitions, short, held))
    recording = synthetic_recording(arm, made, f"sitting {index}")
    return replace(recording, labelled=marked(recording.labelled, lambda label: label in short))


def marked(session: LabelledSamples, dynamic: Callable[[str], bool]) -> LabelledSamples:
    """Return a session whose stretches say which gestures are dynamic."""
    return replace(session, stretches=tuple(replace(one, dynamic=dynamic(one.label)) for one in session.stretches))
