"""Putting labels right, and what can be done with whole sessions: rename, export, delete."""

from __future__ import annotations

from datetime import timedelta

import streamlit as st

from semg.commands.label_changes import LabelChange, change_labels
from semg.commands.session_changes import rename_session
from semg.domain import Gesture, Profile, Repetition, Session, utc_from_us
from semg.privacy import file_exports
from semg.store import access, audit, erasing, repetitions, sessions
from semg.store.audit import Actor
from ui import acts, confirm, download, errors, times
from ui.page import flash
from ui.runtime import App
from ui.text import cells, line, md, plain, shown

MOVE_ERROR = "review-move-error"
SESSION = "session"
_KINDS = {"CSV": "csv.gz", "Parquet": "parquet"}


def label_of(one: Repetition) -> str:
    """Return a repetition as a list shows it."""
    at, left_out = times.clock(one.started_at), " · left out" if one.excluded else ""
    return line("{gesture} {n} · {at}{left_out}", gesture=one.gesture, n=one.number, at=at, left_out=left_out)


def move(app: App, session: Session, sent: dict[str, float]) -> None:
    """Move the edges of one of the session's repetitions to where they were dragged.

    The browser says which one, and may say anything. What does not go is told at the next run.
    """
    try:
        number = int(sent["id"])
        with app.pool.transaction() as tx:
            change = LabelChange(
                repetition_id=number,
                started_at=utc_from_us(round(sent["begin_ms"] * 1000)),
                ended_at=utc_from_us(round(sent["end_ms"] * 1000)),
            )
            (changed,) = change_labels(tx, app, session.session_id, [change])
        flash(md("{gesture} {n} moved", gesture=changed.gesture, n=changed.number))
    except Exception as exc:
        st.session_state[MOVE_ERROR] = errors.sentence(exc)


def show_move_error() -> None:
    """Say why a label was not moved."""
    message = st.session_state.pop(MOVE_ERROR, None)
    if message:
        st.error(plain(message), icon=":material/error:")


def choose(number: int) -> None:
    """Choose a repetition for changes."""
    st.session_state["repetition"] = number


def edit_repetition(app: App, profile: Profile, session: Session, bank: list[Gesture], found: list[Repetition]) -> None:
    """Show one repetition for changes: another gesture, moved edges, left out of training."""
    if not found:
        st.caption("This session has no labels.")
        return
    by_id = {one.repetition_id: one for one in found}
    if st.session_state.get("repetition") not in by_id:
        st.session_state.pop("repetition", None)
    number = st.selectbox("Repetition", list(by_id), format_func=lambda one: label_of(by_id[one]), key="repetition")
    one = by_id[number]
    names = [gesture.name for gesture in bank]
    with st.form(f"repetition-{number}-{one.started_at}-{one.ended_at}", border=False):
        index = names.index(one.gesture)
        gesture = st.selectbox("Gesture", names, index, format_func=shown, key=f"gesture-{number}")
        begin, end = st.columns(2)
        begin_s = begin.number_input("Move the start by (s)", -30.0, 30.0, 0.0, 0.1, key=f"begin-{number}")
        end_s = end.number_input("Move the end by (s)", -30.0, 30.0, 0.0, 0.1, key=f"end-{number}")
        excluded = st.checkbox("Leave out of training", one.excluded, key=f"excluded-{number}")
        reason = st.text_input("Reason", one.exclude_reason, key=f"reason-{number}")
        label = md("Save for {name}", name=profile.name)
        if st.form_submit_button(label, type="primary", key=acts.key(f"label-{number}", profile.user_id)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    change = LabelChange(
                        repetition_id=number,
                        excluded=excluded,
                        reason=reason,
                        started_at=one.started_at + timedelta(seconds=begin_s),
                        ended_at=one.ended_at + timedelta(seconds=end_s),
                        gesture_id=bank[names.index(gesture)].gesture_id if gesture != one.gesture else None,
                    )
                    change_labels(tx, app, session.session_id, [change])
                flash(md("{gesture} {n} saved", gesture=gesture, n=one.number))
                st.rerun()


def show_changes(app: App, session_id: int) -> None:
    """Show what was changed about a session's labels, and by whom."""
    with app.pool.transaction() as tx:
        found = repetitions.list_changes(tx, session_id)
    if not found:
        return
    with st.expander(md("Label changes ({n})", n=len(found))):
        st.dataframe(
            cells(
                {"When": times.shown(one.changed_at, seconds=True), "Who": one.changed_by or "—",
                 "Label": f"{one.before.gesture} {one.before.number}", "Change": _difference(one)}
                for one in found
            ),
            hide_index=True,
            width="stretch",
        )  # fmt: skip
        st.caption("Training jobs that used the earlier label are not affected.")


def edit_session(app: App, profile: Profile, session: Session) -> None:
    """Show what can be done with a whole session."""
    if app.may_work:
        _rename(app, session)
    _export(app, session)
    with app.pool.transaction() as tx:
        owner_id = access.find_owner(tx, session.user_id)
    if app.may_own(owner_id):
        _erase(app, profile, session)
    else:
        st.caption("Only the profile's owner or an admin can delete a session.")


def _rename(app: App, session: Session) -> None:
    with st.form(f"rename-{session.session_id}", border=False):
        name = st.text_input("Name", session.name, max_chars=200, key=f"name-{session.session_id}")
        if st.form_submit_button("Rename", key=acts.key(f"rename-{session.session_id}", session.user_id)):
            with errors.attempt():
                with app.pool.transaction() as tx:
                    rename_session(tx, app, session.session_id, name)
                flash("Renamed")
                st.rerun()


def _erase(app: App, profile: Profile, session: Session) -> None:
    """Offer to erase a session, with what goes."""
    if not confirm.offer(app, "delete this session"):
        return
    sure = st.checkbox(
        md("Yes, delete this session of {name} with its samples, labels and video", name=profile.name),
        key=f"sure-{session.session_id}",
    )
    if sure and session.ended_at is not None:
        with app.pool.transaction() as tx:
            _foretell(erasing.count_made(tx, session))
    key = acts.key(f"delete-session-{session.session_id}", profile.user_id)
    if st.button("Delete session", icon=":material/delete:", disabled=not sure, key=key):
        with errors.attempt(), st.spinner("Deleting …"):
            with app.pool.transaction() as tx:
                app.require(tx, session.user_id, "own")
                confirm.require(app, tx)
                gone = sessions.delete_session(tx, session.session_id)
                audit.record(
                    tx, Actor(app.login), "session.erased", session.user_id, session.session_id, samples=gone.samples,
                    repetitions=gone.repetitions, models=len(gone.models), jobs=gone.jobs, decisions=gone.decisions,
                )  # fmt: skip
            flash(md("{name} and {n:,} samples were deleted", name=session.name, n=gone.samples))
            st.rerun()


def _foretell(gone: erasing.ErasedSession) -> None:
    """Say what else goes with a session."""
    if gone.models:
        versions = ", ".join(map(str, gone.models))
        ends = " There will be no active version until another is activated or trained." if gone.active else ""
        told = md(
            "Also deleted, because they were trained on it: model version {versions}.{ends}",
            versions=versions,
            ends=ends,
        )
        st.warning(told, icon=":material/warning:")
    elif gone.jobs:
        st.caption("Training jobs waiting for it are cancelled.")


def _export(app: App, session: Session) -> None:
    kind = st.segmented_control("Export as", list(_KINDS), default="CSV", key="export-kind") or "CSV"
    download.link(app, md("Download {kind}", kind=kind), file_exports.session_file(session.session_id, _KINDS[kind]))


def _difference(one: repetitions.RepetitionChange) -> str:
    before, after = one.before, one.after
    if after is None:
        return "deleted"
    said = []
    if after.gesture != before.gesture:
        said.append(f"now {after.gesture}")
    for word, old, new in (
        ("start", before.started_at, after.started_at),
        ("end", before.ended_at, after.ended_at),
    ):
        if new != old:
            said.append(f"{word} {(new - old).total_seconds():+.2f} s")
    if after.excluded and not before.excluded:
        said.append(f"left out: {after.exclude_reason or 'no reason given'}")
    elif before.excluded and not after.excluded:
        said.append("included again")
    elif after.exclude_reason != before.exclude_reason:
        said.append(f"reason: {after.exclude_reason}")
    return ", ".join(said)
