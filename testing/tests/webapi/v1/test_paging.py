"""Lists in pages: every row once, whatever comes in between."""

from __future__ import annotations

from datetime import timedelta

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from semg.domain import Decision, us_from_utc
from semg.store import decisions, profiles, sessions
from testing.kits.rest_kit import START, Rest

pytestmark = pytest.mark.servers


def add_sessions(rest: Rest, user_id: int, n: int) -> list[int]:
    with rest.pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        return [
            sessions.insert_session(
                tx, user_id, "S", "capture", START, START + timedelta(seconds=1), status="completed", device=device
            )
            for _ in range(n)
        ]


@settings(max_examples=12, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(data=st.data())
def test_every_row_comes_once_while_rows_are_added(rest: Rest, admin: str, data: st.DataObject) -> None:
    user_id = rest.profile()
    there = [one["session_id"] for one in rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"]]
    there += add_sessions(rest, user_id, data.draw(st.integers(0, 7)))
    order = data.draw(st.sampled_from(["oldest", "newest"]))
    found: list[int] = []
    added: list[int] = []
    cursor: str | None = None
    while True:
        asked = {"limit": data.draw(st.integers(1, 4)), "order": order} | ({"cursor": cursor} if cursor else {})
        page = rest.get(admin, f"/profiles/{user_id}/sessions", params=asked).json()
        assert len(page["items"]) <= asked["limit"]
        found += [one["session_id"] for one in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
        if len(added) < 6:
            added += add_sessions(rest, user_id, data.draw(st.integers(0, 2)))
    assert len(found) == len(set(found))
    assert found == sorted(found, reverse=order == "newest")
    assert set(there) <= set(found) <= set(there) | set(added)


def test_lists_of_all_kinds_come_in_pages(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    session = rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"][0]["session_id"]
    for _ in range(3):
        rest.ask(admin, "POST", f"/profiles/{user_id}/jobs", json={"session_ids": [session]})
    seer = rest.token("viewer", user_id, rest.profile(), rest.profile())
    lists = {
        "/profiles": ("userid", 3), f"/profiles/{user_id}/jobs": ("job_id", 3),
        f"/profiles/{user_id}/jobs?status=scheduled": ("job_id", 3),
        f"/profiles/{user_id}/jobs?status=failed": ("job_id", 0),
        f"/profiles/{user_id}/models": ("version", 2), f"/sessions/{session}/repetitions": ("repetition_id", 2),
    }  # fmt: skip
    for path, (key, n) in lists.items():
        found, cursor, between = [], None, "&" if "?" in path else "?"
        while True:
            more = f"{between}limit=1" + (f"&cursor={cursor}" if cursor else "")
            page = rest.get(seer, path + more).json()
            found += [one[key] for one in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert (len(found), found) == (n, sorted(set(found))), path


def test_decisions_come_once_and_those_of_one_moment_together(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    start_us = us_from_utc(START)
    moments = [0, 1, 1, 1, 2, 3, 3, 4]
    made = [
        Decision(user_id, None if at == 2 else "fist", 0.5, 1, 0, start_us + at, start_us + at, start_us + at)
        for at in moments
    ]
    with rest.pool.transaction() as tx:
        decisions.insert_decisions(tx, made)
    path = f"/profiles/{user_id}/decisions"
    for limit in (1, 2, 3, 100):
        found, cursor = [], None
        while True:
            asked = {"since": START.isoformat(), "limit": limit} | ({"cursor": cursor} if cursor else {})
            page = rest.get(admin, path, params=asked).json()
            found += page["items"]
            cursor = page["next_cursor"]
            if cursor is None:
                break
        assert [one["decided_at"][-7:-1] for one in found] == [f"{at:06}" for at in moments]
    assert [one["label"] for one in found] == [None if at == 2 else "fist" for at in moments]
    assert rest.get(admin, path, params={"order": "newest"}).json()["field"] == "order"


def test_cursor_is_of_one_list_in_one_order(rest: Rest, admin: str, person: int) -> None:
    rest.profile()
    cursor = rest.get(admin, "/profiles?limit=1").json()["next_cursor"]
    for path, asked in (
        (f"/profiles/{person}/sessions", {"cursor": cursor}),
        ("/profiles", {"cursor": cursor, "order": "newest"}),
        ("/profiles", {"cursor": "x"}),
        ("/profiles", {"cursor": "é" * 30}),
        ("/profiles", {"cursor": "WyJhIl0"}),
        ("/profiles", {"cursor": "x" * 1000}),
    ):
        answer = rest.get(admin, path, params=asked)
        assert (answer.status_code, answer.json()["field"]) == (422, "cursor")
    for field, value in (("limit", 0), ("limit", 501), ("limit", "x"), ("order", "random")):
        answer = rest.get(admin, "/profiles", params={field: value})
        assert (answer.status_code, answer.json()["field"]) == (422, field)
