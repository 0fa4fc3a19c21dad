"""A walk over all pages with names that are Markdown, HTML and more, while a stranger's server counts who asks it."""

from __future__ import annotations

import json
import re
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from playwright.sync_api import Locator, Page, expect

from semg.names.characters import visible
from semg.settings import Settings
from semg.store.pool import Pool
from testing.kits.hostile_names import HIDDEN, fill, names
from testing.kits.journey import log_in
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers, pytest.mark.timeout(600)]

LOOK = """(allowed) => {
  const found = { text: '', links: [], pictures: [], odd: [] };
  const plain = (text) => text.replace(/[\\u2060\\u2068\\u2069]/g, '').replace(/\\u00a0/g, ' ');
  const foreign = (at) => at && !/^(data|blob):/.test(at)
    && !allowed.some((good) => new URL(at, location.href).href.startsWith(good));
  const odd = '.katex, .stMarkdownColoredText, .stMarkdownBadge, [alt="Streamlit logo"], del, sup';
  const look = (root) => {
    for (const one of root.querySelectorAll('*')) {
      const at = one.getAttribute('href') || one.getAttribute('xlink:href') || '';
      if (/^a$/i.test(one.tagName) && foreign(at)) found.links.push(at);
      const from = ['IMG', 'VIDEO', 'IFRAME', 'SCRIPT'].includes(one.tagName) ? one.getAttribute('src') || '' : '';
      if (foreign(from)) found.pictures.push(from);
      if (one.matches(odd)) found.odd.push(one.outerHTML.slice(0, 200));
      if (['INPUT', 'TEXTAREA'].includes(one.tagName)) found.text += `\\n${plain(one.value)}`;
      if (one.shadowRoot) { found.text += `\\n${plain(one.shadowRoot.textContent)}`; look(one.shadowRoot); }
    }
  };
  look(document);
  found.text += plain(document.body.textContent);
  return found;
}"""


class Stranger:
    """A server of somebody else's, which notes what it is asked."""

    def __init__(self) -> None:
        self.asked: list[str] = []
        asked = self.asked

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                asked.append(f"{self.path} {self.headers.get('Cookie', '')}")
                self.send_response(204)
                self.end_headers()

            def log_message(self, *_: Any) -> None:
                pass

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.port = self._server.server_address[1]

    @contextmanager
    def listening(self) -> Iterator[Stranger]:
        thread = threading.Thread(target=self._server.serve_forever)
        thread.start()
        try:
            yield self
        finally:
            self._server.shutdown()
            thread.join()
            self._server.server_close()


class Walk:
    """Goes from page to page and looks at each."""

    def __init__(self, page: Page, settings: Settings, stranger: Stranger, user_id: int) -> None:
        self.page, self.settings, self.stranger, self.user_id = page, settings, stranger, user_id
        self.names = names(stranger.port)

    def go(self, path: str, user_id: int | None = None) -> None:
        self.page.goto(f"{self.settings.app_url}/{path}?profile={user_id or self.user_id}")
        self.page.get_by_test_id("stSidebar").get_by_text("Logged in as").wait_for()
        self.settle()

    def settle(self) -> None:
        expect(self.page.get_by_test_id("stStatusWidget")).to_have_count(0)
        expect(self.page.get_by_test_id("stSkeleton")).to_have_count(0)
        self.page.wait_for_timeout(300)

    def look(self, *kinds: str, also: tuple[str, ...] = ()) -> None:
        """Look at what is on the page now; the texts of these kinds must be readable as they are stored."""
        self.settle()
        own = [self.settings.app_url, self.settings.api_url]
        found = self.page.evaluate(LOOK, own)
        assert (found["links"], found["pictures"], found["odd"]) == ([], [], [])
        words = " ".join(found["text"].split())
        missing = [one for one in [*(self.names[kind] for kind in kinds), *also] if one not in words]
        assert missing == []
        assert self.page.get_by_test_id("stException").count() == 0
        assert self.stranger.asked == []

    def unfold(self) -> None:
        """Open everything that can be unfolded, the last one first, because what opens moves the others."""
        closed: Locator = self.page.locator("[data-testid=stExpander] details:not([open]) summary:visible")
        while closed.count():
            closed.last.click()
            self.settle()

    def click(self, label: str, role: Any = "button") -> None:
        self.page.get_by_role(role, name=label, exact=True).locator("visible=true").first.click()
        self.settle()


@pytest.fixture
def walk(page: Page, live_settings: Settings, pool: Pool, tmp_path: Path) -> Iterator[Walk]:
    with Stranger().listening() as stranger:
        user_id = fill(pool, live_settings.secret_key.get_secret_value(), stranger.port)
        page.add_init_script("window.alert = (said) => { document.title = `alert ${said}`; };")
        with running(live_settings, tmp_path, ("api", "streamlit")):
            log_in(page, live_settings)
            yield Walk(page, live_settings, stranger, user_id)
        assert stranger.asked == []


def test_every_page_shows_names_as_text_and_asks_nobody(walk: Walk) -> None:
    everything = tuple(walk.names)
    walk.go("")
    walk.look("picture")

    walk.go("User_Management")
    walk.unfold()
    walk.page.get_by_text("Show what would be deleted").click()
    expect(walk.page.get_by_text("This permanently deletes")).to_be_visible()
    walk.look("picture")
    walk.click("Boards", "tab")
    walk.look("picture")
    walk.click("My account", "tab")
    walk.look("picture")
    walk.click("Accounts", "tab")
    walk.look()
    walk.click("Audit log", "tab")
    walk.page.get_by_text("Show who did and viewed what").click()
    walk.look()

    walk.go("Gesture_Management")
    walk.look(*everything, also=(visible(HIDDEN),))
    walk.page.locator(".semg-bank .edit").first.click()
    walk.look("picture")
    walk.page.keyboard.press("Escape")

    walk.go("Training_Data_Capture")
    walk.look("picture", "html", "formula")
    walk.go("Training_Data_Capture", walk.user_id + 1)  # a capture runs
    walk.look("picture", "named picture")

    walk.go("Kickoff_Training")
    walk.look(*everything)
    walk.page.get_by_text("Inspect a session").click()
    walk.look("picture")

    walk.go("Training_Jobs_Status")
    walk.unfold()
    expect(walk.page.locator(".js-plotly-plot").first).to_be_visible()
    walk.look(*list(everything)[:14], "plotly")
    walk.page.get_by_text("Epochs and log").first.click()
    walk.look("picture")

    for offset, kind in enumerate(everything[:-1]):  # the last one's name was changed
        if kind != "named picture":
            walk.go("Realtime_Gesture_Recognition", walk.user_id + offset)
            walk.look(kind)
    walk.go("Realtime_Gesture_Recognition", walk.user_id + len(everything) - 1)
    walk.look(also=(f"{visible(HIDDEN.replace(chr(7), ''))} has no model yet",))

    walk.go("Sensor_Data_Review")
    walk.unfold()
    walk.look("picture")
    walk.page.get_by_text("Any time", exact=True).click()
    walk.look()
    assert walk.page.title().startswith("Review")


def test_toasts_errors_and_choices_show_names_as_text(walk: Walk) -> None:
    page = walk.page
    walk.go("Gesture_Management")
    for kind in ("picture", "html", "directives"):
        page.get_by_label("Name", exact=True).locator("visible=true").last.fill(walk.names[kind])
        page.get_by_role("button", name=re.compile("^Add to ")).first.click()
        walk.settle()
        error = page.get_by_test_id("stAlert").first
        expect(error).to_contain_text("the gesture bank already has")
        walk.look(kind)
    added = f"![new](http://127.0.0.1:{walk.stranger.port}/n.png) :smile:"
    page.get_by_label("Name", exact=True).locator("visible=true").last.fill(added)
    page.get_by_role("button", name=re.compile("^Add to ")).first.click()
    toast = page.get_by_test_id("stToast")
    expect(toast).to_be_visible()
    said = toast.inner_text().replace("\u2060", "")
    assert f"{added} added" in " ".join(said.split()), said
    walk.look(also=(added,))

    walk.go("Kickoff_Training")
    page.get_by_text("Inspect a session").click()
    walk.settle()
    chosen = page.get_by_test_id("stSelectbox").filter(has_text="").last
    chosen.locator("input").click()
    offered = [one.replace("\u2068", "").replace("\u2069", "") for one in page.get_by_role("option").all_inner_texts()]
    assert len(offered) > 3
    assert json.dumps(walk.names["picture"]) in [json.dumps(one) for one in offered]
    walk.look()
