"""A large gesture bank in a real browser: search, reorder by pointer and by keys, a picture dropped or pasted."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from semg.domain import Gesture
from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import gestures, profiles
from semg.store.pool import Pool
from testing.kits.journey import log_in, open_page
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]

N_GESTURES = 110
HAND_OVER = """(zone, [kind, name]) => new Promise((done) => {
  const canvas = document.createElement("canvas");
  canvas.width = 1600; canvas.height = 900;
  canvas.getContext("2d").fillRect(0, 0, 800, 900);
  canvas.toBlob((blob) => {
    const transfer = new DataTransfer();
    transfer.items.add(new File([blob], name, { type: "image/png" }));
    const about = { bubbles: true, cancelable: true, composed: true };
    zone.dispatchEvent(kind === "paste" ? new ClipboardEvent("paste", { ...about, clipboardData: transfer })
      : new DragEvent("drop", { ...about, dataTransfer: transfer }));
    done();
  });
})"""
"""A picture as the clipboard or a dragged file hands it over."""


def row(page: Page, name: str) -> Locator:
    return page.locator(f'.semg-bank li[data-name="{name}"]')


def until_stored(page: Page, holds: Callable[[], bool]) -> None:
    """Wait, while the page goes on, until the database says so."""
    for _ in range(300):
        if holds():
            return
        page.wait_for_timeout(100)
    raise AssertionError("not stored within 30 s")


def test_bank_of_110_gestures_is_searched_reordered_and_given_pictures(
    page: Page, pool: Pool, live_settings: Settings, tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0", "a1"], rate_hz=200.0, consent=TEST_PERSON)
        for name in ("fist", "open hand", *(f"sign {index}" for index in range(N_GESTURES - 3))):
            gestures.insert_gesture(tx, user_id, name)

    def bank() -> list[Gesture]:
        with pool.transaction() as tx:
            return gestures.list_gestures(tx, user_id)

    def first() -> list[str]:
        return [one.name for one in bank()][:4]

    with running(live_settings, tmp_path, ("streamlit", "api")):
        log_in(page, live_settings)
        open_page(page, "Gestures")
        rows = page.locator(".semg-bank li")
        expect(rows).to_have_count(N_GESTURES)
        expect(row(page, "fist").locator("img")).to_have_js_property("naturalWidth", 200)

        found = page.get_by_role("searchbox", name="Search gestures")
        found.fill("sign 10")
        expect(page.locator(".semg-bank")).to_have_attribute("data-shown", "8")
        expect(page.get_by_role("button", name="Move sign 10 up", exact=True)).to_be_disabled()
        found.fill("")
        expect(page.locator(".semg-bank")).to_have_attribute("data-shown", str(N_GESTURES))

        assert first() == ["rest", "fist", "open hand", "sign 0"]
        row(page, "open hand").get_by_role("button", name="Edit").focus()
        page.keyboard.press("Alt+ArrowUp")
        page.keyboard.press("Alt+ArrowUp")
        expect(row(page, "open hand").get_by_role("button", name="Edit")).to_be_focused()
        until_stored(page, lambda: first() == ["open hand", "rest", "fist", "sign 0"])
        row(page, "open hand").get_by_role("button", name="Move open hand down").click()
        until_stored(page, lambda: first() == ["rest", "open hand", "fist", "sign 0"])
        handle, target = row(page, "rest").locator(".handle").bounding_box(), row(page, "sign 0").bounding_box()
        assert handle is not None
        assert target is not None
        page.mouse.move(handle["x"] + 8, handle["y"] + 8)
        page.mouse.down()
        page.mouse.move(handle["x"] + 8, target["y"] + target["height"] * 0.7, steps=6)
        page.mouse.up()
        until_stored(page, lambda: first() == ["open hand", "fist", "sign 0", "rest"])

        row(page, "fist").get_by_role("button", name="Edit").click()
        zone = page.locator(".semg-drop .zone")
        for kind in ("paste", "drop"):
            before = [one.prompt_type for one in bank()].count("image/jpeg")
            zone.evaluate(HAND_OVER, [kind, "fist.png"])
            until_stored(page, lambda before=before: [one.prompt_type for one in bank()].count("image/jpeg") > before)
            expect(page.get_by_role("dialog").locator("img[src*='/files/prompt-']")).to_have_js_property(
                "naturalWidth", 1024
            )
            page.keyboard.press("Escape")
            expect(zone).to_have_count(0)
            if kind == "paste":
                row(page, "sign 0").get_by_role("button", name="Edit").click()
        given = {one.name: one.prompt_type for one in bank() if one.prompt_type}
        assert given == {"fist": "image/jpeg", "sign 0": "image/jpeg"}
        for name in given:
            expect(row(page, name).locator("img")).to_have_js_property("naturalWidth", 1024)
