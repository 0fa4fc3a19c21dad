"""The gesture bank of a profile, and the channels that are used for it."""

from __future__ import annotations

from collections import Counter

import streamlit as st

from semg.domain import REST, Gesture, Profile
from semg.store import gestures, profiles, repetitions, sessions
from semg.store.audit import record
from semg.store.pool import Transaction
from semg.words import counted
from ui import acts, audit_view, errors, palette, prompts
from ui.banks import BANKS
from ui.page import flash, page, split
from ui.pick import pick_profile
from ui.runtime import App
from ui.text import markup, md, plain, shown

PHRASE_HELP = "The Live page shows it in large type when the gesture is recognised, and can speak it."


def bank(app: App, profile: Profile, known: list[Gesture], counts: Counter[str]) -> None:
    """Show the gestures in their order, each with what can be done to it."""
    colours = palette.gesture_colours([gesture.name for gesture in known])
    for index, gesture in enumerate(known):
        with st.container(border=True):
            text, up, down, change = st.columns([7, 0.75, 0.75, 1.9], vertical_alignment="center")
            prompt = prompts.picture_of(app, gesture)
            n = counts[gesture.name]
            recorded = f" · {n} repetition{'s' if n != 1 else ''}" if n else ""
            description = gesture.description or ("always included" if gesture.name == REST else "no description")
            phrase = markup('<br><span style="color:#0b6e8f">says “{phrase}”</span>', phrase=gesture.phrase)
            text.html(
                markup(
                    '<div style="display:flex;gap:.8rem;align-items:center">{prompt}<div>'
                    '<span style="display:inline-block;width:.8rem;height:.8rem;border-radius:.2rem;'
                    'background:{colour};margin-right:.6rem"></span>'
                    "<b>{name}</b> "
                    '<span style="color:#51606c">— {description}{recorded}</span>{phrase}</div></div>',
                    prompt=prompt,
                    colour=colours[gesture.name],
                    name=gesture.name,
                    description=description,
                    recorded=recorded,
                    phrase=phrase if gesture.phrase else "",
                )
            )
            up_key, down_key = (acts.key(f"{way}-{gesture.gesture_id}", profile.user_id) for way in ("up", "down"))
            if not app.may_work:
                continue
            if up.button("", icon=":material/arrow_upward:", key=up_key, help="Move up", disabled=index == 0):
                move(app, profile, known, index, index - 1)
            last = index == len(known) - 1
            if down.button("", icon=":material/arrow_downward:", key=down_key, help="Move down", disabled=last):
                move(app, profile, known, index, index + 1)
            with change.popover("Edit", width="stretch"):
                edit(app, profile, gesture, n)


def move(app: App, profile: Profile, known: list[Gesture], index: int, to: int) -> None:
    """Put a gesture in another place of the order."""
    ids = [gesture.gesture_id for gesture in known]
    ids.insert(to, ids.pop(index))
    with errors.attempt():
        with app.pool.transaction() as tx:
            _begin(app, tx, profile.user_id)
            gestures.reorder_gestures(tx, profile.user_id, ids)
        st.rerun()


def edit(app: App, profile: Profile, gesture: Gesture, n_repetitions: int) -> None:
    """Show a gesture's fields, and what deleting it would take away."""
    number = gesture.gesture_id
    with st.form(f"gesture-{number}", border=False):
        name = st.text_input("Name", gesture.name, disabled=gesture.name == REST, max_chars=100, key=f"name-{number}")
        text = st.text_area("Description, shown with the prompt", gesture.description, key=f"text-{number}")
        phrase = ""
        if gesture.name != REST:
            phrase = st.text_input("Phrase", gesture.phrase, max_chars=200, key=f"phrase-{number}", help=PHRASE_HELP)
        label = md("Save for {name}", name=profile.name)
        if st.form_submit_button(label, type="primary", key=acts.key(f"save-{number}", profile.user_id)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    _begin(app, tx, gesture.user_id)
                    gestures.update_gesture(tx, number, name=name, description=text, phrase=phrase)
                flash(md("{name} saved", name=name))
                st.rerun()
    prompts.edit_prompt(app, gesture)
    if gesture.name == REST:
        st.caption("Rest is part of every bank: without it, every moment would count as a gesture.")
        return
    what = "Delete {gesture} of {name}"
    if n_repetitions:
        what = "Delete {gesture} of {name}: the labels of {n} will be lost"
    sure = st.checkbox(
        md(what, gesture=gesture.name, name=profile.name, n=counted(n_repetitions, "recorded repetition")),
        key=f"sure-{number}-{n_repetitions}",
    )
    if st.button("Delete", icon=":material/delete:", key=acts.key(f"delete-{number}", profile.user_id),
                 disabled=not sure):  # fmt: skip
        with errors.attempt():
            with app.pool.transaction() as tx:
                _begin(app, tx, gesture.user_id)
                gestures.delete_gesture(tx, number, force=bool(n_repetitions))
            flash(md("{name} deleted", name=gesture.name))
            st.rerun()


def add(app: App, profile: Profile) -> None:
    """Show the three ways to add gestures."""
    with st.form("add-gesture", clear_on_submit=True):
        st.markdown("**Add a gesture**")
        name = st.text_input("Name", key="new-name", max_chars=100, placeholder="e.g. fist")
        text = st.text_input("Description", key="new-text", placeholder="How to perform it; shown with the prompt")
        phrase = st.text_input(
            "Phrase", key="new-phrase", max_chars=200, placeholder="e.g. Yes, please", help=PHRASE_HELP
        )
        label, number = md("Add to {name}", name=profile.name), profile.user_id
        if st.form_submit_button(label, type="primary", icon=":material/add:", key=acts.key("add", number)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    _begin(app, tx, profile.user_id)
                    gestures.insert_gesture(tx, profile.user_id, name, text, phrase)
                flash(md("{name} added", name=name))
                st.rerun()
    with st.container(border=True):
        st.markdown("**Add a ready-made bank**")
        chosen = st.selectbox("Bank", list(BANKS), key="ready-made", label_visibility="collapsed")
        st.caption(plain(", ".join(name for name, _, _ in BANKS[chosen])))
        if st.button(md("Add these to {name}", name=profile.name), key=acts.key("add-ready-made", profile.user_id)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    _begin(app, tx, profile.user_id)
                    there = {gesture.name for gesture in gestures.list_gestures(tx, profile.user_id)}
                    missing = [one for one in BANKS[chosen] if one[0] not in there]
                    for name, text, phrase in missing:
                        gestures.insert_gesture(tx, profile.user_id, name, text, phrase)
                flash(md("{n} gestures added", n=len(missing)))
                st.rerun()
    copy(app, profile)


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
                    _begin(app, tx, profile.user_id)
                    n = gestures.copy_bank(tx, source, profile.user_id)
                flash(md("{n} gestures copied", n=n) if n else "Nothing to copy: the bank already has them all")
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
                    app.require(tx, profile.user_id, "work")
                    profiles.update_profile(
                        tx,
                        profile.user_id,
                        channels_used=used,
                        channel_purposes={row["Channel"]: row["Purpose"] or "" for row in purposes},
                    )
                    record(tx, audit_view.actor(app), "profile.changed", profile.user_id)
                flash("Channels saved")
                st.rerun()


def _begin(app: App, tx: Transaction, user_id: int) -> None:
    """Begin a change of a profile's bank: refuse who may not, and write it down."""
    app.require(tx, user_id, "work")
    record(tx, audit_view.actor(app), "gestures.changed", user_id)


with page("Gestures", "The gestures to recognise, in the order in which they are shown.") as app:
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        known = gestures.list_gestures(tx, profile.user_id)
        ids = [session.session_id for session in sessions.list_sessions(tx, profile.user_id)]
        found = repetitions.count_gestures(tx, ids)
    n_repetitions: Counter[str] = Counter()
    for counts in found.values():
        for count in counts:
            n_repetitions[count.gesture] += count.repetitions + count.excluded
    left, right = split("gestures", [1.7, 1])
    with left:
        st.subheader(md("Gestures of {name}", name=profile.name), anchor=False)
        if len(known) == 1:
            how = " Add gestures on the right, or use a ready-made bank." if app.may_work else ""
            st.info(md("Only rest so far.{how}", how=how))
        bank(app, profile, known, n_repetitions)
        if len(known) > 1 and app.may_work:
            st.page_link("pages/3_Training_Data_Capture.py", label="Record them", icon=":material/arrow_forward:")
    if app.may_work:
        with right:
            add(app, profile)
            channels(app, profile)
