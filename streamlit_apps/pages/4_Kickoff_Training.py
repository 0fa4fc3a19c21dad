"""Starting a training: which sessions and repetitions, which classifier, when."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

import streamlit as st

from semg.domain import ClassifierKind, Profile
from semg.signals.options import TrainingOptions
from semg.store import jobs, sessions
from semg.store.sessions import SessionSummary
from ui import errors, repetitions, times
from ui.page import empty, flash, page
from ui.pick import pick_profile
from ui.runtime import App

KINDS: dict[ClassifierKind, str] = {
    "cnn": "Convolutional network (recommended)",
    "logcov_lda": "Log-covariance + LDA: seconds to train, the baseline",
    "td_lda": "Time-domain features + LDA: the classic",
}
FEW = 3
FIRST = 30
JOBS_PAGE = "pages/5_Training_Jobs_Status.py"


def choose_sessions(summaries: Sequence[SessionSummary]) -> list[SessionSummary]:
    """Show the sessions and give the chosen ones; at first, all that were recorded with the newest one's device."""
    newest = summaries[0].session
    shown = summaries
    if len(summaries) > FIRST and not st.toggle(f"Show all {len(summaries)} sessions", key="all-sessions"):
        shown = summaries[:FIRST]
    with st.container(border=True, height=230 if len(shown) > 5 else "content", gap="xsmall"):
        return [
            summary
            for summary in shown
            if st.checkbox(_label(summary), _fits(summary, newest), key=f"session-{summary.session.session_id}")
        ]


def review(app: App, chosen: Sequence[SessionSummary]) -> None:
    """Show the repetitions of a chosen session, to be used or left out."""
    with st.expander("Take single repetitions out"):
        by_id = {summary.session.session_id: summary for summary in chosen}
        number = st.selectbox("Of", list(by_id), format_func=lambda one: by_id[one].session.name, key="look-into")
        with app.pool.transaction() as tx:
            found = sessions.list_repetitions(tx, number)
        edited = repetitions.edit(found, f"repetitions-{number}")
        wanted = repetitions.changes(found, edited)
        if st.button("Save", key=f"save-{number}", disabled=not wanted):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    repetitions.save(tx, wanted)
                flash(f"{len(wanted)} repetitions changed")
                st.rerun()


def check(chosen: Sequence[SessionSummary]) -> None:
    """Show what there is to train on, and what is likely to go wrong."""
    counts: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for summary in chosen:
        for one in summary.gestures:
            counts[one.gesture] += one.repetitions
            seconds[one.gesture] += one.seconds  # type: ignore[assignment]
    st.dataframe(
        [{"Gesture": name, "Repetitions": n, "Length": times.length(seconds[name])} for name, n in counts.items()],
        hide_index=True,
        width="stretch",
    )
    few = [name for name, n in counts.items() if n < FEW]
    if few:
        st.warning(
            f"Fewer than {FEW} repetitions of {', '.join(few)}: the test of the model will say little about them."
        )
    devices = {(summary.session.channels, summary.session.rate_hz, summary.session.sensor) for summary in chosen}
    if len(devices) > 1:
        st.warning("The sessions were recorded with different devices (channels, rate or sensor). Choose one kind.")
    silent = [summary.session.name for summary in chosen if summary.n_samples == 0]
    if silent:
        st.warning(f"No samples are stored for {', '.join(silent)}: the device was not streaming. Leave it out.")


def options_fields(kind: ClassifierKind) -> dict[str, Any]:
    """Show the options, and give those that differ from the defaults."""
    default = TrainingOptions()
    with st.expander("More options"):
        window, hop, skip = st.columns(3)
        values: dict[str, Any] = {
            "window_ms": window.number_input("Window (ms)", 50.0, 1000.0, default.window_ms, 10.0, format="%g"),
            "hop_ms": hop.number_input("Hop (ms)", 5.0, 1000.0, default.hop_ms, 5.0, format="%g"),
            "skip_start_ms": skip.number_input(
                "Left out at each start (ms)", 0.0, 5000.0, default.skip_start_ms, 50.0, format="%g",
                help="The hand follows the prompt with a delay.",
            ),
        }  # fmt: skip
        epochs, seed, _ = st.columns(3)
        if kind == "cnn":
            values["epochs"] = int(epochs.number_input("Epochs", 1, 200, default.epochs))
        values["seed"] = int(seed.number_input("Seed", 0, 2**31 - 1, default.seed))
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def when_fields() -> datetime | None:
    """Show when to start, and give the moment; None for now."""
    if st.radio("Start", ["Now", "At a time"], horizontal=True, key="when") == "Now":
        return None
    local = datetime.now(UTC).astimezone(times.viewer_zone())
    day_column, time_column = st.columns(2)
    day = day_column.date_input("Day", local.date(), key="day")
    at = time_column.time_input("Time", local.time().replace(second=0, microsecond=0), key="time")
    moment = times.from_viewer(day, at)
    if moment < datetime.now(UTC):
        st.caption("This time has passed: the training starts at once.")
    return moment


def _fits(summary: SessionSummary, newest: Any) -> bool:
    session = summary.session
    return (
        session.status != "recording"
        and summary.repetitions > 0
        and (session.channels, session.rate_hz, session.sensor) == (newest.channels, newest.rate_hz, newest.sensor)
    )


def _label(summary: SessionSummary) -> str:
    session = summary.session
    performed = sum(one.repetitions for one in summary.gestures if one.gesture != "rest")
    early = ", ended early" if session.status == "aborted" else ""
    when = times.shown(session.started_at)
    return f"{session.name} · {when} · {times.length(summary.labelled_s)} · {performed} performances{early}"


def show(app: App, profile: Profile, summaries: Sequence[SessionSummary]) -> None:
    """Show the choices, and start the training."""
    left, right = st.columns([1.6, 1], gap="large")
    with left:
        st.subheader("Data", anchor=False)
        chosen = choose_sessions(summaries)
        if chosen:
            review(app, chosen)
    with right:
        st.subheader("What it learns from", anchor=False)
        if chosen:
            check(chosen)
        else:
            st.info("Choose at least one session.")
        used = ", ".join(profile.channels_used) if profile.channels_used else "all channels"
        st.caption(f"Channels: {used} (page Gestures)")
    with left:
        st.subheader("Classifier", anchor=False)
        kind = st.selectbox(
            "Classifier", list(KINDS), format_func=KINDS.__getitem__, key="kind", label_visibility="collapsed"
        )
        options = options_fields(kind)
        scheduled_at = when_fields()
        if st.button("Start training", type="primary", icon=":material/play_arrow:", disabled=not chosen, key="start"):
            with errors.attempt():
                ids = [summary.session.session_id for summary in chosen]
                with app.pool.transaction() as tx:
                    job_id = jobs.insert_job(tx, profile.user_id, ids, kind, options, scheduled_at)
                st.session_state["job"] = job_id
                flash("The training is in the queue")
                st.switch_page(JOBS_PAGE)


with page(
    "Kickoff Training", "Make a model of the gestures from recorded sessions. It is tested on data held out."
) as app:
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        found = [one for one in sessions.session_summaries(tx, profile.user_id) if one.session.status != "recording"]
    if found:
        show(app, profile, found)
    else:
        empty(
            f"**{profile.name} has no recorded session yet.** A model needs some repetitions of every gesture.",
            "pages/3_Training_Data_Capture.py",
            "Record a session",
        )
