"""Looking at what was recorded, and putting its labels right."""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime, timedelta

import plotly.graph_objects as go
import streamlit as st

from semg import clock
from semg.domain import Gesture, Profile, Session
from semg.recordings.overview import Recorded, look_at_spectrum, recorded
from semg.recordings.recorded_verdict import verdict_on
from semg.signals.display.spectrum import Spectrum
from semg.store import blocks, gestures, sessions
from semg.store.session_quality import find_quality
from ui import audit_view, errors, import_fields, palette, replaying, review_edit, shortcuts, times, verdict, video
from ui.page import empty, page, split
from ui.pick import pick_profile
from ui.review_read import keep_part, part_of, read, whole_of
from ui.review_view import Shown, Wishes, review_view
from ui.runtime import App
from ui.simulated_arm import SIMULATED
from ui.text import cells, chart, line, md

MODES = ["A session", "Any time", "Import a recording"]
SPANS_S = {
    60: "1 min", 180: "3 min", 600: "10 min", 3600: "1 h", 6 * 3600: "6 h", 24 * 3600: "24 h",
}  # fmt: skip


def choose_session(found: list[Session]) -> Session:
    """Show the sessions and give the chosen one."""
    by_id = {one.session_id: one for one in found}
    if st.session_state.get(review_edit.SESSION) not in by_id:
        st.session_state.pop(review_edit.SESSION, None)
    number = st.selectbox(
        "Session", list(by_id), format_func=lambda one: _label(by_id[one]), key=review_edit.SESSION,
        label_visibility="collapsed",
    )  # fmt: skip
    return by_id[number]


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
    span_s = length_column.selectbox("Length", list(SPANS_S), format_func=SPANS_S.__getitem__, key="range-span")
    since = times.from_viewer(day, at)
    return since, since + timedelta(seconds=span_s)


def show(
    app: App, profile: Profile, session: Session | None, whole: tuple[datetime, datetime], bank: list[Gesture]
) -> Shown:
    """Show the picture with the video beside it, and the figures of each channel; return what was drawn."""
    audit_view.seen(app, "samples.seen", profile.user_id, session.session_id if session else None)
    name = f"{profile.user_id}-{session.session_id if session else 'any'}-{whole[0].timestamp():.0f}"
    shown = replace(
        read(app, profile, session, whole, part_of(whole, f"part-{name}")), replayed=replaying.replayed_runs(session)
    )
    wishes = Wishes(
        lambda sent: keep_part(f"part-{name}", sent),
        None if session is None or not app.may_work else lambda sent: review_edit.move(app, session, sent),
        None if session is None else lambda sent: review_edit.choose(int(sent["id"])),
    )
    review_edit.show_move_error()
    review_view(
        shown,
        [one.name for one in bank],
        wishes,
        key=f"review-{name}",
        keys=shortcuts.written(app, "review"),
        chosen_id=st.session_state.get("repetition") if session else None,
    )
    if session is not None:
        video.show_video(app, session.session_id, key="review", height_px=260)
    if shown.overview.drawn is None:
        st.info("No samples are stored for this period.")
        return shown
    show_figures(app, recorded(profile, session), shown)
    return shown


def show_figures(app: App, source: Recorded, shown: Shown) -> None:
    """Show counts, RMS and range of each channel, and the spectra when they are wanted."""
    drawn = shown.overview.drawn
    assert drawn is not None
    missing_s = sum(end - begin for begin, end in drawn.gaps) / 1e6
    lost = missing_s * source.rate_hz
    n_late = sum(n for _, n in shown.overview.late)
    st.caption(
        md(
            "{n:,} samples · {gaps} gaps, {missing_s:.2f} s ({lost:.2%} lost, red) · {late} late samples (×)",
            n=drawn.n_samples,
            gaps=len(drawn.gaps),
            missing_s=missing_s,
            lost=lost / max(1.0, lost + drawn.n_samples),
            late=n_late,
        )
    )
    with st.expander("Statistics and spectra of each channel"):
        wanted = st.toggle("Spectra", key="spectra", help="For the period shown; a long one is sampled at intervals")
        found = None
        if wanted:
            with app.pool.transaction() as tx:
                found = look_at_spectrum(tx, source, shown.since, shown.until)
            if found is None:
                st.caption("A spectrum needs one second without gaps.")
            else:
                st.plotly_chart(spectrum_figure(found, source.channels), width="stretch", key="spectrum")
        st.dataframe(
            cells(
                {"Channel": name, "RMS": round(float(drawn.rms[i]), 2), "Lowest": float(drawn.low[i]),
                 "Highest": float(drawn.high[i])}
                | ({} if found is None else {"Median frequency (Hz)": round(float(found.median_hz[i]), 1)})
                for i, name in enumerate(shown.channels)
            ),
            hide_index=True,
            width="stretch",
        )  # fmt: skip


def spectrum_figure(found: Spectrum, channels: tuple[str, ...]) -> go.Figure:
    """Return the spectra as lines; power on a logarithmic axis."""
    made = go.Figure()
    colours = palette.channel_colours(len(channels))
    for index, name in enumerate(channels):
        made.add_scatter(
            x=found.frequency_hz, y=found.density[:, index], name=chart(name), mode="lines",
            line={"width": 1.4, "color": colours[index], "dash": "solid" if index < len(palette.CHANNELS) else "dot"},
        )  # fmt: skip
    made.update_layout(
        height=300,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={"title": "Hz"},
        yaxis={"title": "power per Hz", "type": "log", "exponentformat": "power"},
        legend={"orientation": "h", "y": 1.12},
    )
    return made


def show_session(app: App, profile: Profile, known: list[Session], bank: list[Gesture]) -> None:
    """Show a session for looking at and for changes."""
    session = choose_session(known)
    with app.pool.transaction() as tx:
        labels = sessions.list_repetitions(tx, session.session_id)
        quality = find_quality(tx, session.session_id)
    verdict.show(verdict_on(session, quality))
    shown = show(app, profile, session, whole_of(session, clock.utc_now()), bank)
    replaying.show_replay(app, profile, session, shown)
    left, right = split("review", [1.4, 1])
    with left, st.container(border=True):
        title = "**Correct a label of {name}**" if app.may_work else "**{name}'s labels**"
        st.markdown(md(title, name=profile.name))
        if app.may_work:
            review_edit.edit_repetition(app, profile, session, bank, labels)
        review_edit.show_changes(app, session.session_id)
    with right, st.container(border=True):
        st.markdown(md("**{name}'s session**", name=profile.name))
        review_edit.edit_session(app, profile, session)


def show_any_time(app: App, profile: Profile, bank: list[Gesture]) -> None:
    """Show what a device sent at any time, inside a session or not."""
    chosen = choose_time(app, profile)
    if chosen is None:
        empty(
            md(
                "**Nothing has been recorded for {name} yet.** Samples appear here as soon as the device sends data.",
                name=profile.name,
            ),
            "pages/3_Training_Data_Capture.py",
            "Record a session",
        )
        return
    show(app, profile, None, chosen, bank)


def _label(session: Session) -> str:
    extra = {"recording": " · recording now", "aborted": " · ended early"}.get(session.status, "")
    if session.origin == "import":
        extra += " · imported"
    if session.simulated:
        extra += f" · {SIMULATED}"
    if session.origin == "taught":
        extra += " · taught on Live"
    return line("{name} · {at}{extra}", name=session.name, at=times.shown(session.started_at), extra=extra)


with page("Review") as app:
    profile = pick_profile(app)
    with app.pool.transaction() as tx:
        bank = gestures.list_gestures(tx, profile.user_id)
        known = sessions.list_sessions(tx, profile.user_id)
    modes = [one for one in MODES if (known or one != MODES[0]) and (app.may_work or one != MODES[2])]
    mode = st.segmented_control("Show", modes, default=modes[0], key="mode", label_visibility="collapsed") or modes[0]
    with errors.shown():
        if mode == "A session":
            show_session(app, profile, known, bank)
        elif mode == "Any time":
            show_any_time(app, profile, bank)
        else:
            import_fields.import_session(app, profile)
