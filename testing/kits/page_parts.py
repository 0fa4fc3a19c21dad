"""Running the parts of a page that redraw by themselves, without the page, as a browser's timer and clicks do."""

from __future__ import annotations

from html.parser import HTMLParser
from typing import Any
from unittest.mock import patch

from streamlit.runtime.scriptrunner import RerunData
from streamlit.testing.v1 import AppTest

MENU_BUTTONS = ["Show the tour", "Keyboard shortcuts", "Log out"]
"""What stands in the menu of every page, for everybody."""


def run_parts(page: AppTest) -> AppTest:
    """Run every part of a page that redraws by itself; what was clicked in them takes effect."""
    parts = list(page._fragment_storage._fragments)
    assert parts, "nothing on this page redraws by itself"

    def only_parts(**values: Any) -> RerunData:
        return RerunData(**values, fragment_id_queue=parts)

    # Streamlit's tests know the pages of an app only where the whole page runs.
    known = dict(page._registered_pages)
    with (
        patch("streamlit.testing.v1.local_script_runner.RerunData", only_parts),
        patch("streamlit.runtime.pages_manager.PagesManager.get_pages", lambda self: known),
    ):
        return page.run()


class _Cells(HTMLParser):
    """Reads the cells of tables."""

    def __init__(self) -> None:
        super().__init__()
        self.columns: list[str] = []
        self.cells: list[str] = []
        self.into: list[str] | None = None

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.into = {"th": self.columns, "td": self.cells}.get(tag)
        if self.into is not None:
            self.into.append("")

    def handle_endtag(self, tag: str) -> None:
        if tag in ("th", "td"):
            self.into = None

    def handle_data(self, data: str) -> None:
        if self.into is not None:
            self.into[-1] += data


def table_rows(page: AppTest) -> list[dict[str, str]]:
    """The rows of the page's first table that is no grid, by column."""
    body = next(one.body for one in page.html if "semg-table" in one.body)
    read = _Cells()
    read.feed("".join(letter for letter in body if letter not in "\u2068\u2069"))
    n = len(read.columns)
    return [
        dict(zip(read.columns, read.cells[first : first + n], strict=True)) for first in range(0, len(read.cells), n)
    ]
