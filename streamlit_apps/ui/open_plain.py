"""The way to the plain view: on this screen, or on another one that watches."""

from __future__ import annotations

from urllib.parse import urlsplit

import segno
import streamlit as st

from semg.domain import Profile
from ui.runtime import App
from ui.text import markup, md, shown

PATH = "Realtime_Gesture_Recognition"
_LOCAL = ("localhost", "127.0.0.1", "::1")


def plain_address(app: App, user_id: int) -> str:
    """Return the address of a profile's plain view, as other devices reach it."""
    return f"{app.settings.app_url.rstrip('/')}/{PATH}?profile={user_id}&view=plain"


def open_plain(app: App, profile: Profile) -> None:
    """Offer the plain view here, and its address for a phone or a second screen."""
    row = st.container(horizontal=True, vertical_alignment="center", gap="small")
    row.page_link(
        "pages/6_Realtime_Gesture_Recognition.py",
        label="Plain view",
        icon=":material/fullscreen:",
        query_params={"profile": str(profile.user_id), "view": "plain"},
        width="content",
        help="The gesture and its phrase alone, large, for daily use",
    )
    address = plain_address(app, profile.user_id)
    with row.popover("Open on a phone", icon=":material/smartphone:"):
        if urlsplit(app.settings.app_url).hostname in _LOCAL:
            st.info(
                "Start the platform with `./start_all.sh --lan` first: at its present address only this computer "
                "reaches it."
            )
        st.markdown(
            md(
                "Scan this with the phone's camera, or open the address there, and log in. Any account that "
                "**{name}** is shared with may watch; it can change nothing from there.",
                name=profile.name,
            )
        )
        st.html(
            markup(
                '<img src="{picture}" width="180" height="180" alt="QR code of the address below">',
                picture=segno.make(address, error="m").svg_data_uri(scale=4, border=2),
            )
        )
        st.code(shown(address), language=None, wrap_lines=True)
