"""Running the parts of a page that redraw by themselves, without the page, as a browser's timer and clicks do."""

from __future__ import annotations

from typing import Any
from unittest.mock import patch

from streamlit.runtime.scriptrunner import RerunData
from streamlit.testing.v1 import AppTest


def run_parts(page: AppTest) -> AppTest:
    """Run every part of a page that redraws by itself; what was clicked in them takes effect."""
    parts = list(page._fragment_storage._fragments)
    assert parts, "nothing on this page redraws by itself"

    def only_parts(**values: Any) -> RerunData:
        return RerunData(**values, fragment_id_queue=parts)

    with patch("streamlit.testing.v1.local_script_runner.RerunData", only_parts):
        return page.run()
