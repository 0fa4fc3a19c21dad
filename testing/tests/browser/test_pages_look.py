"""Every page with real content: WCAG 2.2 AA, nothing cut on the screens that are supported; a keyboard is enough."""

from __future__ import annotations

import re
from contextlib import suppress
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as PlaywrightTimeout

from semg.settings import PROJECT_DIR, Settings
from semg.store.pool import Pool
from testing.kits.page_checks import COVERED, CUT, EXEMPT, FITS, Keyboard, violations
from testing.running_system import running, streaming
from testing.screenshots import SIZE, Walk, fill
from testing.tests.conftest import Servers

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(600)]

TABLETS = ((820, 1180), (1024, 768))
ZOOMED = (640, 360)
"""The smallest screen that is supported, at 200 %."""
PATIENCE_MS = 5_000
PAGES = (
    "login", "jobs", "live", "plan", "capture", "review", "profiles", "gestures", "training", "training-session",
    "overview", "connect", "play", "plain", "participant", "gesture-edited", "profile-new", "boards", "account",
    "accounts", "audit",
)  # fmt: skip
TABS = {"New profile": "profile-new", "Boards": "boards", "My account": "account", "Accounts": "accounts",
        "Audit log": "audit"}  # fmt: skip


def test_every_page_is_for_everybody(camera_page: Page, servers: Servers, pool: Pool, tmp_path: Path) -> None:
    page = camera_page
    page.emulate_media(reduced_motion="reduce")  # what slides in is in its place at once
    settings: Settings = servers.settings.model_copy(update={"webrtc_hosts": "127.0.0.1"})
    user_id = fill(pool, "logcov_lda", 2)
    found: dict[str, list[str]] = {}
    at: list[str] = []

    def seen(name: str) -> None:
        at.append(name)
        for width, height in (ZOOMED, *TABLETS, SIZE):
            page.set_viewport_size({"width": width, "height": height})
            # At 200 %, tables scroll sideways as WCAG 1.4.10 lets them.
            wanted = f"...({FITS})(limit), ...({COVERED})()" + (f", ...({CUT})()" if (width, height) != ZOOMED else "")
            script = f"(limit) => [{wanted}]"
            with suppress(PlaywrightTimeout):  # tables and charts take their new width a moment later
                page.wait_for_function(
                    f"(limit) => ({script})(limit).length === 0", arg=width, timeout=PATIENCE_MS, polling=200
                )
            wrong = page.evaluate(script, width)
            if wrong:
                found[f"{name} at {width}"] = wrong
                page.screenshot(path=tmp_path / f"{name}-{width}.png")  # kept by pytest
        assert page.get_by_test_id("stException").count() == 0
        wrong = violations(page)
        if wrong:
            found[f"{name}, WCAG"] = wrong

    with running(settings, tmp_path), streaming(settings, tmp_path, "--user-id", str(user_id), "--seed", "0"):
        walk = Walk(page, settings, pool, user_id, seen)
        walk.live_samples = 1000
        walk.walk()
        page.goto(f"{settings.app_url}/Realtime_Gesture_Recognition?profile={user_id}&view=plain")
        expect(page.locator(".semg-plain .label")).to_have_text(re.compile(r"\w"))
        walk.settled("plain")
        page.goto(f"{settings.app_url}/Training_Data_Capture?profile={user_id}&view=participant")
        expect(page.get_by_role("status")).to_be_visible()
        walk.settled("participant")
        walk.go("Gesture_Management", "Gestures")
        page.get_by_role("button", name="Edit").nth(1).click()
        page.get_by_role("button", name="Save for Participant 07").first.wait_for()
        walk.settled("gesture-edited")
        walk.go("User_Management", "Profiles")
        for label, name in TABS.items():
            page.get_by_role("tab", name=label, exact=True).click()
            walk.settled(name)
        keyboard = by_keyboard(page, settings)
    assert sorted(at) == sorted(PAGES)
    assert found == {}
    # Of a video's own controls Chromium frames the one that has the focus inside, where no script looks.
    assert keyboard.wrong - {"Video of the session: no frame around what has the focus"} == set()


def by_keyboard(page: Page, settings: Settings) -> Keyboard:
    """Make a person, gestures, a plan and a training, and look at Live and Review, without a mouse."""
    hands = Keyboard(page)
    page.goto(f"{settings.app_url}/User_Management")
    expect(page.get_by_role("tab", name="New profile")).to_be_visible()
    hands.to("Profiles", "tab")
    page.keyboard.press("ArrowRight")
    page.keyboard.press("Enter")
    hands.write("Name or code", "By hand")
    hands.press("Recording of the signals", "Space")
    hands.press("Create profile")
    expect(page.get_by_text("was created")).to_be_visible()
    page.keyboard.press("Control+Home")
    hands.press("Gestures", kind="a")
    expect(page.get_by_role("heading", name="Gestures of By hand")).to_be_visible()
    hands.press("Add these to By hand")
    expect(page.get_by_text("Close the hand firmly.")).to_be_visible()
    hands.press("Capture", kind="a")
    expect(page.get_by_role("button", name="Start recording By hand")).to_be_visible()
    hands.write("Session name", "First")
    hands.to("Start recording By hand")
    page.keyboard.press("Enter")
    expect(page.get_by_text("the capture was not started").first).to_be_visible()  # nothing streams for this person
    hands.to("Profile", "combobox")
    page.keyboard.press("Control+A")
    page.keyboard.type("Participant 07")
    page.keyboard.press("Enter")
    expect(page.get_by_role("button", name="Start recording Participant 07")).to_be_visible()
    hands.press("Train", kind="a")
    expect(page.get_by_role("button", name=re.compile("Start training"))).to_be_visible()
    hands.press("Session 2", "Space")
    hands.press("Start training")
    expect(page.get_by_text("Training job queued")).to_be_visible()
    hands.press("Live", kind="a")
    expect(page.locator(".semg-live")).to_have_attribute("data-state", "live")
    hands.press("Pause")
    expect(page.get_by_role("button", name="Resume", exact=True)).to_be_visible()
    page.keyboard.press("p")
    expect(page.get_by_role("button", name="Pause", exact=True)).to_be_visible()
    page.keyboard.press("?")
    expect(page.get_by_role("dialog", name="Keyboard shortcuts")).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)
    hands.press("Review", kind="a")
    view = page.locator(".semg-review")
    expect(view).to_have_attribute("data-labels", re.compile(r"[1-9]"))
    hands.to("Recorded signals")
    page.keyboard.press("Shift+ArrowRight")
    expect(view).to_have_attribute("data-cursor-ms", re.compile(r"\d+"))
    hands.to("Move the start by")
    return hands


def test_what_axe_is_told_to_pass_over_is_in_the_document() -> None:
    text = (PROJECT_DIR / "docs" / "accessibility.md").read_text(encoding="utf-8")
    assert [one for one in EXEMPT if one.selector not in text or one.rule not in text or not one.reason] == []
