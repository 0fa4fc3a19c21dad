"""Capture plans, and what is written of them: only what was performed, once, on the server's clock."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.capture import CaptureConductor, abort, make_plan, perform, performed_steps, plan_end
from semg.domain import REST, CapturePlan, Session
from semg.errors import InvalidValueError
from semg.privacy.consent import TEST_PERSON
from semg.store import gestures, profiles, sessions
from semg.store.pool import Pool

T0 = datetime(2026, 5, 4, 9, 30, tzinfo=UTC)
NAMES = ["fist", "open hand", "point"]


def after(seconds: float) -> datetime:
    return T0 + timedelta(seconds=seconds)


def start_capture(pool: Pool, plan: CapturePlan, name: str = "Ada") -> Session:
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, name, channels=["a0", "a1"], rate_hz=200.0, consent=TEST_PERSON)
        for gesture in NAMES:
            gestures.insert_gesture(tx, user_id, gesture)
        device = profiles.get_profile(tx, user_id).device
        number = sessions.insert_session(
            tx, user_id, "one", "capture", T0, status="recording", plan=plan, device=device
        )
        return sessions.get_session(tx, number)


def written(pool: Pool, session: Session) -> list[tuple[str, int, float, float]]:
    with pool.transaction() as tx:
        return [
            (one.gesture, one.number, (one.started_at - T0).total_seconds(), (one.ended_at - T0).total_seconds())
            for one in sessions.list_repetitions(tx, session.session_id)
        ]


# The plan


@given(
    st.lists(st.sampled_from(["fist", "open hand", "point", "pinch", REST]), min_size=1, max_size=6),
    st.integers(1, 8),
    st.sampled_from([1.0, 2.5, 4.0]),
    st.sampled_from([1.0, 3.0]),
    st.sampled_from([0.0, 5.0]),
    st.booleans(),
    st.integers(0, 1000),
)
def test_plan_holds_every_gesture_as_often_as_asked_and_has_no_hole(
    names: list[str], repetitions: int, gesture_s: float, rest_s: float, prepare_s: float, shuffled: bool, seed: int
) -> None:
    wanted = {name for name in names if name != REST}
    if not wanted:
        with pytest.raises(InvalidValueError, match="gestures"):
            make_plan(names, repetitions, gesture_s, rest_s, prepare_s, shuffled, seed)
        return
    plan = make_plan(names, repetitions, gesture_s, rest_s, prepare_s, shuffled, seed)
    steps = plan.steps
    assert steps[0].start_s == 0.0
    assert all(first.end_s == second.start_s for first, second in zip(steps, steps[1:], strict=False))
    for name in wanted:
        performed = [step for step in steps if step.gesture == name]
        assert [step.number for step in performed] == list(range(1, repetitions + 1))
        assert all(step.end_s - step.start_s == pytest.approx(gesture_s) for step in performed)
    labelled = [step.gesture for step in steps if step.gesture is not None]
    assert labelled[0::2] == [REST] * (repetitions * len(wanted) + 1)
    assert REST not in labelled[1::2]
    assert plan.duration_s == pytest.approx(prepare_s + rest_s + repetitions * len(wanted) * (gesture_s + rest_s))


def test_shuffled_plan_never_prompts_a_gesture_twice_in_a_row() -> None:
    for seed in range(50):
        order = [step.gesture for step in make_plan(NAMES, 10, 2, 1, 0, True, seed).steps if step.gesture != REST]
        assert all(first != second for first, second in zip(order, order[1:], strict=False))
        assert all(set(order[i : i + 3]) == set(NAMES) for i in range(0, len(order), 3))


def test_seed_decides_the_order() -> None:
    assert make_plan(NAMES, 5, 2, 1, 0, True, 1) == make_plan(NAMES, 5, 2, 1, 0, True, 1)
    assert make_plan(NAMES, 5, 2, 1, 0, True, 1) != make_plan(NAMES, 5, 2, 1, 0, True, 2)


def test_blocked_plan_keeps_the_order_of_the_gestures() -> None:
    order = [step.gesture for step in make_plan(NAMES, 2, 2, 1, 0, False, 0).steps if step.gesture != REST]
    assert order == ["fist", "fist", "open hand", "open hand", "point", "point"]


@pytest.mark.parametrize(
    ("changed", "field"),
    [
        ({"repetitions": 0}, "repetitions"),
        ({"gesture_s": 0.2}, "gesture_s"),
        ({"rest_s": 0.0}, "rest_s"),
        ({"prepare_s": 61.0}, "prepare_s"),
        ({"repetitions": 100, "gesture_s": 60.0, "rest_s": 60.0}, "repetitions"),
    ],
)
def test_plan_that_makes_no_sense_names_its_field(changed: dict[str, float], field: str) -> None:
    values = {"repetitions": 3, "gesture_s": 4.0, "rest_s": 3.0, "prepare_s": 5.0} | changed
    with pytest.raises(InvalidValueError) as refused:
        make_plan(NAMES, shuffled=True, seed=0, **values)  # type: ignore[arg-type]
    assert refused.value.field == field


# What is written of it: prepare 0-2, rest 2-3, fist 3-5, rest 5-6, open hand 6-8, rest 8-9, point 9-11, rest 11-12

PLAN = make_plan(NAMES, 1, 2, 1, 2, False, 0)


def test_repetition_is_written_only_after_its_interval(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    conductor = CaptureConductor()
    conductor.conduct(pool, after(4.99))
    assert written(pool, session) == [("rest", 1, 2.0, 3.0)]
    conductor.conduct(pool, after(5.0))
    assert written(pool, session) == [("rest", 1, 2.0, 3.0), ("fist", 1, 3.0, 5.0)]


def test_session_is_completed_at_the_end_of_its_plan(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    conductor = CaptureConductor()
    assert [one.status for one in conductor.conduct(pool, after(1))] == ["recording"]
    assert conductor.conduct(pool, after(11.9)) == []
    ended = conductor.conduct(pool, after(14.2))
    assert [(one.session_id, one.status, one.ended_at) for one in ended] == [
        (session.session_id, "completed", after(12.0))
    ]
    assert len(written(pool, session)) == 7
    assert conductor.conduct(pool, after(20)) == []


def test_conducting_late_or_twice_gives_the_same_labels(pool: Pool) -> None:
    often, once = start_capture(pool, PLAN, "often"), start_capture(pool, PLAN, "once")
    one, other = CaptureConductor(), CaptureConductor()
    with pool.transaction() as tx:
        for tenth in range(0, 120):
            perform(tx, often, after(tenth / 10))
    for conductor in (one, other, one):
        conductor.conduct(pool, after(30))
    assert written(pool, often) == written(pool, once)
    assert len(written(pool, once)) == 7


def test_abort_keeps_what_was_performed_and_nothing_else(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    conductor = CaptureConductor()
    conductor.conduct(pool, after(3.5))
    with pool.transaction() as tx:
        ended = abort(tx, session.session_id, after(7.9))
    assert (ended.status, ended.ended_at) == ("aborted", after(7.9))
    # The conductor still holds what it read before the abort.
    with pool.transaction() as tx:
        perform(tx, session, after(30))
    assert [one[:2] for one in written(pool, session)] == [("rest", 1), ("fist", 1), ("rest", 2)]
    assert [(one.status, one.ended_at) for one in conductor.conduct(pool, after(31))] == [("aborted", after(7.9))]


def test_abort_before_the_start_leaves_no_label(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    with pool.transaction() as tx:
        ended = abort(tx, session.session_id, after(-1))
    assert ended.status == "aborted"
    assert written(pool, session) == []


def test_abort_after_the_end_changes_nothing(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    CaptureConductor().conduct(pool, after(13))
    with pool.transaction() as tx:
        assert abort(tx, session.session_id, after(14)).status == "completed"


def test_captures_of_two_profiles_do_not_mix(pool: Pool) -> None:
    first, second = (
        start_capture(pool, PLAN, "first"),
        start_capture(pool, make_plan(["point"], 1, 2, 1, 0, False, 0), "2"),
    )
    CaptureConductor().conduct(pool, after(3))
    assert written(pool, first) == [("rest", 1, 2.0, 3.0)]
    assert written(pool, second) == [("rest", 1, 0.0, 1.0), ("point", 1, 1.0, 3.0)]


def test_capture_that_was_erased_is_forgotten(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    conductor = CaptureConductor()
    conductor.conduct(pool, after(1))
    with pool.transaction() as tx:
        profiles.delete_profile(tx, session.user_id)
    assert conductor.conduct(pool, after(2)) == []


def test_performed_steps_leave_preparation_out(pool: Pool) -> None:
    session = start_capture(pool, PLAN)
    assert performed_steps(session, after(2.5)) == []
    assert plan_end(session) == after(12.0)
