"""Conduct captures: write each performed repetition once, when its interval has passed.

A plan runs on the server's clock. A repetition is written after its interval has passed, so that an aborted capture
leaves no label of something that was never performed, and a closed browser shifts or loses none.

A capture always ends: a label that cannot be written (another one was moved to its time) is left out and noted, and a
plan that cannot be followed keeps nobody from ending the capture or withdrawing a consent.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import datetime, timedelta
from functools import partial

from semg.capture import schedule
from semg.domain import REST, CapturePlan, PlanStep, Session
from semg.errors import ConflictError, InvalidValueError, NotFoundError
from semg.process.attempts import LOCK_S, Attempts, Failures
from semg.store import gestures, plans, sessions
from semg.store.pool import Pool, Transaction, savepoint
from semg.store.running_captures import list_running
from semg.store.stored_plans import MAX_TOTAL_S

logger = logging.getLogger(__name__)

MAX_PAUSE_S = 3600.0
"""A capture that is paused for longer was forgotten; it ends where it was paused."""
REDONE = "performed again"


def step_interval(session: Session, step: PlanStep) -> tuple[datetime, datetime]:
    """Return a step's interval on the server's clock."""
    return (
        session.started_at + timedelta(seconds=step.start_s),
        session.started_at + timedelta(seconds=step.end_s),
    )


def is_paused(session: Session) -> bool:
    """Return whether a capture waits for somebody to resume it."""
    return session.plan is not None and session.plan.paused_s is not None


def plan_end(session: Session) -> datetime:
    """Return when the session's plan is over, if it is not paused."""
    return session.started_at + timedelta(seconds=session.plan.duration_s if session.plan else 0.0)


def seconds_of(session: Session, at: datetime) -> float:
    """Return a time in seconds after the session's start, to the microsecond."""
    return (at - session.started_at) // timedelta(microseconds=1) / 1e6


def performed_steps(session: Session, now: datetime) -> list[PlanStep]:
    """Return the labelled steps whose entire interval has passed."""
    if session.plan is None:
        return []
    plan = session.plan
    before = [step for step in plan.steps if plan.paused_s is None or step.end_s <= plan.paused_s]
    return [
        step
        for step in before
        if step.gesture is not None and not step.dropped and step_interval(session, step)[1] <= now
    ]


def perform(tx: Transaction, session: Session, now: datetime) -> Session:
    """Write each repetition whose interval has passed, end the session when its plan is over, and return it.

    Repeating the call changes nothing. A session that is not being recorded any more stays as it is: the row is
    locked and read again before anything is written, because its plan may have been paused since it was read.
    """
    if session.plan is None or not (_missing(tx, session, now) or _is_over(session, now)):
        return session
    session = sessions.update_session(tx, session.session_id)
    return _write_due(tx, session, now)


def pause_capture(tx: Transaction, session_id: int, now: datetime) -> Session:
    """Pause a capture; the current repetition gets no label, and is repeated afterwards.

    Raises
    ------
    NotFoundError, ConflictError
        There is no such session, or it has ended.
    """
    session, plan, at_s = _open(tx, session_id, now)
    return _keep(tx, session, schedule.pause(plan, at_s))


def resume_capture(tx: Transaction, session_id: int, now: datetime) -> Session:
    """Resume a paused capture after a countdown.

    Raises
    ------
    NotFoundError, ConflictError
        There is no such session, or it has ended.
    """
    session, plan, at_s = _open(tx, session_id, now)
    return _keep(tx, session, schedule.resume(plan, at_s))


def redo_last(tx: Transaction, session_id: int, now: datetime) -> PlanStep | None:
    """Schedule the last repetition again, and return it; None when it is already scheduled next.

    If it has a label, that is excluded from training with the reason: no recorded data are lost.

    Raises
    ------
    NotFoundError, ConflictError
        There is no such session, it has ended, or nothing has been performed yet.
    """
    session, plan, at_s = _open(tx, session_id, now)
    if not any(step.gesture not in (None, REST) and step.start_s < at_s for step in plan.steps):
        raise ConflictError("nothing has been performed yet that could be redone")
    changed, dropped = schedule.redo(plan, at_s)
    if dropped is None:
        return None
    _keep(tx, session, changed)
    began = step_interval(session, dropped)[0]
    for repetition in sessions.list_repetitions(tx, session_id):
        if repetition.started_at == began:
            sessions.update_repetition(tx, repetition.repetition_id, excluded=True, reason=REDONE)
    return dropped


def abort(tx: Transaction, session_id: int, now: datetime) -> Session:
    """End a capture before its plan is over; performed repetitions keep their labels, the rest get none.

    It ends in any case, also where its plan cannot be followed or a label cannot be written. A session that has ended
    already is not changed.

    Raises
    ------
    NotFoundError
        There is no such session.
    """
    session = sessions.get_session(tx, session_id)
    if session.status != "recording":
        return session
    session = sessions.update_session(tx, session_id)
    try:
        with savepoint(tx):
            session = _write_due(tx, session, now)
    except Exception:  # whatever it is: the end, or the consent that is withdrawn with it, does not depend on it
        logger.exception("labels that were due at a capture's end are not written", extra={"session_id": session_id})
    if session.status != "recording":
        return session
    ended_at = max(now, session.started_at + timedelta(milliseconds=1))
    return sessions.finish_session(tx, session_id, ended_at, aborted=True)


def _open(tx: Transaction, session_id: int, now: datetime) -> tuple[Session, CapturePlan, float]:
    """Lock a running capture, write what is due, and return it with its plan and the time in it."""
    session = sessions.update_session(tx, session_id)
    if session.status == "recording":
        session = _write_due(tx, session, now)
    if session.status != "recording" or session.plan is None:
        raise ConflictError("this capture has ended; nothing was changed")
    # ``now`` was read before the lock was acquired: its former holder may have written what ended since.
    ends = [repetition.ended_at for repetition in sessions.list_repetitions(tx, session_id)]
    return session, session.plan, seconds_of(session, max([now, *ends]))


def _keep(tx: Transaction, session: Session, plan: CapturePlan) -> Session:
    if plan is not session.plan:
        plans.update_plan(tx, session.session_id, plan)
    return replace(session, plan=plan)


def _is_over(session: Session, now: datetime) -> bool:
    """Return whether a plan has come to its end, or was paused and forgotten."""
    assert session.plan is not None
    if session.plan.paused_s is not None:
        return seconds_of(session, now) > session.plan.paused_s + MAX_PAUSE_S
    return now >= plan_end(session)


def _missing(tx: Transaction, session: Session, now: datetime) -> list[PlanStep]:
    """Return the performed repetitions that are not written yet."""
    due = performed_steps(session, now)
    if not due:
        return []
    written = {repetition.started_at for repetition in sessions.list_repetitions(tx, session.session_id)}
    return [step for step in due if step_interval(session, step)[0] not in written]


def _write_due(tx: Transaction, session: Session, now: datetime) -> Session:
    """Write the due repetitions of a locked session."""
    if session.status != "recording" or session.plan is None:
        return session
    session = _left_out(
        tx, session, [step for step in _missing(tx, session, now) if not _write(tx, session, step, now)]
    )
    assert session.plan is not None
    if not _is_over(session, now):
        return session
    if session.plan.paused_s is None:
        return sessions.finish_session(tx, session.session_id, plan_end(session))
    forgotten_at = session.started_at + timedelta(seconds=max(session.plan.paused_s, 0.001))
    return sessions.finish_session(tx, session.session_id, forgotten_at, aborted=True)


def _write(tx: Transaction, session: Session, step: PlanStep, now: datetime) -> bool:
    """Write the repetition of a step, and return whether that can be done."""
    assert step.gesture is not None
    started_at, ended_at = step_interval(session, step)
    try:
        with savepoint(tx):
            number = gestures.ensure_gestures(tx, session.user_id, [step.gesture])[step.gesture]
            sessions.insert_repetition(tx, session.session_id, number, step.number, started_at, ended_at, now=now)
    except (ConflictError, InvalidValueError, NotFoundError) as exc:
        logger.warning("a repetition gets no label: %s", exc, extra={"session_id": session.session_id})
        return False
    return True


def _left_out(tx: Transaction, session: Session, steps: list[PlanStep]) -> Session:
    """Note in the plan which steps have no label, so that none of them is attempted again."""
    if not steps or session.plan is None:
        return session
    starts = {step.start_s for step in steps}
    changed = (replace(step, dropped=True) if step.start_s in starts else step for step in session.plan.steps)
    return _keep(tx, session, replace(session.plan, steps=tuple(changed)))


class CaptureConductor:
    """Conducts the captures of all profiles; one thread calls ``conduct`` several times a second.

    Several conductors may run: every write is idempotent, and each of them reports every edge once.

    Parameters
    ----------
    failures
        Counts captures that could not be conducted.
    """

    def __init__(self, failures: Failures | None = None) -> None:
        self._recording: set[int] = set()
        self._news: list[Session] = []  # kept over a round that the database ends
        self._attempts = Attempts(logger, "captures", failures)

    def conduct(self, pool: Pool, now: datetime) -> list[Session]:
        """Write the repetitions performed until ``now``, and return the sessions with a new edge.

        Returns
        -------
        Sessions that were made since the last call (status ``recording``; ``started_at`` is the edge, it may lie a
        moment ahead) and those that ended since then (``ended_at`` is the edge).
        """
        pool = pool.waiting_at_most(LOCK_S)
        with pool.transaction() as tx:
            found = [running.session_id for running in list_running(tx)]
        for session_id in found:
            self._attempts.attempt(session_id, partial(self._conduct, pool, session_id, now), session_id=session_id)
        news = [*self._news, *self._ended(pool)]
        self._news = []
        return news

    def _conduct(self, pool: Pool, session_id: int, now: datetime) -> None:
        """Conduct one capture, which is added to the news when it is new."""
        try:
            with pool.transaction() as tx:
                session = sessions.get_session(tx, session_id)
                if session_id not in self._recording:
                    self._recording.add(session_id)
                    self._news.append(session)
                if seconds_of(session, now) > MAX_TOTAL_S:
                    abort(tx, session_id, now)  # longer than any plan: it cannot be followed
                else:
                    perform(tx, session, now)
        except NotFoundError:
            logger.info("capture erased while it was recording", extra={"session_id": session_id})

    def _ended(self, pool: Pool) -> list[Session]:
        """Return the sessions that were recording at an earlier call and are not any more."""
        if not self._recording:
            return []
        with pool.transaction() as tx:
            still = {running.session_id for running in list_running(tx)}
            ended: list[Session] = []
            for session_id in sorted(self._recording - still):
                try:
                    ended.append(sessions.get_session(tx, session_id))
                except NotFoundError:
                    logger.info("capture erased while it was recording", extra={"session_id": session_id})
        self._recording &= still
        self._attempts.keep(set(still))
        return ended


def conduct(pool: Pool, now: datetime) -> list[Session]:
    """Conduct the captures once, without state: every running one is returned as new.

    To publish the edges, keep a ``CaptureConductor`` instead.
    """
    return CaptureConductor().conduct(pool, now)
