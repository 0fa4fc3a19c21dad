"""Perform repetitions of an ended capture again: the capture goes on with just these.

They become part of the same session, because the electrodes are where they were: a session of its own, with one
repetition of one gesture, would be held out as a whole when a model is tested, and say nothing.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta

from semg.capture import schedule
from semg.capture.conducting import REDONE, seconds_of, step_interval
from semg.capture.plan import MAX_GESTURE_S, MIN_GESTURE_S
from semg.domain import REST, CapturePlan, PlanStep, Repetition, Session
from semg.errors import ConflictError, InvalidValueError
from semg.store import consents, plans, sessions
from semg.store.pool import Transaction

WITHIN = timedelta(minutes=15)
"""After a session's end: later the band may have moved, or been taken off."""
PREPARE_S, REST_S = 5.0, 3.0
START_AFTER_S = 1.5


def why_not_again(tx: Transaction, session: Session, now: datetime) -> str:
    """Return why nothing of an ended capture can be performed again, as a sentence; empty when it can."""
    if session.origin != "capture" or session.plan is None or session.ended_at is None:
        return "Only repetitions of a capture that has ended can be performed again."
    if now - session.ended_at > WITHIN:
        minutes = WITHIN.total_seconds() / 60
        return f"The session ended more than {minutes:.0f} minutes ago. Record a new session instead."
    newest = sessions.list_sessions(tx, session.user_id, limit=1)
    if newest and newest[0].session_id != session.session_id:
        return "A newer session has been recorded since. Record a new session instead."
    return ""


def redo_ended(
    tx: Transaction, session_id: int, repetition_ids: Sequence[int], now: datetime, changed_by: str = ""
) -> Session:
    """Let an ended capture go on with some of its repetitions, and return it; these are excluded with the reason.

    Raises
    ------
    NotFoundError
        There is no such session.
    ConflictError
        It cannot go on (``why_not_again``), the person does not agree to being recorded any more, or too many captures
        run.
    InvalidValueError
        No repetition of it was chosen.
    """
    session = sessions.update_session(tx, session_id)  # locks it
    if reason := why_not_again(tx, session, now):
        raise ConflictError(reason)
    assert session.plan is not None
    assert session.ended_at is not None
    consents.require(tx, session.user_id, "recording")
    written = sessions.list_repetitions(tx, session_id)
    wanted = [one for one in written if one.repetition_id in set(repetition_ids) and one.gesture != REST]
    if not wanted:
        raise InvalidValueError("repetitions", "choose at least one repetition to perform again")
    plan = _without_changed(session, session.plan, written, wanted)
    at_s = seconds_of(session, max(now, session.ended_at)) + START_AFTER_S
    steps = [PlanStep(one.gesture, one.number, 0.0, _length_s(one)) for one in wanted]
    plan = schedule.append(plan, seconds_of(session, session.ended_at), at_s, steps, PREPARE_S, _rest_s(plan))
    for repetition in wanted:
        sessions.update_repetition(tx, repetition.repetition_id, excluded=True, reason=REDONE, changed_by=changed_by)
    plans.reopen_session(tx, session, plan)
    return sessions.get_session(tx, session_id)


def _without_changed(
    session: Session, plan: CapturePlan, written: Sequence[Repetition], wanted: Sequence[Repetition]
) -> CapturePlan:
    """Drop the steps without a label, which would be written anew, and those that are performed again."""
    kept = {one.started_at for one in written} - {one.started_at for one in wanted}
    return replace(
        plan,
        steps=tuple(
            step if step.gesture is None or step_interval(session, step)[0] in kept else replace(step, dropped=True)
            for step in plan.steps
        ),
        paused_s=None,
    )


def _length_s(repetition: Repetition) -> float:
    """Return how long a repetition is performed again: as long as it was, within what a plan may ask for."""
    length_s = (repetition.ended_at - repetition.started_at).total_seconds()
    return min(max(length_s, MIN_GESTURE_S), MAX_GESTURE_S)


def _rest_s(plan: CapturePlan) -> float:
    """Return how long the plan rests, usually: the first rest may be longer."""
    rests = sorted(step.end_s - step.start_s for step in plan.steps if step.gesture == REST and not step.dropped)
    return rests[len(rests) // 2] if rests else REST_S
