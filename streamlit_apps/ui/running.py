"""Captures that run: shown on every page, because leaving the page Capture does not end them."""

from __future__ import annotations

import streamlit as st

from semg.store.running_captures import list_running
from ui import chosen
from ui.fragments import live_overview
from ui.runtime import App
from ui.text import md

CAPTURE_PAGE = "pages/3_Training_Data_Capture.py"
SHOWN = 5


def show_running_captures(app: App, *, but_chosen: bool) -> None:
    """Show whose captures run now, each with the way back to it.

    Parameters
    ----------
    but_chosen
        Whether the page itself shows the capture of the chosen profile.
    """
    but: int | None = None
    with app.pool.transaction() as tx:
        found = {one.user_id for one in list_running(tx)}
        if found and but_chosen:
            people = app.people(tx)
            but = people[0].user_id if len(people) == 1 and not chosen.is_named() else chosen.wanted()
    if found - {but}:  # a page without any redraws nothing
        st.session_state["running-but"] = but
        _show(app)


@live_overview(2.0)
def _show(app: App) -> None:
    with app.pool.transaction() as tx:
        recording = {one.user_id: one for one in list_running(tx)}
        people = [one for one in app.people(tx) if one.user_id in recording] if recording else []
    for person in [one for one in people if one.user_id != st.session_state.get("running-but")][:SHOWN]:
        said, way = st.columns([4, 1], vertical_alignment="center")
        session = recording[person.user_id]
        if session.paused:
            text = md(
                ":material/pause: The recording of **{name}** is paused: {session}.",
                name=person.name,
                session=session.name,
            )
        else:
            text = md(
                ":material/fiber_manual_record: **{name}** is being recorded: {session}. It continues while you "
                "are on other pages.",
                name=person.name,
                session=session.name,
            )
        said.markdown(text)
        way.page_link(
            CAPTURE_PAGE,
            label="Back to the capture",
            icon=":material/arrow_forward:",
            query_params={"profile": str(person.user_id)},
        )
