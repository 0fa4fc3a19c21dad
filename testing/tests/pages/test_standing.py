"""What runs with an older page: parts that redraw by themselves, callbacks, and what a browser sends of its own."""

from __future__ import annotations

from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from streamlit.testing.v1 import AppTest

from semg.domain import DecisionSpec
from semg.errors import AccessError, NotFoundError
from semg.privacy.consent import TEST_PERSON
from semg.security.passwords import hash_password
from semg.store import access, accounts, boards, gestures, jobs, logins, profiles, senders, sessions
from semg.store.pool import Pool, Transaction, execute
from testing.kits.page_data import (
    CAPTURE,
    CHANNELS,
    JOBS,
    LOGIN,
    PASSWORD,
    RATE_HZ,
    REVIEW,
    USERS,
    AsRole,
    Open,
    act,
    all_text,
    button,
    insert_models,
    login_of,
    make_profile,
    make_session,
    now,
)
from testing.kits.page_parts import run_parts
from testing.kits.store_queries import set_shares
from testing.tests.pages.test_capture_page import of_plan, start_session
from ui import decision_fields, review_edit
from ui.boards import let_send
from ui.runtime import App

pytestmark = pytest.mark.servers
Change = Callable[[Transaction, int, int], None]


def disable(tx: Transaction, account_id: int, user_id: int) -> None:
    accounts.update_account(tx, account_id, role="researcher", disabled=True)


def demote(tx: Transaction, account_id: int, user_id: int) -> None:
    accounts.update_account(tx, account_id, role="viewer", disabled=False)


def unshare(tx: Transaction, account_id: int, user_id: int) -> None:
    set_shares(tx, user_id, [])


def log_out(tx: Transaction, account_id: int, user_id: int) -> None:
    logins.delete_logins(tx, account_id)


def new_password(tx: Transaction, account_id: int, user_id: int) -> None:
    accounts.update_password(tx, account_id, hash_password("another long password"))


def has_ended(page: AppTest) -> bool:
    """Return whether nothing is shown, because nobody is logged in."""
    return not page.title and not page.button


def account_of(pool: Pool, login: str = LOGIN) -> accounts.Account:
    with pool.transaction() as tx:
        found = accounts.find_account(tx, login)
    assert found is not None
    return found


@pytest.mark.parametrize("change", [disable, demote, unshare, log_out, new_password])
def test_capture_is_not_ended_by_who_may_not_any_more(
    open_page: Open, as_role: AsRole, pool: Pool, profile_id: int, change: Change
) -> None:
    account_id = as_role("researcher", profile_id)
    session = start_session(pool, profile_id, 3.5, gesture_s=60)
    page = open_page(CAPTURE)
    act(page, "abort").click()
    with pool.transaction() as tx:
        change(tx, account_id, profile_id)
    run_parts(page)
    assert not page.exception
    assert of_plan(pool, session).status == "recording"
    stays = change is demote  # a viewer with a share looks on
    assert ("Recording **Ada**" in all_text(page)) == stays
    assert [one for one in page.button if (one.key or "").startswith("abort")] == [], "nothing that would be refused"
    assert has_ended(page) == (change in (disable, log_out, new_password))


def test_parts_run_while_nothing_was_changed(open_page: Open, as_role: AsRole, pool: Pool, profile_id: int) -> None:
    as_role("researcher", profile_id)
    session = start_session(pool, profile_id, 3.5, gesture_s=60)
    page = open_page(CAPTURE)
    act(page, "abort").click()
    run_parts(page)
    assert not page.exception
    assert of_plan(pool, session).status == "aborted"


def test_login_that_has_ended_by_its_age_ends_the_parts(open_page: Open, pool: Pool, profile_id: int) -> None:
    session = start_session(pool, profile_id, 3.5, gesture_s=60)
    page = open_page(CAPTURE)
    act(page, "pause").click()
    with pool.transaction() as tx:
        execute(tx, "UPDATE logins SET expires_at = now()")
    run_parts(page)
    assert has_ended(page)
    plan = of_plan(pool, session).plan
    assert plan is not None
    assert plan.paused_s is None


@pytest.mark.parametrize("change", [disable, unshare])
def test_jobs_are_neither_shown_nor_canceled_by_who_may_not_any_more(
    open_page: Open, as_role: AsRole, pool: Pool, profile_id: int, change: Change
) -> None:
    account_id = as_role("researcher", profile_id)
    session_id = make_session(pool, profile_id, now() - timedelta(hours=1))
    with pool.transaction() as tx:
        job_id = jobs.insert_job(tx, profile_id, [session_id], "cnn", {}, now() + timedelta(hours=1))
    page = open_page(JOBS)
    act(page, f"cancel-{job_id}").click()
    with pool.transaction() as tx:
        change(tx, account_id, profile_id)
    run_parts(page)
    assert "convolutional network" not in all_text(page)
    with pool.transaction() as tx:
        assert jobs.get_job(tx, job_id).status == "scheduled"


def test_sender_is_not_assigned_by_a_disabled_account(
    open_page: Open, as_role: AsRole, pool: Pool, profile_id: int
) -> None:
    account_id = as_role("researcher", profile_id)
    with pool.transaction() as tx:
        senders.assign_sender(tx, 777, profile_id)
    page = open_page("")
    page.button(key="release-777").click()
    with pool.transaction() as tx:
        disable(tx, account_id, profile_id)
    run_parts(page)
    with pool.transaction() as tx:
        assert senders.list_senders(tx) == {777: profile_id}
    assert has_ended(page)


def test_archive_is_for_owners_and_the_link_ends_with_that(
    open_page: Open, as_role: AsRole, pool: Pool, profile_id: int
) -> None:
    account_id = as_role("researcher", profile_id)
    page = open_page(USERS)
    assert not [one for one in page.button if one.label.startswith("Make the archive")]
    with pool.transaction() as tx:
        access.set_owner(tx, profile_id, account_id)
    page = open_page(USERS)
    button(page, "Create Ada's archive").click().run()
    page.session_state["person-export"].join(30)
    run_parts(page)
    assert page.get("link_button")
    with pool.transaction() as tx:
        access.set_owner(tx, profile_id, None)
    run_parts(page)
    assert not page.get("link_button")


def test_webcam_ends_with_the_login(
    open_page: Open,
    as_role: AsRole,
    pool: Pool,
    profile_id: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    account_id = as_role("researcher", profile_id)
    page = open_page(CAPTURE)
    page.toggle(key="webcam-on").set_value(True).run()
    camera, stopped = page.session_state["webcam"], []
    monkeypatch.setattr(camera, "stop", lambda: stopped.append(True))
    with pool.transaction() as tx:
        disable(tx, account_id, profile_id)
    run_parts(page)
    assert stopped
    assert "webcam" not in page.session_state


# What a browser sends.


def edges(session_id: int, pool: Pool) -> tuple[int, dict[str, float]]:
    """A repetition of a session, and what ends it a tenth of a second earlier."""
    with pool.transaction() as tx:
        last = sessions.list_repetitions(tx, session_id)[-1]
    end_ms = last.ended_at.timestamp() * 1000 - 100
    return last.repetition_id, {
        "id": last.repetition_id, "begin_ms": last.started_at.timestamp() * 1000, "end_ms": end_ms,
    }  # fmt: skip


def test_label_of_another_session_is_not_moved_nor_named(
    app_of_test: App, pool: Pool, profile_id: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    state: dict[str, Any] = {}
    monkeypatch.setattr("ui.review_edit.st.session_state", state)
    monkeypatch.setattr("ui.page.st.session_state", state)
    since = now() - timedelta(hours=1)
    until = since + timedelta(minutes=1)
    with pool.transaction() as tx:
        hidden = profiles.insert_profile(tx, "Hidden Bo", channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON)
        account_id = accounts.insert_account(tx, "helper", hash_password(PASSWORD), "researcher")
        set_shares(tx, profile_id, [account_id])
        device = profiles.get_profile(tx, hidden).device
        gesture = gestures.insert_gesture(tx, hidden, "secret sign")
        theirs = sessions.insert_session(tx, hidden, "S", "capture", since, until, status="completed", device=device)
        foreign = sessions.insert_repetition(tx, theirs, gesture, 1, since, since + timedelta(seconds=3))
    own_id = make_session(pool, profile_id, now() - timedelta(hours=2))
    app = app_of_test.of(account_of(pool, "helper"), login_of(pool, "helper"))
    with pool.transaction() as tx:
        own = sessions.get_session(tx, own_id)
        before = sessions.get_repetition(tx, foreign)
    sent = {"id": foreign, "begin_ms": since.timestamp() * 1000, "end_ms": until.timestamp() * 1000}
    review_edit.move(app, own, sent)
    with pool.transaction() as tx:
        assert sessions.get_repetition(tx, foreign) == before
    assert "secret sign" not in str(state)
    told = str(state[review_edit.MOVE_ERROR]).replace(str(foreign), "N")
    review_edit.move(app, own, sent | {"id": 999_999})
    assert str(state[review_edit.MOVE_ERROR]).replace("999999", "N") == told, "as if it were not there"
    number, mine = edges(own_id, pool)
    review_edit.move(app, own, mine)
    assert state["flash"] == "open hand 2 moved"
    with pool.transaction() as tx:
        accounts.update_account(tx, account_id, role="researcher", disabled=True)
        moved = sessions.get_repetition(tx, number)
    review_edit.move(app, own, mine | {"end_ms": mine["end_ms"] + 500})
    with pool.transaction() as tx:
        assert sessions.get_repetition(tx, number) == moved, "the page was drawn before the account was disabled"


def test_board_of_a_hidden_profile_is_not_taken(app_of_test: App, as_role: AsRole, pool: Pool, profile_id: int) -> None:
    as_role("researcher", profile_id)
    hidden = make_profile(pool, "Hidden Bo")
    app = app_of_test.of(account_of(pool), login_of(pool))
    with pool.transaction() as tx:
        theirs, nobodys = boards.insert_board(tx, "theirs"), boards.insert_board(tx, "nobody's")
        boards.assign_board(tx, theirs, hidden)
    for board_id, user_id in ((theirs, profile_id), (nobodys, hidden)):
        with pytest.raises(NotFoundError), pool.transaction() as tx:
            let_send(app, tx, board_id, user_id)
    with pool.transaction() as tx:
        let_send(app, tx, nobodys, profile_id)
        assert [one.user_id for one in boards.list_boards(tx)] == [hidden, profile_id]


def test_settings_are_refused_after_a_share_has_ended(
    app_of_test: App,
    as_role: AsRole,
    pool: Pool,
    profile_id: int,
) -> None:
    as_role("researcher", profile_id)
    insert_models(pool, profile_id, 1)
    app = app_of_test.of(account_of(pool), login_of(pool))
    with pool.transaction() as tx:
        profile = profiles.get_profile(tx, profile_id)
        set_shares(tx, profile_id, [])
    with pytest.raises(NotFoundError):
        decision_fields._save(app, profile, DecisionSpec(9, 0.5, 0.5))


def test_session_is_erased_by_its_owner_only(
    open_page: Open,
    app_of_test: App,
    as_role: AsRole,
    pool: Pool,
    profile_id: int,
) -> None:
    account_id = as_role("researcher", profile_id)
    number = make_session(pool, profile_id, now() - timedelta(hours=1))
    page = open_page(REVIEW)
    assert not [one for one in page.button if one.key == "delete-session"]
    assert "Only the profile's owner or an admin can delete a session." in all_text(page)
    with pytest.raises(AccessError), pool.transaction() as tx:
        app_of_test.of(account_of(pool), login_of(pool)).require(tx, profile_id, "own")
    with pool.transaction() as tx:
        access.set_owner(tx, profile_id, account_id)
    page = open_page(REVIEW)
    page.checkbox(key=f"sure-{number}").check().run()
    with pool.transaction() as tx:
        access.set_owner(tx, profile_id, None)  # given to somebody else meanwhile
    act(page, "delete-session").click().run()
    with pool.transaction() as tx:
        assert len(sessions.list_sessions(tx, profile_id)) == 1
        access.set_owner(tx, profile_id, account_id)
    page = open_page(REVIEW)
    page.checkbox(key=f"sure-{number}").check().run()
    act(page, "delete-session").click().run()
    with pool.transaction() as tx:
        assert sessions.list_sessions(tx, profile_id) == []
