"""Recordings that somebody uploads, taken in as sessions: one at a time, because each may take 0.8 GB of memory."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path
from typing import BinaryIO

import numpy as np
import streamlit as st
from numpy.typing import NDArray

from semg.domain import Profile
from semg.names import normal_form
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
from semg.recordings.importing import import_recording
from semg.security import private_files
from semg.store import audit, gestures, import_layouts, sessions
from semg.store.audit import Actor
from ui.runtime import App
from ui.turns import turn

AT_ONCE = 1
SHOWN_S = 10.0
"""So much of the signals is shown before an import."""
_PIECE_BYTES = 1 << 20


@st.cache_resource(show_spinner=False)
def turns() -> FairTurns:
    """Return the turns of this app's imports, the same for every viewer."""
    return FairTurns(AT_ONCE)


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an import would store, and add to the gesture bank of the profile.

    Attributes
    ----------
    new
        Gestures that the bank lacks.
    notes
        What is to be known of the file.
    seconds_shown, shown
        The beginning of the signals: times in seconds ``(n,)``, values ``(n, n_channels)``.
    """

    samples: int
    seconds: float
    rate_hz: float
    repetitions: int
    known: tuple[str, ...]
    new: tuple[str, ...]
    notes: tuple[str, ...]
    channels: tuple[str, ...]
    seconds_shown: NDArray[np.float64]
    shown: NDArray[np.float32]


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
        before = import_layouts.find_layout(tx, _account_id(app), found.layout.fingerprint)
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
        app.require(tx, profile.user_id, "work")
        bank = [gesture.name for gesture in gestures.list_gestures(tx, profile.user_id)]
    labelled = recording.labelled
    found = list(dict.fromkeys(stretch.label for stretch in labelled.stretches))
    begin = recording.device_ms <= recording.device_ms[0] + 1000 * SHOWN_S
    return Foreseen(
        samples=len(labelled.samples),
        seconds=len(labelled.samples) / labelled.rate_hz,
        rate_hz=labelled.rate_hz,
        repetitions=len(labelled.stretches),
        known=tuple(name for name in found if normal_form.find(name, bank) is not None),
        new=tuple(name for name in found if normal_form.find(name, bank) is None),
        notes=recording.notes,
        channels=labelled.channels,
        seconds_shown=(recording.device_ms[begin] - recording.device_ms[0]) / 1000,
        shown=labelled.samples[begin],
    )


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
        app.require(tx, profile.user_id, "work")
        sessions.require_free_name(tx, profile.user_id, name)
        made = import_recording(tx, profile.user_id, recording, name, started_at, may_move=True)
        import_layouts.remember_layout(tx, _account_id(app), layout)
        audit.record(tx, Actor(app.login), "session.imported", profile.user_id, made.session_id, samples=made.samples)
        return made.session_id


def _account_id(app: App) -> int:
    assert app.account is not None
    return app.account.account_id


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
