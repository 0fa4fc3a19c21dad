"""A virtual wearer: performs what a plan prompts, as a person does, in signals of a synthetic forearm.

It reacts after a while, holds the gesture with a force that differs from trial to trial, tires, recovers at rest, and
now and then performs a prompt wrongly: another gesture, too weakly, or too late.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from semg.domain import REST, CapturePlan, Device, PlanStep
from semg.signals.synthesis import Faults, SyntheticArm, Wearing
from semg.signals.synthetic_gestures import DURATION_SPREAD
from semg.store.simulated_arms import Steering

REACTION_S = (0.2, 0.4)
LATE_S = (0.7, 1.3)
"""Of a trial that is performed too late."""
WEAK = 0.3
"""Force of a trial that is performed too weakly, of the usual one."""
STEERED_AFTER_S = 0.05
"""A button is not a prompt: what it names begins at once."""
TRIAL_FORCE, TRIAL_MUSCLE = 0.2, 0.13
"""Spread of the force and of each muscle's part from trial to trial (natural logarithm)."""
CLARITY = 0.5
"""How much more than the typical person the wearer tells strong muscles of a gesture from weak ones (exponent)."""
TIRED_AFTER_S, RESTED_AFTER_S = 240.0, 300.0
"""Time constants of growing tired while a gesture is held, and of recovering at rest."""
TIRED_FORCE = 0.5
"""Share of the force that is left to a wearer who is tired altogether, at a ``fatigue`` of 1."""


@dataclass(frozen=True, slots=True)
class Prompt:
    """What is prompted at a moment: a gesture, since when in seconds of its plan, and whether by a button."""

    gesture: str
    since_s: float
    steered: bool = False


def prompt_at(plan: CapturePlan | None, at_s: float) -> PlanStep | None:
    """Return the plan's step at a time; None before and after it, in a pause, and without a plan."""
    if plan is None or (plan.paused_s is not None and at_s >= plan.paused_s):
        return None
    return next((step for step in plan.steps if step.start_s <= at_s < step.end_s), None)


class VirtualWearer:
    """One person with one placement of the band.

    Parameters
    ----------
    device
        Channels, rate, kind of sensor and range of the converter that are simulated.
    seed
        Determines the person.
    sitting
        Which placement of the band.
    """

    def __init__(self, device: Device, seed: int = 0, sitting: int = 1) -> None:
        self.device = device
        self._arm = SyntheticArm(
            seed,
            device.n_channels,
            device.rate_hz,
            device.sensor,
            device.adc_min,
            device.adc_max,
            device.mains_hz,
            gestures=(),
        )
        self._body = Wearing(self._arm, sitting, fatigue_s=np.inf)
        self._rng = np.random.default_rng([seed, 4, sitting])
        self._rest = self._arm.pattern(REST)
        self._prompt = Prompt(REST, 0.0)
        self._now = self._next = self._rest
        self._due_s: float | None = None
        self._later: list[tuple[float, NDArray[np.float64]]] = []
        """What follows within a short gesture: seconds after the change before it, and the activation."""
        self.tired = 0.0

    def samples(
        self, count: int, steering: Steering, plan: CapturePlan | None = None, at_s: float = 0.0
    ) -> NDArray[np.float32]:
        """Return the next ``count`` samples, ``(count, C)``: whole numbers within the converter's range.

        Parameters
        ----------
        plan, at_s
            The plan that runs, and the time of the first sample in it, in seconds from the session's start; without a
            plan, on any clock.
        """
        prompt = self._read(steering, plan, at_s)
        if prompt != self._prompt:
            self._prompt = prompt
            self._decide(prompt, steering, plan, at_s)
        length_s = count / self.device.rate_hz
        before, after, reaction = self._now, self._now, 0
        if self._due_s is not None and self._due_s < at_s + length_s:
            after = self._next
            reaction = max(0, round((self._due_s - at_s) * self._body.inner_hz))
            self._now, due_s, self._due_s = self._next, self._due_s, None
            if self._later:
                after_s, self._next = self._later.pop(0)
                self._due_s = due_s + after_s
        self._tire(length_s)
        force = steering.strength * (1.0 - (1.0 - TIRED_FORCE) * steering.fatigue * self.tired)
        faults = Faults(steering.rotation, steering.loose_channel, steering.loose_flat, steering.hum)
        return self._body.make(count, self._with(before, force), self._with(after, force), reaction, faults)

    def _read(self, steering: Steering, plan: CapturePlan | None, at_s: float) -> Prompt:
        step = prompt_at(plan, at_s)
        if step is not None:  # what is recorded must be what is prompted, whatever button was pressed before
            return Prompt(step.gesture or REST, step.start_s)
        if steering.gesture is not None:
            return Prompt(steering.gesture, 0.0, steered=True)
        return Prompt(REST, 0.0)

    def _decide(self, prompt: Prompt, steering: Steering, plan: CapturePlan | None, at_s: float) -> None:
        """Choose what follows a new prompt, and when."""
        rng = self._rng
        gesture, reaction_s = prompt.gesture, rng.uniform(*REACTION_S)
        force = np.exp(rng.normal(0, TRIAL_FORCE))
        muscles = np.exp(rng.normal(0, TRIAL_MUSCLE, len(self._rest)))
        wrong, kind = rng.random(2)
        if prompt.steered:
            reaction_s = STEERED_AFTER_S
        elif gesture != REST and wrong < steering.mistakes:
            others = _others(plan, gesture)
            if others and kind < 0.5:
                gesture = others[int(rng.integers(len(others)))]
            elif kind < 0.75:
                force *= WEAK
            else:
                reaction_s = rng.uniform(*LATE_S)
        self._later = []
        course = self._arm.course(gesture)
        if course:
            self._next, self._later = self._once(course, force * muscles)
        else:
            self._next = self._rest if gesture == REST else self._pattern(gesture) * force * muscles
        # A prompt that was met late, as after a pause in sending, is reacted to from now on.
        began_s = prompt.since_s if not prompt.steered and at_s - prompt.since_s < 0.1 else at_s
        self._due_s = began_s + reaction_s

    def _once(
        self, course: list[tuple[float, NDArray[np.float64] | None]], trial: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], list[tuple[float, NDArray[np.float64]]]]:
        """Return the first activation of a short gesture, and what follows it; it ends at rest, whatever the prompt."""
        goals = [self._rest if levels is None else levels * trial for _, levels in course]
        lengths_s = [seconds * np.exp(self._rng.normal(0, DURATION_SPREAD)) for seconds, _ in course]
        return goals[0], list(zip(lengths_s, [*goals[1:], self._rest], strict=True))

    def _pattern(self, gesture: str) -> NDArray[np.float64]:
        usual = self._arm.pattern(gesture)
        return np.asarray(usual * (usual / usual.mean()) ** CLARITY)

    def _tire(self, length_s: float) -> None:
        is_active = self._now is not self._rest
        goal, after_s = (1.0, TIRED_AFTER_S) if is_active else (0.0, RESTED_AFTER_S)
        self.tired += (goal - self.tired) * (1.0 - np.exp(-length_s / after_s))

    def _with(self, activation: NDArray[np.float64], force: float) -> NDArray[np.float64]:
        return activation if activation is self._rest else np.maximum(self._rest, activation * force)


def _others(plan: CapturePlan | None, gesture: str) -> list[str]:
    """Return the plan's other gestures, from which a mistaken one is taken."""
    names = {step.gesture for step in (plan.steps if plan is not None else ()) if step.gesture is not None}
    return sorted(names - {REST, gesture})
