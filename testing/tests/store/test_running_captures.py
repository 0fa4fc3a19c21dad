"""Captures that run, without their plans."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from semg.capture import make_plan, pause_capture
from semg.errors import ConflictError
from semg.privacy.consent import TEST_PERSON
from semg.store import access, accounts, plans, profiles, sessions
from semg.store.pool import Pool
from semg.store.running_captures import find_running, list_running

pytestmark = pytest.mark.servers


def test_running_captures_are_named_with_their_pause_and_counted_by_owner(pool: Pool) -> None:
    now = datetime.now(UTC) - timedelta(seconds=2)
    with pool.transaction() as tx:
        owner = accounts.insert_account(tx, "owner", "")
        people = [
            profiles.insert_profile(tx, name, channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
            for name in ("Ada", "Bea", "Cleo", "Dora")
        ]
        for user_id in people[:2]:
            access.set_owner(tx, user_id, owner)
        device = profiles.get_profile(tx, people[0]).device
        made = [
            sessions.insert_session(
                tx, user_id, "S", "capture", now, status="recording", device=device,
                plan=make_plan(["fist"], 2, 4, 2, 1, False, 0),
            )
            for user_id in people[:3]
        ]  # fmt: skip
        pause_capture(tx, made[1], now + timedelta(seconds=1.5))
        found = list_running(tx)
        assert [(one.session_id, one.user_id, one.name, one.paused) for one in found] == [
            (made[0], people[0], "S", False), (made[1], people[1], "S", True), (made[2], people[2], "S", False)
        ]  # fmt: skip
        assert find_running(tx, people[1]) == sessions.get_session(tx, made[1])
        assert find_running(tx, people[3]) is None


def test_owner_has_some_captures_running_at_the_most(pool: Pool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("semg.store.capture_limit.RUNNING_EACH", 2)
    now = datetime.now(UTC) - timedelta(seconds=2)
    plan = make_plan(["fist"], 2, 4, 2, 1, False, 0)
    with pool.transaction() as tx:
        owner = accounts.insert_account(tx, "owner", "")
        people = [
            profiles.insert_profile(tx, name, channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
            for name in ("Ada", "Bea", "Cleo", "Dora")
        ]
        for user_id in people[:3]:
            access.set_owner(tx, user_id, owner)
        device = profiles.get_profile(tx, people[0]).device

    def begin(user_id: int) -> int:
        with pool.transaction() as tx:
            return sessions.insert_session(tx, user_id, "S", "capture", now, status="recording", plan=plan,
                                           device=device)  # fmt: skip

    first = begin(people[0])
    with pool.transaction() as tx:
        sessions.finish_session(tx, first, now + timedelta(seconds=1))
        ended = sessions.get_session(tx, first)
    running = [begin(user_id) for user_id in people[1:3]]
    with pytest.raises(ConflictError, match="2 captures of this owner's people run"):
        begin(people[0])
    with pytest.raises(ConflictError, match="2 captures"), pool.transaction() as tx:
        plans.reopen_session(tx, ended, plan)  # to perform something again
    begin(people[3])  # somebody else's
    with pool.transaction() as tx:
        sessions.finish_session(tx, running[0], now + timedelta(seconds=1))
        plans.reopen_session(tx, ended, plan)
