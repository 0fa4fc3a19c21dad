"""A capture ends, and a consent is withdrawn, whatever its labels and its plan are; and no capture stops the others."""

from __future__ import annotations

import threading
from datetime import UTC, datetime, timedelta

import pytest

from semg.capture import CaptureConductor, abort, conducting, make_plan, redo_ended
from semg.capture.plan import MAX_GESTURE_S
from semg.consent_types import NewConsent
from semg.domain import CapturePlan, PlanStep, Session
from semg.errors import InvalidValueError, StoreUnavailableError
from semg.maintenance.captures import conduct_captures
from semg.privacy import consent
from semg.privacy.consent import TEST_PERSON
from semg.process.attempts import Failures
from semg.store import consents, plans, sessions
from semg.store.pool import Pool, Transaction, execute
from semg.store.stored_plans import MAX_STEP_S, MAX_TOTAL_S
from testing.tests.capture.test_conducting import PLAN, T0, after, start_capture, written

pytestmark = pytest.mark.servers
YEARS_S = 7978 * 365.25 * 86400
ENDLESS = f'{{"steps": [{{"gesture": "fist", "number": 1, "start_s": 0, "end_s": {YEARS_S}}}]}}'
UNREADABLE = '{"steps": 3}'


def overwrite_plan(pool: Pool, session: Session, stored: str) -> None:
    """Store a plan as none is written any more."""
    with pool.transaction() as tx:
        execute(tx, "UPDATE sessions SET plan = %s WHERE session_id = %s", (stored, session.session_id))


def move_over_what_is_to_come(pool: Pool, session: Session) -> None:
    """Move the end of the fist, performed from 3 to 5 s, over the rest and the open hand up to 8 s that follow."""
    CaptureConductor().conduct(pool, after(5))
    with pool.transaction() as tx:
        fist = sessions.list_repetitions(tx, session.session_id)[-1]
        sessions.update_repetition(tx, fist.repetition_id, ended_at=after(8.5))


def withdraw(pool: Pool, session: Session, now: datetime) -> None:
    with pool.transaction() as tx:
        consent.change(tx, session.user_id, NewConsent((), TEST_PERSON.text, datetime.now(UTC), "Ada"), now)


def test_label_that_has_no_room_is_left_out_and_noted_once(pool: Pool, caplog: pytest.LogCaptureFixture) -> None:
    session = start_capture(pool, PLAN)
    move_over_what_is_to_come(pool, session)
    conductor = CaptureConductor()
    for seconds in (6.5, 6.6, 8.1, 9.0, 9.1, 12.5):
        conductor.conduct(pool, after(seconds))
    assert [record.getMessage()[:28] for record in caplog.records] == ["a repetition gets no label: "] * 3
    assert [one[0] for one in written(pool, session)] == ["rest", "fist", "point", "rest"]
    with pool.transaction() as tx:
        ended = sessions.get_session(tx, session.session_id)
    assert (ended.status, ended.ended_at) == ("completed", after(12))
    assert ended.plan is not None
    assert [step.start_s for step in ended.plan.steps if step.dropped] == [5.0, 6.0, 8.0]


def test_label_is_written_by_the_conductor_s_own_clock(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    session = start_capture(pool, PLAN)
    monkeypatch.setattr("semg.clock.utc_now", lambda: T0)  # the store's, which is behind
    CaptureConductor().conduct(pool, after(13))
    assert len(written(pool, session)) == 7


@pytest.mark.parametrize("what", ["overlapped", ENDLESS, UNREADABLE])
@pytest.mark.parametrize("act", ["withdraw", "end"])
def test_withdrawing_and_ending_always_commit(pool: Pool, what: str, act: str) -> None:
    session = start_capture(pool, PLAN)
    if what == "overlapped":
        move_over_what_is_to_come(pool, session)
    else:
        overwrite_plan(pool, session, what)
    if act == "withdraw":
        withdraw(pool, session, after(9))
    else:
        with pool.transaction() as tx:
            abort(tx, session.session_id, after(9))
    with pool.transaction() as tx:
        ended = sessions.get_session(tx, session.session_id)
        assert (ended.status, ended.ended_at) == ("aborted", after(9))
        if act == "withdraw":
            assert not consents.consenting(tx, [session.user_id], "recording")


@pytest.mark.parametrize("stored", [ENDLESS, UNREADABLE])
def test_plan_that_cannot_be_followed_stops_no_other_capture_and_ends_one_day(pool: Pool, stored: str) -> None:
    broken, whole = start_capture(pool, PLAN, "broken"), start_capture(pool, PLAN, "whole")
    overwrite_plan(pool, broken, stored)
    failures = Failures()
    conductor = CaptureConductor(failures)
    for seconds in (5.0, 13.0):
        conductor.conduct(pool, after(seconds))
    assert len(written(pool, whole)) == 7
    assert failures.metrics() == ({"captures": 2} if stored == ENDLESS else {})
    ended = conductor.conduct(pool, after(MAX_TOTAL_S + 1))
    assert [(one.session_id, one.status) for one in ended] == [(broken.session_id, "aborted")]


def test_thread_that_conducts_outlives_any_error(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = threading.Event()
    calls: list[int] = []

    def fail(*_: object) -> None:
        calls.append(1)
        if len(calls) == 3:
            seen.set()
        raise OverflowError("date value out of range")

    monkeypatch.setattr("semg.maintenance.captures.CaptureConductor.conduct", fail)
    stop, failures = threading.Event(), Failures()
    thread = threading.Thread(target=conduct_captures, args=(pool, None, stop, failures))
    thread.start()
    assert seen.wait(10)
    stop.set()
    thread.join(10)
    assert failures.metrics()["captures"] >= 3


def test_long_label_is_performed_again_for_as_long_as_a_plan_may_ask(pool: Pool) -> None:
    session = start_capture(pool, make_plan(["fist"], 1, 60, 60, 0, False, 0))
    CaptureConductor().conduct(pool, after(181))
    with pool.transaction() as tx:
        rest, fist, _ = sessions.list_repetitions(tx, session.session_id)
        sessions.update_repetition(tx, rest.repetition_id, ended_at=after(1))
        sessions.update_repetition(tx, fist.repetition_id, started_at=after(1))
        plan = redo_ended(tx, session.session_id, [fist.repetition_id], after(190)).plan
    assert plan is not None
    again = [step for step in plan.steps if step.gesture == "fist" and not step.dropped]
    assert [step.end_s - step.start_s for step in again] == [MAX_GESTURE_S]


@pytest.mark.parametrize(
    "steps",
    [
        [("fist", 0.0, MAX_STEP_S + 1)],
        [("fist", 0.0, YEARS_S)],
        [(None, 0.0, MAX_TOTAL_S + 1)],
        [("fist", 0.0, float("nan"))],
        [("fist", 2.0, 3.0), ("fist", 1.0, 2.0)],
        [("fist", 0.001 * index, 0.001 * (index + 1)) for index in range(8001)],
    ],
)
def test_no_plan_is_stored_that_is_out_of_bounds(pool: Pool, steps: list[tuple[str | None, float, float]]) -> None:
    plan = CapturePlan(tuple(PlanStep(name, 1, start_s, end_s) for name, start_s, end_s in steps))
    with pytest.raises(InvalidValueError):
        start_capture(pool, plan)
    session = start_capture(pool, PLAN, "Bob")
    with pytest.raises(InvalidValueError), pool.transaction() as tx:
        plans.update_plan(tx, session.session_id, plan)
    with pool.transaction() as tx:
        ended = sessions.finish_session(tx, session.session_id, T0 + timedelta(seconds=1))
    with pytest.raises(InvalidValueError), pool.transaction() as tx:
        plans.reopen_session(tx, ended, plan)


def test_edge_that_was_seen_outlives_a_database_that_goes_away(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    first, second = start_capture(pool, PLAN, "first"), start_capture(pool, PLAN, "second")
    conductor, perform, away = CaptureConductor(), conducting.perform, [True]

    def goes_away(tx: Transaction, session: Session, now: datetime) -> None:
        if session.session_id == second.session_id and away[0]:
            raise StoreUnavailableError("gone")
        perform(tx, session, now)

    monkeypatch.setattr(conducting, "perform", goes_away)
    with pytest.raises(StoreUnavailableError):
        conductor.conduct(pool, after(1))
    away[0] = False
    told = [session.session_id for session in conductor.conduct(pool, after(2))]
    assert sorted(told) == sorted([first.session_id, second.session_id])
    assert conductor.conduct(pool, after(3)) == []
