"""What a training learns from: sessions with their quality, and a look into each at signal, video and repetitions."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import streamlit as st

from semg import clock
from semg.commands.label_changes import LabelChange, change_labels
from semg.domain import REST, Gesture, Profile, Session
from semg.recordings.recorded_verdict import verdict_on
from semg.store import sessions
from semg.store.session_quality import SessionQuality, find_quality
from semg.store.session_summaries import SessionSummary, newest_prompted
from semg.words import counted
from ui import acts, audit_view, errors, repetitions, shortcuts, times, verdict, video
from ui.page import flash
from ui.review_read import keep_part, part_of, read, whole_of
from ui.review_view import Wishes, review_view
from ui.runtime import App
from ui.simulated_arm import SIMULATED
from ui.text import Markdown, cells, md, shown

FEW = 3
FIRST = 30
_CHOSEN = "training-repetition"


def choose_sessions(
    summaries: Sequence[SessionSummary], qualities: Mapping[int, SessionQuality]
) -> list[SessionSummary]:
    """Show the sessions and give the chosen ones; at first, all that were recorded with the newest one's device.

    What was taught on Live is not chosen by itself: nobody was prompted, the labels are as good as the memory of who
    gave them, and a few seconds of one gesture make a poor test of the model.
    """
    newest = newest_prompted(summaries) or summaries[0].session
    listed = summaries
    if len(summaries) > FIRST and not st.toggle(md("Show all {n} sessions", n=len(summaries)), key="all-sessions"):
        listed = summaries[:FIRST]
    if any(summary.session.origin == "taught" for summary in listed):
        st.caption(
            "Sessions taught on Live are not chosen by default: their labels were given from memory, without a prompt, "
            "and a few seconds of a gesture say little when they are held out as a test. Add them when a gesture is "
            "performed differently in daily use."
        )
    with st.container(border=True, height=230 if len(listed) > 5 else "content", gap="xsmall"):
        return [
            summary
            for summary in listed
            if st.checkbox(
                _label(summary, qualities.get(summary.session.session_id)),
                summary.trains_with(newest),
                key=f"session-{summary.session.session_id}",
            )
        ]


def check(chosen: Sequence[SessionSummary], qualities: Mapping[int, SessionQuality]) -> None:
    """Show what there is to train on, and what is likely to go wrong."""
    counts: Counter[str] = Counter()
    seconds: Counter[str] = Counter()
    for summary in chosen:
        for one in summary.gestures:
            counts[one.gesture] += one.repetitions
            seconds[one.gesture] += one.seconds  # type: ignore[assignment]
    st.dataframe(
        cells({"Gesture": name, "Repetitions": n, "Length": times.length(seconds[name])} for name, n in counts.items()),
        hide_index=True,
        width="stretch",
    )
    few = [name for name, n in counts.items() if n < FEW]
    if few:
        st.warning(
            md(
                "Fewer than {n} repetitions of {names}: the model's test will say little about them.",
                n=FEW,
                names=", ".join(few),
            )
        )
    devices = {(summary.session.channels, summary.session.rate_hz, summary.session.sensor) for summary in chosen}
    if len(devices) > 1:
        st.warning("The sessions were recorded with different devices (channels, rate or sensor). Choose one kind.")
    silent = [summary.session.name for summary in chosen if summary.n_samples == 0]
    if silent:
        names = ", ".join(silent)
        st.warning(md("No samples are stored for {names}: the device was not streaming. Leave it out.", names=names))
    for summary in chosen:
        quality = qualities.get(summary.session.session_id)
        judged = verdict_on(summary.session, quality)
        if judged.level == "do not use" and summary.n_samples:
            verdict.show(judged, summary.session.name)


def look_into(app: App, profile: Profile, summaries: Sequence[SessionSummary], bank: Sequence[Gesture]) -> None:
    """Show a session's signal with its labels and its video at the same cursor, and take repetitions in or out."""
    by_id = {summary.session.session_id: summary for summary in summaries}
    toggle, choice = st.columns([1, 1.6], vertical_alignment="bottom")
    if not toggle.toggle("Inspect a session", key="look", help="Its signal, video and repetitions"):
        return
    number = choice.selectbox(
        "Session",
        list(by_id),
        format_func=lambda one: shown(by_id[one].session.name),
        key="look-into",
        label_visibility="collapsed",
    )
    session = by_id[number].session
    _picture(app, profile, session, [one.name for one in bank])
    with app.pool.transaction() as tx:
        found = sessions.list_repetitions(tx, number)
        quality = find_quality(tx, number)
    verdict.show(verdict_on(session, quality))
    if not found:
        st.info("This session has no labels, so there is nothing to learn from it.")
        return
    edited = repetitions.edit(
        found,
        f"repetitions-{number}",
        {} if quality is None else quality.repetitions,
        read_only=not app.may_work,
    )
    if not app.may_work:
        return
    wanted = repetitions.changes(found, edited)
    save, all_out, all_in, _ = st.columns([1.6, 1.3, 1.3, 1.4])
    label = md("Save for {name}", name=profile.name)
    keys = {what: acts.key(f"{what}-{number}", profile.user_id) for what in ("save", "all-out", "all-in")}
    if save.button(label, key=keys["save"], disabled=not wanted, type="primary", width="stretch"):
        _store(app, session, wanted)
    if all_out.button("Exclude all", key=keys["all-out"], width="stretch", help="All repetitions of the session"):
        _store(app, session, repetitions.all_changes(found, excluded=True))
    if all_in.button("Include all", key=keys["all-in"], width="stretch"):
        _store(app, session, repetitions.all_changes(found, excluded=False))


def _picture(app: App, profile: Profile, session: Session, gesture_names: list[str]) -> None:
    audit_view.seen(app, "samples.seen", profile.user_id, session.session_id)
    key = f"training-part-{session.session_id}"
    whole = whole_of(session, clock.utc_now())
    read_part = read(app, profile, session, whole, part_of(whole, key))

    def chosen(sent: dict[str, float]) -> None:
        st.session_state[_CHOSEN] = int(sent["id"])

    review_view(
        read_part,
        gesture_names,
        Wishes(lambda sent: keep_part(key, sent), on_chosen=chosen),
        key=f"training-{session.session_id}",
        keys=shortcuts.written(app, "review"),
        chosen_id=st.session_state.get(_CHOSEN),
    )
    if read_part.overview.drawn is None:
        st.caption("No samples are stored for this session.")
    video.show_video(app, session.session_id, key="training", height_px=240)


def _store(app: App, session: Session, wanted: Sequence[LabelChange]) -> None:
    with errors.attempt():
        with app.pool.transaction() as tx:
            change_labels(tx, app, session.session_id, wanted)
        flash(md("{n} repetitions changed", n=len(wanted)))
        st.rerun()


def _label(summary: SessionSummary, quality: SessionQuality | None) -> Markdown:
    session = summary.session
    performed = sum(one.repetitions for one in summary.gestures if one.gesture != REST)
    left_out = sum(one.excluded for one in summary.gestures)
    said = [
        *([SIMULATED] if session.simulated else []),
        times.shown(session.started_at),
        times.length(summary.labelled_s),
        counted(performed, "repetition") + (f", {left_out} intervals left out" if left_out else ""),
    ]
    if quality is not None:
        said.append(verdict.label(verdict_on(session, quality)))
    if session.status == "aborted":
        said.append("ended early")
    if session.origin == "taught":
        said.append("taught on Live")
    return md("{name} · {said}", name=session.name, said=" · ".join(said))
