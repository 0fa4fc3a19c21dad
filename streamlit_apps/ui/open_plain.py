"""The way to the plain view: on this screen, or on another one that watches."""

from __future__ import annotations

from urllib.parse import urlsplit

import streamlit as st

from semg.domain import Profile
from ui.runtime import App
from ui.text import md

PATH = "Realtime_Gesture_Recognition"
_LOCAL = ("localhost", "127.0.0.1", "::1")


def plain_address(app: App, user_id: int) -> str:
    """Return the address of a profile's plain view, as other devices reach it."""
    return f"{app.settings.app_url.rstrip('/')}/{PATH}?profile={user_id}&view=plain"


def open_plain(app: App, profile: Profile) -> None:
    """Offer the plain view here, and its address for a phone or a second screen."""
    here, elsewhere, _ = st.columns([1.3, 1.5, 3], vertical_alignment="center")
    here.page_link(
        "pages/6_Realtime_Gesture_Recognition.py",
        label="Plain view",
        icon=":material/fullscreen:",
        query_params={"profile": str(profile.user_id), "view": "plain"},
        help="The gesture and its phrase alone, large, for daily use",
    )
    with elsewhere.popover("Open on a phone", icon=":material/smartphone:", width="stretch"):
        if urlsplit(app.settings.app_url).hostname in _LOCAL:
            st.info(
                "Start the platform with `./start_all.sh --lan` first: at its present address only this computer "
                "reaches it."
            )
        st.markdown(
            md(
                "Open this address there and log in. Any account that **{name}** is shared with may watch; it can "
                "change nothing from there.",
                name=profile.name,
            )
        )
        st.code(plain_address(app, profile.user_id), language=None, wrap_lines=True)
