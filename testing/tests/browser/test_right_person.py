"""Two people in two tabs of one browser: no session, label, import, job, consent or deletion lands with the other."""

from __future__ import annotations

import re
import time
from dataclasses import dataclass
from datetime import timedelta
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import consents, gestures, jobs, profiles, repetitions, sessions
from semg.store.pool import Pool
from testing.kits.fingerprint import fingerprint
from testing.kits.journey import PATIENCE_S, log_in, open_page
from testing.kits.page_data import CHANNELS, RATE_HZ, make_session, now, store_noise
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(300)]

ROWS = [f"{5 * i},{i % 7},1,2,3,{'wave' if i < 300 else 'rest'},1" for i in range(600)]
FILE = "\n".join(["millis,a0,a1,a2,a3,gesture,repetition", *ROWS]).encode()
BOTH_AT_ONCE = """([option, button]) => { option.click(); button.click(); }"""


@dataclass(frozen=True)
class Tab:
    """A browser tab with its person."""

    page: Page
    user_id: int
    name: str

    def open(self, name: str) -> None:
        """Go to a page by the menu; it is this person's."""
        open_page(self.page, name)
        expect(self.page.get_by_role("combobox", name="Profile")).to_have_value(self.name)
        assert (
            f"profile={self.user_id}" in self.page.url or self.page.wait_for_url(f"**profile={self.user_id}*") is None
        )

    def said(self) -> list[str]:
        """Return the messages that the page shows."""
        return self.page.get_by_role("alert").all_inner_texts()

    def press(self, label: str) -> None:
        """Press a button."""
        self.page.get_by_role("button", name=label).first.click()


def test_nothing_lands_with_the_other_of_two_people(
    page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    ada_id = make_ada(pool)
    with running(live_settings, tmp_path, ("api", "streamlit")):
        log_in(page, live_settings)
        expect(page.get_by_role("heading", name="Overview", exact=True)).to_be_visible()
        ada = Tab(page, ada_id, "Ada")
        ada.open("Profiles")
        bea = create_bea(page.context.new_page(), live_settings, pool)
        record(ada, bea, pool)
        label(ada, bea, pool)
        bring_in(ada, bea, pool)
        train(ada, bea, pool)
        press_while_another_is_chosen(ada, bea, pool)
        withdraw(ada, bea, pool)
        erase(ada, bea, pool)
        look_at_nobody(ada, bea, live_settings)


def make_ada(pool: Pool) -> int:
    """Make Ada, with two gestures and a session."""
    with pool.transaction() as tx:
        made = profiles.insert_profile(tx, "Ada", channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON)
        for name in ("fist", "open hand"):
            gestures.insert_gesture(tx, made, name)
    make_session(pool, made, now() - timedelta(hours=1))
    return made


def press_only(pool: Pool, tab: Tab, other: Tab, label: str) -> None:
    """Press a button, and wait until rows of the tab's person have changed; no row of the other one has.

    Streamlit drops a press that meets the end of the run before: as a person would, press again while nothing is said.
    """
    before, untouched = fingerprint(pool, tab.user_id), fingerprint(pool, other.user_id)
    deadline = time.monotonic() + PATIENCE_S
    again_at = time.monotonic() + PATIENCE_S / 3
    tab.press(label)
    while fingerprint(pool, tab.user_id) == before:
        assert time.monotonic() < deadline, f"nothing was stored; the page says {tab.said()}"
        if time.monotonic() > again_at and not tab.said():
            again_at = deadline
            tab.press(label)
        time.sleep(0.1)
    assert fingerprint(pool, other.user_id) == untouched


def create_bea(page: Page, settings: Settings, pool: Pool) -> Tab:
    """Create Bea in a second tab: the menu leads on with her, and consent is not cut."""
    page.goto(f"{settings.app_url}/User_Management")
    page.get_by_role("tab", name="New profile").click()
    page.get_by_label("Name or code").locator("visible=true").fill("Bea")
    for width in (1280, 800):
        page.set_viewport_size({"width": width, "height": 720})
        for agreed in ("Recording of the signals (required for everything else)", "Video recording alongside them"):
            words = page.get_by_text(agreed, exact=True).locator("visible=true").first
            expect(words).to_be_visible()
            assert words.evaluate("e => e.scrollWidth <= e.clientWidth && e.scrollHeight <= e.clientHeight + 1")
    page.set_viewport_size({"width": 1280, "height": 720})
    page.get_by_text("Recording of the signals").locator("visible=true").first.click()
    page.get_by_role("button", name="Create profile").click()
    expect(page.get_by_text("was created")).to_be_visible()
    with pool.transaction() as tx:
        made = profiles.find_profile_by_name(tx, "Bea")
        assert made is not None
        for name in ("fist", "open hand"):
            gestures.insert_gesture(tx, made.user_id, name)
    return Tab(page, made.user_id, "Bea")


def record(ada: Tab, bea: Tab, pool: Pool) -> None:
    """The session of who was just created is hers; the other tab still records Ada, after a reload too."""
    for user_id in (ada.user_id, bea.user_id):
        store_noise(pool, user_id, now() - timedelta(seconds=5), 300)
    ada.open("Capture")
    bea.open("Capture")
    ada.page.reload()
    expect(ada.page.get_by_role("button", name="Start recording Ada")).to_be_visible()
    expect(bea.page.get_by_text("Bea has not agreed to being filmed")).to_be_visible()
    press_only(pool, bea, ada, "Start recording Bea")
    with pool.transaction() as tx:
        assert [one.user_id for one in sessions.list_recording_sessions(tx)] == [bea.user_id]
    expect(bea.page.get_by_text(re.compile("Recording Bea"))).to_be_visible()
    ada.open("Gestures")
    expect(ada.page.get_by_text("Bea is being recorded")).to_be_visible()
    press_only(pool, bea, ada, "End early")
    expect(bea.page.get_by_text("of Bea ended early")).to_be_visible()


def label(ada: Tab, bea: Tab, pool: Pool) -> None:
    ada.open("Review")
    bea.open("Review")
    ada.page.get_by_text("Leave out of training").locator("visible=true").first.click()
    press_only(pool, ada, bea, "Save for Ada")
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, ada.user_id)
        assert len(repetitions.list_changes(tx, session.session_id)) == 1


def bring_in(ada: Tab, bea: Tab, pool: Pool) -> None:
    page = bea.page
    page.get_by_text("Import a recording", exact=True).click()
    file = {"name": "walk.csv", "mimeType": "text/csv", "buffer": FILE}
    before = fingerprint(pool, bea.user_id)
    page.get_by_test_id("stFileUploader").locator("input").set_input_files(file)
    expect(page.get_by_text("New in Bea's gesture bank: wave.")).to_be_visible()
    assert fingerprint(pool, bea.user_id) == before
    press_only(pool, bea, ada, "Import into Bea")
    expect(page.get_by_text("walk was imported into Bea")).to_be_visible()
    with pool.transaction() as tx:
        assert "wave" in [one.name for one in gestures.list_gestures(tx, bea.user_id)]
        assert "walk" in [one.name for one in sessions.list_sessions(tx, bea.user_id)]


def train(ada: Tab, bea: Tab, pool: Pool) -> None:
    ada.open("Train")
    bea.open("Train")
    press_only(pool, ada, bea, "Start training for Ada")
    with pool.transaction() as tx:
        assert (len(jobs.list_jobs(tx, ada.user_id)), jobs.list_jobs(tx, bea.user_id)) == (1, [])


def press_while_another_is_chosen(ada: Tab, bea: Tab, pool: Pool) -> None:
    """A button of Ada's that is pressed just after Bea was chosen, before the page shows her, is refused."""
    ada.open("Capture")
    before = [fingerprint(pool, one.user_id) for one in (ada, bea)]
    button = ada.page.get_by_role("button", name="Start recording Ada").element_handle()
    ada.page.get_by_role("combobox", name="Profile").click()
    option = ada.page.get_by_role("option", name="Bea").element_handle()
    ada.page.evaluate(BOTH_AT_ONCE, [option, button])
    expect(ada.page.get_by_text(re.compile("Nothing was done: .* for Ada, and Bea is now selected"))).to_be_visible()
    expect(ada.page.get_by_role("button", name="Start recording Bea")).to_be_visible()
    assert [fingerprint(pool, one.user_id) for one in (ada, bea)] == before
    ada.page.go_back()  # the address of before is Ada's, and wins
    expect(ada.page.get_by_role("button", name="Start recording Ada")).to_be_visible()


def withdraw(ada: Tab, bea: Tab, pool: Pool) -> None:
    ada.open("Profiles")
    bea.open("Profiles")
    bea.page.get_by_text(re.compile("^Consent — agrees")).click()
    press_only(pool, bea, ada, "Withdraw all of Bea's consent")
    expect(bea.page.get_by_text("Nothing is recorded for Bea without consent")).to_be_visible()
    with pool.transaction() as tx:
        assert consents.list_consents(tx, bea.user_id)[0].scopes == ()
        assert consents.list_consents(tx, ada.user_id)[0].scopes == TEST_PERSON.scopes


def erase(ada: Tab, bea: Tab, pool: Pool) -> None:
    page = bea.page
    page.get_by_text("Delete this profile", exact=True).click()
    expect(page.get_by_text("Show what would be deleted")).to_have_count(1)  # while it is drawn anew there are two
    page.get_by_text("Show what would be deleted").click()
    field = page.get_by_label("Type the name to confirm")
    field.fill("Bea")
    field.press("Enter")
    press_only(pool, bea, ada, "Delete Bea permanently")
    expect(page.get_by_text("Bea was deleted")).to_be_visible()
    assert set(fingerprint(pool, bea.user_id).values()) == {""}


def look_at_nobody(ada: Tab, bea: Tab, settings: Settings) -> None:
    """The address of who was erased shows nobody, and offers a choice."""
    bea.page.goto(f"{settings.app_url}/Training_Data_Capture?profile={bea.user_id}")
    expect(bea.page.get_by_text("No other profile is shown in its place")).to_be_visible()
    expect(bea.page.get_by_text("Whose data? Choose a profile.")).to_be_visible()
    expect(bea.page.get_by_role("button", name=re.compile("^Start recording"))).to_have_count(0)
    expect(ada.page.get_by_role("combobox", name="Profile")).to_have_value("Ada")
