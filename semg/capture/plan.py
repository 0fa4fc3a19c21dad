"""The plan of a capture: which gesture is prompted when."""

from __future__ import annotations

import random
from collections.abc import Container, Sequence

from semg.domain import REST, CapturePlan, PlanStep
from semg.errors import InvalidValueError

MAX_REPETITIONS = 100
MIN_GESTURE_S, MAX_GESTURE_S = 1.0, 60.0
MAX_PREPARE_S = 60.0
MAX_PLAN_S = 4 * 3600.0
MAX_STEPS = 2000
"""Of a plan, rest included: pages and the conductor read it whole while it runs."""
_WORDS = {
    "repetitions": "repetitions",
    "gesture_s": "seconds per gesture",
    "rest_s": "seconds of rest",
    "prepare_s": "seconds of preparation",
    "first_rest_s": "seconds of rest at the start",
}
CALIBRATION_REST_S, CALIBRATION_PAUSE_S = 10.0, 2.0
QUICK_S, QUICK_PREPARE_S, QUICK_REPETITIONS = 120.0, 3.0, 5
ONCE_S = 2.0
"""Of a short dynamic gesture, whatever others last: reaction, performance and the relaxed hand behind it."""
QUICK_SHARE = 0.55
"""Of a gesture and the rest behind it, what is the gesture: both are recognised about equally well then."""


def make_plan(
    gesture_names: Sequence[str],
    repetitions: int,
    gesture_s: float,
    rest_s: float,
    prepare_s: float,
    shuffled: bool,
    seed: int,
    first_rest_s: float | None = None,
    once: Container[str] = (),
) -> CapturePlan:
    """Return a plan: preparation, then rest and gesture alternating, ending with rest.

    Parameters
    ----------
    gesture_names
        What to perform; ``rest`` may be named, it is prompted between the others in any case.
    repetitions
        Of each gesture.
    gesture_s, rest_s, prepare_s
        Length of one performance, of the rest before and after it, and of the countdown at the start.
    shuffled
        Each round holds every gesture once, in a random order that never prompts one gesture twice in a row
        (with three or more of them, across rounds too); otherwise all repetitions of a gesture are consecutive.
    seed
        Of the order; the same seed gives the same plan.
    first_rest_s
        Length of the rest at the beginning; None: as the others.
    once
        Short dynamic gestures: each repetition is one performance, and takes ``ONCE_S``.

    Raises
    ------
    InvalidValueError
        Nothing to perform, or a number out of its range; the message names the field.
    """
    names = [name for name in dict.fromkeys(gesture_names) if name != REST]
    if not names:
        raise InvalidValueError("gestures", "choose at least one gesture besides rest, or add one to the gesture bank")
    _check("repetitions", repetitions, 1, MAX_REPETITIONS)
    _check("gesture_s", gesture_s, MIN_GESTURE_S, MAX_GESTURE_S)
    _check("rest_s", rest_s, MIN_GESTURE_S, MAX_GESTURE_S)
    _check("prepare_s", prepare_s, 0, MAX_PREPARE_S)
    first_rest_s = rest_s if first_rest_s is None else first_rest_s
    _check("first_rest_s", first_rest_s, MIN_GESTURE_S, MAX_GESTURE_S)
    order = _shuffled(names, repetitions, seed) if shuffled else [name for name in names for _ in range(repetitions)]
    steps: list[PlanStep] = []
    at_s = 0.0
    counts = dict.fromkeys([REST, *names], 0)

    def add(name: str | None, length_s: float) -> None:
        nonlocal at_s
        if name is not None:
            counts[name] += 1
        end_s = round(at_s + length_s, 6)
        steps.append(PlanStep(name, 0 if name is None else counts[name], at_s, end_s))
        at_s = end_s

    if prepare_s > 0:
        add(None, prepare_s)
    add(REST, first_rest_s)
    for name in order:
        add(name, ONCE_S if name in once else gesture_s)
        add(REST, rest_s)
    plan = CapturePlan(tuple(steps))
    if plan.duration_s > MAX_PLAN_S:
        raise InvalidValueError(
            "repetitions",
            f"record several sessions instead: this plan takes {plan.duration_s / 60:.0f} minutes, and a session at "
            f"most {MAX_PLAN_S / 60:.0f}",
        )
    if len(steps) > MAX_STEPS:
        raise InvalidValueError(
            "repetitions",
            f"record several sessions instead: this plan has {len(order):,} repetitions, and a session has at most "
            f"{MAX_STEPS // 2 - 1:,}",
        )
    return plan


def calibration_plan(
    gesture_names: Sequence[str], gesture_s: float = 4.0, seed: int = 0, once: Container[str] = ()
) -> CapturePlan:
    """Return the plan of a calibration: ten seconds of rest, then each gesture once.

    For a band that was taken off and put on again: a minute suffices to measure the new placement. ``once`` as for
    ``make_plan``.

    Raises
    ------
    InvalidValueError
        As for ``make_plan``.
    """
    return make_plan(gesture_names, 1, gesture_s, CALIBRATION_PAUSE_S, 5.0, True, seed, CALIBRATION_REST_S, once)


def quick_plan(
    gesture_names: Sequence[str], total_s: float = QUICK_S, seed: int = 0, once: Container[str] = ()
) -> CapturePlan:
    """Return a plan of about two minutes for up to five gestures, enough for a first model; more of them take longer.

    Each gesture comes five times, which the verdict on a model wants; what is left of the time goes into their length:
    the moments between gesture and rest, of which nobody can say which is which, are then a smaller share.

    Parameters
    ----------
    total_s
        How long the plan takes, where its parts can be stretched or cut to it.
    once
        As for ``make_plan``.

    Raises
    ------
    InvalidValueError
        As for ``make_plan``.
    """
    names = [name for name in dict.fromkeys(gesture_names) if name != REST]
    each_s = (total_s - QUICK_PREPARE_S) / (max(1, min(len(names), 5)) * QUICK_REPETITIONS + 1 - QUICK_SHARE)
    gesture_s = min(max(round(QUICK_SHARE * each_s, 1), MIN_GESTURE_S), 5.0)
    rest_s = min(max(round(each_s - gesture_s, 1), MIN_GESTURE_S), 4.0)
    return make_plan(names, QUICK_REPETITIONS, gesture_s, rest_s, QUICK_PREPARE_S, True, seed, once=once)


def _shuffled(names: Sequence[str], repetitions: int, seed: int) -> list[str]:
    generator = random.Random(seed)
    order: list[str] = []
    for _ in range(repetitions):
        block = list(names)
        generator.shuffle(block)
        if order and len(block) > 2 and block[0] == order[-1]:
            other = generator.randrange(1, len(block))
            block[0], block[other] = block[other], block[0]
        order.extend(block)
    return order


def _check(field: str, value: float, low: float, high: float) -> None:
    if not low <= value <= high:
        raise InvalidValueError(field, f"choose {low:g} to {high:g} {_WORDS[field]} (now {value:g})")
