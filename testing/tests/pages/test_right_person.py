"""Nothing lands with another person: who is chosen, what the address says, and whom a button is for."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import timedelta

import pytest
from streamlit.testing.v1 import AppTest

from semg.privacy.consent import TEST_PERSON
from semg.store import consents, gestures, models, profiles, sessions
from semg.store.pool import Pool
from testing.kits.fingerprint import fingerprint
from testing.kits.page_data import (
    CAPTURE,
    CHANNELS,
    GESTURES,
    JOBS,
    LIVE,
    RATE_HZ,
    REVIEW,
    TRAIN,
    USERS,
    AsRole,
    Open,
    act,
    all_text,
    button,
    field,
    insert_models,
    make_profile,
    make_session,
    now,
    store_noise,
)
from testing.kits.page_parts import MENU_BUTTONS, run_parts
from testing.tests.pages.test_capture_page import start_session
from ui import webcam_connection
from ui.gesture_list import OPEN

pytestmark = pytest.mark.servers

OF_A_PERSON = (GESTURES, CAPTURE, TRAIN, JOBS, LIVE, REVIEW)
WHO = "profile_choice"
ROWS = [f"{5 * i},{i % 7},1,2,3,{'wave' if i < 300 else 'rest'},1" for i in range(600)]
FILE = ("walk.csv", "\n".join(["millis,a0,a1,a2,a3,gesture,repetition", *ROWS]).encode(), "text/csv")


@dataclass(frozen=True)
class Two:
    """Two people with a session and two models each."""

    ada: int
    bea: int


@pytest.fixture
def two(pool: Pool, profile_id: int) -> Two:
    """Ada and Bea, who stream."""
    with pool.transaction() as tx:
        bea = profiles.insert_profile(tx, "Bea", channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON)
        for name in ("fist", "open hand"):
            gestures.insert_gesture(tx, bea, name)
    for user_id in (profile_id, bea):
        make_session(pool, user_id, now() - timedelta(hours=1))
        store_noise(pool, user_id, now() - timedelta(seconds=5), 30)
        insert_models(pool, user_id, 2)
    return Two(profile_id, bea)


def at(page: AppTest, address: object, file: str | None = None) -> AppTest:
    """Open the page, or another one, by an address that names a profile."""
    page.query_params["profile"] = str(address)
    if file is not None:
        page.switch_page(f"pages/{file}")
    return page.run()


# Who is chosen


def test_created_profile_is_the_chosen_one_and_what_is_recorded_is_its_own(
    open_page: Open, pool: Pool, profile_id: int
) -> None:
    page = open_page(USERS)
    assert page.selectbox(key=WHO).value == profile_id
    field(page.text_input, "Channels, in the order the device sends them")
    page.text_input(key="new-name").input("Bea")
    page.checkbox(key="new-consent-recording").check()
    button(page, "Create profile").click().run()
    with pool.transaction() as tx:
        bea = profiles.find_profile_by_name(tx, "Bea")
        assert bea is not None
        gestures.insert_gesture(tx, bea.user_id, "fist")
    assert page.selectbox(key=WHO).value == bea.user_id
    assert page.query_params["profile"] == str(bea.user_id)
    for user_id in (profile_id, bea.user_id):
        store_noise(pool, user_id, now() - timedelta(seconds=5), 30)
    page.query_params.clear()  # as the menu does
    page.switch_page(f"pages/{CAPTURE}").run()
    assert page.selectbox(key=WHO).value == bea.user_id
    button(page, "Start recording Bea").click().run()
    assert not page.error
    with pool.transaction() as tx:
        assert [one.user_id for one in sessions.list_recording_sessions(tx)] == [bea.user_id]


@pytest.mark.parametrize("file", OF_A_PERSON)
def test_address_wins_over_the_memory(open_page: Open, two: Two, file: str) -> None:
    page = at(open_page(profile_id=two.ada), two.bea, file)
    assert not page.exception
    assert page.selectbox(key=WHO).value == two.bea
    assert page.session_state["profile_id"] == two.bea


@pytest.mark.parametrize("address", ["deleted", "hidden", "nobody", "-1", "9" * 40, "٣", ""])
@pytest.mark.parametrize("file", [CAPTURE, REVIEW])
def test_address_of_nobody_shows_nobody_else_and_offers_a_choice(
    open_page: Open, as_role: AsRole, pool: Pool, two: Two, address: str, file: str
) -> None:
    as_role("researcher", two.ada)
    known = {"deleted": two.bea + 1000, "hidden": two.bea}
    page = at(open_page(profile_id=two.ada), known.get(address, address), file)
    assert not page.exception
    assert "No other profile is shown in its place" in page.warning[0].value
    assert "Ada" not in all_text(page)
    assert [one.label for one in page.button] == MENU_BUTTONS
    assert page.selectbox(key=WHO).options == ["Ada"]
    page.selectbox(key=WHO).select(two.ada).run()
    assert page.query_params["profile"] == str(two.ada)
    assert len(page.button) > 1


def test_profile_that_was_deleted_elsewhere_is_not_replaced(open_page: Open, pool: Pool, two: Two) -> None:
    page = open_page(GESTURES, profile_id=two.bea)
    with pool.transaction() as tx:
        profiles.delete_profile(tx, two.bea)
    page.query_params.clear()
    page.run()
    assert "No other profile is shown in its place" in page.warning[0].value
    assert [one.label for one in page.button] == MENU_BUTTONS


@pytest.mark.parametrize("file", OF_A_PERSON)
def test_one_of_several_is_asked_for(open_page: Open, two: Two, file: str) -> None:
    page = open_page(file)
    assert "Whose data? Choose a profile." in all_text(page)
    assert [one.label for one in page.button] == MENU_BUTTONS
    assert "profile" not in page.query_params
    page.selectbox(key=WHO).select(two.bea).run()
    assert page.selectbox(key=WHO).value == two.bea
    assert "Whose data?" not in all_text(page)


def test_choice_in_one_tab_leaves_another_alone(open_page: Open, two: Two) -> None:
    first, second = open_page(GESTURES, profile_id=two.ada), open_page(GESTURES, profile_id=two.bea)
    first.selectbox(key=WHO).select(two.bea).run()
    second.selectbox(key=WHO).select(two.ada).run()
    first.run()
    assert (first.selectbox(key=WHO).value, second.selectbox(key=WHO).value) == (two.bea, two.ada)
    assert (first.query_params["profile"], second.query_params["profile"]) == (str(two.bea), str(two.ada))


# Whom a button is for


def press(what: str) -> Callable[[AppTest], None]:
    return lambda page: act(page, what).click()


def press_label(page: AppTest) -> None:
    next(one for one in page.button if (one.key or "").startswith("label-")).click()


def press_gesture(page: AppTest) -> None:
    page.text_input(key="new-name").input("wave")
    act(page, "add").click()


def press_import(page: AppTest) -> None:
    uploader = next(one for one in page.file_uploader)
    uploader.set_value(FILE).run()
    act(page, "import").click()


def press_erase(page: AppTest) -> None:
    next(one for one in page.toggle if one.label == "Show what would be deleted").set_value(True).run()
    field(page.text_input, "Type the name to confirm").input("Ada").run()
    act(page, "erase").click()


ACTS: dict[str, tuple[str, Callable[[AppTest], None]]] = {
    "capture": (CAPTURE, press("start")),
    "training": (TRAIN, press("start")),
    "gesture": (GESTURES, press_gesture),
    "ready-made bank": (GESTURES, press("add-ready-made")),
    "label": (REVIEW, press_label),
    "import": (REVIEW, press_import),
    "consent": (USERS, press("withdraw")),
    "changes": (USERS, press("save")),
    "deletion": (USERS, press_erase),
    "activation": (JOBS, press("activate")),
}


@pytest.mark.parametrize("what", ACTS)
def test_press_for_somebody_who_is_not_chosen_any_more_does_nothing_and_says_so(
    open_page: Open, pool: Pool, two: Two, what: str
) -> None:
    file, pressed = ACTS[what]
    with pool.transaction() as tx:  # so that there is something to activate for each
        for user_id in (two.ada, two.bea):
            models.activate_model(tx, user_id, 2)
    state = {"mode": "Import a recording"} if what == "import" else {}
    page = open_page(file, profile_id=two.ada, **state)
    if what == "activation":
        field(page.selectbox, "Version").set_value(1).run()
    before = {user_id: fingerprint(pool, user_id) for user_id in (two.ada, two.bea)}
    pressed(page)
    at(page, two.bea)  # what chose another person came first
    assert not page.exception
    assert {user_id: fingerprint(pool, user_id) for user_id in (two.ada, two.bea)} == before
    assert "was for **Ada**, and Bea is now selected" in page.error[0].value
    page.run()
    assert not page.error, "said once"


@pytest.mark.parametrize("what", ACTS)
def test_press_changes_its_person_and_nobody_else(open_page: Open, pool: Pool, two: Two, what: str) -> None:
    file, pressed = ACTS[what]
    state = {"mode": "Import a recording"} if what == "import" else {}
    page = open_page(file, profile_id=two.ada, **state)
    if what == "activation":
        field(page.selectbox, "Version").set_value(1).run()
    if what == "changes":
        page.text_area[0].input("left arm")
    if what == "label":
        page.number_input[0].set_value(0.5)
    ada, bea = fingerprint(pool, two.ada), fingerprint(pool, two.bea)
    pressed(page)
    page.run()
    assert not page.exception
    assert not page.error
    assert fingerprint(pool, two.ada) != ada
    assert fingerprint(pool, two.bea) == bea


def test_every_button_that_writes_names_its_person(open_page: Open, pool: Pool, two: Two) -> None:
    for file in (*OF_A_PERSON, USERS):
        page = open_page(file, profile_id=two.bea)
        assert not page.exception
        said = all_text(page) + "".join(one.label for one in page.button)
        assert "Bea" in said, file
    start_session(pool, two.bea, 3.5, gesture_s=60)
    assert "Recording **Bea**" in all_text(open_page(CAPTURE, profile_id=two.bea))


def test_end_of_a_capture_is_not_told_of_another(open_page: Open, pool: Pool, two: Two) -> None:
    with pool.transaction() as tx:
        session = sessions.list_sessions(tx, two.ada)[0]
    assert "of Ada ended" in all_text(open_page(CAPTURE, profile_id=two.ada, captured=session.session_id))
    assert "of Ada ended" not in all_text(open_page(CAPTURE, profile_id=two.bea, captured=session.session_id))


# Imports


def test_import_shows_what_it_adds_to_whose_bank_before_it_does(open_page: Open, pool: Pool, two: Two) -> None:
    before = fingerprint(pool, two.bea)
    page = open_page(REVIEW, profile_id=two.bea, mode="Import a recording")
    page.file_uploader(key=f"import-0-{two.bea}").set_value(FILE).run()
    said = "600 samples at 200 samples/s, 3 s, 2 repetitions of 2 gestures, 1 of them already in the gesture bank."
    assert f"This adds one session to **Bea**: {said}" in all_text(page)
    assert "New in **Bea**'s gesture bank: wave." in all_text(page)
    assert fingerprint(pool, two.bea) == before
    button(page, "Import into Bea").click().run()
    assert not page.error
    with pool.transaction() as tx:
        assert [one.name for one in gestures.list_gestures(tx, two.bea)] == ["rest", "fist", "open hand", "wave"]
        assert [one.name for one in gestures.list_gestures(tx, two.ada)] == ["rest", "fist", "open hand"]
        assert [one.name for one in sessions.list_sessions(tx, two.bea)] == ["walk", "Session 1"]


def test_file_that_was_chosen_for_one_has_to_be_chosen_again_for_another(open_page: Open, two: Two) -> None:
    page = open_page(REVIEW, profile_id=two.ada, mode="Import a recording")
    page.file_uploader(key=f"import-0-{two.ada}").set_value(FILE).run()
    assert act(page, "import").label == "Import into Ada"
    page.selectbox(key=WHO).select(two.bea).run()
    assert [one for one in page.button if (one.key or "").startswith("import")] == []


# The webcam


class FakeCamera(webcam_connection.Camera):
    """A camera that knows whether it was stopped."""

    def __init__(self) -> None:
        super().__init__(lambda: None, 1)  # type: ignore[arg-type,return-value]
        self.stopped = False

    def stop(self) -> None:
        self.stopped = True


@pytest.fixture
def camera(monkeypatch: pytest.MonkeyPatch) -> FakeCamera:
    """The tab's camera."""
    made = FakeCamera()
    monkeypatch.setattr("ui.webcam._camera", lambda app: made)
    return made


def agree(pool: Pool, user_id: int, *scopes: str) -> None:
    with pool.transaction() as tx:
        consents.insert_consent(tx, user_id, replace(TEST_PERSON, scopes=scopes))  # type: ignore[arg-type]


def test_webcam_goes_off_with_a_person_who_has_not_agreed_and_stays_off(
    open_page: Open, pool: Pool, two: Two, camera: FakeCamera
) -> None:
    agree(pool, two.bea, "recording")
    page = open_page(CAPTURE, profile_id=two.ada)
    page.toggle(key="webcam-on").set_value(True).run()
    assert page.session_state["webcam"] is camera
    page.selectbox(key=WHO).select(two.bea).run()
    assert not page.exception
    assert camera.stopped
    assert "webcam" not in page.session_state
    assert (page.toggle(key="webcam-on").value, page.toggle(key="webcam-on").disabled) == (False, True)
    assert "Bea has not agreed to being filmed. The consent is recorded on the Profiles page." in all_text(page)
    link = next(one for one in page.get("page_link") if "consent" in one.proto.label)
    assert link.proto.query_string == f"profile={two.bea}"
    page.selectbox(key=WHO).select(two.ada).run()
    toggle = page.toggle(key="webcam-on")
    assert (toggle.value, toggle.disabled) == (False, False), "nobody is filmed who did not ask for it"


def test_webcam_goes_off_when_the_consent_is_withdrawn_meanwhile(
    open_page: Open, pool: Pool, two: Two, camera: FakeCamera
) -> None:
    page = open_page(CAPTURE, profile_id=two.ada)
    page.toggle(key="webcam-on").set_value(True).run()
    agree(pool, two.ada, "recording")
    run_parts(page)
    assert camera.stopped
    assert "webcam" not in page.session_state


def test_refusal_for_want_of_consent_names_person_and_page_with_a_link(open_page: Open, pool: Pool, two: Two) -> None:
    agree(pool, two.bea)
    page = open_page(CAPTURE, profile_id=two.bea)
    act(page, "start").click().run()
    assert page.error[0].value == (
        "Bea no longer agrees to being recorded: record the consent on the Profiles page first."
    )
    links = [one.proto for one in page.get("page_link") if "consent" in one.proto.label]
    assert {one.query_string for one in links} == {f"profile={two.bea}"}
    with pool.transaction() as tx:
        assert sessions.list_recording_sessions(tx) == []


# What stops people


@pytest.mark.parametrize("file", [*OF_A_PERSON, USERS, ""])
def test_viewer_sees_no_control_that_will_be_refused(
    open_page: Open, as_role: AsRole, pool: Pool, two: Two, file: str
) -> None:
    as_role("viewer", two.ada)
    if file == CAPTURE:
        start_session(pool, two.ada, 3.5, gesture_s=60)
    page = open_page(file, profile_id=two.ada)
    assert not page.exception
    own = {
        *MENU_BUTTONS,
        "Save the keys",
        "Back to the usual keys",
        "Change the password",
        "Log out everywhere",
        "Create token",
    }
    of_replay = {"Replay Ada's signals", "Follow the stream", "Votes (windows)", "Minimum confidence (%)",
                 "Hysteresis (%)"}  # fmt: skip
    assert {one.label for one in page.button} <= own | of_replay
    assert not page.file_uploader
    assert {one.label for one in page.slider} <= of_replay
    assert {one.label for one in page.toggle} <= {"Inspect a session", "Epochs and log", "Spectra"} | of_replay


def test_deleting_a_gesture_asks_even_when_nothing_was_recorded(open_page: Open, pool: Pool) -> None:
    user_id = make_profile(pool, "Ada")
    with pool.transaction() as tx:
        number = gestures.insert_gesture(tx, user_id, "fist")
        known = next(one for one in gestures.list_gestures(tx, user_id) if one.name == "fist")
    assert number
    page = open_page(GESTURES, **{OPEN: known.gesture_id})
    assert act(page, f"delete-{known.gesture_id}").disabled
    page.checkbox(key=f"sure-{known.gesture_id}-0").check().run()
    assert page.checkbox(key=f"sure-{known.gesture_id}-0").label == "Delete fist of Ada"
    act(page, f"delete-{known.gesture_id}").click().run()
    with pool.transaction() as tx:
        assert [one.name for one in gestures.list_gestures(tx, user_id)] == ["rest"]


def test_account_opens_my_account(open_page: Open, two: Two) -> None:
    page = open_page(GESTURES, profile_id=two.ada)
    link = next(one.proto for one in page.get("page_link") if one.proto.label == "Account")
    assert link.query_string == "tab=account"
    page.query_params.clear()
    page.query_params["tab"] = "account"
    page.switch_page(f"pages/{USERS}").run()
    assert not page.exception
    assert [tab.label for tab in page.tabs][default_tab(page)] == "My account"


def default_tab(page: AppTest) -> int:
    """Return the position of the tab that is open at first."""
    (container,) = page.get("tab_container")
    return int(container.proto.tab_container.default_tab_index)


def test_profile_without_consent_says_so_at_once(open_page: Open, pool: Pool) -> None:
    page = open_page(USERS)
    page.text_input(key="new-name").input("Bea")
    button(page, "Create profile").click().run()
    assert "Nothing is recorded for Bea without consent" in page.warning[0].value


@pytest.mark.parametrize("file", ["", USERS, GESTURES, TRAIN, JOBS, LIVE, REVIEW, CAPTURE])
def test_running_capture_is_shown_on_every_page(open_page: Open, pool: Pool, two: Two, file: str) -> None:
    start_session(pool, two.bea, 3.5, gesture_s=60)
    page = open_page(file, profile_id=two.ada)
    assert not page.exception
    assert "**Bea** is being recorded: Session 7" in all_text(page)
    back = next(one.proto for one in page.get("page_link") if one.proto.label == "Back to the capture")
    assert (back.query_string, back.page.rpartition("/")[2]) == (f"profile={two.bea}", "Training_Data_Capture")
    if file == CAPTURE:
        assert "is being recorded" not in all_text(open_page(CAPTURE, profile_id=two.bea))


def test_running_capture_of_a_hidden_profile_is_not_shown(
    open_page: Open, as_role: AsRole, pool: Pool, two: Two
) -> None:
    as_role("researcher", two.ada)
    start_session(pool, two.bea, 3.5, gesture_s=60)
    assert "Bea" not in all_text(open_page(GESTURES, profile_id=two.ada))
