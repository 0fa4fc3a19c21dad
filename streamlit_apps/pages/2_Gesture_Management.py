"""The gesture bank of a profile, and the channels that are used for it."""

from __future__ import annotations

import streamlit as st

from semg.commands.profile_changes import change_profile
from semg.domain import Profile
from semg.store import gestures, repetitions
from semg.words import counted
from ui import acts, errors
from ui.banks import BANKS, add_bank, begin
from ui.gesture_edit import PHRASE_HELP, edit_opened, kind_field
from ui.gesture_list import gesture_list
from ui.gesture_pictures import drawn_uri
from ui.page import flash, page, split
from ui.pick import pick_profile
from ui.runtime import App
from ui.text import joined, markup, md, shown


def add(app: App, profile: Profile) -> None:
    """Show the three ways to add gestures."""
    with st.form("add-gesture", clear_on_submit=True):
        st.markdown("**Add a gesture**")
        name = st.text_input("Name", key="new-name", max_chars=100, placeholder="e.g. fist")
        text = st.text_input("Description", key="new-text", placeholder="How to perform it; shown with the prompt")
        phrase = st.text_input(
            "Phrase", key="new-phrase", max_chars=200, placeholder="e.g. Yes, please", help=PHRASE_HELP
        )
        kind = kind_field("new-kind")
        label, number = md("Add to {name}", name=profile.name), profile.user_id
        if st.form_submit_button(label, type="primary", icon=":material/add:", key=acts.key("add", number)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    begin(app, tx, profile.user_id)
                    gestures.insert_gesture(tx, profile.user_id, name, text, phrase, kind)
                flash(md("{name} added", name=name))
                st.rerun()
    with st.container(border=True):
        st.markdown("**Add a ready-made bank**")
        chosen = st.selectbox("Bank", list(BANKS), key="ready-made", label_visibility="collapsed")
        show_bank(chosen)
        if st.button(md("Add these to {name}", name=profile.name), key=acts.key("add-ready-made", profile.user_id)):
            with errors.attempt():
                n = add_bank(app, profile, chosen)
                flash(md("{n} added", n=counted(n, "gesture")))
                st.rerun()
    copy(app, profile)


def show_bank(chosen: str) -> None:
    """Show the gestures of a ready-made bank by their pictures."""
    st.html(
        joined(
            markup(
                '<figure style="display:inline-block;width:72px;margin:0 .5rem .4rem 0;vertical-align:top;'
                'text-align:center;font-size:.78rem;line-height:1.2;color:#51606c">'
                '<img alt="" src="{uri}" width="72" height="72"><figcaption>{name}</figcaption></figure>',
                uri=drawn_uri(name) or "",
                name=name,
            )
            for name in BANKS[chosen]
        )
    )


def copy(app: App, profile: Profile) -> None:
    """Offer to take over another profile's bank."""
    with app.pool.transaction() as tx:
        others = {one.user_id: one.name for one in app.people(tx) if one.user_id != profile.user_id}
    if not others:
        return
    with st.container(border=True):
        st.markdown("**Copy from another profile**")
        source = st.selectbox("From", list(others), format_func=lambda one: shown(others[one]), key="copy-from")
        label = md("Copy its gestures to {name}", name=profile.name)
        if st.button(label, key=acts.key("copy", profile.user_id)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    app.require(tx, source, "see")
                    begin(app, tx, profile.user_id)
                    n = gestures.copy_bank(tx, source, profile.user_id)
                said = md("{n} copied", n=counted(n, "gesture"))
                flash(said if n else "Nothing to copy: the bank already has them all")
                st.rerun()


def channels(app: App, profile: Profile) -> None:
    """Let the channels be chosen that gestures are recognised from."""
    with st.form("channels-used"):
        st.markdown("**Channels used**")
        chosen = st.multiselect(
            "Channels",
            list(profile.device.channels),
            list(profile.channels_used or profile.device.channels),
            format_func=shown,
            label_visibility="collapsed",
            key=f"channels-{profile.user_id}",
        )
        st.caption("All channels are recorded; the next model is trained on these.")
        purposes = st.data_editor(
            [{"Channel": one, "Purpose": profile.channel_purposes.get(one, "")} for one in profile.device.channels],
            hide_index=True,
            width="stretch",
            disabled=["Channel"],
            column_config={"Purpose": st.column_config.TextColumn(max_chars=200, help="Which muscle, which position")},
            key=f"purposes-{profile.user_id}",
        )
        label = md("Save for {name}", name=profile.name)
        if st.form_submit_button(label, key=acts.key("channels", profile.user_id)):
            with errors.attempt():
                used = None if set(chosen) == set(profile.device.channels) else chosen
                with app.pool.transaction() as tx:
                    change_profile(
                        tx,
                        app,
                        profile.user_id,
                        channels_used=used,
                        channel_purposes={row["Channel"]: row["Purpose"] or "" for row in purposes},
                    )
                flash("Channels saved")
                st.rerun()


with page("Gestures", "The gestures to recognise, in the order in which they are shown.") as app:
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        known = gestures.list_gestures(tx, profile.user_id)
        n_repetitions = repetitions.count_by_gesture(tx, profile.user_id)
    left, right = split("gestures", [1.7, 1])
    with left:
        st.subheader(md("Gestures of {name}", name=profile.name), anchor=False)
        if len(known) == 1:
            how = " Add gestures on the right, or use a ready-made bank." if app.may_work else ""
            st.info(md("Only rest so far.{how}", how=how))
        gesture_list(app, profile, known, n_repetitions)
        if len(known) > 1 and app.may_work:
            st.page_link("pages/3_Training_Data_Capture.py", label="Record them", icon=":material/arrow_forward:")
    if app.may_work:
        edit_opened(app, profile, known, n_repetitions)
        with right:
            add(app, profile)
            channels(app, profile)
