"""Choosing a profile, the same on every page."""

from __future__ import annotations

import streamlit as st

from semg.domain import Profile
from ui.page import empty
from ui.runtime import App
from ui.text import md, shown

CHOSEN, _WIDGET = "profile_id", "profile_choice"


def pick_profile(app: App, preferred: int | None = None) -> Profile:
    """Show the profiles beside the heading and give the chosen one; without any, say what to do and stop the page.

    The choice is kept from page to page, and in the address, so that it survives a reload.

    Parameters
    ----------
    preferred
        The profile to begin with when none was chosen yet.
    """
    with app.pool.transaction() as tx:
        known = {profile.user_id: profile for profile in app.people(tx)}
    if not known:
        empty(
            md("**No profile yet.** A profile is a person with the sensor that the person wears."),
            "pages/1_User_Management.py",
            "Create the first profile",
        )
        st.stop()
    chosen = _first_of(known, st.session_state.get(CHOSEN), st.query_params.get("profile"), preferred)
    ids = list(known)
    if st.session_state.get(_WIDGET) not in known:
        st.session_state.pop(_WIDGET, None)
    user_id = (app.corner or st).selectbox(
        "Profile",
        ids,
        index=ids.index(chosen),
        format_func=lambda one: shown(known[one].name),
        key=_WIDGET,
        label_visibility="collapsed",
    )
    st.session_state[CHOSEN] = user_id
    st.query_params["profile"] = str(user_id)
    return known[user_id]


def _first_of(known: dict[int, Profile], *wishes: object) -> int:
    """Give the first wish that is a profile, else the first profile."""
    for wish in wishes:
        text = str(wish)
        if text.isdecimal() and int(text) in known:
            return int(text)
    return next(iter(known))
