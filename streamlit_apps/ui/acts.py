"""Buttons that write: each belongs to the person whom it named when it was drawn, and does nothing for another."""

from __future__ import annotations

import re
from collections.abc import Mapping

import streamlit as st
from streamlit.runtime.scriptrunner import get_script_run_ctx

from semg.domain import Profile
from ui.text import md

_OF = re.compile(r"-for-(\d+)$")


def key(what: str, user_id: int) -> str:
    """Return the key of a button that acts on a profile.

    A button of the same key and another person would be the same one for Streamlit: what was pressed while A was
    drawn would act on B, who was chosen since.
    """
    return f"{what}-for-{user_id}"


def pressed_for() -> set[int]:
    """Return the profiles whose buttons were pressed to cause this run, whether or not this run draws them."""
    context = get_script_run_ctx(suppress_warning=True)
    if context is None:
        return set()
    # Streamlit tells a page only of widgets that it draws; here are also those that the browser still showed.
    sent = context.session_state._state._new_widget_state.states
    found: set[int] = set()
    for widget_id, state in list(sent.items()):
        matched = _OF.search(widget_id)
        value = getattr(state, "value", None)  # as it was sent, or as the button read it before
        if matched is not None and (value is True or getattr(value, "trigger_value", False) is True):
            found.add(int(matched[1]))
    return found


def refuse_pressed(known: Mapping[int, Profile], chosen: int | None) -> None:
    """Say that nothing was done, where a button of somebody else than the chosen profile was pressed."""
    for user_id in sorted(pressed_for() - {chosen}):
        whose = known[user_id].name if user_id in known else f"profile {user_id}"
        now = f"{known[chosen].name} is now selected" if chosen is not None else "nobody is now selected"
        st.error(
            md(
                "Nothing was done: the button that was pressed was for **{whose}**, and {now}. Choose {whose} and "
                "press it again, if that is what you want.",
                whose=whose,
                now=now,
            ),
            icon=":material/person_alert:",
        )
