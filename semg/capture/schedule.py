"""Change a running plan: pause it, resume it, repeat a repetition. Pure functions of plan and time.

A plan always holds what has happened and what is to come, as steps without a hole between them. A step that was
interrupted, or that is performed again, stays in it as *dropped*: it has no label. Later steps follow it with
new times.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from semg.domain import REST, CapturePlan, PlanStep
from semg.errors import ConflictError

LEAD_S = 3.0
"""Countdown after a pause, and before something is performed again."""
MAX_DROPPED = 1000
"""Steps of a plan that were interrupted; every page and the conductor read the whole of a running plan."""


def pause(plan: CapturePlan, at_s: float) -> CapturePlan:
    """Pause the plan at a time; the current repetition is dropped, and repeated after the pause.

    A plan that is paused or over is not changed.

    Raises
    ------
    ConflictError
        It was interrupted ``MAX_DROPPED`` times.
    """
    if plan.paused_s is not None or at_s >= plan.duration_s:
        return plan
    _require_room(plan)
    at_s = max(0.0, at_s)
    done, to_come = _split(plan.steps, at_s)
    return replace(plan, steps=(*done, *_from(to_come, at_s)), paused_s=at_s)


def resume(plan: CapturePlan, at_s: float) -> CapturePlan:
    """Resume a paused plan after a countdown; one that is not paused is not changed."""
    if plan.paused_s is None:
        return plan
    at_s = max(at_s, plan.paused_s)
    done = [step for step in plan.steps if step.end_s <= plan.paused_s]
    to_come = plan.steps[len(done) :]
    waited = [PlanStep(None, 0, plan.paused_s, at_s, dropped=True)] if at_s > plan.paused_s else []
    lead = PlanStep(None, 0, at_s, _round(at_s + LEAD_S))
    return replace(plan, steps=(*done, *waited, lead, *_from(to_come, lead.end_s)), paused_s=None)


def redo(plan: CapturePlan, at_s: float) -> tuple[CapturePlan, PlanStep | None]:
    """Repeat the last repetition: the current one, otherwise the last one performed.

    Returns
    -------
    The changed plan, and the repetition that is dropped. None and the same plan when nothing has been performed, when
    the plan is over, or when the repetition is about to be performed again already, so that asking twice is harmless.

    Raises
    ------
    ConflictError
        The plan was interrupted ``MAX_DROPPED`` times.
    """
    at_s = at_s if plan.paused_s is None else plan.paused_s
    target = repeatable(plan, at_s)
    if target is None or (plan.paused_s is None and at_s >= plan.duration_s):
        return plan, None
    _require_room(plan)
    done, to_come = _split(plan.steps, at_s)
    was_running = target.end_s > at_s
    done = [replace(step, dropped=True) if step.start_s == target.start_s else step for step in done]
    again = [] if was_running else [target]  # the interrupted step is repeated first
    if plan.paused_s is not None:
        return replace(plan, steps=(*done, *_from([*again, *to_come], at_s))), target
    lead = PlanStep(None, 0, at_s, _round(at_s + LEAD_S))
    return replace(plan, steps=(*done, lead, *_from([*again, *to_come], lead.end_s))), target


def repeatable(plan: CapturePlan, at_s: float) -> PlanStep | None:
    """Return the repetition that ``redo`` would drop at a time; None when there is none, or it is to come already."""
    at_s = at_s if plan.paused_s is None else plan.paused_s
    begun = [step for step in plan.steps if step.gesture not in (None, REST) and step.start_s < at_s]
    return None if not begun or begun[-1].dropped else begun[-1]


def append(
    plan: CapturePlan, ended_s: float, at_s: float, again: Sequence[PlanStep], prepare_s: float, rest_s: float
) -> CapturePlan:
    """Return a plan that is over with some repetitions to perform again, after a countdown, with rest around each.

    Parameters
    ----------
    ended_s, at_s
        When it ended, and when it goes on. What was not performed by its end is not to come any more.
    again
        What is performed again: gesture, number and length of each.
    """
    _require_room(plan)
    done, _ = _split(plan.steps, ended_s)
    last_s = done[-1].end_s if done else 0.0
    at_s = max(at_s, last_s)
    waited = [PlanStep(None, 0, last_s, at_s, dropped=True)] if at_s > last_s else []
    number = sum(step.gesture == REST for step in done)
    wanted = [PlanStep(None, 0, 0.0, prepare_s), PlanStep(REST, number + 1, 0.0, rest_s)]
    for index, step in enumerate(again):
        wanted += [step, PlanStep(REST, number + 2 + index, 0.0, rest_s)]
    return CapturePlan((*done, *waited, *_from(wanted, at_s)))


def _require_room(plan: CapturePlan) -> None:
    if sum(step.dropped for step in plan.steps) >= MAX_DROPPED:
        raise ConflictError(f"this capture was interrupted {MAX_DROPPED:,} times; end it early, and start another one")


def _split(steps: Sequence[PlanStep], at_s: float) -> tuple[list[PlanStep], list[PlanStep]]:
    """Return what lies before a time, the interrupted step left out, and what is to come, that step first."""
    done: list[PlanStep] = []
    to_come: list[PlanStep] = []
    for step in steps:
        if step.end_s <= at_s:
            done.append(step)
        elif step.start_s >= at_s:
            to_come.append(step)
        else:
            done.append(replace(step, end_s=at_s, dropped=True))
            to_come.append(step)
    # A countdown is not continued: resuming starts a new one.
    return done, to_come[1:] if to_come and to_come[0].gesture is None else to_come


def _from(steps: Sequence[PlanStep], at_s: float) -> list[PlanStep]:
    """Return steps moved to follow one another from a time on, with their durations."""
    placed: list[PlanStep] = []
    for step in steps:
        end_s = _round(at_s + step.end_s - step.start_s)
        placed.append(replace(step, start_s=at_s, end_s=end_s, dropped=False))
        at_s = end_s
    return placed


def _round(seconds: float) -> float:
    """Round seconds to microseconds, as the database stores them."""
    return round(seconds, 6)
