"""Taking a recording in from a file: what it would add to whose gesture bank is shown first."""

from __future__ import annotations

import logging
from collections.abc import Callable, Hashable
from dataclasses import dataclass
from datetime import time
from typing import Any, TypeVar

import numpy as np
import plotly.graph_objects as go
import streamlit as st

from semg.commands.recording_imports import Foreseen
from semg.domain import Profile
from semg.errors import RecordingError, SemgError
from semg.recordings.columns import session_name
from semg.recordings.csv_format import Layout
from semg.words import counted
from ui import acts, errors, imports, times
from ui.import_layout import chosen_separator, layout_fields
from ui.page import flash
from ui.review_edit import SESSION
from ui.runtime import App
from ui.text import chart, md, plain

logger = logging.getLogger(__name__)

T = TypeVar("T")
MAX_POINTS = 1500
"""Of a channel, in the picture of the signals."""
_GUESSED, _FORESEEN, _COUNT = "import-guessed", "import-foreseen", "imported"


def import_session(app: App, profile: Profile) -> None:
    """Take a recording from a file as a session of the profile."""
    number = st.session_state.get(_COUNT, 0)
    # A file belongs to the person for whom it was chosen: with another person, it has to be chosen again.
    given = st.file_uploader(
        md("Recording of {name}: CSV or another text table (plain or gzip), or Parquet", name=profile.name),
        ["csv", "gz", "tsv", "txt", "dat", "parquet"],
        key=f"import-{number}-{profile.user_id}",
    )
    if given is None:
        st.session_state.pop(_GUESSED, None)
        st.session_state.pop(_FORESEEN, None)
        return
    with errors.attempt():
        separator = chosen_separator(number, profile.user_id)
        guess = _once(_GUESSED, (profile.user_id, given.file_id, separator), lambda: imports.look(
            app, given.name, given, separator))  # fmt: skip
        layout, is_settled = layout_fields(guess, profile, number)
        found = _once(_FORESEEN, (profile.user_id, given.file_id, layout), lambda: imports.foresee(
            app, profile, given.name, given, layout))  # fmt: skip
        _show_foreseen(profile, found)
        _import(app, profile, given, layout, is_settled=is_settled)


@dataclass(frozen=True, slots=True)
class _Refused:
    """Why a file cannot be read."""

    why: str


def _once(kept_as: str, asked: Hashable, read: Callable[[], T]) -> T:
    """Return what a file says, or raise why it cannot be read; read once for each file, person and layout.

    A refusal is kept too: a page that is run again would read the file again, as long as it likes.
    """
    kept: tuple[Hashable, T | _Refused] | None = st.session_state.get(kept_as)
    if kept is None or kept[0] != asked:
        with st.spinner("Reading the recording …"):
            kept = asked, _read(read)
        st.session_state[kept_as] = kept
    if isinstance(kept[1], _Refused):
        raise RecordingError(kept[1].why)
    return kept[1]


def _read(read: Callable[[], T]) -> T | _Refused:
    """Return what is read; what is not the file's fault (others import, the database is away) is raised."""
    try:
        return read()
    except RecordingError as exc:
        return _Refused(str(exc))
    except SemgError:
        raise
    except Exception:
        logger.exception("a recording cannot be read")
        return _Refused("The file cannot be read because of an unexpected error. The app's log has the details.")


def _show_foreseen(profile: Profile, found: Foreseen) -> None:
    known = f", {len(found.known)} of them already in the gesture bank" if found.known else ""
    st.info(
        md(
            "This adds one session to **{name}**: {samples:,} samples at {rate:g} samples/s, {length}, "
            "{repetitions} of {gestures}{known}.",
            name=profile.name,
            samples=found.samples,
            rate=found.rate_hz,
            length=times.length(found.seconds),
            repetitions=counted(found.repetitions, "repetition"),
            gestures=counted(len(found.known) + len(found.new), "gesture"),
            known=known,
        ),
        icon=":material/upload_file:",
    )
    for note in found.notes:
        st.warning(plain(note), icon=":material/content_cut:")
    st.plotly_chart(_figure(found), width="stretch", config={"displayModeBar": False})
    if found.new:
        st.warning(
            md(
                "New in **{name}**'s gesture bank: {gestures}. If these are not {name}'s gestures, the file may "
                "belong to someone else.",
                name=profile.name,
                gestures=", ".join(found.new),
            ),
            icon=":material/playlist_add:",
        )


def _figure(found: Foreseen) -> go.Figure:
    """Return the beginning of the signals, a lane each."""
    step = max(1, len(found.shown) // MAX_POINTS)
    seconds, values = found.seconds_shown[::step], found.shown[::step].astype(np.float64)
    spans = np.maximum(np.ptp(values, axis=0), 1e-9)
    figure = go.Figure()
    for index, name in enumerate(found.channels):
        lane = (values[:, index] - values[:, index].min()) / spans[index] - 1.15 * index
        figure.add_scatter(x=seconds, y=lane, name=chart(name), mode="lines", line={"width": 1})
    figure.update_layout(
        meta={"name": "Chart of the beginning of the signals, a lane for each channel"},
        height=200,
        margin={"l": 0, "r": 0, "t": 6, "b": 0},
        yaxis={"visible": False},
    )
    figure.update_xaxes(title_text="s")
    return figure


def _import(app: App, profile: Profile, given: Any, layout: Layout, *, is_settled: bool) -> None:
    with st.form("import", border=False, clear_on_submit=False):
        name_column, day_column = st.columns([2, 1])
        name = name_column.text_input(
            "Session name", key=f"import-name-{profile.user_id}", placeholder="the file's name"
        )
        day = day_column.date_input("Recorded on", None, key="import-day", help="Today if left empty.")
        label = md("Import into {name}", name=profile.name)
        key = acts.key("import", profile.user_id)
        is_pressed = st.form_submit_button(
            label, type="primary", icon=":material/upload:", key=key, disabled=not is_settled
        )
        if not is_pressed or not is_settled:
            return
    with errors.attempt(), st.spinner("Reading and storing the recording …"):
        title = name.strip() or session_name(given.name)
        started_at = None if day is None else times.from_viewer(day, time(12))
        session_id = imports.take(app, profile, given.name, given, layout, title, started_at)
        st.session_state[SESSION] = session_id
        st.session_state[_COUNT] = st.session_state.get(_COUNT, 0) + 1
        flash(md("{title} was imported into {name}", title=title, name=profile.name))
        st.rerun()
