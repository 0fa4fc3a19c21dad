"""A running capture as it looks: buttons of one height, paused when it is; notes and frames where they belong."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from semg.settings import Settings
from semg.store.pool import Pool
from testing.kits.journey import log_in
from testing.running_system import running
from testing.tests.browser.test_capture_press import recording

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(300)]

SIZES = ((1280, 720), (1024, 768), (820, 1180), (390, 844))
COVERED = """() => {
  const toast = document.querySelector('[data-testid="stToast"]').getBoundingClientRect();
  const shown = (e) => e.checkVisibility({ opacityProperty: true, visibilityProperty: true });
  return [...document.querySelectorAll('button, a[href], input, select, textarea, [role="group"]')]
    .filter((e) => shown(e) && !e.closest('[data-testid="stToastContainer"]'))
    .filter((e) => { const box = e.getBoundingClientRect(); return box.width > 1 && box.left < toast.right &&
      toast.left < box.right && box.top < toast.bottom && toast.top < box.bottom; })
    .map((e) => e.outerHTML.slice(0, 120)); }"""
FRAME = """() => {
  const main = document.querySelector('[data-testid="stMain"]'), style = getComputedStyle(main);
  return [document.activeElement === main, style.outlineStyle !== 'none' && parseFloat(style.outlineWidth) > 0]; }"""


def test_running_capture_and_its_page(page: Page, live_settings: Settings, pool: Pool, tmp_path: Path) -> None:
    user_id, _ = recording(pool)
    with running(live_settings, tmp_path, ("api", "streamlit")):
        log_in(page, live_settings)
        page.goto(f"{live_settings.app_url}/Training_Data_Capture?profile={user_id}")
        check_buttons(page)
        check_pause(page)
        check_frame(page)
        check_notes(page, f"{live_settings.app_url}/Gesture_Management?profile={user_id}")


def check_buttons(page: Page) -> None:
    """Pause, Redo and End early are of one height and on one line, whatever they say."""
    names = ("Pause", "Redo", "End early")
    for width, height in SIZES[:3]:
        page.set_viewport_size({"width": width, "height": height})
        buttons = [page.get_by_role("button", name=re.compile(name)).first for name in names]
        for one in buttons:
            expect(one).to_be_visible()
        page.wait_for_timeout(500)
        boxes = [one.bounding_box() for one in buttons]
        assert len({(round(box["y"]), round(box["height"])) for box in boxes if box is not None}) == 1, boxes
        assert all(box is not None and box["height"] >= 40 for box in boxes)
    page.set_viewport_size({"width": 1280, "height": 720})


def check_pause(page: Page) -> None:
    """Nothing on the page, nor on another one, says that a paused capture records."""
    main = page.get_by_test_id("stMain")
    expect(main.get_by_text("Recording Ada")).to_be_visible()
    page.get_by_role("button", name="Pause").click()
    expect(main.get_by_text("Recording of Ada: paused")).to_be_visible()
    expect(main.get_by_text("Recording Ada")).to_have_count(0)
    page.get_by_role("button", name="Resume").click()
    expect(main.get_by_text("Recording Ada")).to_be_visible()


def check_frame(page: Page) -> None:
    """Who clicks into the page and then uses a key sees no frame around all of it; who comes by Tab does."""
    page.get_by_role("heading", name="Capture", exact=True).click()
    assert page.evaluate(FRAME) == [True, False]
    page.keyboard.press("ArrowDown")
    assert page.evaluate(FRAME) == [True, False]
    page.reload()
    expect(page.get_by_role("button", name="Pause")).to_be_visible()
    for _ in range(40):
        page.keyboard.press("Tab")
        is_main, is_framed = page.evaluate(FRAME)
        if is_main:
            assert is_framed
            return
    raise AssertionError("Tab never comes to the page")


def check_notes(page: Page, address: str) -> None:
    """A note covers nothing that is pressed, above all not whose data the page shows."""
    for width, height in SIZES:
        page.set_viewport_size({"width": width, "height": height})
        page.goto(address)
        page.get_by_role("textbox", name="Name", exact=True).fill(f"new {width}")
        page.get_by_role("button", name="Add to Ada").click()
        expect(page.get_by_test_id("stToast")).to_be_visible()
        page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
        page.wait_for_timeout(400)
        assert page.evaluate(COVERED) == [], width
