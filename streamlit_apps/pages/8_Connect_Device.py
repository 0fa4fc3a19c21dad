"""Connecting a device: waits for its first packet, shows what arrives, and mends what does not fit."""

from __future__ import annotations

import streamlit as st

from semg import clock
from ui import consent, simulated_arm, sources
from ui.arriving import look, show_arriving
from ui.connect_ways import show_board, show_command, show_phone
from ui.live_view import live_view
from ui.page import page, split
from ui.path_judgement import is_streaming
from ui.pick import pick_profile
from ui.text import md

with page("Connect", "The device of the selected person: what arrives from it, and whether it fits.") as app:
    profile = pick_profile(app)
    made = st.session_state.pop("created", None)
    with st.container():  # what redraws by itself below keeps its place when the note is gone
        if made is not None and made[0] == profile.user_id:
            st.success(
                md("**{name}** was created. Its device sends the userid **{number}**.", name=made[1], number=made[0]),
                icon=":material/check_circle:",
            )
    consent.warn(profile)
    show_arriving(app, profile.user_id)
    with app.pool.transaction() as tx:
        health = look(tx, profile, sources.read_known(app, tx), clock.utc_now()).health
    with st.container():
        if health.level != "silent":
            live_view(app, profile, [], has_model=False, compact=True, height_px=150)
    if app.may_work:
        st.subheader("Another device" if is_streaming(health) else "Ways to connect", anchor=False)
        easy, own = split("connect", [1, 1.25])
        with easy:
            if is_streaming(health):
                simulated_arm.show_mark(app, profile)
            else:
                simulated_arm.offer(app, profile)
            show_command(profile)
        with own, st.container(border=True):
            show_board(app, profile)
    show_phone(app, profile)
