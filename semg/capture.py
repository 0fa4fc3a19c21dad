"""Prompted captures: the plan of what is to be performed when, and the conductor that writes what was performed.

A plan runs on the server's clock. A repetition is written after its interval has passed, so that an aborted capture
leaves no label of something that was never performed, and a closed browser shifts or loses none.
"""

from __future__ import annotations

import logging
import random
from collections.abc import Sequence
from datetime import datetime, timedelta

from semg.domain import REST, CapturePlan, PlanStep, Session
from semg.errors import InvalidValueError, NotFoundError, StoreError
from semg.store import gestures, sessions
from semg.store.pool import Pool, Transaction

logger = logging.getLogger(__name__)

MAX_REPETITIONS = 100
MIN_GESTURE_S, MAX_GESTURE_S = 1.0, 60.0
MAX_PREPARE_S = 60.0
MAX_PLAN_S = 4 * 3600.0


def make_plan(
    gesture_names: Sequence[str],
    repetitions: int,
    gesture_s: float,
    rest_s: float,
    prepare_s: float,
    shuffled: bool,
    seed: int,
) -> CapturePlan:
    """Give a plan: preparation, then rest and gesture in turn, ending with rest.

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
        (with three or more of them, across rounds too); otherwise all repetitions of a gesture follow one another.
    seed
        Of the order; the same seed gives the same plan.

    Raises
    ------
    InvalidValueError
        Nothing to perform, or a number out of its range; the message names the field.
    """
    names = [name for name in dict.fromkeys(gesture_names) if name != REST]
    if not names:
        raise InvalidValueError("gestures", "expected at least one gesture beside rest; add one to the gesture bank")
    _check("repetitions", repetitions, 1, MAX_REPETITIONS, "")
    _check("gesture_s", gesture_s, MIN_GESTURE_S, MAX_GESTURE_S, " seconds")
    _check("rest_s", rest_s, MIN_GESTURE_S, MAX_GESTURE_S, " seconds")
    _check("prepare_s", prepare_s, 0, MAX_PREPARE_S, " seconds")
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
    add(REST, rest_s)
    for name in order:
        add(name, gesture_s)
        add(REST, rest_s)
    plan = CapturePlan(tuple(steps))
    if plan.duration_s > MAX_PLAN_S:
        raise InvalidValueError(
            "repetitions",
            f"the plan takes {plan.duration_s / 60:.0f} minutes, at most {MAX_PLAN_S / 60:.0f} fit a session; "
            "make several sessions",
        )
    return plan


def step_interval(session: Session, step: PlanStep) -> tuple[datetime, datetime]:
    """Give a step's interval on the server's clock."""
    return (
        session.started_at + timedelta(seconds=step.start_s),
        session.started_at + timedelta(seconds=step.end_s),
    )


def plan_end(session: Session) -> datetime:
    """Give when the session's plan is over."""
    return session.started_at + timedelta(seconds=session.plan.duration_s if session.plan else 0.0)


def performed_steps(session: Session, now: datetime) -> list[PlanStep]:
    """Give the labelled steps whose whole interval has passed."""
    steps = session.plan.steps if session.plan else ()
    return [step for step in steps if step.gesture is not None and step_interval(session, step)[1] <= now]


def perform(tx: Transaction, session: Session, now: datetime) -> Session:
    """Write each repetition whose interval has passed, end the session when its plan is over, and give it.

    Repeating the call changes nothing. A session that is not being recorded any more stays as it is: the row is
    locked and read again before anything is written.
    """
    if session.plan is None:
        return session
    over = now >= plan_end(session)
    due = performed_steps(session, now)
    if not due and not over:
        return session
    written = {repetition.started_at for repetition in sessions.list_repetitions(tx, session.session_id)}
    missing = [step for step in due if step_interval(session, step)[0] not in written]
    if not missing and not over:
        return session
    session = sessions.update_session(tx, session.session_id)
    if session.status != "recording":
        return session
    numbers = gestures.ensure_gestures(tx, session.user_id, [step.gesture for step in missing if step.gesture])
    for step in missing:
        if step.gesture is not None:
            started_at, ended_at = step_interval(session, step)
            gesture_id = numbers[step.gesture]
            sessions.insert_repetition(tx, session.session_id, gesture_id, step.number, started_at, ended_at)
    return sessions.finish_session(tx, session.session_id, plan_end(session)) if over else session


def abort(tx: Transaction, session_id: int, now: datetime) -> Session:
    """End a capture before its plan is over; what has been performed keeps its labels, the rest gets none.

    A session that has ended already stays as it is.
    """
    session = perform(tx, sessions.get_session(tx, session_id), now)
    if session.status != "recording":
        return session
    ended_at = max(now, session.started_at + timedelta(milliseconds=1))
    return sessions.finish_session(tx, session_id, ended_at, aborted=True)


class CaptureConductor:
    """Carries out the captures of all profiles; one thread calls ``conduct`` several times a second.

    Several conductors may run: every write is idempotent, and each of them tells of every edge once.
    """

    def __init__(self) -> None:
        self._recording: set[int] = set()

    def conduct(self, pool: Pool, now: datetime) -> list[Session]:
        """Write what was performed until ``now``, and give the sessions with a new edge.

        Returns
        -------
        Sessions that were made since the last call (status ``recording``; ``started_at`` is the edge, it may lie a
        moment ahead) and those that ended since then (``ended_at`` is the edge).
        """
        with pool.transaction() as tx:
            found = sessions.list_recording_sessions(tx)
        news: list[Session] = []
        for session in found:
            if session.session_id not in self._recording:
                self._recording.add(session.session_id)
                news.append(session)
            try:
                with pool.transaction() as tx:
                    perform(tx, session, now)
            except StoreError:
                # One capture that cannot be written must not stop the others; it is tried again at the next call.
                logger.exception("capture not written", extra={"session_id": session.session_id})
        news.extend(self._ended(pool))
        return news

    def _ended(self, pool: Pool) -> list[Session]:
        """Give the sessions that were recording at an earlier call and are not any more."""
        if not self._recording:
            return []
        with pool.transaction() as tx:
            still = {session.session_id for session in sessions.list_recording_sessions(tx)}
            ended: list[Session] = []
            for session_id in sorted(self._recording - still):
                try:
                    ended.append(sessions.get_session(tx, session_id))
                except NotFoundError:
                    logger.info("capture erased while it was recording", extra={"session_id": session_id})
        self._recording &= still
        return ended


def conduct(pool: Pool, now: datetime) -> list[Session]:
    """Carry out the captures once, without a memory: every running one is given as new.

    Whoever tells others of the edges keeps one ``CaptureConductor`` instead.
    """
    return CaptureConductor().conduct(pool, now)


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


def _check(field: str, value: float, low: float, high: float, unit: str) -> None:
    if not low <= value <= high:
        raise InvalidValueError(field, f"expected {low:g} to {high:g}{unit}, got {value:g}")
