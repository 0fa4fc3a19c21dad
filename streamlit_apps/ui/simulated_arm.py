"""The simulated arm on the pages: the button that starts one, and the panel that steers it."""

from __future__ import annotations

import streamlit as st

from semg.domain import Profile
from semg.security.keys import ring_of
from semg.simulation import arms
from semg.store import boards, services, simulated_arms
from ui import acts, audit_view, errors
from ui.page import flash
from ui.runtime import App
from ui.text import md

SERVICE = "simulator"


def offer(app: App, profile: Profile) -> None:
    """Show the button that lets a simulated arm send for a profile; while one does already, why nothing comes yet.

    Where a board is assigned to the profile, the button asks first. Nothing is shown to an account that may not work.
    """
    with app.pool.transaction() as tx:
        arm = simulated_arms.find_arm(tx, profile.user_id)
        names = [one.name for one in boards.list_boards(tx) if one.user_id == profile.user_id]
        runs = any(one.service == SERVICE for one in services.list_services(tx))
    if arm is not None:
        _show_starting(runs)
    elif app.may_work:
        _show_button(app, profile, names[0] if names else None)


def _show_starting(runs: bool) -> None:
    if runs:
        st.caption(":material/smart_toy: The simulated arm is starting; its signals come within seconds.")
    else:
        st.warning(
            "Start the service simulator with ./start_all.sh: a simulated arm is assigned, but nothing sends for it.",
            icon=":material/smart_toy:",
        )


def _show_button(app: App, profile: Profile, board_name: str | None) -> None:
    label = md("Use a simulated arm for {name}", name=profile.name)
    about = "No hardware needed: a virtual wearer sends signals, and performs what the plan prompts."
    if board_name is None:
        if st.button(label, key=acts.key("simulate", profile.user_id), icon=":material/smart_toy:", help=about):
            _start(app, profile)
        return
    with st.popover(label, icon=":material/smart_toy:", help=about):
        st.markdown(
            md(
                "The board **{board}** is assigned to {name}. It is set aside while the simulated arm is used, and "
                "assigned again when that stops.",
                board=board_name,
                name=profile.name,
            )
        )
        sure = md("Set {board} aside and use the simulated arm", board=board_name)
        if st.button(sure, key=acts.key("simulate-instead", profile.user_id), type="primary"):
            _start(app, profile)


def _start(app: App, profile: Profile) -> None:
    with errors.attempt():
        with app.pool.transaction() as tx:
            app.require(tx, profile.user_id, "work")
            most = app.settings.simulated_arms_max
            arms.start(tx, ring_of(app.settings), profile.user_id, audit_view.actor(app), most)
        flash(md("A simulated arm now sends for {name}", name=profile.name))
        st.rerun()
