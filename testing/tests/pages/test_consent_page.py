"""Consent on the pages: entered with a profile, changed, withdrawn, and asked for before a capture."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta

from streamlit.testing.v1 import AppTest

from semg.consent_types import agrees
from semg.privacy.consent import TEST_PERSON
from semg.store import audit, consents, profiles, sessions, videos
from semg.store.pool import Pool
from testing.kits.page_data import CAPTURE, USERS, act, all_text, button, field, now, store_noise

Open = Callable[..., AppTest]


def test_profile_is_created_with_what_the_person_agrees_to(open_page: Open, pool: Pool) -> None:
    page = open_page(USERS)
    assert "You can withdraw your consent" in all_text(page)
    field(page.text_input, "Name or code").input("Grace")
    page.checkbox(key="new-consent-recording").check()
    page.checkbox(key="new-consent-shared_models").check()
    button(page, "Create profile").click().run()
    assert not page.exception
    with pool.transaction() as tx:
        made = profiles.find_profile_by_name(tx, "Grace")
    assert made.consent.scopes == ("recording", "shared_models")
    assert (made.consent.text_version, made.consent.recorded_by) == ("version 2", "researcher")


def test_consent_is_withdrawn_and_given_again(open_page: Open, pool: Pool, profile_id: int) -> None:
    page = open_page(USERS)
    button(page, "Withdraw all of Ada's consent").click().run()
    assert not page.exception
    assert "are still stored" in all_text(page)
    assert "data from the device is discarded" in page.warning[0].value
    with pool.transaction() as tx:
        assert not agrees(profiles.get_profile(tx, profile_id).consent, "recording")
    page.checkbox(key=f"consent-{profile_id}-video").check()
    button(page, "Record Ada's consent").click().run()
    assert "Tick the recording too" in page.error[0].value
    page.checkbox(key=f"consent-{profile_id}-recording").check()
    button(page, "Record Ada's consent").click().run()
    assert not page.error
    with pool.transaction() as tx:
        history = consents.list_consents(tx, profile_id)
    assert [one.scopes for one in history[:2]] == [("recording", "video"), ()]


def test_capture_is_refused_without_consent(open_page: Open, pool: Pool, profile_id: int, monkeypatch) -> None:
    store_noise(pool, profile_id, now() - timedelta(seconds=3), 3)
    for scopes, webcam, why in ((("recording",), True, "being filmed"), ((), False, "being recorded")):
        page = open_page(CAPTURE)
        if webcam:
            page.toggle(key="webcam-on").set_value(True).run()
        with pool.transaction() as tx:
            consents.insert_consent(tx, profile_id, replace(TEST_PERSON, scopes=scopes))
        act(page, "start").click().run()
        said = [one.value for one in page.error]
        if webcam:  # it goes off before the press is looked at, and without it the capture is refused for its stream
            assert not page.toggle(key="webcam-on").value, why
            with pool.transaction() as tx:
                for one in sessions.list_recording_sessions(tx):
                    assert videos.find_video(tx, one.session_id) is None
                    sessions.finish_session(tx, one.session_id, now() + timedelta(seconds=2))
        else:
            assert f"Ada no longer agrees to {why}" in said[0]
    with pool.transaction() as tx:
        assert sessions.list_recording_sessions(tx) == []


def test_archive_is_offered_and_what_was_done_stands_in_the_audit_log(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    page = open_page(USERS)
    button(page, "Create Ada's archive").click().run()
    assert not page.exception
    page.session_state["person-export"].join(30)
    page.run()
    assert [link.label for link in page.get("link_button")] == ["Download the archive"]
    button(page, "Save Ada").click().run()
    page.toggle(key="audit-show").set_value(True).run()
    assert not page.exception
    shown = page.dataframe[-1].value
    assert shown["What"].tolist() == [
        "viewed the audit log",
        "changed the profile",
        "got the link to the archive",
        "created the person's archive",
    ]
    assert set(shown["Name"].tolist()[1:]) == {"Ada"}


def test_new_profile_gets_a_code_and_a_look_at_its_name_is_written_down(
    open_page: Open, app_of_test, pool: Pool, profile_id: int
) -> None:
    app_of_test.settings.__dict__["pseudonyms"] = True
    page = open_page(USERS)
    page.text_input(key="new-name").input("Grace Hopper")
    button(page, "Create profile").click().run()
    assert not page.exception
    assert "Grace" not in all_text(page)
    with pool.transaction() as tx:
        made = next(one for one in profiles.list_profiles(tx) if one.user_id != profile_id)
    assert made.name.startswith("P-")
    assert page.selectbox(key="profile_choice").value == made.user_id
    button(page, "Show the name").click().run()
    assert "Grace Hopper" in all_text(page)
    with pool.transaction() as tx:
        assert audit.list_entries(tx, user_id=made.user_id)[0].action == "name.seen"
