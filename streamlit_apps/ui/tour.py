"""A short tour of the app: shown to a new account on *Overview*, to be skipped, and called again from the sidebar.

It runs in the browser alone, which remembers for each account that it was skipped or seen to its end.
"""

from __future__ import annotations

import time
from pathlib import Path

import streamlit as st

from ui.runtime import App

_CALLED = "tour-called"
_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_tour",
    html='<div class="semg-tour" hidden></div>',
    css=(_FOLDER / "tour.css").read_text(encoding="utf-8"),
    js=(_FOLDER / "tour.js").read_text(encoding="utf-8"),
)
STEPS = (
    (
        "Your own gestures, recognised live",
        "Six steps lead there: Person, Device, Gestures, Record, Train, Live. They stand at the top of every page with "
        "what is missing and one button that leads on. With a simulated arm it takes minutes, without hardware.",
    ),
    (
        "Person",
        "A profile is a person together with the sensor that this person wears. Nothing is recorded without consent. "
        "The field beside the heading says whose data you work with, on every page.",
    ),
    (
        "Device",
        "Connect waits for the first packet, shows what arrives, and sets what does not fit with one button. Use a "
        "simulated arm, or download the finished sketch for a board of your own.",
    ),
    ("Gestures", "Take a ready-made bank or name your own gestures, with a picture and a phrase to be spoken."),
    (
        "Record",
        "Capture prompts each gesture several times while it records. The quick plan takes two minutes. The plan runs "
        "on the server: reloading the page changes nothing.",
    ),
    (
        "Train",
        "One button trains a model for this person alone, and tests it on what it has not seen. A verdict in plain "
        "words says whether it is good enough.",
    ),
    (
        "Live",
        "Perform a gesture and see it recognised. Review shows every recording with its labels; this tour is in the "
        "menu on the left.",
    ),
)


def show_tour(app: App, *, first: bool) -> None:
    """Show the tour where it was called, and on the ``first`` page to an account that has not seen it."""
    called = st.session_state.get(_CALLED, 0)
    if app.account is None or not (first or called):
        return
    _component(
        key="semg-tour",
        data={
            "account": app.account.account_id,
            "steps": [{"title": title, "text": text} for title, text in STEPS],
            "called_ms": called,
            "first": first,
        },
    )


def call_again() -> None:
    """Show the tour from its beginning, at this run of the page and on the pages that are opened meanwhile."""
    st.session_state[_CALLED] = int(time.time() * 1000)
