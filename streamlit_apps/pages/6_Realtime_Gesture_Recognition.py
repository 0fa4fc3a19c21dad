"""Signals and decisions as they come, what the gestures say, and how eager the decisions are."""

from __future__ import annotations

from functools import partial

import streamlit as st

from semg.domain import Profile
from semg.signals.training.training_report import TrainingReport
from semg.store import gestures, models
from ui import simulated_arm
from ui.decision_fields import decision_fields
from ui.event_fields import event_fields
from ui.gesture_pictures import picture_uris
from ui.live_view import live_view, plain_view
from ui.open_plain import open_plain
from ui.page import page
from ui.pick import pick_profile
from ui.report import show_verdict
from ui.runtime import App
from ui.stream_state import stream_state
from ui.teaching import store_taught
from ui.text import md


def show_state(app: App, profile: Profile, report: TrainingReport | None) -> None:
    """Say what the viewer has to know before the picture: no model, a bad one, how the stream is."""
    if report is None:
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.info(
            md(
                "{name} has no model yet: signals are shown, and gestures will appear after the first training job.",
                name=profile.name,
            )
        )
        if app.may_work:
            right.page_link("pages/4_Kickoff_Training.py", label="Train a model", icon=":material/arrow_forward:")
    elif report.level == "do not use":
        show_verdict(report)
    simulated_arm.show_mark(app, profile)
    stream_state(app, profile.user_id)


with page("Live") as app:
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        bank = gestures.list_gestures(tx, profile.user_id)
        model = models.find_active(tx, profile.user_id)
    report = None if model is None else TrainingReport.from_json(model.report)
    names, phrases = [one.name for one in bank], {one.name: one.phrase for one in bank if one.phrase}
    pictures = picture_uris(app, bank)
    if st.query_params.get("view") == "plain":
        plain_view(app, profile, bank, has_model=report is not None, phrases=phrases, pictures=pictures)
        st.stop()
    show_state(app, profile, report)
    view, beside = simulated_arm.beside(app, profile.user_id)
    with view:
        live_view(
            app,
            profile,
            names,
            has_model=report is not None,
            phrases=phrases,
            pictures=pictures,
            on_taught=partial(store_taught, app, profile.user_id) if app.may_work else None,
            height_px=230 if phrases else 320,
        )
        open_plain(app, profile)
    with beside:
        simulated_arm.steering(app, profile, bank)
    if report is not None and app.may_work:
        decision_fields(app, profile, report)
        event_fields(app, profile)
