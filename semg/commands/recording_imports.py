"""Recordings that come in as sessions: what an import would add, and the import."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from semg.commands.acting import Acting
from semg.names import normal_form
from semg.recordings.csv_format import Layout, Recording
from semg.recordings.importing import ImportedSession, import_recording
from semg.store import audit, gestures, import_layouts, sessions
from semg.store.pool import Transaction

SHOWN_S = 10.0
"""So much of the signals is shown before an import."""


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


def foresee(tx: Transaction, who: Acting, user_id: int, recording: Recording) -> Foreseen:
    """Return what an import would add; nothing is stored.

    Raises
    ------
    NotFoundError, AccessError
        As ``Acting.require``.
    """
    who.require(tx, user_id, "work")
    bank = [gesture.name for gesture in gestures.list_gestures(tx, user_id)]
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
    tx: Transaction,
    who: Acting,
    user_id: int,
    recording: Recording,
    layout: Layout,
    name: str,
    started_at: datetime | None,
) -> ImportedSession:
    """Store a recording as a session of a profile; how its file was read is remembered for the account's next one.

    A day names no time: the session begins at ``started_at``, or behind the sessions that lie there.

    Raises
    ------
    NotFoundError, AccessError
        As ``Acting.require``.
    ConflictError
        The profile has a session of this name, or the person does not agree to it.
    RecordingError
        As ``import_recording``.
    """
    who.require(tx, user_id, "work")
    sessions.require_free_name(tx, user_id, name)
    made = import_recording(tx, user_id, recording, name, started_at, may_move=True)
    if who.account_id:
        import_layouts.remember_layout(tx, who.account_id, layout)
    audit.record(tx, who.actor, "session.imported", user_id, made.session_id, samples=made.samples)
    return made
