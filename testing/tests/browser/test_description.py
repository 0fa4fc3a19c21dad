"""The API's description in a real browser: it shows, asks no other host, and has no origin but its own."""

from __future__ import annotations

from pathlib import Path

import pytest
from playwright.sync_api import Page, expect

from testing.kits.live_helpers import api_running
from testing.tests.conftest import Servers

pytestmark = [pytest.mark.browser, pytest.mark.servers]


def test_description_shows_in_a_sandbox_without_another_host(page: Page, servers: Servers, tmp_path: Path) -> None:
    asked: list[str] = []
    refused: list[str] = []
    page.on("request", lambda request: asked.append(request.url))
    page.on("console", lambda message: refused.append(message.text) if "Content Security" in message.text else None)
    with api_running(servers.settings) as api:
        page.goto(f"{api.base_url}/docs")
        expect(page.get_by_text("/predict/windows")).to_be_visible()
        page.get_by_text("/predict/windows").click()
        expect(page.get_by_text("Responses").first).to_be_visible()
        expect(page.get_by_role("button", name="Try it out")).to_have_count(0)
        page.screenshot(path=tmp_path / "docs.png")
        origin = page.evaluate("self.origin")
        talks = page.evaluate("fetch('/healthz').then(() => 'let in', () => 'refused')")
    assert origin == "null"
    assert talks == "refused"
    assert [url for url in asked if not url.startswith((str(api.base_url), "data:"))] == []
    assert [text for text in refused if "/healthz" not in text and "connect-src" not in text] == []
