"""Without hardware: one button on Live, signals within seconds, a fault that is seen and mended, and the end."""

from __future__ import annotations

import re
import time
from dataclasses import asdict
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import boards, gestures, profiles, simulated_arms
from semg.store.pool import Pool
from testing.kits.journey import log_in, open_page
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]

SERVICES = ("api", "udpserver", "simulator", "streamlit")


def wait_for_steering(pool: Pool, user_id: int, **wanted: object) -> None:
    """Wait until the arm is steered as the panel was pressed."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        with pool.transaction() as tx:
            arm = simulated_arms.find_arm(tx, user_id)
        assert arm is not None
        steering = asdict(arm.steering)
        if wanted.items() <= steering.items():
            return
        time.sleep(0.05)
    raise AssertionError(f"wanted {wanted}, found {steering}")


def check_decision_is_seen_while_steering(page: Page) -> None:
    """Whatever is steered, the decision stands on the same screen."""
    decision = page.locator(".semg-live .label")
    for width, height in ((1280, 720), (1024, 768), (820, 1180)):
        page.set_viewport_size({"width": width, "height": height})
        page.evaluate("document.querySelector('[data-testid=stMain]').scrollTo(0, 0)")
        page.get_by_test_id("stButtonGroup").scroll_into_view_if_needed()
        expect(decision).to_be_in_viewport(ratio=1)
        for name in ("Strength", "Packet loss", "Mains hum", "Mistaken trials"):
            field = page.get_by_test_id("stSlider").filter(has_text=name)
            field.scroll_into_view_if_needed()
            expect(field).to_be_in_viewport()
            expect(decision).to_be_in_viewport(ratio=1)
    page.set_viewport_size({"width": 1280, "height": 720})


def test_arm_is_used_from_the_first_button_to_the_last(
    page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=("a0", "a1", "a2"), rate_hz=200.0, consent=TEST_PERSON)
        gestures.ensure_gestures(tx, user_id, ["fist", "open hand"])
    with running(live_settings, tmp_path, SERVICES):
        log_in(page, live_settings)
        open_page(page, "Live")
        page.get_by_role("button", name="Use a simulated arm for Ada").click()
        expect(page.locator("[data-simulated=arm]")).to_be_visible()
        expect(page.locator('.semg-verdict[data-level="good"]').first).to_be_visible()
        check_decision_is_seen_while_steering(page)
        page.get_by_test_id("stButtonGroup").get_by_text("open hand", exact=True).click()
        wait_for_steering(pool, user_id, gesture="open hand")
        page.get_by_role("combobox", name="Loose electrode").click()
        page.get_by_role("option", name="a1", exact=True).click()
        wait_for_steering(pool, user_id, loose_channel=1)

        open_page(page, "Capture")
        expect(page.locator("[data-simulated=arm]")).to_be_visible()
        expect(page.get_by_text(re.compile("check skin contact"))).to_be_visible()

        open_page(page, "Live")
        page.get_by_role("button", name="Stop the simulated arm").click()
        expect(page.get_by_role("button", name="Use a simulated arm for Ada")).to_be_visible()
        expect(page.locator("[data-simulated=arm]")).to_have_count(0)
    with pool.transaction() as tx:
        assert boards.list_boards(tx) == []
