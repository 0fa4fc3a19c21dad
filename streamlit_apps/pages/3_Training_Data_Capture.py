"""Recording labelled repetitions by a prompted plan that runs on the server."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from semg import clock
from semg.capture import plan_end
from semg.domain import REST, CapturePlan, Gesture, Profile
from semg.errors import ConflictError
from semg.store import consents, gestures, profiles, sessions, videos
from semg.store.audit import record
from semg.video.recording import RecorderState
from semg.words import counted
from ui import acts, audit_view, errors, shortcuts, simulated_arm, stream
from ui.capture_plan import plan_fields
from ui.capture_prompt import send_pictures
from ui.capture_quality import show_quality
from ui.capture_running import CAPTURED, show_running
from ui.fragments import live_fragment
from ui.live_view import live_view
from ui.page import empty, page
from ui.pick import pick_profile
from ui.runtime import App
from ui.stream_state import show_fix
from ui.text import md
from ui.video import unplayable
from ui.webcam import NO_CAMERA, show_webcam, webcam_on

# The plan starts a moment ahead, so that services know of it before its first sample comes.
START_AFTER_S = 1.5


@live_fragment(2.0)
def quality(app: App, user_id: int) -> None:
    """Show how good the signal is now."""
    with app.pool.transaction() as tx:
        profile = profiles.get_profile(tx, user_id)
        state = stream.look(tx, profile, clock.utc_now())
    show_quality(state)
    if state.health is not None and state.health.fix is not None:
        show_fix(app, profile, state.health.fix, "fix-capture")
    if state.health is None:
        simulated_arm.offer(app, profile)


def start(app: App, profile: Profile, name: str, plan: CapturePlan, camera: RecorderState) -> None:
    """Start a capture, unless nothing streams, or a webcam that is switched on sends nothing."""
    now = clock.utc_now()
    with app.pool.transaction() as tx:
        app.require(tx, profile.user_id, "work")
        consents.require(tx, profile.user_id, "recording")
        if webcam_on():
            consents.require(tx, profile.user_id, "video")
        state = stream.look(tx, profile, now)
        if state.problem:
            raise ConflictError(f"the capture was not started. {state.problem}")
        if webcam_on() and not camera.sends:
            raise ConflictError(
                "the capture was not started. The webcam is not sending frames yet: wait for it, or switch it off"
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
        record(tx, audit_view.actor(app), "capture.started", profile.user_id, session_id)


def show_plan(app: App, profile: Profile, bank: list[Gesture], camera: RecorderState) -> None:
    """Show what can be planned."""
    with app.pool.transaction() as tx:
        n_sessions = len(sessions.list_sessions(tx, profile.user_id))
    name, plan = plan_fields(bank, n_sessions, profile.user_id)
    if st.button(
        md("Start recording {name}", name=profile.name),
        type="primary",
        icon=":material/play_arrow:",
        disabled=plan is None,
        key=acts.key("start", profile.user_id),
        shortcut=shortcuts.key(app, "capture.start"),
    ):
        with errors.attempt():
            if plan is not None:
                start(app, profile, name, plan, camera)
            st.rerun()
    st.caption("Leave the electrodes where they are until the session is over: one session is one placement.")


def show_captured(app: App, profile: Profile, session_id: int) -> None:
    """Show what a capture of the profile that has just ended gave."""
    with app.pool.transaction() as tx:
        session = sessions.get_session(tx, session_id)
        if session.user_id != profile.user_id:
            return
        written = sessions.list_repetitions(tx, session_id)
        video = videos.find_video(tx, session_id)
    performed = sum(1 for one in written if one.gesture != REST and not one.excluded)
    again = sum(1 for one in written if one.gesture != REST and one.excluded)
    early = session.status == "aborted" and session.plan is not None and session.ended_at != plan_end(session)
    redone = (
        f" {again} more {'was' if again == 1 else 'were'} redone and will not be used for training." if again else ""
    )
    with st.container(border=True):
        st.markdown(
            md(
                ":material/check_circle: **{name}** of {whose}{simulated} {ended}: {performed} recorded.{redone}",
                name=session.name,
                simulated=" (simulated)" if session.simulated else "",
                whose=profile.name,
                ended="ended early" if early else "ended",
                performed=counted(performed, "repetition"),
                redone=redone,
            )
        )
        if video is not None:
            said = "With video." if video.status == "ready" else unplayable(video)
            st.caption(md(":material/videocam: {said}", said=said))
        st.page_link("pages/4_Kickoff_Training.py", label="Train on it", icon=":material/arrow_forward:")


with page(
    "Capture",
    "Perform the gestures as prompted; each one becomes a labelled repetition.",
    captures=True,
) as app:
    with app.pool.transaction() as tx:
        recording = {session.user_id: session for session in sessions.list_recording_sessions(tx)}
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        bank = gestures.list_gestures(tx, profile.user_id)
    current = recording.get(profile.user_id)
    # The same two columns before, during and after a capture: a webcam that moves on the page loses its connection.
    left, right = st.columns([1.75, 1], gap="medium")
    camera = NO_CAMERA
    if app.may_work:
        with right:
            camera = show_webcam(app, profile, None if current is None else current.session_id)
    with left:
        if current is not None:
            send_pictures(app, bank)
            st.markdown(md(":material/fiber_manual_record: Recording **{name}**", name=profile.name))
            show_running(app, profile.user_id, current.session_id, bank)
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
            captured = st.session_state.pop(CAPTURED, None)
            if captured is not None:
                show_captured(app, profile, captured)
            if app.may_work:
                show_plan(app, profile, bank, camera)
            else:
                st.info(md("No capture of {name} is running. This account has read-only access.", name=profile.name))
        names = [one.name for one in bank]
        live_view(app, profile, names, has_model=False, compact=True, height_px=210)
    with right:
        simulated_arm.badge(app, profile)
        quality(app, profile.user_id)
