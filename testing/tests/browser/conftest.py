"""A real browser against the real services."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from playwright.sync_api import Browser, Page, expect, sync_playwright

from semg.security.passwords import hash_password
from semg.settings import Settings
from semg.store import accounts
from semg.store.pool import Pool
from testing import fake_camera
from testing.kits.journey import LOGIN, PASSWORD
from testing.tests.conftest import Servers, skip_or_fail

CHROMIUM = "/usr/bin/chromium"
TIMEOUT_MS = 60_000


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    """Debian's chromium, headless. Not for the whole run: while it is open, no other test can run an event loop."""
    with _chromium() as made:
        yield made


@pytest.fixture
def page(browser: Browser, tmp_path: Path) -> Iterator[Page]:
    """An empty browser window of the smallest size that is supported."""
    with _window(browser, tmp_path) as made:
        yield made


@pytest.fixture
def camera_page(tmp_path: Path) -> Iterator[Page]:
    """An empty window of a browser that has a webcam; the certificate of ``start_all.sh --lan`` will do for it."""
    clip = fake_camera.write_clip(tmp_path / "clip.y4m")
    with _chromium(*fake_camera.browser_arguments(clip)) as browser, _window(browser, tmp_path) as made:
        yield made


@contextmanager
def _chromium(*arguments: str) -> Iterator[Browser]:
    if not os.access(CHROMIUM, os.X_OK):
        skip_or_fail(f"{CHROMIUM} is not there: apt-get install chromium")
    # Root has no sandbox, and a container may have a small /dev/shm.
    always = ["--no-sandbox", "--disable-dev-shm-usage"]
    with sync_playwright() as playwright:
        made = playwright.chromium.launch(executable_path=CHROMIUM, args=[*always, *arguments])
        yield made
        made.close()


@contextmanager
def _window(browser: Browser, folder: Path) -> Iterator[Page]:
    context = browser.new_context(
        viewport={"width": 1280, "height": 720}, timezone_id="Europe/Berlin", ignore_https_errors=True
    )
    context.set_default_timeout(TIMEOUT_MS)
    expect.set_options(timeout=TIMEOUT_MS)
    made = context.new_page()
    errors: list[str] = []
    made.on("pageerror", lambda error: errors.append(str(error)))
    yield made
    made.screenshot(path=folder / "end.png")  # kept by pytest: what a failing test saw last
    context.close()
    assert errors == [], "JavaScript failed on the page"


@pytest.fixture
def live_settings(servers: Servers, pool: Pool) -> Settings:
    """The test's own servers, with an account."""
    with pool.transaction() as tx:
        accounts.insert_account(tx, LOGIN, hash_password(PASSWORD))
    return servers.settings
