"""The prompt of a running capture, shown by the server's clock."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from datetime import datetime
from pathlib import Path

import streamlit as st

from semg.domain import Session
from ui import palette

_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_capture_prompt",
    html='<div class="semg-prompt"></div>',
    css=(_FOLDER / "capture_prompt.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "capture_prompt.js").read_text(encoding="utf-8"),
)


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
            "descriptions": dict(descriptions),
        },
    )
