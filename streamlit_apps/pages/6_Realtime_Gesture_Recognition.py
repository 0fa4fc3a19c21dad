"""Signals and decisions as they come, what the gestures say, and how eager the decisions are."""

from __future__ import annotations

import streamlit as st

from semg.signals.training.training_report import TrainingReport
from semg.store import gestures, models
from ui import simulated_arm
from ui.decision_fields import decision_fields
from ui.live_view import live_view
from ui.page import page
from ui.pick import pick_profile
from ui.report import show_verdict
from ui.stream_state import stream_state
from ui.text import md

with page("Live") as app:
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        bank = gestures.list_gestures(tx, profile.user_id)
        model = models.find_active(tx, profile.user_id)
    report = None if model is None else TrainingReport.from_json(model.report)
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
    simulated_arm.badge(app, profile)
    stream_state(app, profile.user_id)
    phrases = {one.name: one.phrase for one in bank if one.phrase}
    live_view(
        app,
        profile,
        [one.name for one in bank],
        has_model=report is not None,
        phrases=phrases,
        height_px=250 if phrases else 340,
    )
    simulated_arm.steering(app, profile, bank)
    if report is not None and app.may_work:
        decision_fields(app, profile, report)
