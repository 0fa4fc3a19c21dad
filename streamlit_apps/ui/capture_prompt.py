"""The prompt of a running capture, shown by the server's clock."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Literal

import streamlit as st

from semg.domain import CapturePlan, Gesture, Session
from semg.languages import sentences, shown_descriptions, shown_names
from ui import gesture_pictures, palette
from ui.runtime import App
from ui.scripts import joined
from ui.text import shown

_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_capture_prompt",
    html='<div class="semg-prompt"></div>',
    css=(_FOLDER / "capture_prompt.css").read_text(encoding="utf-8"),
    js=joined(_FOLDER / "capture_prompt.js"),
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


def capture_prompt(
    session: Session,
    bank: Sequence[Gesture],
    language: str,
    now: datetime,
    view: Literal["page", "participant"] = "page",
) -> None:
    """Show what to perform now, what comes next, and how far the plan is.

    Parameters
    ----------
    language
        The profile's, in which the participant reads.
    now
        The server's time, which the browser's clock is compared with.
    view
        A part of a page, or the only content of a second screen.
    """
    plan = session.plan or CapturePlan(())
    prompt_plan(f"{view}-{session.session_id}", plan, session.started_at, bank, language, now, view)


def prompt_plan(
    key: str,
    plan: CapturePlan,
    started_at: datetime,
    bank: Sequence[Gesture],
    language: str,
    now: datetime,
    view: Literal["page", "participant"] = "page",
    **other_words: str,
) -> None:
    """Show a plan as ``capture_prompt`` does, of a session or not.

    Parameters
    ----------
    key
        Of what is shown; another one begins anew.
    other_words
        Take the place of sentences of the catalogue's room ``capture``.
    """
    _component(
        key=f"semg-prompt-{key}",
        data={
            "server_ms": now.timestamp() * 1000,
            "started_ms": started_at.timestamp() * 1000,
            "paused_s": plan.paused_s,
            "steps": [asdict(step) for step in plan.steps],
            "gesture_colours": palette.gesture_colours([one.name for one in bank]),
            "names": shown_names(bank, language),
            "once": [one.name for one in bank if one.kind == "dynamic"],
            "descriptions": {name: shown(text) for name, text in shown_descriptions(bank, language).items()},
            "words": sentences(language, "capture") | other_words,
            "view": view,
            "language": language,
        },
    )
