"""What a person does in the browser."""

from __future__ import annotations

import re
import time
from collections.abc import Callable

from playwright.sync_api import Page, expect
from playwright.sync_api import TimeoutError as TookTooLongError

from semg.domain import Video
from semg.settings import Settings
from semg.store import videos
from semg.store.pool import Pool

PATIENCE_S = 60.0
STARTS, START_MS = 8, 8_000
LOGIN, PASSWORD = "researcher", "a long enough password"


def log_in(page: Page, settings: Settings, login: str = LOGIN) -> None:
    """Log in by the form, and wait until the browser keeps the login."""
    page.goto(settings.app_url)
    page.get_by_role("textbox", name="Login").fill(login)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("heading", name="Overview", exact=True).wait_for()


def open_page(page: Page, name: str) -> None:
    """Go to a page by the navigation; its heading is its name there."""
    page.get_by_test_id("stSidebar").get_by_role("link", name=name, exact=True).click()
    page.get_by_role("heading", name=name, exact=True).wait_for()


def fill_number(page: Page, label: str, value: str) -> None:
    """Type a number, and let the page take it."""
    field = page.get_by_role("spinbutton", name=label)
    field.fill(value)
    field.press("Enter")


def wait_for_stream(page: Page) -> None:
    """Wait until the page says that the stream can be recorded."""
    fit = '.semg-verdict[data-level="good"], .semg-verdict[data-level="usable"]'
    expect(page.locator(fit).first).to_be_visible()


def start_recording(page: Page, press: Callable[[], None]) -> None:
    """Start a capture with the webcam; on a busy machine its frames pause, and the start is refused until then."""
    for _ in range(STARTS):
        press()
        try:
            page.locator(".semg-prompt").wait_for(timeout=START_MS)
            return
        except TookTooLongError:
            expect(page.get_by_text(re.compile("Ready, .* frames/s"))).to_be_visible()
    raise AssertionError("the capture did not start")


def finished_video(pool: Pool, session_id: int) -> Video:
    """Wait until job_runner has finished a session's video, and give it."""
    deadline = time.monotonic() + PATIENCE_S
    while True:
        with pool.transaction() as tx:
            video = videos.find_video(tx, session_id)
        if video is not None and video.status != "recording":
            assert (video.status, video.problem) == ("ready", "")
            return video
        assert time.monotonic() < deadline, f"not finished: {video}"
        time.sleep(0.1)


def wait_until_gone(settings: Settings, prefix: str) -> None:
    """Wait until job_runner has removed the files of erased videos; those whose name begins so."""
    deadline = time.monotonic() + PATIENCE_S
    while left := [path.name for path in settings.videos.iterdir() if path.name.startswith(prefix)]:
        assert time.monotonic() < deadline, left
        time.sleep(0.1)
