"""Recording labelled repetitions by a prompted plan that runs on the server."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from semg import clock
from semg.domain import REST, CapturePlan, Gesture, Profile
from semg.errors import ConflictError
from semg.ingest import stream_reports
from semg.store import capture_settings, consents, gestures, profiles, sessions, simulated_arms, videos
from semg.store.audit import record
from semg.store.capture_settings import CaptureSettings
from semg.store.running_captures import find_running
from ui import acts, audit_view, errors, participant_view, shortcuts, simulated_arm
from ui.capture_plan import plan_fields
from ui.capture_prompt import send_pictures
from ui.capture_quality import show_quality
from ui.capture_running import CAPTURED, show_running
from ui.capture_summary import show_captured
from ui.contraction_check import check_button, show_check
from ui.fragments import live_fragment
from ui.live_view import live_view
from ui.page import bare_page, empty, page, split
from ui.pick import pick_profile
from ui.runtime import App
from ui.stream_state import show_fix
from ui.text import md
from ui.webcam import show_webcam, wait_for_frames, webcam_on

# The plan starts a moment ahead, so that services know of it before its first sample comes.
START_AFTER_S = 1.5


@live_fragment(2.0)
def quality(app: App, user_id: int) -> None:
    """Show how good the signal is now."""
    with app.pool.transaction() as tx:
        profile = profiles.get_profile(tx, user_id)
        state = stream_reports.look(tx, profile, clock.utc_now())
    show_quality(state)
    if state.health is not None and state.health.fix is not None:
        show_fix(app, profile, state.health.fix, "fix-capture")
    if state.health is None:
        simulated_arm.offer(app, profile)


def start(app: App, profile: Profile, name: str, plan: CapturePlan, numbers: CaptureSettings) -> None:
    """Start a capture, unless nothing streams, or a webcam that is switched on sends nothing."""
    can_film = not webcam_on() or wait_for_frames()
    now = clock.utc_now()
    with app.pool.transaction() as tx:
        app.require(tx, profile.user_id, "work")
        consents.require(tx, profile.user_id, "recording")
        if webcam_on():
            consents.require(tx, profile.user_id, "video")
        state = stream_reports.look(tx, profile, now)
        if state.problem:
            raise ConflictError(f"the capture was not started. {state.problem}")
        if not can_film:
            raise ConflictError(
                "the capture was not started. The webcam is not sending frames: wait until it does, or switch it off"
            )
        sessions.require_free_name(tx, profile.user_id, name)
        session_id = sessions.insert_session(
            tx,
            profile.user_id,
            name,
            "capture",
            now + timedelta(seconds=START_AFTER_S),
            status="recording",
            plan=plan,
            device=profile.device,
        )
        capture_settings.save_settings(tx, profile.user_id, numbers)
        record(tx, audit_view.actor(app), "capture.started", profile.user_id, session_id)


def show_plan(app: App, profile: Profile, bank: list[Gesture]) -> None:
    """Show what can be planned."""
    with app.pool.transaction() as tx:
        n_sessions = sessions.count_sessions(tx, profile.user_id)
        remembered = capture_settings.get_settings(tx, profile.user_id)
        is_simulated = simulated_arms.find_arm(tx, profile.user_id) is not None
    name, plan, numbers = plan_fields(bank, n_sessions, profile.user_id, remembered)
    with st.container(horizontal=True):
        begins = st.button(
            md("Start recording {name}", name=profile.name),
            type="primary",
            icon=":material/play_arrow:",
            disabled=plan is None,
            key=acts.key("start", profile.user_id),
            shortcut=shortcuts.key(app, "capture.start"),
        )
        strong = [one.name for one in bank if one.name != REST and one.name not in numbers.left_out]
        if strong and not is_simulated:  # an arm performs plans, and the check is none
            check_button(profile.user_id, "fist" if "fist" in strong else strong[0])
        participant_view.link(app, profile.user_id)
    if begins:
        with errors.attempt():
            if plan is not None:
                start(app, profile, name, plan, numbers)
            st.rerun()
    show_check(app, profile, bank)
    st.caption("Leave the electrodes where they are until the session is over: one session is one placement.")


def show_page(app: App) -> None:
    """Show the capture of the chosen profile: planned, running or ended."""
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        current = find_running(tx, profile.user_id)
        bank = gestures.list_gestures(tx, profile.user_id)
        video = None if current is None else videos.find_video(tx, current.session_id)
    # The same two columns before, during and after a capture: a webcam that moves on the page loses its connection.
    left, right = split("capture", [1.75, 1])
    if app.may_work:
        with right:
            # A video that is finished takes no more frames, when its session goes on.
            filmed = current is not None and (video is None or video.status == "recording")
            show_webcam(app, profile, current.session_id if current is not None and filmed else None)
    with left:
        if current is not None:
            st.session_state[CAPTURED] = current.session_id
            send_pictures(app, bank)
            show_running(app, profile.user_id, profile.name, current.session_id, bank, profile.language)
        elif len(bank) == 1:
            empty(
                md(
                    "**{name} has no gestures yet.** The bank contains only rest, so there is nothing to prompt.",
                    name=profile.name,
                ),
                "pages/2_Gesture_Management.py",
                "Add gestures",
            )
        else:
            show_captured(app, profile, bank)
            if app.may_work:
                show_plan(app, profile, bank)
            else:
                st.info(md("No capture of {name} is running. This account has read-only access.", name=profile.name))
        names = [one.name for one in bank]
        live_view(app, profile, names, has_model=False, compact=True, height_px=210)
    with right:
        simulated_arm.show_mark(app, profile)
        quality(app, profile.user_id)


if participant_view.is_asked():
    with bare_page("Participant") as app:
        participant_view.show(app)
else:
    with page(
        "Capture",
        "Perform the gestures as prompted; each one becomes a labelled repetition.",
        captures=True,
    ) as app:
        show_page(app)
