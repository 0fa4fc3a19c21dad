"""Starting a training: which sessions and repetitions, which classifier, when."""

from __future__ import annotations

from collections.abc import Sequence

import streamlit as st

from semg.commands import training_jobs
from semg.domain import Profile
from semg.store import gestures, session_summaries
from semg.store.session_quality import list_quality
from semg.store.session_summaries import SessionSummary
from ui import acts, errors
from ui.going import go
from ui.page import empty, flash, page, split
from ui.pick import pick_profile
from ui.runtime import App
from ui.text import md
from ui.training_data import check, choose_sessions, look_into
from ui.training_options import KINDS, options_fields, when_fields

JOBS_PAGE = "pages/5_Training_Jobs_Status.py"


def show(app: App, profile: Profile, summaries: Sequence[SessionSummary]) -> None:
    """Show the choices, and start the training."""
    with app.pool.transaction() as tx:
        qualities = list_quality(tx, [summary.session.session_id for summary in summaries])
        bank = gestures.list_gestures(tx, profile.user_id)
    left, right = split("training", [1.6, 1])
    with left:
        st.subheader(md("{name}'s data", name=profile.name), anchor=False)
        chosen = choose_sessions(summaries, qualities)
    with right:
        st.subheader("Training data", anchor=False)
        if chosen:
            check(chosen, qualities)
        else:
            st.info("Choose at least one session.")
        used = ", ".join(profile.channels_used) if profile.channels_used else "all channels"
        st.caption(md("Channels: {used} (page Gestures)", used=used))
    if app.may_work:
        with left:
            _start(app, profile, chosen)
    look_into(app, profile, summaries, bank)


def _start(app: App, profile: Profile, chosen: Sequence[SessionSummary]) -> None:
    """Show what is trained and when, and the button that puts it into the queue."""
    st.subheader("Classifier", anchor=False)
    kind = st.selectbox(
        "Classifier", list(KINDS), format_func=KINDS.__getitem__, key="kind", label_visibility="collapsed"
    )
    options = options_fields(kind)
    scheduled_at = when_fields()
    if st.button(
        md("Start training for {name}", name=profile.name),
        type="primary",
        icon=":material/play_arrow:",
        disabled=not chosen,
        key=acts.key("start", profile.user_id),
    ):
        with errors.attempt():
            ids = [summary.session.session_id for summary in chosen]
            with app.pool.transaction() as tx:
                training_jobs.create_job(tx, app, profile.user_id, ids, kind, options, scheduled_at)
            flash("Training job queued")
            go(JOBS_PAGE)


with page("Train", "Train a model on recorded sessions. It is tested on held-out data.") as app:
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        found = [
            one for one in session_summaries.list_summaries(tx, profile.user_id) if one.session.status != "recording"
        ]
    if found:
        show(app, profile, found)
    else:
        empty(
            md(
                "**{name} has no recorded sessions yet.** A model needs several repetitions of every gesture.",
                name=profile.name,
            ),
            "pages/3_Training_Data_Capture.py",
            "Record a session",
        )
