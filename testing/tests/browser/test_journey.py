"""The whole way in a browser: an empty database, a profile, gestures, capture, training, live, review, erasure."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from semg.settings import Settings
from semg.store import blocks, gestures, jobs, profiles, sessions
from semg.store.pool import Pool, one
from testing.running_system import running, streaming
from testing.tests.browser.journey import fill_number, log_in, open_page

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(600)]

PERFORMED = ["fist", "open hand", "wrist extension"]
ERASED = ("profiles", "devices", "gestures", "sessions", "repetitions", "sample_blocks", "jobs", "models",
          "active_models", "api_responses")  # fmt: skip


def test_journey_from_an_empty_database_to_an_erased_profile(
    page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    expect.set_options(timeout=60_000)
    with running(live_settings, tmp_path):
        log_in(page, live_settings)
        expect(page.get_by_text("Welcome.")).to_be_visible()
        user_id = create_profile(page, pool)
        add_gestures(page, pool, user_id)
        refuse_to_capture(page)
        stream = ("--user-id", str(user_id), "--channels", "4", "--rate-hz", "200", "--seed", "5")
        with streaming(live_settings, tmp_path, *stream):
            capture(page, pool, user_id)
            train(page, pool, user_id)
            recognise(page)
        expect(page.locator(".semg-live")).to_have_attribute("data-state", "stopped")
        expect(page.get_by_text(re.compile("The stream stopped"))).to_be_visible()
        review(page)
        erase(page, pool)


def create_profile(page: Page, pool: Pool) -> int:
    page.get_by_role("link", name="Create the first profile").click()
    page.get_by_role("heading", name="User Management").wait_for()
    page.get_by_label("Name or code").fill("Ada <b>Example</b>")
    page.get_by_role("button", name="Create profile").click()
    expect(page.get_by_text("was created")).to_be_visible()
    with pool.transaction() as tx:
        made = profiles.find_profile_by_name(tx, "Ada <b>Example</b>")
    assert made is not None
    assert made.device.n_channels == 4
    return made.user_id


def add_gestures(page: Page, pool: Pool, user_id: int) -> None:
    page.get_by_role("link", name="Add gestures").click()
    page.get_by_role("heading", name="Gesture Management").wait_for()
    page.get_by_role("button", name="Add these").click()
    expect(page.get_by_text("Spread all fingers.")).to_be_visible()
    with pool.transaction() as tx:
        assert [one.name for one in gestures.list_gestures(tx, user_id)] == ["rest", *PERFORMED]


def refuse_to_capture(page: Page) -> None:
    """Without a stream, the start is refused, and says why."""
    open_page(page, "Capture", "Training Data Capture")
    page.get_by_role("button", name="Start").click()
    expect(page.get_by_text("The capture was not started")).to_be_visible()


def capture(page: Page, pool: Pool, user_id: int) -> None:
    """A short plan; the page is reloaded in the middle, which changes nothing."""
    expect(page.get_by_text("samples/s, nothing lost")).to_be_visible()
    fill_number(page, "Repetitions of each", "2")
    fill_number(page, "Seconds per gesture", "2")
    fill_number(page, "Seconds of rest", "1")
    fill_number(page, "Preparation (s)", "1")
    expect(page.get_by_text("6 performances, 20 s in all.")).to_be_visible()
    page.get_by_role("button", name="Start").click()
    prompt = page.locator(".semg-prompt")
    expect(prompt).to_have_attribute("data-prompt", "prepare")
    expect(prompt).to_have_attribute("data-prompt", re.compile("|".join(PERFORMED)))
    page.reload()
    expect(prompt).to_have_attribute("data-prompt", re.compile("|".join([*PERFORMED, "rest"])))
    expect(page.get_by_text("6 performances were recorded")).to_be_visible()
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, user_id)
        written = sessions.list_repetitions(tx, session.session_id)
        stored = [one for one in blocks.list_session_blocks(tx, session) if not one.late]
    assert session.status == "completed"
    assert session.plan is not None
    planned = [(one.gesture, one.number, one.start_s, one.end_s) for one in session.plan.steps if one.gesture]
    began = session.started_at
    assert planned == [
        (one.gesture, one.number, (one.started_at - began).total_seconds(), (one.ended_at - began).total_seconds())
        for one in written
    ]
    assert sum(one.n_samples for one in stored) == pytest.approx(200 * session.plan.duration_s, rel=0.02)


def train(page: Page, pool: Pool, user_id: int) -> None:
    page.get_by_role("link", name="Train with it").click()
    page.get_by_role("heading", name="Kickoff Training").wait_for()
    page.get_by_label("Classifier").click()
    page.get_by_role("option", name=re.compile("Log-covariance")).click()
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("heading", name="Training Jobs and Models").wait_for()
    expect(page.get_by_text("This version decides now.")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Tested on")).to_be_visible()
    with pool.transaction() as tx:
        (job,) = jobs.list_jobs(tx, user_id)
    assert (job.status, job.classifier, job.model_version) == ("completed", "logcov_lda", 1)


def recognise(page: Page) -> None:
    """Decisions appear, and the picture is drawn at least 20 times a second."""
    page.get_by_role("link", name="See it live").click()
    view = page.locator(".semg-live")
    expect(view).to_have_attribute("data-state", "live")
    expect(view).to_have_attribute("data-label", re.compile("|".join([*PERFORMED, "rest", "unsure"])))
    expect(view).to_have_attribute("data-updates", re.compile(r"^([2-9]\d|\d{3,})$"))
    assert float(view.get_attribute("data-latency-p50") or "nan") < 1000
    drawn = view.locator("canvas").evaluate(
        "c => c.getContext('2d').getImageData(0, 0, c.width, c.height).data.some((v, i) => i % 4 === 3 && v > 0)"
    )
    assert drawn
    view.get_by_role("button", name="Pause").click()
    expect(view.get_by_role("button", name="Continue")).to_be_visible()


def review(page: Page) -> None:
    open_page(page, "Review", "Sensor Data Review")
    expect(page.get_by_test_id("stPlotlyChart")).to_be_visible()
    expect(page.get_by_text(re.compile(r"[34],\d{3} samples"))).to_be_visible()


def erase(page: Page, pool: Pool) -> None:
    """After the erasure, no table knows the profile."""
    open_page(page, "Profiles", "User Management")
    page.get_by_text("Delete this profile").click()
    page.get_by_text("Show what would be erased").click()
    field = page.get_by_label("Type the name to confirm")
    field.fill("Ada <b>Example</b>")
    field.press("Enter")
    page.get_by_role("button", name="Erase for ever").click()
    expect(page.get_by_text("No profile yet")).to_be_visible()
    with pool.transaction() as tx:
        for table in ERASED:
            found = one(tx, f"SELECT count(*) AS n FROM {table}")
            assert found is not None
            assert found.n == 0, table
