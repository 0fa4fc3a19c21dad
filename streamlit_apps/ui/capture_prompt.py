"""The prompt of a running capture, shown by the server's clock."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import streamlit as st

from semg.domain import Gesture, Session
from ui import gesture_pictures, palette
from ui.runtime import App
from ui.text import shown

_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_capture_prompt",
    html='<div class="semg-prompt"></div>',
    css=(_FOLDER / "capture_prompt.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "capture_prompt.js").read_text(encoding="utf-8"),
)
_pictures = st.components.v2.component(
    "semg_capture_pictures",
    html="<div hidden></div>",
    js=(_FOLDER / "capture_pictures.js").read_text(encoding="utf-8"),
)
MAX_PICTURES_BYTES = 32 << 20
"""Of all gestures together; what is beyond is prompted by its name alone."""


def send_pictures(app: App, bank: list[Gesture]) -> None:
    """Send the browser the pictures and videos of the gestures, once, before ``capture_prompt`` shows them.

    A gesture without one is shown by the hand that is drawn for its name.
    """
    sent: dict[str, tuple[str, str]] = {}
    room = MAX_PICTURES_BYTES
    for gesture in bank:
        found = gesture_pictures.find_picture(app, gesture)
        if found is not None and len(found[1]) <= room:
            room -= len(found[1])
            sent[gesture.name] = (found[0], base64.b64encode(found[1]).decode())
    _pictures(key="semg-pictures", data={"pictures": sent})


def capture_prompt(session: Session, descriptions: Mapping[str, str], gesture_names: list[str], now: datetime) -> None:
    """Show what to perform now, what comes next, and how far the plan is.

    Parameters
    ----------
    descriptions
        Of the gestures, by name.
    now
        The server's time, which the browser's clock is compared with.
    """
    _component(
        key=f"semg-prompt-{session.session_id}",
        data={
            "server_ms": now.timestamp() * 1000,
            "started_ms": session.started_at.timestamp() * 1000,
            "paused_s": session.plan.paused_s if session.plan else None,
            "steps": [asdict(step) for step in session.plan.steps] if session.plan else [],
            "gesture_colours": palette.gesture_colours(gesture_names),
            "descriptions": {name: shown(text) for name, text in descriptions.items()},
        },
    )
