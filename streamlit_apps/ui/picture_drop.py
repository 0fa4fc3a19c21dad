"""A picture in one step: dropped, pasted from the clipboard, chosen, or taken with the webcam."""

from __future__ import annotations

import base64
import binascii
from pathlib import Path

import streamlit as st

from semg.errors import InvalidValueError
from ui.scripts import joined

MAX_BYTES = 640_000
"""Of a picture that the browser has drawn anew; with base64 it keeps below what the gate takes as one message."""
_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_picture_drop",
    html='<div class="semg-drop"></div>',
    css=(_FOLDER / "picture_drop.css").read_text(encoding="utf-8"),
    js=joined(_FOLDER / "picture_drop.js"),
)


def picture_drop(key: str, answer: int) -> object:
    """Show where a picture can be dropped, and return what the browser sent in this run, or None.

    Parameters
    ----------
    answer
        Another number tells the browser that what it sent was taken.
    """
    sent = _component(
        key=key, data={"most_bytes": MAX_BYTES, "answer": answer}, on_picture_change=lambda: None
    )  # fmt: skip
    return getattr(sent, "picture", None)


def content_of(sent: object) -> bytes:
    """Return the bytes of a picture that a browser sent; what they are is for ``check_prompt`` to say.

    Raises
    ------
    InvalidValueError
        It is no base64, or too long.
    """
    text = sent.get("content") if isinstance(sent, dict) else None
    if not isinstance(text, str) or not text or len(text) > MAX_BYTES * 4 // 3 + 4:
        raise InvalidValueError("prompt", f"send a picture of at most {MAX_BYTES:,} bytes")
    try:
        return base64.b64decode(text, validate=True)
    except (binascii.Error, ValueError) as exc:
        raise InvalidValueError("prompt", "send the picture again: it arrived damaged") from exc
