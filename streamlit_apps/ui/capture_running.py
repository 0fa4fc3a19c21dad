"""A running capture: the prompt, its buttons, and whether its labels are written."""

from __future__ import annotations

import time
from collections.abc import Callable
from datetime import datetime, timedelta

import streamlit as st

from semg import clock
from semg.capture import (
    abort,
    is_paused,
    pause_capture,
    performed_steps,
    redo_last,
    repeatable,
    resume_capture,
    seconds_of,
)
from semg.capture import step_interval as interval_of
from semg.domain import Gesture, Session
from semg.errors import NotFoundError
from semg.store import sessions
from semg.store.audit import record
from semg.store.pool import Transaction
from ui import acts, audit_view, errors, participant_view, shortcuts
from ui.capture_prompt import capture_prompt
from ui.fragments import live_fragment
from ui.runtime import App
from ui.text import Markdown, md, plain

LATE_S = 3.0
"""A label is written a moment after its interval; beyond this, somebody does not write."""
CAPTURED, REFUSED = "captured", "press-refused"
SHOWN_S = 6.0
"""So long a sentence about a press stays."""


@live_fragment(1.0)
def show_running(app: App, user_id: int, name: str, session_id: int, bank: list[Gesture], language: str) -> None:
    """Show whose capture runs or is paused, its prompt and its buttons until it ends; then run the whole page."""
    now = clock.utc_now()
    with app.pool.transaction() as tx:
        session = sessions.get_session(tx, session_id)
        if session.user_id != user_id:
            raise NotFoundError(f"profile {user_id} has no session {session_id}")
        written = sessions.list_repetitions(tx, session_id)
    if session.status != "recording":
        st.session_state[CAPTURED] = session_id
        st.rerun()
    with st.container(horizontal=True, vertical_alignment="center", horizontal_alignment="distribute"):
        title = md(":material/fiber_manual_record: Recording **{name}**", name=name)
        if is_paused(session):
            title = md(":material/pause: Recording of **{name}**: paused", name=name)
        st.markdown(title, width="content")
        participant_view.link(app, user_id)
    capture_prompt(session, bank, language, now)
    if app.may_work:
        _show_refused()
        _buttons(app, session, now)
    begun = {one.started_at for one in written}
    due = performed_steps(session, now - timedelta(seconds=LATE_S))
    if any(interval_of(session, step)[0] not in begun for step in due):
        st.warning(
            "Labels are not being written. Check that the service job_runner is running; it catches up when it is "
            "back. Carry on as prompted.",
            icon=":material/warning:",
        )
    else:
        st.caption(
            md(
                "{n} labels written, including rest. The capture runs on the server: you can close this page.",
                n=len(written),
            )
        )


def _buttons(app: App, session: Session, now: datetime) -> None:
    assert session.plan is not None
    last = repeatable(session.plan, seconds_of(session, now))
    with st.container(key="buttons-capture"):
        hold, again, end = st.columns([1, 1.35, 1.2])
    # A callback acts before the prompt is drawn anew: one run of this part answers a press, not two of the whole page.
    if is_paused(session):
        hold.button(
            "Resume",
            type="primary",
            icon=":material/play_arrow:",
            key=acts.key("resume", session.user_id),
            width="stretch",
            shortcut=shortcuts.key(app, "capture.pause"),
            on_click=_press,
            args=(app, session, resume_capture),
        )
    else:
        hold.button(
            "Pause",
            icon=":material/pause:",
            key=acts.key("pause", session.user_id),
            width="stretch",
            shortcut=shortcuts.key(app, "capture.pause"),
            on_click=_press,
            args=(app, session, pause_capture),
        )
    again.button(
        "Redo" if last is None else md("Redo {gesture} {number}", gesture=last.gesture, number=last.number),
        icon=":material/replay:",
        key=acts.key("redo", session.user_id),
        width="stretch",
        disabled=last is None,
        shortcut=shortcuts.key(app, "capture.redo"),
        help="Repeat the last repetition; the previous attempt is left out of training.",
        on_click=_press,
        args=(app, session, redo_last),
    )
    if end.button(
        "End early",
        icon=":material/stop:",
        key=acts.key("abort", session.user_id),
        width="stretch",
        shortcut=shortcuts.key(app, "capture.end"),
        help="What has been performed is kept; the remainder is not labelled.",
    ):
        with errors.attempt():
            with app.pool.transaction() as tx:
                app.require(tx, session.user_id, "work")
                abort(tx, session.session_id, clock.utc_now())
                record(tx, audit_view.actor(app), "capture.ended", session.user_id, session.session_id)
            st.session_state[CAPTURED] = session.session_id
            st.rerun()


def _press(app: App, session: Session, change: Callable[[Transaction, int, datetime], object]) -> None:
    """Change the plan; why it was not changed is shown with the prompt, for some seconds."""
    try:
        with app.pool.transaction() as tx:
            app.require(tx, session.user_id, "work")
            change(tx, session.session_id, clock.utc_now())
    except Exception as exc:  # a callback's edge: what is drawn here would be gone with the next second
        st.session_state[REFUSED] = (errors.sentence(exc), time.monotonic())


def _show_refused() -> None:
    """Show why the last press changed nothing."""
    refused: tuple[Markdown, float] | None = st.session_state.get(REFUSED)
    if refused is not None and time.monotonic() - refused[1] < SHOWN_S:
        st.error(plain(refused[0]), icon=":material/error:")
