"""A browser, where there is one: Debian's chromium, headless, by playwright."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from testing.attacks.findings import NotTried
from testing.attacks.target import Target

if TYPE_CHECKING:
    from playwright.sync_api import Page

CHROMIUM = "/usr/bin/chromium"
TIMEOUT_MS = 60_000


@contextmanager
def window() -> Iterator[Page]:
    """Open an empty window, which takes any certificate.

    Raises
    ------
    NotTried
        There is no browser.
    """
    try:
        from playwright.sync_api import Error, sync_playwright
    except ImportError as exc:
        raise NotTried("needs playwright: pip install -r testing/requirements.txt") from exc
    if not os.access(CHROMIUM, os.X_OK):
        raise NotTried(f"needs {CHROMIUM}: apt-get install chromium")
    with sync_playwright() as playwright:
        # Root has no sandbox, and a container may have a small /dev/shm.
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox", "--disable-dev-shm-usage"])
        try:
            context = browser.new_context(viewport={"width": 1280, "height": 720}, ignore_https_errors=True)
            context.set_default_timeout(TIMEOUT_MS)
            yield context.new_page()
        except Error as exc:
            raise NotTried(f"the browser: {exc}") from exc
        finally:
            browser.close()


def log_in(page: Page, target: Target, login: str, password: str) -> None:
    """Log in by the form."""
    page.goto(target.url)
    page.get_by_role("textbox", name="Login").fill(login)
    page.get_by_role("textbox", name="Password").fill(password)
    page.get_by_role("button", name="Log in", exact=True).click()
    page.get_by_role("heading", name="Overview", exact=True).wait_for()
