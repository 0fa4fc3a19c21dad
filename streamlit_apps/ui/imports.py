"""Recordings that somebody uploads, taken in as sessions: one at a time, because each may take half a GB of memory."""

from __future__ import annotations

import shutil
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from typing import BinaryIO

import streamlit as st

from semg import private_files
from semg.domain import Profile
from semg.errors import ConflictError
from semg.importing import import_recording
from semg.recordings import UPLOAD, Recording, load_recording
from semg.store import audit, gestures
from semg.store.audit import Actor
from ui.runtime import App

AT_ONCE = 1
_PIECE_BYTES = 1 << 20


@st.cache_resource(show_spinner=False)
def turns() -> threading.Semaphore:
    """Return the turns of this app's imports, the same for every viewer."""
    return threading.BoundedSemaphore(AT_ONCE)


@contextmanager
def turn(kept: threading.Semaphore) -> Iterator[None]:
    """Let an import run in this block.

    Raises
    ------
    ConflictError
        Another one runs. Nobody waits here: a page that waits holds a thread and its file.
    """
    if not kept.acquire(blocking=False):
        raise ConflictError("another import runs at this moment; wait until it has ended, and press Import again")
    try:
        yield
    finally:
        kept.release()


@dataclass(frozen=True, slots=True)
class Foreseen:
    """What an import would store, and add to the gesture bank of the profile."""

    samples: int
    seconds: float
    repetitions: int
    known: tuple[str, ...]
    new: tuple[str, ...]
    """Gestures that the bank lacks."""


def foresee(app: App, profile: Profile, file_name: str, content: BinaryIO) -> Foreseen:
    """Read an uploaded recording, and return what its import would add; nothing is stored.

    Raises
    ------
    ConflictError
        Another import runs.
    RecordingError
        It is no recording, or is too large.
    AccessError, NotFoundError
        The viewer may not work with the profile (any more).
    """
    with _loaded(app, profile, file_name, content) as recording, app.pool.transaction() as tx:
        app.require(tx, profile.user_id, "work")
        bank = {gesture.name for gesture in gestures.list_gestures(tx, profile.user_id)}
    labelled = recording.labelled
    found = list(dict.fromkeys(stretch.label for stretch in labelled.stretches))
    return Foreseen(
        samples=len(labelled.samples),
        seconds=len(labelled.samples) / labelled.rate_hz,
        repetitions=len(labelled.stretches),
        known=tuple(name for name in found if name in bank),
        new=tuple(name for name in found if name not in bank),
    )


def take(
    app: App, profile: Profile, file_name: str, content: BinaryIO, name: str, started_at: datetime | None
) -> int:  # fmt: skip
    """Store an uploaded recording as a session of a profile, and return its number.

    Raises
    ------
    ConflictError
        Another import runs.
    RecordingError
        It is no recording, is too large, or does not fit the profile's device.
    AccessError, NotFoundError
        The viewer may not work with the profile (any more).
    """
    with _loaded(app, profile, file_name, content) as recording, app.pool.transaction() as tx:
        app.require(tx, profile.user_id, "work")
        made = import_recording(tx, profile.user_id, recording, name, started_at)
        audit.record(tx, Actor(app.login), "session.imported", profile.user_id, made.session_id, samples=made.samples)
        return made.session_id


@contextmanager
def _loaded(app: App, profile: Profile, file_name: str, content: BinaryIO) -> Iterator[Recording]:
    """Return an uploaded recording while it is this import's turn; its file is gone afterwards."""
    with turn(turns()), private_files.scratch(app.settings.data_dir) as folder:
        path = folder / ("recording.csv.gz" if file_name.endswith(".gz") else "recording.csv")
        content.seek(0)
        with path.open("wb") as file:
            shutil.copyfileobj(content, file, _PIECE_BYTES)
        device = profile.device
        yield load_recording(path, sensor=device.sensor, mains_hz=device.mains_hz, limits=UPLOAD)
