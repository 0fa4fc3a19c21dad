"""Play in a browser: both tests are steered by decisions on the bus, stored with their version, shown and exported."""

from __future__ import annotations

import csv
import re
from pathlib import Path

import pytest
from playwright.sync_api import Locator, Page, expect

from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import gestures, play, profiles
from semg.store.pool import Pool
from testing.kits.journey import log_in, open_page
from testing.kits.live_publisher import VERSION, Publisher
from testing.kits.page_data import insert_models
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]

NAMES = ["fist", "open hand"]
MOST_STEPS = 3000
WAY = """(view) => {
  const marked = view.querySelector('.marked'), cursor = view.querySelector('.cursor');
  const [x] = cursor.getAttribute('transform').match(/-?[\\d.]+/g).map(Number);
  return [view.dataset.state, marked ? Number(marked.getAttribute('cx')) - x : 0];
}"""
"""Whether the test still runs, and how far to the right of the cursor its target is."""
PROMPTED = "(view) => [view.dataset.state, view.querySelector('.word').textContent]"
SOON = "() => { window.semgRandom = Math.random; Math.random = () => 0.01; }"
"""Prompts come after the shortest time that they may."""
AS_BEFORE = "() => { Math.random = window.semgRandom; }"


def test_both_tests_are_played_stored_shown_and_exported(
    page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=("a0", "a1"), rate_hz=200.0, consent=TEST_PERSON)
        gestures.ensure_gestures(tx, user_id, NAMES)
    insert_models(pool, user_id, VERSION, {"classes": ["rest", *NAMES]})
    with running(live_settings, tmp_path, ("api", "streamlit")), Publisher(live_settings, user_id).running() as arm:
        arm.label = "rest"
        log_in(page, live_settings)
        open_page(page, "Play")
        view = page.locator(".semg-play")
        tap(page, view, arm)
        stored(page, "throughput")
        expect(page.get_by_text(re.compile(rf"with model version {VERSION}: throughput"))).to_be_visible()
        page.get_by_test_id("stButtonGroup").get_by_text("Reaction", exact=True).click()
        expect(page.locator(".semg-play .stage.reaction")).to_be_visible()
        react(page, view, arm)
        stored(page, "median")
        expect(page.get_by_text(re.compile(rf"with model version {VERSION}: median"))).to_be_visible()
        with page.expect_download() as taken:
            page.get_by_role("link", name="All results (CSV)").click()
        lines = list(csv.DictReader(taken.value.path().read_text(encoding="utf-8").splitlines()))
    with pool.transaction() as tx:
        reaction, fitts = play.list_results(tx, user_id)
    assert [(one.kind, one.model_version, one.simulated) for one in (fitts, reaction)] == [
        ("fitts", VERSION, False), ("reaction", VERSION, False)
    ]  # fmt: skip
    assert fitts.result["trials"] == 5
    assert 0.2 < fitts.result["throughput"] < 10
    assert fitts.result["error_rate"] == 0
    assert (reaction.result["trials"], reaction.result["missed"], reaction.result["wrong_first"]) == (5, 0, 0)
    assert 0 < reaction.result["median_ms"] < 3000
    assert sorted((one["kind"], one["model_version"], one["trials"]) for one in lines) == [
        ("fitts", str(VERSION), "5"), ("reaction", str(VERSION), "5")
    ]  # fmt: skip


def tap(page: Page, view: Locator, arm: Publisher) -> None:
    """Play one round of the fewest targets, as somebody who steers by eye."""
    page.get_by_text("Settings", exact=True).click()
    least(page, "Targets in a round")
    for name in ("long", "narrow"):
        page.get_by_test_id("stButtonGroup").get_by_text(name, exact=True).click()
    begin(view, "Round 1 of 1 · circle 0 of 5")
    left, right = NAMES
    for _ in range(MOST_STEPS):
        state, way = view.evaluate(WAY)
        if state != "running":
            return
        arm.label = "rest" if abs(way) < 40 else right if way > 0 else left
        page.wait_for_timeout(20)
    raise AssertionError(f"the test does not end: {view.evaluate(WAY)}")


def react(page: Page, view: Locator, arm: Publisher) -> None:
    """Answer the fewest prompts."""
    arm.label = "rest"
    least(page, "Prompts")  # the settings are still open
    page.evaluate(SOON)
    begin(view, "0 of 5")
    page.evaluate(AS_BEFORE)
    for _ in range(MOST_STEPS):
        state, word = view.evaluate(PROMPTED)
        if state != "running":
            return
        arm.label = word or "rest"
        page.wait_for_timeout(20)
    raise AssertionError("the test does not end")


def least(page: Page, name: str) -> None:
    slider = page.get_by_role("slider", name=name)
    slider.focus()
    page.keyboard.press("Home")
    expect(slider).to_have_attribute("aria-valuetext", "5")


def begin(view: Locator, wanted: str) -> None:
    """Start the test; again, when the page had not given it yet what was set."""
    progress = view.locator(".progress")
    for _ in range(20):
        expect(view).to_have_attribute("data-state", "ready")
        view.get_by_role("button", name="Start", exact=True).click()
        expect(progress).not_to_be_empty()
        if wanted in progress.inner_text():
            return
        view.get_by_role("button", name="Stop", exact=True).click()
    raise AssertionError(f"wanted {wanted}, found {progress.inner_text()}")


def stored(page: Page, said: str) -> None:
    expect(page.get_by_text(f"The test is stored with model version {VERSION}")).to_be_visible()
    expect(page.locator(".semg-play").get_by_text(re.compile(said, re.IGNORECASE)).first).to_be_visible()
