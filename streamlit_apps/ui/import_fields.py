"""Taking a recording in from a file: what it would add to whose gesture bank is shown first."""

from __future__ import annotations

from datetime import time
from typing import Any

import streamlit as st

from semg.domain import Profile
from ui import acts, errors, imports, times
from ui.page import flash
from ui.review_edit import SESSION
from ui.runtime import App
from ui.text import md

_FORESEEN, _COUNT = "import-foreseen", "imported"


def import_session(app: App, profile: Profile) -> None:
    """Take a recording from a file as a session of the profile."""
    number = st.session_state.get(_COUNT, 0)
    # A file belongs to the person for whom it was chosen: with another person, it has to be chosen again.
    given = st.file_uploader(
        md("A recording of {name}: CSV `millis,a0,…,gesture,repetition`, plain or gzip", name=profile.name),
        ["csv", "gz"],
        key=f"import-{number}-{profile.user_id}",
    )
    if given is None:
        st.session_state.pop(_FORESEEN, None)
        return
    with errors.attempt():
        _show_foreseen(profile, _foreseen(app, profile, given))
        _import(app, profile, given)


def _foreseen(app: App, profile: Profile, given: Any) -> imports.Foreseen:
    """Return what the file would add to the profile; read once for each file and person."""
    asked = (profile.user_id, given.file_id)
    kept: tuple[tuple[int, str], imports.Foreseen] | None = st.session_state.get(_FORESEEN)
    if kept is not None and kept[0] == asked:
        return kept[1]
    with st.spinner("Reading the recording …"):
        found = imports.foresee(app, profile, given.name, given)
    st.session_state[_FORESEEN] = (asked, found)
    return found


def _show_foreseen(profile: Profile, found: imports.Foreseen) -> None:
    known = f", {len(found.known)} known" if found.known else ""
    st.info(
        md(
            "This adds to **{name}** one session: {samples:,} samples, {length}, {repetitions} repetitions of "
            "{n} gestures{known}.",
            name=profile.name,
            samples=found.samples,
            length=times.length(found.seconds),
            repetitions=found.repetitions,
            n=len(found.known) + len(found.new),
            known=known,
        ),
        icon=":material/upload_file:",
    )
    if found.new:
        st.warning(
            md(
                "New in the gesture bank of **{name}**: {gestures}. If these are not gestures of {name}, the file may "
                "be another person's.",
                name=profile.name,
                gestures=", ".join(found.new),
            ),
            icon=":material/playlist_add:",
        )


def _import(app: App, profile: Profile, given: Any) -> None:
    with st.form("import", border=False, clear_on_submit=False):
        name_column, day_column = st.columns([2, 1])
        name = name_column.text_input(
            "Name of the session", key=f"import-name-{profile.user_id}", placeholder="that of the file"
        )
        day = day_column.date_input("Recorded on", None, key="import-day", help="Today without a day.")
        label = md("Import into {name}", name=profile.name)
        key = acts.key("import", profile.user_id)
        if not st.form_submit_button(label, type="primary", icon=":material/upload:", key=key):
            return
    with errors.attempt(), st.spinner("Reading and storing the recording …"):
        title = name.strip() or given.name.removesuffix(".gz").removesuffix(".csv")
        started_at = None if day is None else times.from_viewer(day, time(12))
        session_id = imports.take(app, profile, given.name, given, title, started_at)
        st.session_state[SESSION] = session_id
        st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
        flash(md("{title} was imported into {name}", title=title, name=profile.name))
        st.rerun()
