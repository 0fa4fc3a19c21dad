"""The simulated arm on the pages: offered where nothing streams, asked about, steered, marked, stopped."""

from __future__ import annotations

import pytest

from semg.consent_types import NewConsent
from semg.domain import Profile
from semg.errors import NotFoundError
from semg.privacy.consent import TEST_PERSON
from semg.security.board_keys import make_board
from semg.security.keys import ring_of
from semg.settings import Settings
from semg.simulation import arms
from semg.store import accounts, audit, boards, consents, profiles, services, sessions, simulated_arms
from semg.store.audit import Actor
from semg.store.pool import Pool
from semg.store.simulated_arms import SimulatedArm
from testing.kits.page_data import (
    CAPTURE,
    LIVE,
    LOGIN,
    REVIEW,
    TRAIN,
    USERS,
    AsRole,
    Open,
    act,
    all_text,
    login_of,
    make_session,
    now,
)
from testing.kits.page_parts import table_rows
from ui.boards import let_send
from ui.runtime import App

pytestmark = pytest.mark.servers


def arm_of(pool: Pool, user_id: int) -> SimulatedArm | None:
    with pool.transaction() as tx:
        return simulated_arms.find_arm(tx, user_id)


def profile_of(pool: Pool, user_id: int) -> Profile:
    with pool.transaction() as tx:
        return profiles.get_profile(tx, user_id)


@pytest.mark.parametrize("page_file", [LIVE, CAPTURE])
def test_arm_is_started_by_one_button_and_shown_as_simulated(open_page: Open, pool: Pool, profile_id: int,
                                                             page_file: str) -> None:  # fmt: skip
    page = act(open_page(page_file), "simulate").click().run()
    assert not page.exception
    assert arm_of(pool, profile_id) is not None
    assert any('data-simulated="arm"' in one.proto.body for one in page.get("html"))
    assert "simulator" in all_text(page), "the service does not run here, and the page says so"


def test_arm_is_steered_field_by_field_and_stopped(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = act(open_page(LIVE), "simulate").click().run()
    page.slider(key=f"arm-rotation-{profile_id}").set_value(0.5).run()
    page.selectbox(key=f"arm-loose_channel-{profile_id}").set_value(1).run()
    page.slider(key=f"arm-loss-{profile_id}").set_value(0.2).run()
    page.button_group(key=f"arm-gesture-{profile_id}").set_value("open hand").run()
    arm = arm_of(pool, profile_id)
    assert arm is not None
    steering = arm.steering
    assert (steering.rotation, steering.loose_channel, steering.loss, steering.gesture) == (0.5, 1, 0.2, "open hand")
    page.button_group(key=f"arm-gesture-{profile_id}").set_value("").run()
    page.selectbox(key=f"arm-loose_channel-{profile_id}").set_value(-1).run()
    arm = arm_of(pool, profile_id)
    assert arm is not None
    assert (arm.steering.gesture, arm.steering.loose_channel, arm.steering.rotation) == (None, None, 0.5)
    assert not page.exception
    page = act(page, "stop-arm").click().run()
    assert arm_of(pool, profile_id) is None
    assert not any('data-simulated="arm"' in one.proto.body for one in page.get("html"))


def test_board_is_asked_about_and_a_person_without_consent_is_refused(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    with pool.transaction() as tx:
        own = boards.insert_board(tx, "Left *band*")
        boards.assign_board(tx, own, profile_id)
    page = open_page(LIVE)
    assert not any((one.key or "").startswith("simulate-for") for one in page.button)
    assert "It is set aside while the simulated arm is used" in all_text(page)
    page = act(page, "simulate-instead").click().run()
    arm = arm_of(pool, profile_id)
    assert arm is not None
    assert arm.former_board_id == own
    act(page, "stop-arm").click().run()
    with pool.transaction() as tx:
        assert boards.get_board(tx, own).user_id == profile_id
        consents.insert_consent(tx, profile_id, NewConsent((), TEST_PERSON.text))
    page = act(open_page(LIVE), "simulate-instead").click().run()
    assert "record the consent on the Profiles page first" in all_text(page)
    assert arm_of(pool, profile_id) is None


@pytest.fixture
def set_aside(pool: Pool, profile_id: int, settings: Settings) -> int:
    """The board of Ada's, which goes on sending while a simulated arm is used in its place."""
    with pool.transaction() as tx:
        number, _ = make_board(tx, ring_of(settings), "Ada's own band")
        boards.assign_board(tx, number, profile_id)
        arms.start(tx, ring_of(settings), profile_id, Actor(LOGIN), arms.Limits(8, 3))
        source = {"address": "10.0.0.7:2390", "user_id": None, "board_id": number, "state": "unassigned_board",
                  "rate_hz": 200.0, "channels": 4, "values": [1234.5, 2.0], "age_s": 0.1}  # fmt: skip
        services.upsert_service(tx, "udpserver", "a:1", 1, now(), {"sources": [source]})
    return number


def test_board_that_is_set_aside_is_seen_and_taken_by_nobody_else(
    open_page: Open, app_of_test: App, pool: Pool, set_aside: int, as_role: AsRole
) -> None:
    with pool.transaction() as tx:
        own = profiles.insert_profile(tx, "Mine", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
    as_role("researcher", own)
    for page in (open_page(), open_page(USERS)):
        assert not page.exception
        assert "Ada" not in str(page) + all_text(page)
        assert "1234.5" not in str(page)
        assert [one.label for one in page.button if one.label.startswith(("Assign", "New key"))] == []
    with pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
    assert account is not None
    app = app_of_test.of(account, login_of(pool))
    for user_id in (own, None):
        with pytest.raises(NotFoundError), pool.transaction() as tx:
            let_send(app, tx, set_aside, user_id)


def test_board_that_is_set_aside_is_shown_as_that_to_its_profiles_people(
    open_page: Open, pool: Pool, profile_id: int, set_aside: int
) -> None:
    page = open_page()
    (row,) = table_rows(page)
    assert (row["Profile"], row["State"]) == ("Ada", "■ set aside: a simulated arm sends in its place")
    assert not [one for one in page.button if one.label.startswith("Assign")]
    page = open_page(USERS)
    page.selectbox(key="board-choice").set_value(set_aside).run()
    assert next(one for one in page.button if one.label == "New key").disabled
    next(one for one in page.button if one.label == "Revoke key").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        board = boards.get_board(tx, set_aside)
        entries = [one for one in audit.list_entries(tx, user_id=profile_id) if one.action == "board.key_revoked"]
    assert (board.key_encrypted, board.belongs_to, len(entries)) == (None, profile_id, 1)


def test_board_with_another_key_is_not_given_back_and_the_page_says_so(
    open_page: Open, pool: Pool, set_aside: int
) -> None:
    with pool.transaction() as tx:
        boards.set_key(tx, set_aside, b"another")
    page = act(open_page(LIVE), "stop-arm").click().run()
    assert "is assigned to nobody: its key was changed while it was set aside" in all_text(page)
    with pool.transaction() as tx:
        assert boards.get_board(tx, set_aside).belongs_to is None


def test_account_with_its_share_of_arms_is_told_so(
    open_page: Open, pool: Pool, profile_id: int, settings: Settings
) -> None:
    with pool.transaction() as tx:
        for number in range(settings.simulated_arms_each):
            user_id = profiles.insert_profile(tx, f"P{number}", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
            arms.start(tx, ring_of(settings), user_id, Actor(LOGIN), arms.Limits(8, 8))
    page = act(open_page(LIVE, profile_id=profile_id), "simulate").click().run()
    assert "Stop another simulated arm first: this account has started 3" in all_text(page)
    assert arm_of(pool, profile_id) is None


def test_who_only_reads_neither_starts_nor_steers(
    open_page: Open, pool: Pool, profile_id: int, as_role: AsRole
) -> None:
    act(open_page(LIVE), "simulate").click().run()
    as_role("viewer", profile_id)
    page = open_page(LIVE)
    assert "it can watch the arm, not steer it" in all_text(page)
    assert not any("arm" in (one.key or "") for one in [*page.button, *page.slider])


def test_simulated_sessions_are_called_so_where_they_are_listed(open_page: Open, pool: Pool, profile_id: int) -> None:
    marked = make_session(pool, profile_id, now(), "Monday")
    with pool.transaction() as tx:
        simulated_arms.mark_session(tx, marked)
        assert sessions.get_session(tx, marked).simulated
    train, review = open_page(TRAIN), open_page(REVIEW)
    assert [one.label for one in train.checkbox if "Monday" in one.label and "simulated" in one.label]
    assert any("simulated" in option for one in review.selectbox for option in one.options if "Monday" in option)
