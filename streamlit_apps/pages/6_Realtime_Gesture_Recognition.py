"""Signals and decisions as they come, what the gestures say, and how eager the decisions are."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from semg.domain import Profile
from semg.store import gestures, models, profiles
from ui import audit, errors
from ui.live_view import live_view
from ui.page import flash, page
from ui.pick import pick_profile
from ui.runtime import App

MAX_VOTES = 25


def decision_fields(app: App, profile: Profile) -> None:
    """Show vote length and rejection, saved to the profile when they are changed."""
    current = profile.decision
    votes, confidence, about = st.columns([1, 1, 1.1], gap="medium")
    vote_n = votes.slider(
        "Windows that vote",
        1,
        max(MAX_VOTES, current.vote_n),
        current.vote_n,
        key=f"vote-{profile.user_id}",
        help="More votes are steadier and slower: each adds one hop (usually 50 ms).",
    )
    percent = confidence.slider(
        "Least confidence (%)",
        0,
        100,
        round(100 * current.min_confidence),
        key=f"confidence-{profile.user_id}",
        help="A vote below this is shown as “unsure” instead of a gesture.",
    )
    about.caption("Both work within a second, for everybody who uses the decisions of this profile.")
    wanted = replace(current, vote_n=int(vote_n), min_confidence=percent / 100)
    if (wanted.vote_n, round(100 * current.min_confidence)) != (current.vote_n, percent):
        with errors.attempt():
            with app.pool.transaction() as tx:
                profiles.update_profile(tx, profile.user_id, decision=wanted)
            flash("Saved to the profile")
            st.rerun()


with page("Realtime Gesture Recognition") as app:
    profile = pick_profile(app)
    audit.seen(app, "live.seen", profile.user_id)
    with app.pool.transaction() as tx:
        bank = gestures.list_gestures(tx, profile.user_id)
        model = models.find_active(tx, profile.user_id)
    if model is None:
        left, right = st.columns([4, 1], vertical_alignment="center")
        left.info(f"{profile.name} has no model yet: signals are shown, gestures appear after the first training.")
        right.page_link("pages/4_Kickoff_Training.py", label="Train one", icon=":material/arrow_forward:")
    phrases = {one.name: one.phrase for one in bank if one.phrase}
    live_view(
        app.settings,
        profile,
        [one.name for one in bank],
        has_model=model is not None,
        phrases=phrases,
        height_px=250 if phrases else 340,
    )
    if model is not None:
        decision_fields(app, profile)
