"""Gesture banks."""

from __future__ import annotations

from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest
from streamlit.testing.v1.element_tree import Block

from semg.privacy.consent import TEST_PERSON
from semg.store import accounts, gestures, profiles
from semg.store.pool import Pool
from testing.kits.page_data import GESTURES, LOGIN, Open, act, button, field, login_of, make_session, now
from ui import banks, gesture_list
from ui.gesture_list import OPEN
from ui.runtime import App

pytestmark = pytest.mark.servers


def names_of(pool: Pool, user_id: int) -> list[str]:
    with pool.transaction() as tx:
        return [one.name for one in gestures.list_gestures(tx, user_id)]


def test_gesture_is_added_and_moved(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(GESTURES)
    page.text_input(key="new-name").input("pinch")
    page.text_input(key="new-text").input("thumb to finger")
    button(page, "Add to Ada").click().run()
    assert not page.exception
    assert names_of(pool, profile_id) == ["rest", "fist", "open hand", "pinch"]
    with pool.transaction() as tx:
        last = gestures.list_gestures(tx, profile_id)[-1]
    page.session_state[OPEN] = last.gesture_id
    page.run()
    field(page.number_input, "Position in the bank").set_value(3)
    act(page, f"save-{last.gesture_id}").click().run()
    assert not page.exception
    assert names_of(pool, profile_id) == ["rest", "fist", "pinch", "open hand"]
    assert OPEN not in page.session_state


def n_elements(page: AppTest) -> int:
    """How many elements, and containers around them, a page sends."""

    def count(node: Block) -> int:
        return sum(1 + (count(child) if isinstance(child, Block) else 0) for child in node.children.values())

    return count(page.main) + count(page.sidebar)


def test_order_from_the_browser_is_stored_whole_or_not_at_all(app_of_test: App, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        profile = profiles.get_profile(tx, profile_id)
        rest, fist, open_hand = (one.gesture_id for one in gestures.list_gestures(tx, profile_id))
        account = accounts.find_account(tx, LOGIN)
    assert account is not None
    app = app_of_test.of(account, login_of(pool))
    for ids, refused in (
        ([open_hand, rest, fist], None),
        ([rest, fist], "the bank has changed"),
        ([rest, fist, fist], "the bank has changed"),
        ([rest, fist, 10**9], "the bank has changed"),
        (["x"], None),
        ("all", None),
    ):
        said = gesture_list.reorder(app, profile, ids)
        assert (said is None) == (refused is None)
        assert refused is None or refused in str(said)
        assert names_of(pool, profile_id) == ["open hand", "rest", "fist"]


def test_a_hundred_gestures_are_as_many_elements_as_three(open_page: Open, pool: Pool, profile_id: int) -> None:
    few = n_elements(open_page(GESTURES))
    with pool.transaction() as tx:
        for index in range(107):
            gestures.insert_gesture(tx, profile_id, f"gesture {index}", "how to", "")
    many = open_page(GESTURES)
    assert not many.exception
    assert n_elements(many) == few
    (sent,) = (one.proto for one in many.get("bidi_component") if "gesture 106" in one.proto.json)
    assert len(sent.json) < 400_000


def test_second_gesture_of_a_name_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(GESTURES)
    page.text_input(key="new-name").input("fist")
    button(page, "Add to Ada").click().run()
    assert "already has 'fist'" in page.error[0].value
    assert names_of(pool, profile_id) == ["rest", "fist", "open hand"]


def test_gesture_is_renamed_and_rest_is_not(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        rest, fist, _ = gestures.list_gestures(tx, profile_id)
    assert open_page(GESTURES, **{OPEN: rest.gesture_id}).text_input(key=f"name-{rest.gesture_id}").disabled
    page = open_page(GESTURES, **{OPEN: fist.gesture_id})
    page.text_input(key=f"name-{fist.gesture_id}").input("power grip")
    next(one for one in page.button if one.form_id == f"gesture-{fist.gesture_id}").click().run()
    assert names_of(pool, profile_id) == ["rest", "power grip", "open hand"]


def test_recorded_gesture_is_deleted_only_when_that_was_confirmed(open_page: Open, pool: Pool, profile_id: int) -> None:
    make_session(pool, profile_id, now() - timedelta(hours=1))
    with pool.transaction() as tx:
        fist = gestures.list_gestures(tx, profile_id)[1]
    page = open_page(GESTURES, **{OPEN: fist.gesture_id})
    assert act(page, f"delete-{fist.gesture_id}").disabled
    page.checkbox(key=f"sure-{fist.gesture_id}-1").check().run()
    act(page, f"delete-{fist.gesture_id}").click().run()
    assert names_of(pool, profile_id) == ["rest", "open hand"]


def test_ready_made_bank_and_copied_bank_add_what_is_missing(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Ben", channels=["a0"], rate_hz=200.0, consent=TEST_PERSON)
        gestures.insert_gesture(tx, other, "wave")
    page = open_page(GESTURES, profile_id=profile_id)
    act(page, "add-ready-made").click().run()
    assert names_of(pool, profile_id) == ["rest", "fist", "open hand", "wrist extension"]
    act(page, "copy").click().run()
    assert names_of(pool, profile_id)[-1] == "wave"


def test_ready_made_gestures_keep_their_names_and_speak_the_language_of_the_person(
    app_of_test: App, pool: Pool, profile_id: int
) -> None:
    with pool.transaction() as tx:
        account = accounts.find_account(tx, LOGIN)
        profiles.update_profile(tx, profile_id, language="de")
        profile = profiles.get_profile(tx, profile_id)
    assert account is not None
    assert banks.add_bank(app_of_test.of(account, login_of(pool)), profile, "To speak with: five phrases") == 3
    with pool.transaction() as tx:
        bank = {one.name: one for one in gestures.list_gestures(tx, profile_id)}
    assert (bank["point"].phrase, bank["wrist flexion"].phrase) == ("Danke", "Ich habe Durst")
    assert bank["point"].description == "Stretch the index finger, close the others."


def test_channels_used_are_saved_and_none_is_refused(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(GESTURES)
    page.multiselect(key=f"channels-{profile_id}").set_value(["a2", "a1"])
    next(one for one in page.button if one.form_id == "channels-used").click().run()
    with pool.transaction() as tx:
        assert profiles.get_profile(tx, profile_id).channels_used == ("a1", "a2")
    page.multiselect(key=f"channels-{profile_id}").set_value([])
    next(one for one in page.button if one.form_id == "channels-used").click().run()
    assert "at least one channel" in page.error[0].value


def test_kind_is_chosen_when_a_gesture_is_added_and_changed_later(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(GESTURES)
    page.text_input(key="new-name").input("snap")
    page.radio(key="new-kind").set_value("dynamic")
    button(page, "Add to Ada").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        snap = gestures.list_gestures(tx, profile_id)[-1]
    assert (snap.name, snap.kind) == ("snap", "dynamic")
    page.session_state[OPEN] = snap.gesture_id
    page.run()
    assert page.radio(key=f"kind-{snap.gesture_id}").value == "dynamic"
    page.radio(key=f"kind-{snap.gesture_id}").set_value("held")
    act(page, f"save-{snap.gesture_id}").click().run()
    with pool.transaction() as tx:
        assert gestures.get_gesture(tx, snap.gesture_id).kind == "held"


def test_rest_has_no_kind_to_choose(open_page: Open, pool: Pool, profile_id: int) -> None:
    with pool.transaction() as tx:
        rest = gestures.list_gestures(tx, profile_id)[0]
    page = open_page(GESTURES, **{OPEN: rest.gesture_id})
    assert f"kind-{rest.gesture_id}" not in {one.key for one in page.radio}


def test_ready_made_short_gestures_are_dynamic(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(GESTURES, profile_id=profile_id)
    page.selectbox(key="ready-made").select("Short gestures: three performed once").run()
    act(page, "add-ready-made").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        kinds = {one.name: one.kind for one in gestures.list_gestures(tx, profile_id)}
    assert (
        {name for name, kind in kinds.items() if kind == "dynamic"} == {"snap", "double tap", "flick"} == banks.DYNAMIC
    )
