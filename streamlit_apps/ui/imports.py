"""Recordings that somebody uploads, taken in as sessions: one at a time, because each may take 0.8 GB of memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import streamlit as st

from semg.commands import recording_imports
from semg.commands.recording_imports import Foreseen
from semg.domain import Profile
from semg.process.fair_turns import FairTurns
from semg.recordings.csv_format import (
    UPLOAD,
    Layout,
    LayoutAnswers,
    LayoutGuess,
    Recording,
    guess_layout,
    load_recording,
)
from semg.security import private_files
from semg.store import import_layouts
from ui.runtime import App
from ui.turns import turn

AT_ONCE = 1
_PIECE_BYTES = 1 << 20


@st.cache_resource(show_spinner=False)
def turns() -> FairTurns:
    """Return the turns of this app's imports, the same for every viewer."""
    return FairTurns(AT_ONCE)


def look(app: App, file_name: str, content: BinaryIO, separator: str | None = None) -> LayoutGuess:
    """Return how an uploaded file is likely to be laid out, as its account has said before of files with its columns.

    Raises
    ------
    ConflictError
        Other imports run.
    RecordingError
        Its first lines are no table of numbers.
    """
    with turn(app, turns(), "import", "Import"), _file(app, file_name, content) as path:
        found = guess_layout(path, answers=LayoutAnswers(separator=separator), limits=UPLOAD, name=file_name)
    with app.pool.transaction() as tx:
        before = import_layouts.find_layout(tx, app.account_id, found.layout.fingerprint)
    if before is None:
        return found
    # What is only this file's stays as it was found.
    known = replace(before, encoding=found.layout.encoding, n_skipped=found.layout.n_skipped)
    return replace(found, layout=known, questions=())


def foresee(app: App, profile: Profile, file_name: str, content: BinaryIO, layout: Layout) -> Foreseen:
    """Read an uploaded recording, and return what its import would add; nothing is stored.

    Raises
    ------
    ConflictError
        Other imports run.
    RecordingError
        It is no recording, or is too large.
    AccessError, NotFoundError
        The viewer may not work with the profile (any more).
    """
    with _loaded(app, profile, file_name, content, layout) as recording, app.pool.transaction() as tx:
        return recording_imports.foresee(tx, app, profile.user_id, recording)


def take(
    app: App,
    profile: Profile,
    file_name: str,
    content: BinaryIO,
    layout: Layout,
    name: str,
    started_at: datetime | None,
) -> int:
    """Store an uploaded recording as a session of a profile, and return its number.

    A day names no time: the session begins at ``started_at``, or behind the sessions that lie there.

    Raises
    ------
    ConflictError
        Other imports run, or the profile has a session of this name.
    RecordingError
        It is no recording, is too large, or does not fit the profile's device.
    AccessError, NotFoundError
        The viewer may not work with the profile (any more).
    """
    with _loaded(app, profile, file_name, content, layout) as recording, app.pool.transaction() as tx:
        made = recording_imports.take(tx, app, profile.user_id, recording, layout, name, started_at)
        return made.session_id


@contextmanager
def _file(app: App, file_name: str, content: BinaryIO) -> Iterator[Path]:
    """Return an upload as a file, which is gone afterwards."""
    with private_files.scratch(app.settings.data_dir) as folder:
        path = folder / ("recording.csv.gz" if file_name.lower().endswith(".gz") else "recording.csv")
        content.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(content, file, _PIECE_BYTES)
        yield path


@contextmanager
def _loaded(
    app: App, profile: Profile, file_name: str, content: BinaryIO, layout: Layout
) -> Iterator[Recording]:  # fmt: skip
    """Return an uploaded recording while it is this import's turn."""
    with turn(app, turns(), "import", "Import"), _file(app, file_name, content) as path:
        device = profile.device
        yield load_recording(
            path, layout=layout, sensor=device.sensor, mains_hz=device.mains_hz, limits=UPLOAD, name=file_name
        )
