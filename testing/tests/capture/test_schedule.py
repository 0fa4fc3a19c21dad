"""A running plan that is paused, gone on with, and partly performed again: on paper, and in the database."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.capture import (
    CaptureConductor,
    abort,
    calibration_plan,
    make_plan,
    pause_capture,
    perform,
    quick_plan,
    redo_last,
    repeatable,
    resume_capture,
)
from semg.capture.conducting import MAX_PAUSE_S, REDONE
from semg.capture.schedule import LEAD_S, pause, redo, resume
from semg.domain import REST, CapturePlan, PlanStep
from semg.errors import ConflictError, InvalidValueError
from semg.store import sessions
from semg.store.pool import Pool
from testing.tests.capture.test_conducting import NAMES, PLAN, T0, after, start_capture, written


def labels(plan: CapturePlan) -> list[tuple[str | None, int]]:
    return [(step.gesture, step.number) for step in plan.steps if step.gesture is not None and not step.dropped]


def at(plan: CapturePlan, seconds: float) -> PlanStep:
    return next(step for step in plan.steps if step.start_s <= seconds < step.end_s)


@given(
    st.integers(1, 3),
    st.booleans(),
    st.lists(st.tuples(st.sampled_from([pause, resume, redo]), st.floats(0.0, 9.0)), max_size=12),
)
def test_whatever_is_pressed_each_repetition_is_performed_once_in_full(
    repetitions: int, shuffled: bool, presses: list[tuple[object, float]]
) -> None:
    original = plan = make_plan(NAMES, repetitions, 2, 1, 2, shuffled, 0)
    lengths = {step.gesture: step.end_s - step.start_s for step in original.steps}
    now_s = 0.0
    for press, later_s in presses:
        now_s = round(now_s + later_s, 6)
        before = plan
        done = [step for step in plan.steps if step.end_s <= (now_s if plan.paused_s is None else plan.paused_s)]
        if press is pause:
            plan = pause(plan, now_s)
        elif press is resume:
            plan = resume(plan, now_s)
        else:
            plan, dropped = redo(plan, now_s)
            assert (dropped is None) == (plan is before)
        # What has been performed keeps its time; only a redone repetition loses its label.
        kept = [step for step in plan.steps if step in done]
        assert len(kept) >= len(done) - (press is redo)
    if plan.paused_s is not None:
        plan = resume(plan, now_s)
    assert sorted(labels(plan), key=str) == sorted(labels(original), key=str)
    for step in plan.steps:
        if step.gesture is not None and not step.dropped:
            assert step.end_s - step.start_s == pytest.approx(lengths[step.gesture])
    assert plan.steps[0].start_s == 0.0
    assert all(one.end_s == two.start_s for one, two in zip(plan.steps, plan.steps[1:], strict=False))
    assert all(step.end_s > step.start_s for step in plan.steps)


def test_interrupted_gesture_is_performed_again_after_the_pause_and_a_countdown() -> None:
    plan = resume(pause(PLAN, 4.0), 10.0)  # fist from 3 to 5
    assert at(plan, 3.5) == PlanStep("fist", 1, 3.0, 4.0, dropped=True)
    assert at(plan, 8.0) == PlanStep(None, 0, 4.0, 10.0, dropped=True)
    assert at(plan, 11.0) == PlanStep(None, 0, 10.0, 10.0 + LEAD_S)
    assert at(plan, 14.0) == PlanStep("fist", 1, 13.0, 15.0)
    assert at(plan, 15.5) == PlanStep(REST, 2, 15.0, 16.0)


def test_pausing_twice_and_resuming_twice_change_nothing() -> None:
    paused = pause(PLAN, 4.0)
    assert pause(paused, 6.0) is paused
    resumed = resume(paused, 7.0)
    assert resume(resumed, 8.0) is resumed


def test_a_plan_is_not_lengthened_without_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semg.capture.schedule.MAX_DROPPED", 4)
    plan, now_s = PLAN, 4.0
    with pytest.raises(ConflictError, match="interrupted"):
        for _ in range(5):
            plan, now_s = resume(pause(plan, now_s), now_s + 1.0), now_s + 2.0
    assert sum(step.dropped for step in plan.steps) >= 4
    with pytest.raises(ConflictError, match="interrupted"):
        redo(plan, now_s + 4.0)


def test_plan_has_some_thousand_steps_at_the_most() -> None:
    assert len(make_plan([f"g{n}" for n in range(9)], 100, 1, 1, 0, False, 0).steps) == 1801
    with pytest.raises(InvalidValueError, match="1,100 repetitions"):
        make_plan([f"g{n}" for n in range(11)], 100, 1, 1, 0, False, 0)


def test_redo_in_the_rest_after_a_gesture_performs_that_gesture_and_the_rest_again() -> None:
    plan, dropped = redo(PLAN, 5.5)  # rest from 5 to 6, after fist
    assert dropped == PlanStep("fist", 1, 3.0, 5.0)
    assert at(plan, 4.0).dropped
    assert at(plan, 5.2) == PlanStep(REST, 2, 5.0, 5.5, dropped=True)
    assert at(plan, 6.0).gesture is None
    assert at(plan, 9.0) == PlanStep("fist", 1, 8.5, 10.5)
    assert at(plan, 11.0) == PlanStep(REST, 2, 10.5, 11.5)


def test_redo_pressed_twice_goes_back_once() -> None:
    once, _ = redo(PLAN, 5.5)
    assert redo(once, 5.8) == (once, None)
    assert repeatable(once, 5.8) is None
    assert redo(once, 9.0)[1] == PlanStep("fist", 1, 8.5, 10.5)


def test_redo_in_a_pause_is_performed_after_it() -> None:
    plan, dropped = redo(pause(PLAN, 5.5), 60.0)
    assert dropped == PlanStep("fist", 1, 3.0, 5.0)
    resumed = resume(plan, 100.0)
    assert [step.gesture for step in resumed.steps if step.start_s >= 100.0][:3] == [None, "fist", REST]


def test_nothing_can_be_performed_again_before_the_first_gesture_or_after_the_end() -> None:
    assert redo(PLAN, 2.5) == (PLAN, None)
    assert redo(PLAN, 12.0) == (PLAN, None)


def test_calibration_is_ten_seconds_of_rest_and_each_gesture_once() -> None:
    plan = calibration_plan(NAMES)
    assert [step.end_s - step.start_s for step in plan.steps if step.gesture == REST][0] == 10.0
    assert sorted(step.gesture for step in plan.steps if step.gesture not in (None, REST)) == sorted(NAMES)


def test_quick_plan_takes_two_minutes_for_up_to_five_gestures() -> None:
    for names in (NAMES[:2], NAMES[:3], ["a", "b", "c", "d", "e"]):
        plan = quick_plan(names)
        assert len(names) == 2 or 115 <= plan.duration_s <= 125
        assert 60 <= plan.duration_s <= 125
        assert {name: sum(step.gesture == name for step in plan.steps) for name in names} == dict.fromkeys(names, 5)
    assert quick_plan(NAMES, 60).duration_s < 65
    assert quick_plan([str(number) for number in range(12)]).duration_s > 240  # more of them take longer


# In the database: prepare 0-2, rest 2-3, fist 3-5, rest 5-6, open hand 6-8, rest 8-9, point 9-11, rest 11-12


def test_paused_capture_writes_nothing_until_it_goes_on(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    conductor = CaptureConductor()
    with pool.transaction() as tx:
        pause_capture(tx, session.session_id, after(4))
    conductor.conduct(pool, after(600))
    assert written(pool, session) == [("rest", 1, 2.0, 3.0)]
    with pool.transaction() as tx:
        resume_capture(tx, session.session_id, after(700))
    conductor.conduct(pool, after(705))
    assert written(pool, session)[1:] == [("fist", 1, 703.0, 705.0)]
    (ended,) = conductor.conduct(pool, after(720))
    assert (ended.status, ended.ended_at) == ("completed", after(712))


def test_stale_conductor_writes_no_label_of_a_paused_plan(pool: Pool) -> None:
    stale = start_capture(pool, PLAN)
    with pool.transaction() as tx:
        pause_capture(tx, stale.session_id, after(4))
    with pool.transaction() as tx:
        perform(tx, stale, after(9))
    assert written(pool, stale) == [("rest", 1, 2.0, 3.0)]


def test_redone_repetition_is_kept_out_of_training_with_the_reason(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    conductor = CaptureConductor()
    conductor.conduct(pool, after(5.5))
    with pool.transaction() as tx:
        dropped = redo_last(tx, session.session_id, after(5.5))
        again = redo_last(tx, session.session_id, after(5.6))
    assert dropped is not None
    assert (dropped.gesture, dropped.number) == ("fist", 1)
    assert again is None
    conductor.conduct(pool, after(60))
    with pool.transaction() as tx:
        fists = [one for one in sessions.list_repetitions(tx, session.session_id) if one.gesture == "fist"]
    assert [(one.number, one.excluded, one.exclude_reason) for one in fists] == [(1, True, REDONE), (1, False, "")]
    assert [one.started_at for one in fists] == [after(3), after(8.5)]


def test_redo_of_a_running_gesture_leaves_no_label_of_it(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    with pool.transaction() as tx:
        redo_last(tx, session.session_id, after(4))
    CaptureConductor().conduct(pool, after(60))
    assert [one for one in written(pool, session) if one[0] == "fist"] == [("fist", 1, 7.0, 9.0)]


def test_press_that_waited_for_the_conductor_drops_nothing_that_was_written(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    CaptureConductor().conduct(pool, after(5.01))
    with pool.transaction() as tx:
        pause_capture(tx, session.session_id, after(4.99))
        paused = sessions.get_session(tx, session.session_id)
    assert written(pool, session)[-1] == ("fist", 1, 3.0, 5.0)
    assert paused.plan is not None
    assert not any(step.dropped for step in paused.plan.steps)


@pytest.mark.parametrize("press", [pause_capture, resume_capture, redo_last])
def test_capture_that_has_ended_is_not_changed(pool: Pool, press) -> None:
    session = start_capture(pool, PLAN)
    with pool.transaction() as tx:
        abort(tx, session.session_id, after(7))
    with pool.transaction() as tx, pytest.raises(ConflictError, match="has ended"):
        press(tx, session.session_id, after(8))


def test_press_after_the_last_step_finds_a_completed_capture(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    with pool.transaction() as tx, pytest.raises(ConflictError, match="has ended"):
        redo_last(tx, session.session_id, after(12.5))


def test_redo_before_anything_was_performed_says_so(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    with pool.transaction() as tx, pytest.raises(ConflictError, match="nothing has been performed"):
        redo_last(tx, session.session_id, after(2.5))


def test_pause_that_was_forgotten_ends_the_capture_where_it_was_paused(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    conductor = CaptureConductor()
    conductor.conduct(pool, after(1))
    with pool.transaction() as tx:
        pause_capture(tx, session.session_id, after(5.5))
    assert conductor.conduct(pool, after(5.5 + MAX_PAUSE_S)) == []
    (ended,) = conductor.conduct(pool, T0 + timedelta(seconds=5.6 + MAX_PAUSE_S))
    assert (ended.status, ended.ended_at) == ("aborted", after(5.5))
    assert [one[:2] for one in written(pool, session)] == [("rest", 1), ("fist", 1)]
