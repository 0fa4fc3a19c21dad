"""Bounds of captures: how many begin in an hour, how long one is, and what a list of them holds."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from semg.capture import make_plan, pause_capture, resume_capture
from semg.domain import CapturePlan
from semg.errors import ConflictError, InvalidValueError
from semg.privacy.consent import TEST_PERSON
from semg.store import (
    access,
    accounts,
    capture_limit,
    profiles,
    session_quality,
    session_summaries,
    sessions,
    stored_plans,
)
from semg.store.pool import Pool, Transaction

pytestmark = pytest.mark.servers
PLAN = make_plan(["fist"], 2, 4, 2, 1, False, 0)


def person(tx: Transaction, name: str, owner: int | None = None) -> int:
    user_id = profiles.insert_profile(tx, name, channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    access.set_owner(tx, user_id, owner)
    return user_id


def begin(tx: Transaction, user_id: int, plan: CapturePlan = PLAN) -> int:
    at = datetime.now(UTC) - timedelta(seconds=2)
    device = profiles.get_profile(tx, user_id).device
    return sessions.insert_session(tx, user_id, "S", "capture", at, status="recording", plan=plan, device=device)


def test_owners_people_begin_some_captures_an_hour_at_the_most(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_limit, "AN_HOUR_EACH", 3)
    with pool.transaction() as tx:
        owner = accounts.insert_account(tx, "owner", "")
        ada, bea, other = person(tx, "Ada", owner), person(tx, "Bea", owner), person(tx, "Cleo")
        for user_id in (ada, bea, ada):
            session_id = begin(tx, user_id)
            sessions.finish_session(tx, session_id, datetime.now(UTC), aborted=True)
        sessions.delete_session(tx, session_id)
    for user_id in (ada, bea):
        with (
            pytest.raises(ConflictError, match=r"at most 3 captures .* try again in \d+ min"),
            pool.transaction() as tx,
        ):
            begin(tx, user_id)
    now = datetime.now(UTC)
    with pytest.raises(ConflictError, match="at most 3 captures"), pool.transaction() as tx:
        device = profiles.get_profile(tx, ada).device
        sessions.insert_session(tx, ada, "T", "taught", now, now + PLAN_LENGTH, status="completed", device=device)
    with pool.transaction() as tx:
        begin(tx, other)
        sessions.insert_session(tx, ada, "I", "import", now, now + PLAN_LENGTH, status="completed", device=device)


PLAN_LENGTH = timedelta(seconds=PLAN.duration_s)


def test_session_has_a_longest_length_with_its_pauses(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stored_plans, "MAX_TOTAL_S", PLAN.duration_s + 60)
    with pool.transaction() as tx:
        session_id = begin(tx, person(tx, "Ada"))
        at = sessions.get_session(tx, session_id).started_at
        pause_capture(tx, session_id, at + timedelta(seconds=1.5))
    with pytest.raises(InvalidValueError, match="end this capture early, and start another"), pool.transaction() as tx:
        resume_capture(tx, session_id, at + timedelta(seconds=120))
    with pool.transaction() as tx:
        resume_capture(tx, session_id, at + timedelta(seconds=30))


def test_lists_of_sessions_have_no_plans(pool: Pool) -> None:
    with pool.transaction() as tx:
        user_id = person(tx, "Ada")
        first = begin(tx, user_id)
        sessions.finish_session(tx, first, datetime.now(UTC))
        second = begin(tx, user_id)
        since = datetime.now(UTC) - timedelta(hours=1)
        lists = [
            sessions.list_sessions(tx, user_id),
            [one.session for one in session_summaries.list_summaries(tx, user_id)],
            sessions.list_recent_sessions(tx, since)[::-1],
            sessions.list_chosen(tx, [second, first]),
        ]
        for found in lists:
            assert [(one.session_id, one.plan) for one in found] == [(second, None), (first, None)]
        waiting = session_quality.list_unjudged(tx, datetime.now(UTC) + timedelta(minutes=1), 5)
        assert [(one.session_id, one.plan) for one in waiting] == [(first, None)]
        assert sessions.get_session(tx, first).plan == PLAN
        assert sessions.count_sessions(tx, user_id) == 2
        assert sessions.list_names(tx, {first, 10**9}) == {first: "S"}
