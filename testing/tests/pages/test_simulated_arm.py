"""The simulated arm on the pages: offered where nothing streams, asked about, steered, marked, stopped."""

from __future__ import annotations

import pytest

from semg.consent_types import NewConsent
from semg.domain import Profile
from semg.privacy.consent import TEST_PERSON
from semg.store import boards, consents, profiles, sessions, simulated_arms
from semg.store.pool import Pool
from semg.store.simulated_arms import SimulatedArm
from testing.kits.page_data import CAPTURE, LIVE, REVIEW, TRAIN, AsRole, Open, act, all_text, make_session, now

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
