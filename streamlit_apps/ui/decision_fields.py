"""How eager a profile's decisions are: votes, rejection, hysteresis, and what the report suggests for a target."""

from __future__ import annotations

from dataclasses import replace

import streamlit as st

from semg.commands.profile_changes import change_profile
from semg.domain import DecisionSpec, Profile
from semg.signals.training.calibration import choose_operating_point
from semg.signals.training.training_report import TrainingReport
from ui import acts, errors
from ui.page import flash
from ui.runtime import App
from ui.text import line, md

MAX_VOTES = 25
TARGETS = (0.0, 0.5, 1.0, 2.0, 5.0, 10.0)


def decision_fields(app: App, profile: Profile, report: TrainingReport) -> None:
    """Show vote length, rejection and hysteresis, saved to the profile when they are changed."""
    current = profile.decision
    st.caption(md("Decision settings for **{name}**", name=profile.name))
    shown = DecisionSpec(current.vote_n, round(100 * current.min_confidence), round(100 * current.hysteresis))
    votes, confidence, hysteresis = st.columns(3, gap="medium")
    key = profile.user_id
    wanted = DecisionSpec(
        votes.slider(
            "Votes (windows)",
            1,
            max(MAX_VOTES, shown.vote_n),
            shown.vote_n,
            key=f"vote-{key}",
            help="More votes make decisions steadier but slower: each adds one hop (usually 50 ms).",
        ),
        confidence.slider(
            "Minimum confidence (%)",
            0,
            100,
            int(shown.min_confidence),
            key=f"confidence-{key}",
            help="A vote below this is shown as “unsure” instead of a gesture.",
        ),
        hysteresis.slider(
            "Hysteresis (%)",
            0,
            100,
            int(shown.hysteresis),
            key=f"hysteresis-{key}",
            help="How much more confidence a new gesture needs than one that continues: a share of the way from the "
            "minimum confidence to 100 %.",
        ),
    )
    if wanted != shown:
        # What was not moved keeps its exact value.
        moved = replace(
            current,
            vote_n=wanted.vote_n,
            min_confidence=_unless_moved(wanted.min_confidence, shown.min_confidence, current.min_confidence),
            hysteresis=_unless_moved(wanted.hysteresis, shown.hysteresis, current.hysteresis),
        )
        with errors.attempt():
            _save(app, profile, moved)
            st.rerun()
    _suggestion(app, profile, report)


def _unless_moved(wanted_percent: float, shown_percent: float, exact: float) -> float:
    return exact if wanted_percent == shown_percent else wanted_percent / 100


def _suggestion(app: App, profile: Profile, report: TrainingReport) -> None:
    """Show what the model's report suggests for a target, and let it be taken."""
    points = [point for point in report.operating_points if point.recognised is not None]
    if not any(point.false_activations_per_min is not None for point in points):
        st.caption("Changes take effect within a second, for everyone who uses this profile's decisions.")
        return
    target, said, take = st.columns([1, 2, 1], gap="medium", vertical_alignment="bottom")
    most = target.selectbox(
        "Maximum false activations per minute of rest",
        TARGETS,
        TARGETS.index(2.0),
        format_func=lambda value: line("{value:g}", value=value),
        key=f"target-{profile.user_id}",
    )
    point = choose_operating_point(points, most)
    if point is None:
        quiet = [
            one.recognised or 0.0
            for one in points
            if one.false_activations_per_min is not None and one.false_activations_per_min <= most
        ]
        said.caption(
            md(
                "Settings within this limit recognise at most {most:.0f} % of the gestures, too few to be useful: "
                "allow more false activations, or train a better model.",
                most=100 * max(quiet),
            )
            if quiet
            else "No setting tested in the report stays within this limit on held-out data."
        )
        return
    said.caption(
        md(
            "On held-out data: {vote_n} votes, minimum confidence {least:.0f} %, hysteresis {hysteresis:.0f} % "
            "recognised {recognised:.1f} % (mean of the gestures) with {false:.1f} false activations per minute.",
            vote_n=point.vote_n,
            least=100 * point.min_confidence,
            hysteresis=100 * (point.hysteresis or 0.0),
            recognised=100 * (point.recognised or 0.0),
            false=point.false_activations_per_min or 0.0,
        )
    )
    suggested = DecisionSpec(point.vote_n, point.min_confidence, point.hysteresis or 0.0)
    take.button(
        md("Use these for {name}", name=profile.name),
        key=acts.key("use", profile.user_id),
        disabled=suggested == profile.decision,
        width="stretch",
        on_click=_take,
        args=(app, profile, suggested),
    )


def _take(app: App, profile: Profile, suggested: DecisionSpec) -> None:
    """Save a suggestion, and move the sliders there; before the page is drawn, as a slider's value can only be then."""
    with errors.attempt_early():
        _save(app, profile, suggested)
        st.session_state[f"vote-{profile.user_id}"] = suggested.vote_n
        st.session_state[f"confidence-{profile.user_id}"] = round(100 * suggested.min_confidence)
        st.session_state[f"hysteresis-{profile.user_id}"] = round(100 * suggested.hysteresis)


def _save(app: App, profile: Profile, wanted: DecisionSpec) -> None:
    with app.pool.transaction() as tx:
        change_profile(tx, app, profile.user_id, decision=wanted)
    flash("Saved to the profile")
