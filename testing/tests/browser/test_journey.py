"""The whole way in a browser, from an empty database to an erased profile of which nothing is left."""

from __future__ import annotations

import base64
import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from semg.domain import REST, Session
from semg.settings import Settings
from semg.store import blocks, gestures, jobs, models, profiles, sessions
from semg.store.pool import Pool, one
from testing.kits.journey import (
    fill_number,
    finished_video,
    log_in,
    open_page,
    start_recording,
    wait_for_stream,
    wait_until_gone,
)
from testing.running_system import running, streaming

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(600)]

PERFORMED = ["fist", "open hand", "wrist extension"]
PICTURE = "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg=="
PICTURES = re.compile("(Ready|Recording), .* frames/s")
SAME_MOMENT = """() => {
  const find = (root, name) => { for (const e of root.querySelectorAll('*')) {
    if (e.classList.contains(name)) return e;
    if (e.shadowRoot) { const f = find(e.shadowRoot, name); if (f) return f; } } return null; };
  const shown = find(document, 'semg-video'), asked = find(document, 'semg-review');
  return shown && asked && Math.abs(shown.dataset.atUs / 1000 - asked.dataset.cursorMs) < 60; }"""
ERASED = ("profiles", "devices", "gestures", "sessions", "repetitions", "sample_blocks", "jobs", "models",
          "active_models", "api_responses", "videos", "session_quality", "sample_summaries",
          "repetition_changes")  # fmt: skip


def test_journey_from_an_empty_database_to_an_erased_profile(
    camera_page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    page, settings = camera_page, live_settings.model_copy(update={"webrtc_hosts": "127.0.0.1"})
    with running(settings, tmp_path):
        log_in(page, settings)
        expect(page.get_by_text("Welcome.")).to_be_visible()
        user_id = create_profile(page, pool)
        add_gestures(page, pool, user_id)
        add_picture(page)
        refuse_to_capture(page)
        stream = ("--user-id", str(user_id), "--channels", "4", "--rate-hz", "200", "--seed", "5")
        with streaming(settings, tmp_path, *stream):
            session = capture(page, pool, user_id)
            abort_one(page, pool, user_id)
            train(page, pool, user_id)
            recognise(page)
            watch_with_another(page, settings, user_id)
        expect(page.locator(".semg-live")).to_have_attribute("data-state", "stopped")
        expect(page.get_by_text(re.compile("The stream stopped"))).to_be_visible()
        finished_video(pool, session.session_id)
        review(page, pool, session)
        erase(page, pool)
        wait_until_gone(settings, "")


def create_profile(page: Page, pool: Pool) -> int:
    page.get_by_role("link", name="Create the first profile").click()
    page.get_by_role("heading", name="Profiles", exact=True).wait_for()
    page.get_by_label("Name or code").fill("Ada <b>Example</b>")
    for agreed in ("Recording of the signals", "Video recording alongside them"):
        page.get_by_text(agreed).click()
    page.get_by_text("Accept the plain text format (v1)").click()
    page.get_by_role("button", name="Create profile").click()
    page.get_by_role("heading", name="Connect", exact=True).wait_for()
    expect(page.get_by_text("was created")).to_be_visible()
    with pool.transaction() as tx:
        made = profiles.find_profile_by_name(tx, "Ada <b>Example</b>")
    assert made is not None
    assert made.device.n_channels == 4
    return made.user_id


def add_gestures(page: Page, pool: Pool, user_id: int) -> None:
    open_page(page, "Gestures")
    page.get_by_role("button", name="Add these").click()
    expect(page.get_by_text("Spread all fingers.")).to_be_visible()
    with pool.transaction() as tx:
        assert [one.name for one in gestures.list_gestures(tx, user_id)] == ["rest", *PERFORMED]


def add_picture(page: Page) -> None:
    """The first gesture after rest gets a picture, which the bank shows."""
    page.get_by_role("button", name="Edit").nth(1).click()
    file = {"name": "fist.png", "mimeType": "image/png", "buffer": base64.b64decode(PICTURE)}
    page.get_by_test_id("stFileUploader").locator("input").set_input_files(file)
    expect(page.get_by_role("dialog").locator('img[src*="/files/prompt-"]')).to_be_visible()
    page.keyboard.press("Escape")
    expect(page.get_by_role("dialog")).to_have_count(0)


def refuse_to_capture(page: Page) -> None:
    """Without a stream, the start is refused, and says why."""
    open_page(page, "Capture")
    page.get_by_role("button", name="Start recording").click()
    expect(page.get_by_text("The capture was not started")).to_be_visible()


def capture(page: Page, pool: Pool, user_id: int) -> Session:
    """Carry a short plan through with the webcam, one performance twice; give the session."""
    wait_for_stream(page)
    page.get_by_text("Record the webcam").click()
    expect(page.get_by_text(PICTURES)).to_be_visible()
    fill_number(page, "Repetitions of each", "2")
    fill_number(page, "Seconds per gesture", "2")
    fill_number(page, "Seconds of rest", "1")
    fill_number(page, "Preparation (s)", "1")
    expect(page.get_by_text("6 repetitions, 20 s in total.")).to_be_visible()
    start_recording(page, page.get_by_role("button", name="Start recording").click)
    prompt = page.locator(".semg-prompt")
    expect(prompt).to_have_attribute("data-prompt", re.compile("|".join(PERFORMED)))
    expect(page.get_by_role("button", name=re.compile("Redo (" + "|".join(PERFORMED) + ")"))).to_be_enabled()
    page.get_by_role("heading", name="Capture", exact=True).click()  # out of the fields
    page.keyboard.press("Backspace")
    expect(page.get_by_text("6 repetitions recorded.")).to_be_visible()
    with pool.transaction() as tx:
        (listed,) = sessions.list_sessions(tx, user_id)
        session = sessions.get_session(tx, listed.session_id)
        written = sessions.list_repetitions(tx, session.session_id)
        stored = [one for one in blocks.read_session_blocks(tx, session).blocks() if not one.late]
    assert session.status == "completed"
    assert session.plan is not None
    planned = [(one.gesture, one.number, one.start_s, one.end_s) for one in session.plan.steps
               if one.gesture and not one.dropped]  # fmt: skip
    # How far the first performance had got is up to the browser: cut short it has no label, complete an excluded one.
    again = [one for one in session.plan.steps if one.gesture in PERFORMED and one.dropped]
    left_out = [one for one in written if one.gesture in PERFORMED and one.excluded]
    assert len(again) == 1
    assert len(left_out) == (again[0].end_s - again[0].start_s > 2 - 1e-3)
    began = session.started_at
    assert planned == [
        (one.gesture, one.number, (one.started_at - began).total_seconds(), (one.ended_at - began).total_seconds())
        for one in written
        if not one.excluded
    ]
    assert sum(one.n_samples for one in stored) == pytest.approx(200 * session.plan.duration_s, rel=0.02)
    return session


def abort_one(page: Page, pool: Pool, user_id: int) -> None:
    """End a second capture in the middle of its first gesture: only the rest before it has a label."""
    start_recording(page, page.get_by_role("button", name="Start recording").click)
    expect(page.locator(".semg-prompt")).to_have_attribute("data-prompt", re.compile("|".join(PERFORMED)))
    page.get_by_role("button", name="End early").click()
    expect(page.get_by_text("ended early: 0 repetitions recorded")).to_be_visible()
    with pool.transaction() as tx:
        aborted = sessions.list_sessions(tx, user_id)[0]
        assert [one.gesture for one in sessions.list_repetitions(tx, aborted.session_id)] == [REST]
    assert aborted.status == "aborted"


def train(page: Page, pool: Pool, user_id: int) -> None:
    page.get_by_role("link", name="Train on it").click()
    page.get_by_role("heading", name="Train", exact=True).wait_for()
    expect(page.get_by_text(re.compile(r"Session 1 · .* · 6 repetitions"))).to_be_visible()
    page.get_by_label("Classifier").click()
    page.get_by_role("option", name=re.compile("Log-covariance")).click()
    page.get_by_role("button", name="Start training").click()
    page.get_by_role("heading", name="Jobs and models", exact=True).wait_for()
    # The simulated device follows no prompt, and the second session has nothing but rest: the verdict says so.
    expect(page.get_by_text("Do not use.")).to_be_visible(timeout=120_000)
    expect(page.get_by_text("Tested on")).to_be_visible()
    with pool.transaction() as tx:
        assert models.find_active(tx, user_id) is None
    page.get_by_text(re.compile("Activate version .* for .* anyway")).click()
    page.get_by_role("button", name="Activate this version").click()
    expect(page.get_by_text("This is the active version.")).to_be_visible()
    with pool.transaction() as tx:
        (job,) = jobs.list_jobs(tx, user_id)
    assert (job.status, job.classifier, job.model_version) == ("completed", "logcov_lda", 1)


def recognise(page: Page) -> None:
    """Decisions appear, and the picture is drawn at least 20 times a second."""
    page.get_by_role("link", name="See it live").first.click()
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
    expect(view.get_by_role("button", name="Resume")).to_be_visible()


def watch_with_another(page: Page, settings: Settings, user_id: int) -> None:
    """A second window of the same viewer shows the same stream, and the first goes on."""
    other = page.context.new_page()
    other.goto(f"{settings.app_url}/Realtime_Gesture_Recognition?profile={user_id}")
    expect(other.locator(".semg-live")).to_have_attribute("data-state", "live")
    expect(page.locator(".semg-live")).to_have_attribute("data-state", "live")
    other.close()


def review(page: Page, pool: Pool, session: Session) -> None:
    """The captured session with its labels and its video: a click on the signal leads the video there."""
    open_page(page, "Review")
    page.get_by_role("combobox", name="Session").click()
    page.get_by_role("option", name=re.compile(f"^{session.name}")).click()
    expect(page.get_by_text(re.compile(r"[45],\d{3} samples"))).to_be_visible()
    with pool.transaction() as tx:
        n_labels = len(sessions.list_repetitions(tx, session.session_id))
    # While the page runs, the view of the session that was shown before can stand beside it.
    view = page.locator(f'.semg-review[data-labels="{n_labels}"]')
    expect(view).to_be_visible()
    expect(page.locator(".semg-review")).to_have_count(1)
    player = page.locator(".semg-video")
    expect(player).to_have_attribute("data-at-us", re.compile(r"\d+"))
    canvas = view.locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    canvas.click(position={"x": box["width"] / 2, "y": 60})
    expect(view).to_have_attribute("data-cursor-ms", re.compile(r"\d+"))
    page.wait_for_function(SAME_MOMENT)


def erase(page: Page, pool: Pool) -> None:
    """After the erasure, no table knows the profile."""
    open_page(page, "Profiles")
    page.get_by_text("Delete this profile").click()
    page.get_by_text("Show what would be deleted").click()
    field = page.get_by_label("Type the name to confirm")
    field.fill("Ada <b>Example</b>")
    field.press("Enter")
    page.get_by_role("button", name=re.compile("Delete .* permanently")).click()
    expect(page.get_by_text("No profile yet")).to_be_visible()
    with pool.transaction() as tx:
        for table in ERASED:
            found = one(tx, f"SELECT count(*) AS n FROM {table}")
            assert found is not None
            assert found.n == 0, table
