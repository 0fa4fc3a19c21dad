"""The chosen profile, the same on every page of one browser tab.

The address names it and wins; without one, the tab's own memory does. Nobody is shown in place of somebody else: an
address or a memory that names nobody whom the viewer may see, and several profiles of which none was chosen, lead to a
question.
"""

from __future__ import annotations

from collections.abc import Mapping

import streamlit as st
from streamlit.delta_generator import DeltaGenerator

from semg.domain import Profile
from ui import acts, chosen
from ui.page import empty
from ui.runtime import App
from ui.text import md, shown

_FIELD = "profile_choice"


def pick_profile(app: App) -> Profile:
    """Show the profiles beside the heading and return the chosen one; ask and stop the page while there is none."""
    with app.pool.transaction() as tx:
        known = app.people(tx)
    if not known:
        hint = "" if app.may_work else " None has been shared with you."
        empty(
            md(
                "**No profile yet.**{hint} A profile is a person together with the sensor that person wears.", hint=hint
            ),
            "pages/1_User_Management.py" if app.may_work else None,
            "Create the first profile",
        )
        st.stop()
    profile = find_profile(app, known, must=True)
    if profile is None:
        st.stop()
    return profile


def find_profile(app: App, people: list[Profile], *, must: bool = False) -> Profile | None:
    """Show the profiles beside the heading and return the chosen one, or None.

    Parameters
    ----------
    people
        Those whom the viewer may see.
    must
        Ask, in the middle of the page, while none is chosen.
    """
    known = {one.user_id: one for one in people}
    wanted = chosen.wanted()
    if len(known) == 1 and not chosen.is_named():
        wanted = next(iter(known))
    user_id = wanted if wanted in known else None
    acts.refuse_pressed(known, user_id)
    if user_id is not None:
        chosen.choose(user_id)
    elif chosen.is_named():
        chosen.forget()
        _say_refused()
        must = True
    if known:
        _field(_ask() if user_id is None and must else app.corner or st.container(), known, user_id)
    return None if user_id is None else known[user_id]


def _ask() -> DeltaGenerator:
    box = st.container(border=True)
    box.markdown("**Whose data? Choose a profile.**")
    return box


def _field(where: DeltaGenerator, known: Mapping[int, Profile], user_id: int | None) -> None:
    st.session_state[_FIELD] = user_id  # always: what the field keeps from another page must not name somebody else
    where.selectbox(
        "Profile",
        list(known),
        index=None if user_id is None else 0,
        placeholder="Choose a profile",
        format_func=lambda one: shown(known[one].name),
        key=_FIELD,
        on_change=_take,
        label_visibility="collapsed",
    )


def _take() -> None:
    """Take over what was chosen in the field, before the page is drawn: the address still names the one before."""
    chosen.choose(st.session_state.get(_FIELD))


def _say_refused() -> None:
    st.warning(
        "The selected profile, or the one in the address, no longer exists or is not shared with you. No other "
        "profile is shown in its place.",
        icon=":material/person_off:",
    )
