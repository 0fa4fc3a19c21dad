"""The picture of a recording in a browser: labels are chosen and dragged, time is zoomed, the video follows."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from playwright.sync_api import Locator, Page, expect

from semg.domain import REST, Block, Decision, Session, us_from_utc
from semg.maintenance.video_files import VideoKeeper
from semg.privacy.consent import TEST_PERSON
from semg.security.encrypted_files import Vault
from semg.settings import Settings
from semg.store import blocks, decisions, gestures, profiles, repetitions, sessions, videos
from semg.store.pool import Pool
from semg.video.files import files_of
from testing.kits.journey import log_in, open_page
from testing.kits.video_kit import write_part
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]

RATE_HZ, SECONDS, GAP_S = 200, 40, (31.0, 33.0)
STEP_US = 1_000_000 // RATE_HZ
LEFT_PX, RIGHT_PX = 52, 6
"""Of the picture, beside the signal (``review_view.js``)."""


@pytest.fixture
def session(pool: Pool, live_settings: Settings) -> Session:
    """A session of 40 s with a gap of 2 s, four labels, decisions from 4 s to 8 s, and a video."""
    began = datetime.now(UTC).replace(microsecond=0) - timedelta(hours=1)
    began_us = us_from_utc(began)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=["a0", "a1"], rate_hz=float(RATE_HZ), consent=TEST_PERSON)
        ids = gestures.ensure_gestures(tx, user_id, [REST, "fist", "open hand"])
        for first_s, last_s in ((0.0, GAP_S[0]), (GAP_S[1], float(SECONDS))):
            times = began_us + np.arange(round(first_s * RATE_HZ), round(last_s * RATE_HZ), dtype=np.int64) * STEP_US
            samples = 2048 + 100 * np.random.default_rng(0).standard_normal((len(times), 2)).astype(np.float32)
            blocks.copy_blocks(tx, [Block(user_id, began_us, True, False, 0, times, times, samples)])
        number = sessions.insert_session(
            tx, user_id, "Session 1", "capture", began, status="recording",
            device=profiles.get_profile(tx, user_id).device,
        )  # fmt: skip
        for gesture, first_s in ((REST, 0), ("fist", 10), (REST, 20), ("open hand", 25)):
            at = began + timedelta(seconds=first_s)
            sessions.insert_repetition(tx, number, ids[gesture], 1 + (first_s == 20), at, at + timedelta(seconds=5))
        ends = began_us + np.arange(4_000_000, 8_000_000, 50_000)
        decided = [Decision(user_id, "fist", 0.9, 1, int(at), int(at), int(at), int(at)) for at in ends]
        decisions.insert_decisions(tx, decided)
        videos.begin_video(tx, number)
        videos.release_video(tx, number)
        made = sessions.finish_session(tx, number, began + timedelta(seconds=SECONDS))
    files = files_of(live_settings.videos, number, Vault(live_settings.secret_key.get_secret_value()))
    files.parts.mkdir(parents=True)
    write_part(files.create_part(1), range(20 * 30), began_us)
    VideoKeeper(pool, live_settings.videos, Vault(live_settings.secret_key.get_secret_value())).step()
    return made


@pytest.fixture
def view(page: Page, live_settings: Settings, session: Session, tmp_path: Path) -> Iterator[Locator]:
    """The picture of the session, on the Review page."""
    with running(live_settings, tmp_path, ("api", "streamlit")):
        log_in(page, live_settings)
        open_page(page, "Review")
        found = page.locator(".semg-review")
        expect(found).to_have_attribute("data-labels", "4")
        yield found


def place(view: Locator, session: Session, at_s: float) -> tuple[float, float]:
    """Return the point on the page at which a second of the session is drawn, of what is shown now."""
    canvas = view.locator("canvas").first
    canvas.scroll_into_view_if_needed()
    box = canvas.bounding_box()
    assert box is not None
    since_ms, until_ms = (float(view.get_attribute(f"data-{name}-ms") or "nan") for name in ("since", "until"))
    part = (us_from_utc(session.started_at) / 1000 + 1000 * at_s - since_ms) / (until_ms - since_ms)
    return box["x"] + LEFT_PX + part * (box["width"] - LEFT_PX - RIGHT_PX), box["y"] + 80


def drag(page: Page, view: Locator, session: Session, from_s: float, to_s: float) -> None:
    x, y = place(view, session, from_s)
    page.mouse.move(x, y)
    page.mouse.down()
    page.mouse.move(place(view, session, to_s)[0], y, steps=4)
    page.mouse.up()


def test_recording_is_looked_at_and_its_labels_put_right(
    page: Page, view: Locator, session: Session, pool: Pool
) -> None:
    expect(view).to_have_attribute("data-gaps", "1")
    expect(page.get_by_text(re.compile(r"7,600 samples · 1 gaps, 2\.0. s"))).to_be_visible()
    with pool.transaction() as tx:
        _, fist, _, open_hand = sessions.list_repetitions(tx, session.session_id)
    # A click chooses the label and leads the video there.
    page.mouse.click(*place(view, session, 12.5))
    chosen = page.get_by_role("combobox", name="Repetition")
    expect(chosen).to_have_value(re.compile("^fist 1"))
    asked_us = us_from_utc(session.started_at) + 12_500_000
    player = page.locator(".semg-video")
    expect(player).to_have_attribute("data-shown-us", re.compile(r"\d+"))
    step_us = 40_000 * 1e3 / 400  # a pixel of the picture is 40 s / 900 px
    assert abs(int(player.get_attribute("data-shown-us") or 0) - asked_us) < step_us
    # Its end is dragged two seconds on; that is stored, with who did it.
    drag(page, view, session, 15.0, 17.0)
    expect(page.get_by_text("Label changes (1)")).to_be_visible()
    with pool.transaction() as tx:
        moved = repetitions.get_repetition(tx, fist.repetition_id)
        (change,) = repetitions.list_changes(tx, session.session_id)
    assert moved.started_at == fist.started_at
    assert (moved.ended_at - fist.ended_at).total_seconds() == pytest.approx(2.0, abs=0.1)
    assert change.changed_by == "researcher"
    # Onto another label it cannot go.
    drag(page, view, session, 17.0, 22.0)
    expect(page.get_by_text(re.compile("lies in this time"))).to_be_visible()
    # Closer by a drag, and on by a key; what is shown comes from the server again.
    drag(page, view, session, 2.0, 12.0)
    expect(view).to_have_attribute("data-since-ms", near(session, 2.0))
    expect(view).to_have_attribute("data-gaps", "0")
    view.press("ArrowRight")
    expect(view).to_have_attribute("data-since-ms", near(session, 7.0))
    view.press("Home")
    expect(view).to_have_attribute("data-gaps", "1")
    # Left out, with the reason.
    page.mouse.click(*place(view, session, 27.0))
    expect(chosen).to_have_value(re.compile("^open hand 1"))
    leave_out = page.get_by_text("Leave out of training")
    expect(leave_out).to_have_count(1)  # the form of the label chosen before goes when the page has run
    leave_out.click()
    page.get_by_label("Reason").fill("talked")
    page.get_by_role("button", name="Save").click()
    expect(page.get_by_text("Label changes (2)")).to_be_visible()
    with pool.transaction() as tx:
        left_out = repetitions.get_repetition(tx, open_hand.repetition_id)
    assert (left_out.excluded, left_out.exclude_reason) == (True, "talked")
    assert coloured(view), "the decisions are drawn"


def near(session: Session, at_s: float) -> re.Pattern[str]:
    """Return a pattern for a time in milliseconds, to a tenth of a second or so."""
    at_ms = us_from_utc(session.started_at) // 1000 + round(1000 * at_s)
    return re.compile("|".join(f"^{(at_ms + 100 * step) // 100}\\d\\d(\\.|$)" for step in range(-2, 3)))


def coloured(view: Locator) -> bool:
    """Return whether the ribbon of decisions holds the colour of a gesture."""
    found: bool = view.locator("canvas").first.evaluate(
        """(c) => { const ratio = c.width / c.clientWidth, top = c.height - 36 * ratio;
          const { data } = c.getContext('2d').getImageData(60 * ratio, top, c.width - 80 * ratio, 4 * ratio);
          for (let i = 0; i < data.length; i += 4) {
            if (data[i] === 0x56 && data[i + 1] === 0xb4 && data[i + 2] === 0xe9) return true; }
          return false; }"""
    )
    return found
