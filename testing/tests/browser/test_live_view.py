"""The live view: what stands on the bus stands on the screen; it says when the stream stops; it comes back."""

from __future__ import annotations

import re
import time
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Browser, Page, expect

from semg.domain import Block
from semg.privacy.consent import TEST_PERSON
from semg.recordings.session_data import load_session
from semg.security.passwords import hash_password
from semg.settings import Settings
from semg.store import accounts, audit, blocks, gestures, models, profiles, sessions
from semg.store.pool import Pool
from testing.kits.journey import PASSWORD, log_in, open_page
from testing.kits.live_publisher import PERIOD_US, Publisher
from testing.kits.store_queries import set_shares
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]

VOICE = """
window.semgSaid = [];
window.SpeechSynthesisUtterance = class { constructor(text) { this.text = text; } };
Object.defineProperty(window, 'speechSynthesis', { value: {
  getVoices: () => [{ localService: true, lang: 'en-US' }], speak: (said) => window.semgSaid.push(said.text),
  cancel() {}, addEventListener() {}, removeEventListener() {} } });
"""
"""A voice of the device that is not heard but noted; headless Chromium has none."""


@pytest.fixture
def user_id(pool: Pool) -> int:
    with pool.transaction() as tx:
        made = profiles.insert_profile(
            tx, "Ada", channels=["flexor", "extensor"], rate_hz=200.0, consent=TEST_PERSON, allow_v1=True
        )
        for name in ("fist", "open hand"):
            gestures.insert_gesture(tx, made, name)
        models.insert_model(tx, made, None, b"weights", {}, {}, 1 << 20)
        models.activate_model(tx, made, 1)
    return made


def open_live(page: Page, settings: Settings) -> None:
    log_in(page, settings)
    open_page(page, "Live")


def test_decision_on_the_bus_stands_on_the_screen(
    page: Page, live_settings: Settings, pool: Pool, user_id: int, tmp_path: Path
) -> None:
    expect.set_options(timeout=60_000)
    with running(live_settings, tmp_path, ("api", "streamlit")), Publisher(live_settings, user_id).running() as sender:
        open_live(page, live_settings)
        view = page.locator(".semg-live")
        expect(view.locator(".label")).to_have_text("fist")
        expect(view.get_by_text("87 % confident · model version 3")).to_be_visible()
        expect(view).to_have_attribute("data-updates", re.compile(r"^([2-9]\d|\d{3,})$"))
        bars = view.get_by_role("meter")
        expect(bars).to_have_count(3)
        expect(view.locator(".bar.recognised")).to_have_text("fist87 %")
        assert view.locator(".bar .mark").first.evaluate("(mark) => mark.style.left") == "46%"
        latency = view.locator(".figure", has_text="Decision latency")
        expect(latency).to_contain_text("12 / 12 ms")
        expect(latency).not_to_be_visible()  # behind Details, closed at first
        view.get_by_text("Details", exact=True).click()
        expect(latency).to_be_visible()
        told = view.locator(".events li")
        view.get_by_text("Gesture events", exact=True).click()
        sender.label = "open hand"
        expect(told.filter(has_text="fist released after")).to_be_visible()
        expect(told.filter(has_text="open hand pressed, strength 50 %")).to_be_visible()
        expect(view.locator(".label")).to_have_text("open hand")
        expect(view.locator(".bar.recognised")).to_have_text("open hand87 %")
        expect(view.get_by_role("meter", name="fist")).to_have_attribute("aria-valuenow", "5")
        sender.label = None
        expect(view.locator(".label")).to_have_text("unsure")
        expect(view.locator(".bar.recognised")).to_have_count(0)
        expect(view.get_by_role("img", name=re.compile("^Signals of 2 channels, live"))).to_be_visible()
        page.reload()
        expect(latency).to_be_visible()  # the browser remembers that it was opened
        teach_is_stored(page, pool, user_id)


def teach_is_stored(page: Page, pool: Pool, user_id: int) -> None:
    """What was just performed gets a label, and is a session that nobody trains on by default."""
    values = store_steadily(pool, user_id)
    view = page.locator(".semg-live")
    expect(view).to_have_attribute("data-state", "live")
    view.get_by_label("The last", exact=True).select_option("3")
    view.get_by_label("were", exact=True).select_option("open hand")
    view.get_by_role("button", name="Teach this").click()
    expect(page.get_by_text("3 s are stored as open hand")).to_be_visible()
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, user_id)
        (repetition,) = sessions.list_repetitions(tx, session.session_id)
        labelled = load_session(tx, session)
        (entry,) = [one for one in audit.list_entries(tx) if one.action == "session.taught"]
    assert (session.origin, session.name.startswith("Taught on ")) == ("taught", True)
    assert (repetition.gesture, repetition.number) == ("open hand", 1)
    assert (repetition.ended_at - repetition.started_at).total_seconds() == 3
    assert entry.session_id == session.session_id
    inside = labelled.samples[labelled.stretch == 0]
    first = int(inside[0, 0])
    assert np.array_equal(inside, values[first : first + 600])
    open_page(page, "Train")
    box = page.get_by_role("checkbox", name=re.compile("^Taught on .* taught on Live"))
    expect(box).not_to_be_checked()


def store_steadily(pool: Pool, user_id: int) -> np.ndarray:
    """Store samples without a gap from before now until after the test; the first channel counts them."""
    start_us, n = time.time_ns() // 1000 - 60_000_000, 200 * 240
    values = np.stack([np.arange(n), -np.arange(n)], 1).astype(np.float32)
    with pool.transaction() as tx:
        for first in range(0, n, 200):
            device_us = PERIOD_US * np.arange(first, first + 200, dtype=np.int64)
            block = Block(user_id, 1, first == 0, False, start_us, device_us, device_us, values[first : first + 200])
            blocks.copy_blocks(tx, [block])
    return values


def test_stopped_stream_is_told_within_a_second_and_its_return_is_seen(
    page: Page, live_settings: Settings, user_id: int, tmp_path: Path
) -> None:
    expect.set_options(timeout=60_000)
    with running(live_settings, tmp_path, ("api", "streamlit")), Publisher(live_settings, user_id).running() as sender:
        open_live(page, live_settings)
        view = page.locator(".semg-live")
        expect(view).to_have_attribute("data-state", "live")
        # The time is taken in the browser, between the last message and the word.
        page.evaluate(
            """() => {
              const find = (root) => { for (const e of root.querySelectorAll('*')) {
                if (e.classList.contains('semg-live')) return e;
                if (e.shadowRoot) { const f = find(e.shadowRoot); if (f) return f; } } return null; };
              const view = find(document), seen = view.semgPart;
              window.told = new Promise((done) => new MutationObserver((_, o) => {
                if (view.dataset.state === 'stopped') { o.disconnect(); done(performance.now() - seen.feed.arrivedAt); }
              }).observe(view, {attributes: true, attributeFilter: ['data-state']}));
            }"""
        )
        sender.streams = False
        told_ms = page.evaluate("() => window.told")
        assert told_ms < 1000
        expect(page.get_by_text(re.compile(r"The stream stopped \d+ s ago"))).to_be_visible()
        expect(view.locator(".label")).to_have_text("—")
        sender.streams = True
        expect(view).to_have_attribute("data-state", "live")
        expect(view.locator(".label")).to_have_text("fist")


def plain_view_is_watched_on_a_phone(
    browser: Browser, live_settings: Settings, pool: Pool, user_id: int, sender: Publisher
) -> None:
    """Somebody who may only look sees the gesture in the person's language, and is told when it is not known."""
    with pool.transaction() as tx:
        watcher = accounts.insert_account(tx, "watcher", hash_password(PASSWORD), "viewer")
        set_shares(tx, user_id, [watcher])
        profiles.update_profile(tx, user_id, language="de")
    sender.label = "fist"
    context = browser.new_context(viewport={"width": 390, "height": 844}, reduced_motion="reduce")
    context.set_default_timeout(60_000)
    page = context.new_page()
    log_in(page, live_settings, "watcher")
    page.goto(f"{live_settings.app_url}/Realtime_Gesture_Recognition?profile={user_id}&view=plain")
    view = page.locator(".semg-plain")
    expect(view.locator(".card .label")).to_have_text("Faust")
    expect(view.locator(".phrase")).to_have_text("Yes, please")
    expect(view.locator(".connection")).to_have_text("● Verbunden")
    expect(page.get_by_role("heading", name="Live", exact=True)).not_to_be_visible()
    expect(page.get_by_test_id("stSidebar")).not_to_be_visible()
    view.get_by_role("button", name="Mit Gesten sprechen").click()
    expect(view.get_by_label("Geste halten für (ms)")).to_be_visible()
    assert cut_off(page) == []
    page.keyboard.press("Escape")
    expect(view.get_by_label("Geste halten für (ms)")).not_to_be_visible()
    view.get_by_role("button", name="Zurücknehmen").click()
    expect(view.get_by_text("Zurückgenommen: Yes, please")).to_be_visible()
    sender.label = None
    expect(view.locator(".card .label")).to_have_text("Nicht sicher")
    sender.label = "open hand"
    expect(view.locator(".card .label")).to_have_text("offene Hand")
    sender.streams = False
    expect(view.locator(".connection")).to_have_text("■ Kein Signal")
    expect(view.locator(".card .label")).to_have_text("—")
    expect(view.get_by_text(re.compile(r"seit \d+ s kam keine Entscheidung"))).to_be_visible()
    sender.streams = True
    expect(view.locator(".card .label")).to_have_text("offene Hand")
    view.get_by_role("button", name="Ganze Seite").click()
    expect(page.get_by_role("heading", name="Live", exact=True)).to_be_visible()
    expect(page.locator(".semg-live")).to_have_attribute("data-state", "live")
    expect(page.get_by_role("button", name="Teach this")).to_have_count(0)
    context.close()


def cut_off(page: Page) -> list[str]:
    """Return what reaches beyond the sides of the window."""
    return page.evaluate(
        """() => {
          const all = (root) => [...root.querySelectorAll('*')]
            .flatMap((e) => [e, ...(e.shadowRoot ? all(e.shadowRoot) : [])]);
          const cut = (e) => { const r = e.getBoundingClientRect();
            return r.width && (r.left < -1 || r.right > innerWidth + 1 || e.scrollWidth > e.clientWidth + 1); };
          const seen = all(document).filter((e) => e.closest('.semg-plain') && e.checkVisibility());
          return seen.length < 20 ? ['too little to look at'] : seen.filter(cut).map((e) => e.outerHTML.slice(0, 99));
        }"""
    )


def test_view_comes_back_with_a_new_token_after_the_api_was_away(
    page: Page, live_settings: Settings, user_id: int, tmp_path: Path
) -> None:
    expect.set_options(timeout=60_000)
    # The token is older than its life when the API returns: the page has to ask for another one.
    short = live_settings.model_copy(update={"live_token_s": 2.0})
    with running(short, tmp_path, ("streamlit",)), Publisher(short, user_id).running():
        view = page.locator(".semg-live")
        with running(short, tmp_path, ("api",)):
            open_live(page, short)
            expect(view).to_have_attribute("data-state", "live")
        expect(view).to_have_attribute("data-state", "offline")
        expect(page.get_by_text("cannot be reached. Trying again")).to_be_visible()
        with running(short, tmp_path, ("api",)):
            expect(view).to_have_attribute("data-state", "live")


def test_login_outlives_a_reload_and_ends_with_the_logout(
    page: Page, live_settings: Settings, user_id: int, tmp_path: Path
) -> None:
    expect.set_options(timeout=60_000)
    with running(live_settings, tmp_path, ("streamlit",)):
        open_live(page, live_settings)
        page.reload()
        expect(page.get_by_role("heading", name="Live", exact=True)).to_be_visible()
        cookie = next(one for one in page.context.cookies() if one["name"] == "semg_login")
        assert (cookie["sameSite"], cookie["path"], cookie["httpOnly"]) == ("Strict", "/", True)
        page.get_by_role("button", name="Log out").click()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()
        assert [one["name"] for one in page.context.cookies() if one["name"] == "semg_login"] == []
        page.reload()
        expect(page.get_by_role("button", name="Log in")).to_be_visible()


def test_phrase_is_shown_and_spoken_once_per_activation_and_watched_on_a_phone(
    page: Page, browser: Browser, live_settings: Settings, pool: Pool, user_id: int, tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        fist = next(one for one in gestures.list_gestures(tx, user_id) if one.name == "fist")
        gestures.update_gesture(tx, fist.gesture_id, phrase="Yes, please")
    page.add_init_script(VOICE)
    with running(live_settings, tmp_path, ("api", "streamlit")), Publisher(live_settings, user_id).running() as sender:
        open_live(page, live_settings)
        view = page.locator(".semg-live")
        expect(view.locator(".phrase")).to_have_text("Yes, please")
        expect(view).to_have_attribute("data-spoken", "0")
        page.get_by_role("heading", name="Live", exact=True).click()
        page.keyboard.press("s")
        expect(view.get_by_role("button", name="Speaking: on")).to_be_visible()
        sender.label = "rest"
        expect(view.locator(".label")).to_have_text("rest")
        # The same gesture counts again after a moment of rest, which a click on the tab may not shorten.
        page.wait_for_function("(view) => view.semgPart.talk.aac.rested", arg=view.element_handle())
        sender.label = "fist"
        expect(view).to_have_attribute("data-spoken", "1")
        sender.label = "open hand"
        expect(view.locator(".label")).to_have_text("open hand")
        assert page.evaluate("window.semgSaid") == ["Yes, please"]
        plain_view_is_watched_on_a_phone(browser, live_settings, pool, user_id, sender)
