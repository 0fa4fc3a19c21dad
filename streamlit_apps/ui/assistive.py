"""What Streamlit leaves out for people who use a keyboard or a screen reader, and the app's own keys."""

from __future__ import annotations

from pathlib import Path

import streamlit as st

from ui import shortcuts
from ui.runtime import App

_component = st.components.v2.component(
    "semg_assistive",
    html="<div hidden></div>",
    js=(Path(__file__).parent / "assistive.js").read_text(encoding="utf-8"),
)


def apply(app: App) -> None:
    """Name what has no name, mark the page that is open, and tell the page's pictures of the account's keys.

    A key of a picture reaches it as the event ``semg-key`` of the document. Streamlit's own single keys, which cannot
    be changed, are switched off.
    """
    _component(key="semg-assistive", data={"keys": shortcuts.keys_of(app.account).all()})
