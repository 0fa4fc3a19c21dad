"""What a person does in the browser."""

from __future__ import annotations

from playwright.sync_api import Page

from semg.settings import Settings

LOGIN, PASSWORD = "researcher", "a long enough password"


def log_in(page: Page, settings: Settings) -> None:
    """Log in by the form, and wait until the browser keeps the login."""
    page.goto(settings.app_url)
    page.get_by_role("textbox", name="Login").fill(LOGIN)
    page.get_by_role("textbox", name="Password").fill(PASSWORD)
    page.get_by_role("button", name="Log in").click()
    page.get_by_role("heading", name="Overview").wait_for()
    page.wait_for_function("document.cookie.includes('semg_login')")


def open_page(page: Page, link: str, heading: str) -> None:
    """Go to a page by the navigation."""
    page.get_by_test_id("stSidebar").get_by_role("link", name=link, exact=True).click()
    page.get_by_role("heading", name=heading).wait_for()


def fill_number(page: Page, label: str, value: str) -> None:
    """Type a number, and let the page take it."""
    field = page.get_by_label(label)
    field.fill(value)
    field.press("Enter")
