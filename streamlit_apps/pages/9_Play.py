"""Measured play: a tapping task and a reaction test that are steered by gestures, and how the results develop."""

from __future__ import annotations

import streamlit as st

from semg.languages import shown_names
from semg.play.played import PlayKind
from semg.signals.training.training_report import TrainingReport
from semg.store import gestures, models, simulated_arms
from ui import simulated_arm
from ui.gesture_pictures import picture_uris
from ui.page import empty, page, split
from ui.pick import pick_profile
from ui.play_results import show_results
from ui.play_settings import fitts_settings, playable, reaction_settings
from ui.play_view import play_view
from ui.text import md, plain

KINDS: dict[PlayKind, str] = {"fitts": "Fitts’ law", "reaction": "Reaction"}
CAPTIONS: dict[PlayKind, str] = {
    "fitts": "Steer the cursor to the marked target, again and again: how many bits a second do the gestures carry?",
    "reaction": "Perform the gesture that is shown: how long until it is recognised? Latency is included.",
}

with page("Play") as app:
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        bank = gestures.list_gestures(tx, profile.user_id)
        model = models.find_active(tx, profile.user_id)
    kind = st.segmented_control(
        "Test", list(KINDS), default="fitts", required=True, format_func=KINDS.__getitem__, key="play-kind",
        label_visibility="collapsed",
    )  # fmt: skip
    st.caption(plain(CAPTIONS[kind]))
    simulated_arm.show_mark(app, profile)
    names = [] if model is None else playable([one.name for one in bank], TrainingReport.from_json(model.report))
    if model is None:
        empty(
            md("**No model yet.** {name} needs one before gestures can steer anything.", name=profile.name),
            "pages/4_Kickoff_Training.py" if app.may_work else None,
            "Train a model",
        )
    else:
        settings, problem = (fitts_settings if kind == "fitts" else reaction_settings)(profile, names)
        if problem:
            st.warning(plain(problem), icon=":material/tune:")
        if not app.may_work:
            st.caption("This account has read-only access: it can play, and nothing is stored.")
        with app.pool.transaction() as tx:
            is_simulated = simulated_arms.find_arm(tx, profile.user_id) is not None
        stage, beside = split("play", (2.6, 1)) if is_simulated else (st.container(), None)
        with stage:
            called, pictures = shown_names(bank, profile.language), picture_uris(app, bank)
            play_view(app, profile, kind, settings, is_ready=not problem, names=called, pictures=pictures)
        if beside is not None:
            with beside:
                st.caption(
                    "Choose here what the arm performs: it follows the prompts of captures, not those of a test."
                )
                simulated_arm.steering(app, profile, bank, gestures_only=True)
    show_results(app, profile, kind)
