"""Recording labelled repetitions by a prompted plan that runs on the server."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import streamlit as st

from semg.capture import abort, make_plan, performed_steps, plan_end
from semg.domain import REST, CapturePlan, Gesture, Profile, Session
from semg.errors import ConflictError
from semg.store import gestures, profiles, sessions
from ui import errors, stream, times
from ui.capture_prompt import capture_prompt
from ui.live_view import live_view
from ui.page import empty, page
from ui.pick import pick_profile
from ui.runtime import App

# The plan starts a moment ahead, so that services know of it before its first sample comes.
START_AFTER_S = 1.5
LATE_S = 3.0


@errors.live_fragment(1.0)
def running(app: App, session_id: int, bank: list[Gesture]) -> None:
    """Show the prompt of a running capture until it ends; then run the whole page."""
    now = datetime.now(UTC)
    with app.pool.transaction() as tx:
        session = sessions.get_session(tx, session_id)
        written = len(sessions.list_repetitions(tx, session_id))
    if session.status != "recording":
        st.session_state["captured"] = session_id
        st.rerun()
    capture_prompt(session, {one.name: one.description for one in bank}, [one.name for one in bank], now)
    due = len(performed_steps(session, now - timedelta(seconds=LATE_S)))
    if written < due:
        st.warning(
            "Labels are not being written: is the service job_runner running? It catches up when it is back; "
            "go on as prompted.",
            icon=":material/warning:",
        )
    else:
        st.caption(
            f"{written} labels written, rest included. This runs on the server: closing the page changes nothing."
        )


@errors.live_fragment(2.0)
def quality(app: App, user_id: int) -> None:
    """Show how good the signal is now."""
    with app.pool.transaction() as tx:
        profile = profiles.get_profile(tx, user_id)
        state = stream.look(tx, profile, datetime.now(UTC))
    stream.show_quality(state)


def show_running(app: App, profile: Profile, session: Session, bank: list[Gesture]) -> None:
    """Show a running capture with the signal and the way to end it early."""
    running(app, session.session_id, bank)
    left, right = st.columns([2.2, 1], gap="medium")
    with left:
        live_view(app.settings, profile, [one.name for one in bank], has_model=False, compact=True, height_px=210)
    with right:
        if st.button(
            "End early",
            icon=":material/stop:",
            key="abort",
            width="stretch",
            help="What has been performed is kept; the rest gets no label.",
        ):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    abort(tx, session.session_id, datetime.now(UTC))
                st.session_state["captured"] = session.session_id
                st.rerun()
        quality(app, profile.user_id)


def plan_fields(bank: list[Gesture]) -> CapturePlan | None:
    """Draw the fields of a plan and give it; None while it makes no sense."""
    names = [one.name for one in bank if one.name != REST]
    # A running capture takes the fields off the page; the next plan begins with what the last one was.
    kept: dict[str, Any] = st.session_state.setdefault("plan", {})
    left_out = [name for name in names if name in kept.get("left_out", [])]
    chosen = st.multiselect("Gestures", names, [name for name in names if name not in left_out], key="gestures")
    repetitions, gesture_s, rest_s, prepare_s = st.columns(4)
    n = repetitions.number_input("Repetitions of each", 1, 100, kept.get("n", 6), key="repetitions")
    perform_s = gesture_s.number_input(
        "Seconds per gesture", 1.0, 60.0, kept.get("gesture_s", 4.0), 0.5, format="%g", key="gesture-s"
    )
    relax_s = rest_s.number_input("Seconds of rest", 1.0, 60.0, kept.get("rest_s", 3.0), 0.5, format="%g", key="rest-s")
    ready_s = prepare_s.number_input(
        "Preparation (s)", 0.0, 60.0, kept.get("prepare_s", 5.0), 1.0, format="%g", key="prepare-s"
    )
    order, seed = st.columns([3, 1])
    shuffled = order.radio(
        "Order",
        [True, False],
        index=0 if kept.get("shuffled", True) else 1,
        format_func=lambda one: "Shuffled (recommended)" if one else "Blocked: one gesture after the other",
        horizontal=True,
        key="shuffled",
        help="Shuffled keeps fatigue and drift from looking like a gesture.",
    )
    number = seed.number_input("Seed of the order", 0, 2**31 - 1, kept.get("seed", 0), key="seed")
    kept |= {"left_out": [name for name in names if name not in chosen], "n": n, "gesture_s": perform_s}
    kept |= {"rest_s": relax_s, "prepare_s": ready_s, "shuffled": shuffled, "seed": number}
    plan = None
    with errors.attempt():
        plan = make_plan(chosen, int(n), perform_s, relax_s, ready_s, shuffled, int(number))
        total = sum(1 for step in plan.steps if step.gesture not in (None, REST))
        st.caption(f"{total} performances, {times.length(plan.duration_s)} in all.")
    return plan


def start(app: App, profile: Profile, name: str, plan: CapturePlan) -> None:
    """Start a capture, unless nothing streams."""
    now = datetime.now(UTC)
    with app.pool.transaction() as tx:
        state = stream.look(tx, profile, now)
        if state.problem:
            raise ConflictError(f"the capture was not started. {state.problem}")
        if any(one.name == name.strip() for one in sessions.list_sessions(tx, profile.user_id)):
            raise ConflictError(f"session name: there is a session called “{name.strip()}” already; choose another")
        sessions.insert_session(
            tx,
            profile.user_id,
            name,
            "capture",
            now + timedelta(seconds=START_AFTER_S),
            status="recording",
            plan=plan,
            device=profile.device,
        )


def show_plan(app: App, profile: Profile, bank: list[Gesture]) -> None:
    """Show what can be planned, and the signal before it starts."""
    with app.pool.transaction() as tx:
        n_sessions = len(sessions.list_sessions(tx, profile.user_id))
    left, right = st.columns([1.7, 1], gap="large")
    with left:
        st.subheader("Plan", anchor=False)
        # The number of sessions stands in the key: after a capture, the next name is offered.
        name = st.text_input("Session name", f"Session {n_sessions + 1}", max_chars=200, key=f"name-{n_sessions}")
        plan = plan_fields(bank)
        if st.button("Start", type="primary", icon=":material/play_arrow:", disabled=plan is None, key="start"):
            with errors.attempt():
                if plan is not None:
                    start(app, profile, name, plan)
                st.rerun()
        st.caption("Keep the electrodes where they are until the session is over: one session is one placement.")
    with right:
        st.subheader("Signal", anchor=False)
        quality(app, profile.user_id)
        live_view(app.settings, profile, [one.name for one in bank], has_model=False, compact=True, height_px=250)


def show_captured(app: App, session_id: int) -> None:
    """Tell what a capture that has just ended gave."""
    with app.pool.transaction() as tx:
        session = sessions.get_session(tx, session_id)
        written = sessions.list_repetitions(tx, session_id)
    performed = sum(1 for one in written if one.gesture != REST)
    early = session.status == "aborted" and session.plan is not None and session.ended_at != plan_end(session)
    text = f"**{session.name}** ended{' early' if early else ''}: {performed} performances were recorded."
    with st.container(border=True):
        st.markdown(f":material/check_circle: {text}")
        st.page_link("pages/4_Kickoff_Training.py", label="Train with it", icon=":material/arrow_forward:")


with page("Training Data Capture", "Perform what is prompted; every performance becomes a labelled repetition.") as app:
    with app.pool.transaction() as tx:
        recording = {session.user_id: session for session in sessions.list_recording_sessions(tx)}
    profile = pick_profile(app, preferred=next(iter(recording), None))
    with app.pool.transaction() as tx:
        bank = gestures.list_gestures(tx, profile.user_id)
    current = recording.get(profile.user_id)
    if current is not None:
        show_running(app, profile, current, bank)
    elif len(bank) == 1:
        empty(
            f"**{profile.name} has no gestures yet.** Only rest is in the bank, and there is nothing to prompt.",
            "pages/2_Gesture_Management.py",
            "Add gestures",
        )
    else:
        captured = st.session_state.pop("captured", None)
        if captured is not None:
            show_captured(app, captured)
        show_plan(app, profile, bank)
