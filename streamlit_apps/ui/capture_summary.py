"""What a capture that has ended gave: its summary, which stays until the next capture, and its repetitions."""

from __future__ import annotations

import streamlit as st

from semg.capture import plan_end
from semg.capture.conducting import REDONE
from semg.domain import REST, Gesture, Profile, Repetition, Session
from semg.errors import NotFoundError
from semg.store import sessions, videos
from semg.words import counted
from ui.capture_cards import show_cards
from ui.capture_running import CAPTURED
from ui.runtime import App
from ui.text import md
from ui.video import unplayable


def show_captured(app: App, profile: Profile, bank: list[Gesture]) -> None:
    """Show the capture that ended last in this tab, if it is this profile's and still there."""
    session_id = st.session_state.get(CAPTURED)
    if session_id is None:
        return
    try:
        with app.pool.transaction() as tx:
            session = sessions.get_session(tx, session_id)
            written = sessions.list_repetitions(tx, session_id)
            video = videos.find_video(tx, session_id)
    except NotFoundError:
        st.session_state.pop(CAPTURED)
        return
    if session.user_id != profile.user_id or session.ended_at is None:
        st.session_state.pop(CAPTURED)
        return
    with st.container(border=True):
        _say(profile, session, written)
        if video is not None:
            said = "With video." if video.status == "ready" else unplayable(video)
            st.caption(md(":material/videocam: {said}", said=said))
        st.page_link("pages/4_Kickoff_Training.py", label="Train on it", icon=":material/arrow_forward:")
    show_cards(app, profile, session, written, [one.name for one in bank])


def _say(profile: Profile, session: Session, written: list[Repetition]) -> None:
    performed = [one for one in written if one.gesture != REST]
    again = sum(1 for one in performed if one.excluded and one.exclude_reason == REDONE)
    left_out = sum(1 for one in performed if one.excluded) - again
    early = session.status == "aborted" and session.plan is not None and session.ended_at != plan_end(session)
    more = f" {again} more {'was' if again == 1 else 'were'} redone and will not be used for training." if again else ""
    more += f" {left_out} more {'was' if left_out == 1 else 'were'} left out." if left_out else ""
    st.markdown(
        md(
            ":material/check_circle: **{name}** of {whose}{simulated} {ended}: {performed} recorded.{more}",
            name=session.name,
            simulated=" (simulated)" if session.simulated else "",
            whose=profile.name,
            ended="ended early" if early else "ended",
            performed=counted(len(performed) - again - left_out, "repetition"),
            more=more,
        )
    )
