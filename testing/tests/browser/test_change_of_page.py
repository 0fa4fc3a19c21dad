"""A change of page by a press in a part that redraws by itself, while such parts of the page that is left still ask."""

from __future__ import annotations

import re
from pathlib import Path

import pytest
from playwright.sync_api import Page, WebSocketRoute, expect
from streamlit.proto.BackMsg_pb2 import BackMsg
from streamlit.proto.ForwardMsg_pb2 import ForwardMsg

from semg.privacy.consent import TEST_PERSON
from semg.settings import Settings
from semg.store import profiles
from semg.store.pool import Pool
from testing.kits.journey import log_in, open_page
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]


class LateAsker:
    """Stands between a page and its server, and lets what parts of a page ask for arrive as late as it can.

    A part's request to be drawn anew can be under way while the server changes the page: the browser has not heard of
    the new page, and the server runs it already.
    """

    def __init__(self) -> None:
        self.asked: dict[str, bytes] = {}
        self.here = ""
        self.is_leaving = False
        self.n_late = 0

    def stand_between(self, browser: WebSocketRoute) -> None:
        """Pass everything on, and what the parts of the page that is left asked for once more, twice.

        Once when the next page begins, and once when its own first part is drawn.
        """
        server = browser.connect_to_server()

        def up(data: str | bytes) -> None:
            assert isinstance(data, bytes)
            rerun = BackMsg.FromString(data).rerun_script
            if rerun.fragment_id and rerun.is_auto_rerun and not self.is_leaving:
                self.asked[rerun.fragment_id] = data
            server.send(data)

        def down(data: str | bytes) -> None:
            assert isinstance(data, bytes)
            message = ForwardMsg.FromString(data)
            kind = message.WhichOneof("type")
            if kind == "new_session" and not message.metadata.run.fragment_ids:
                self.here = message.new_session.page_script_hash
            if self.is_leaving and kind in ("new_session", "auto_rerun"):
                for late in self.asked.values():
                    if page_of(late) != self.here:
                        self.n_late += 1
                        server.send(late)
            browser.send(data)

        browser.on_message(up)
        server.on_message(down)


def page_of(asked: bytes) -> str:
    return BackMsg.FromString(asked).rerun_script.page_script_hash


def test_what_the_page_that_is_left_asks_for_late_empties_no_page(
    page: Page, live_settings: Settings, pool: Pool, tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        profiles.insert_profile(tx, "Ada", channels=("a0", "a1"), rate_hz=200.0, consent=TEST_PERSON)
    asker, said = LateAsker(), []
    page.on("console", lambda message: said.append(message.text))
    page.route_web_socket(re.compile("/_stcore/stream"), asker.stand_between)
    with running(live_settings, tmp_path, ("api", "streamlit")):
        log_in(page, live_settings)
        open_page(page, "Connect")
        page.wait_for_timeout(5_000)  # until the path, and what else redraws itself there, has asked
        asker.asked = {key: one for key, one in asker.asked.items() if page_of(one) == asker.here}
        assert len(asker.asked) >= 2
        asker.is_leaving = True
        page.get_by_role("link", name=re.compile("^Record, ")).click()
        page.get_by_role("heading", name="Capture", exact=True).wait_for()
        page.wait_for_timeout(2_000)
        assert asker.n_late >= 4
        expect(page.get_by_role("heading", name="Capture", exact=True)).to_be_visible(timeout=1_000)
        expect(page.get_by_role("link", name=re.compile("^Record, "))).to_be_visible(timeout=1_000)
    assert [text for text in said if "Bad delta path" in text] == []
