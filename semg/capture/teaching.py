"""Label seconds of the live stream that have just been performed, and store them as a session of their own."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from semg.block_table import LATE, STARTS_RUN
from semg.domain import Device, Gesture, Session, us_from_utc
from semg.errors import ConflictError, InvalidValueError
from semg.signals.gaps import gap_step_us
from semg.store import blocks, consents, session_quality, sessions, simulated_arms
from semg.store.pool import Transaction

MIN_S, MAX_S = 1.0, 5.0
MAX_AGE_S = 60.0
"""Older seconds nobody remembers well enough to label them."""
LEAD_S = 1.0
"""Unlabelled samples before the label: conditioning settles on them, as it had live."""
SITTING_S = 600.0
"""Seconds that are taught within this time of each other are one session: a sitting with one placement."""


@dataclass(frozen=True, slots=True)
class Taught:
    """The session and the repetition that were stored."""

    session_id: int
    repetition_id: int


def teach(
    tx: Transaction,
    gesture: Gesture,
    device: Device,
    ended_at: datetime,
    length_s: float,
    *,
    now: datetime,
    name: str,
) -> Taught:
    """Store the seconds before a moment as a repetition of a gesture.

    Parameters
    ----------
    ended_at
        Server time, exclusive.
    now
        The server's present time.
    name
        Of the session, unless one of the same sitting is continued.

    Raises
    ------
    InvalidValueError
        The length or the moment is out of range.
    ConflictError
        Nothing or not everything of these seconds is stored, they belong to another session, a capture is running,
        or the person does not agree to being recorded.
    """
    if not MIN_S <= length_s <= MAX_S:
        raise InvalidValueError("length_s", f"choose between {MIN_S:g} and {MAX_S:g} s (now {length_s:g})")
    if not now - timedelta(seconds=MAX_AGE_S) <= ended_at <= now + timedelta(seconds=MAX_S):
        raise InvalidValueError(
            "ended_at", f"perform the gesture again and teach it at once: only the last {MAX_AGE_S:g} s can be taught"
        )
    user_id, began_at = gesture.user_id, ended_at - timedelta(seconds=length_s)
    consents.require(tx, user_id, "recording")
    sessions.lock_times(tx, user_id)
    _require_whole(tx, user_id, device, began_at, ended_at)
    session = _continued(tx, user_id, device, began_at, ended_at)
    if session is None:
        session_id = _begin(tx, user_id, device, began_at, ended_at, name)
    else:
        session_id = session.session_id
        sessions.update_session(tx, session_id, ended_at=ended_at)
        session_quality.delete_quality(tx, session_id)
    before = [one.gesture for one in sessions.list_repetitions(tx, session_id)]
    repetition_id = sessions.insert_repetition(
        tx, session_id, gesture.gesture_id, 1 + before.count(gesture.name), began_at, ended_at
    )
    return Taught(session_id, repetition_id)


def _require_whole(tx: Transaction, user_id: int, device: Device, began_at: datetime, ended_at: datetime) -> None:
    """Refuse seconds that are not stored, or with a gap: what is missing cannot be learned from."""
    table = blocks.read_blocks(tx, user_id, began_at, ended_at)
    table = table.where((table.rows["flags"] & LATE) == 0)
    if not len(table):
        raise ConflictError(
            "wait until the device sends data, and perform the gesture again: nothing is stored of these seconds"
        )
    if set(table.rows["n_channels"].tolist()) != {len(device.channels)}:
        raise ConflictError(
            f"check the device of this profile: the samples of these seconds have another number of channels than "
            f"the {len(device.channels)} that it names"
        )
    server_us = table.device_us + np.repeat(table.rows["clock_offset_us"], table.counts)
    step_us = gap_step_us(1e6 / device.rate_hz)
    edges = np.concatenate([[us_from_utc(began_at)], server_us, [us_from_utc(ended_at)]])
    longest_us = float(np.diff(edges).max())
    if (table.rows["flags"][1:] & STARTS_RUN).any() or longest_us > step_us:
        raise ConflictError(
            f"perform the gesture again: {longest_us / 1000:.0f} ms of these seconds are missing, because data were "
            "lost on the way or were not stored yet"
        )


def _continued(tx: Transaction, user_id: int, device: Device, began_at: datetime, ended_at: datetime) -> Session | None:
    """Return the session of this sitting that these seconds continue, or None."""
    newest = next(iter(sessions.list_sessions(tx, user_id, limit=1)), None)
    if newest is None or newest.origin != "taught" or newest.ended_at is None:
        return None
    same = (newest.channels, newest.rate_hz, newest.sensor, newest.mains_hz) == (
        device.channels, device.rate_hz, device.sensor, device.mains_hz,
    )  # fmt: skip
    if newest.simulated != (simulated_arms.find_arm(tx, user_id) is not None):
        return None
    if not same or began_at > newest.ended_at + timedelta(seconds=SITTING_S) or began_at < newest.started_at:
        return None
    if began_at < newest.ended_at:
        raise ConflictError("perform the gesture again: these seconds have a label already")
    return newest


def _begin(tx: Transaction, user_id: int, device: Device, began_at: datetime, ended_at: datetime, name: str) -> int:
    other = sessions.find_overlapping(tx, user_id, began_at, ended_at)
    if other is not None and other.status == "recording":
        raise ConflictError("end the capture first: while it runs, its plan gives the labels")
    if other is not None:
        raise ConflictError(f"choose other seconds: these belong to the session “{other.name}”")
    started_at = began_at - timedelta(seconds=LEAD_S)
    while (before := sessions.find_overlapping(tx, user_id, started_at, began_at)) is not None:
        assert before.ended_at is not None  # one without an end would overlap what follows too
        started_at = before.ended_at
    return sessions.insert_session(tx, user_id, name, "taught", started_at, ended_at, status="completed", device=device)
