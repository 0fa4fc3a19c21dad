"""Looking at what was recorded, and putting its labels right."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import streamlit as st

from semg.domain import Gesture, Profile, Repetition, Session, us_from_utc
from semg.signals.decimation import decimate
from semg.store import blocks, decisions, gestures, sessions
from ui import errors, export, times
from ui.page import empty, flash, page
from ui.pick import pick_profile
from ui.review_figure import ReviewData, figure
from ui.runtime import App

SPANS_S = {10: "10 s", 30: "30 s", 60: "1 min", 180: "3 min", 600: "10 min"}
# Pixel columns of the widest picture.
COLUMNS = 1200


def read(app: App, profile: Profile, session: Session | None, since: datetime, until: datetime) -> ReviewData:
    """Read what lies in a time, decimated to what a screen can show."""
    with app.pool.transaction() as tx:
        if session is not None and session.origin == "import":
            found = [one for one in blocks.list_session_blocks(tx, session) if _overlaps(one.server_us, since, until)]
        else:
            found = blocks.list_blocks(tx, profile.user_id, since, until)
        made = () if session is not None and session.origin == "import" else decisions.list_decisions(
            tx, profile.user_id, since, until + timedelta(seconds=1))  # fmt: skip
        labels = sessions.list_repetitions(tx, session.session_id) if session is not None else []
    channels = session.channels if session is not None else profile.device.channels
    rate_hz = session.rate_hz if session is not None else profile.device.rate_hz
    usual = [one for one in found if not one.late and one.samples.shape[1] == len(channels)]
    return ReviewData(
        since,
        until,
        channels,
        decimate(usual, rate_hz, us_from_utc(since), us_from_utc(until), COLUMNS),
        tuple(one for one in found if one.late),
        tuple(labels),
        tuple(made),
    )


def choose_session_time(found: list[Session]) -> tuple[Session, datetime, datetime]:
    """Show the sessions and a part of the chosen one's time."""
    by_id = {one.session_id: one for one in found}
    which, where, how_long = st.columns([2, 3, 1])
    number = which.selectbox("Session", list(by_id), format_func=lambda one: _label(by_id[one]), key="session")
    session = by_id[number]
    ended_at = session.ended_at or datetime.now(UTC)
    total_s = max(1.0, (ended_at - session.started_at).total_seconds())
    span_s = how_long.selectbox("Shown", list(SPANS_S), index=2, format_func=SPANS_S.__getitem__, key="span")
    start_s = 0.0
    if total_s > span_s:
        start_s = where.slider(
            "From", 0.0, float(total_s - span_s), 0.0, step=span_s / 10, format="%.0f s", key=f"from-{number}-{span_s}"
        )
    else:
        where.caption(f"The whole session: {times.length(total_s)}")
    since = session.started_at + timedelta(seconds=start_s)
    return session, since, min(since + timedelta(seconds=span_s), ended_at)


def choose_time(app: App, profile: Profile) -> tuple[datetime, datetime] | None:
    """Show a day, a time and a length; without any sample, give None."""
    with app.pool.transaction() as tx:
        last_at = blocks.last_sample_at(tx, profile.user_id)
    if last_at is None:
        return None
    kept = st.session_state.setdefault(f"last-{profile.user_id}", last_at)
    local = (kept - timedelta(seconds=60)).astimezone(times.viewer_zone())
    day_column, time_column, length_column, _ = st.columns([1, 1, 1, 2])
    day = day_column.date_input("Day", local.date(), key=f"day-{profile.user_id}")
    at = time_column.time_input("From", local.time().replace(microsecond=0), step=60, key=f"time-{profile.user_id}")
    span_s = length_column.selectbox("Shown", list(SPANS_S), index=2, format_func=SPANS_S.__getitem__, key="range-span")
    since = times.from_viewer(day, at)
    return since, since + timedelta(seconds=span_s)


def show(data: ReviewData, bank: list[Gesture]) -> None:
    """Show the picture and the figures of each channel."""
    if data.drawn is None:
        st.info("No samples are stored for this time.")
        return
    st.plotly_chart(figure(data, [one.name for one in bank]), width="stretch", key="signals")
    drawn = data.drawn
    missing_s = sum(end - begin for begin, end in drawn.gaps) / 1e6
    n_late = sum(block.n_samples for block in data.late)
    st.caption(
        f"{drawn.n_samples:,} samples · {len(drawn.gaps)} gaps ({missing_s:.2f} s, red) · {n_late} late samples "
        "(red crosses) · labels behind the signal, decisions in the ribbon below"
    )
    with st.expander("Figures of each channel"):
        st.dataframe(
            [
                {"Channel": name, "RMS": round(float(drawn.rms[i]), 2), "Lowest": float(drawn.low[i]),
                 "Highest": float(drawn.high[i])}
                for i, name in enumerate(data.channels)
            ],
            hide_index=True,
            width="stretch",
        )  # fmt: skip


def edit_repetition(app: App, bank: list[Gesture], found: list[Repetition]) -> None:
    """Show one repetition for changes: another gesture, moved edges, left out of training."""
    if not found:
        st.caption("This session has no repetition.")
        return
    by_id = {one.repetition_id: one for one in found}
    number = st.selectbox(
        "Repetition", list(by_id), format_func=lambda one: _repetition_label(by_id[one]), key="repetition"
    )
    one = by_id[number]
    names = [gesture.name for gesture in bank]
    with st.form(f"repetition-{number}-{one.started_at}-{one.ended_at}", border=False):
        gesture = st.selectbox("Gesture", names, names.index(one.gesture), key=f"gesture-{number}")
        begin, end = st.columns(2)
        begin_s = begin.number_input("Move the start by (s)", -30.0, 30.0, 0.0, 0.1, key=f"begin-{number}")
        end_s = end.number_input("Move the end by (s)", -30.0, 30.0, 0.0, 0.1, key=f"end-{number}")
        excluded = st.checkbox("Leave out of training", one.excluded, key=f"excluded-{number}")
        reason = st.text_input("Why", one.exclude_reason, key=f"reason-{number}")
        if st.form_submit_button("Save", type="primary"):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    sessions.update_repetition(
                        tx,
                        number,
                        excluded=excluded,
                        reason=reason,
                        started_at=one.started_at + timedelta(seconds=begin_s),
                        ended_at=one.ended_at + timedelta(seconds=end_s),
                        gesture_id=bank[names.index(gesture)].gesture_id if gesture != one.gesture else None,
                    )
                flash(f"{gesture} {one.number} saved")
                st.rerun()


def edit_session(app: App, session: Session) -> None:
    """Show what can be done with a whole session."""
    with st.form(f"rename-{session.session_id}", border=False):
        name = st.text_input("Name", session.name, max_chars=200, key=f"name-{session.session_id}")
        if st.form_submit_button("Rename"):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    sessions.update_session(tx, session.session_id, name=name)
                flash("Renamed")
                st.rerun()
    if st.button("Prepare CSV", icon=":material/download:", key="prepare"):
        with errors.attempt(), st.spinner("Reading the session …"):
            with app.pool.transaction() as tx:
                st.session_state["csv"] = (session.session_id, export.session_csv(tx, session))
    ready = st.session_state.get("csv")
    if ready is not None and ready[0] == session.session_id:
        name = "".join(letter if letter.isalnum() else "_" for letter in session.name)
        st.download_button("Download CSV", ready[1], f"{name}.csv.gz", "application/gzip", on_click="ignore")
    sure = st.checkbox("Delete this session with its samples and labels", key=f"sure-{session.session_id}")
    if st.button("Delete session", icon=":material/delete:", disabled=not sure, key="delete-session"):
        with errors.attempt():
            with app.pool.transaction() as tx:
                n = sessions.delete_session(tx, session.session_id)
            flash(f"{session.name} and {n:,} samples were deleted")
            st.rerun()


def _overlaps(server_us: object, since: datetime, until: datetime) -> bool:
    first, last = int(server_us[0]), int(server_us[-1])  # type: ignore[index]
    return first < us_from_utc(until) and last >= us_from_utc(since)


def _label(session: Session) -> str:
    extra = {"recording": " · recording now", "aborted": " · ended early"}.get(session.status, "")
    return f"{session.name} · {times.shown(session.started_at)}{extra}"


def _repetition_label(one: Repetition) -> str:
    return f"{one.gesture} {one.number} · {times.clock(one.started_at)}{' · left out' if one.excluded else ''}"


with page("Sensor Data Review") as app:
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        bank = gestures.list_gestures(tx, profile.user_id)
        known = sessions.list_sessions(tx, profile.user_id)
    by_session = True
    if known:
        by_session = (
            st.radio("Show", ["A session", "Any time"], horizontal=True, key="mode", label_visibility="collapsed")
            == "A session"
        )
    if known and by_session:
        session, since, until = choose_session_time(known)
        show(read(app, profile, session, since, until), bank)
        left, right = st.columns([1.4, 1], gap="large")
        with left, st.container(border=True):
            st.markdown("**Put a label right**")
            with app.pool.transaction() as tx:
                labels = sessions.list_repetitions(tx, session.session_id)
            edit_repetition(app, bank, labels)
        with right, st.container(border=True):
            st.markdown("**Session**")
            edit_session(app, session)
    else:
        chosen = choose_time(app, profile)
        if chosen is None:
            empty(
                f"**Nothing was recorded for {profile.name} yet.** Samples appear here as soon as the device sends.",
                "pages/3_Training_Data_Capture.py",
                "Record a session",
            )
        else:
            show(read(app, profile, None, *chosen), bank)
