"""Starting a capture, and refusing to."""

from __future__ import annotations

import re
from datetime import timedelta

import pytest

from semg.capture import CaptureConductor, make_plan
from semg.privacy.consent import TEST_PERSON
from semg.store import profiles, services, sessions
from semg.store.pool import Pool
from testing.kits.page_data import CAPTURE, Open, act, all_text, button, make_session, now, store_noise

pytestmark = pytest.mark.servers


def test_capture_starts_when_samples_stream(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(CAPTURE)
    store_noise(pool, profile_id, now() - timedelta(seconds=5), 30)
    before = now()
    act(page, "start").click().run()
    assert not page.exception
    assert not page.error
    with pool.transaction() as tx:
        (session,) = sessions.list_recording_sessions(tx)
    assert session.name == "Session 1"
    assert before < session.started_at <= now() + timedelta(seconds=2)
    assert session.plan is not None
    assert sum(1 for step in session.plan.steps if step.gesture == "fist") == 6
    assert button(page, "End early")


def test_capture_is_refused_with_the_reason_when_nothing_streams(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(CAPTURE)
    act(page, "start").click().run()
    assert "was not started" in page.error[0].value
    assert "udpserver is not running" in page.error[0].value
    with pool.transaction() as tx:
        assert sessions.list_recording_sessions(tx) == []


def test_owner_has_some_captures_running_at_the_most(
    open_page: Open, pool: Pool, profile_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=5), 30)
    monkeypatch.setattr("semg.store.capture_limit.RUNNING_EACH", 0)
    page = open_page(CAPTURE)
    act(page, "start").click().run()
    assert "0 captures of this owner's people run: end one first" in page.error[0].value
    with pool.transaction() as tx:
        assert sessions.list_recording_sessions(tx) == []


def test_capture_is_refused_with_what_udpserver_says_of_the_sender(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    source = {"address": "10.0.0.7:2390", "user_id": profile_id, "state": "v1_not_allowed", "age_s": 0.5}
    with pool.transaction() as tx:
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), {"sources": [source]})
    page = open_page(CAPTURE)
    act(page, "start").click().run()
    assert "does not accept the plain text format" in page.error[0].value


def test_running_capture_is_shown_after_a_reload_and_ended_early(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Aaron", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        sessions.insert_session(
            tx,
            profile_id,
            "Session 7",
            "capture",
            now() - timedelta(seconds=6.5),
            status="recording",
            plan=make_plan(["fist", "open hand"], 3, 2, 1, 2, False, 0),
            device=profiles.get_profile(tx, profile_id).device,
        )
    CaptureConductor().conduct(pool, now())
    page = open_page(CAPTURE, profile_id=profile_id)
    assert not page.exception
    assert "3 labels written" in all_text(page)
    act(page, "abort").click().run()
    assert re.search(r"\*\*Session 7\*\* of Ada ended early: [12] repetitions? recorded", all_text(page))
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, profile_id)
        assert [one.gesture for one in sessions.list_repetitions(tx, session.session_id)][:2] == ["rest", "fist"]
    assert session.status == "aborted"


def test_labels_that_are_not_written_are_told(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        sessions.insert_session(
            tx, profile_id, "one", "capture", now() - timedelta(seconds=15), status="recording",
            plan=make_plan(["fist"], 20, 2, 1, 2, False, 0), device=profiles.get_profile(tx, profile_id).device,
        )  # fmt: skip
    page = open_page(CAPTURE)
    assert "Labels are not being written" in all_text(page)


def test_capture_without_gestures_leads_to_the_gestures(open_page: Open, pool: Pool) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ada", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    assert "has no gestures yet" in all_text(open_page(CAPTURE))


def test_second_session_of_a_name_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1), "Session 2")
    page = open_page(CAPTURE)
    store_noise(pool, profile_id, now() - timedelta(seconds=5), 30)
    act(page, "start").click().run()
    assert "called “Session 2” already" in page.error[0].value
