"""Import recordings from files into the store, as labelled sessions."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import islice

import numpy as np
from numpy.typing import NDArray

from semg.domain import Block, Device, us_from_utc, utc_from_us
from semg.errors import RecordingError
from semg.recordings.csv_format import UPLOAD, Recording
from semg.signals.dataset import LabelledSamples
from semg.store import blocks as blocks_store
from semg.store import gestures as gestures_store
from semg.store import profiles as profiles_store
from semg.store import repetition_sets
from semg.store import sessions as sessions_store
from semg.store.pool import Transaction, limit_statements

BLOCK_S = 1.0
BLOCKS_AT_ONCE = 1000
"""Blocks that are in memory in PostgreSQL's format."""
MAX_GESTURES = 200
"""Of one recording: each that the bank lacks is added to it."""
MAX_SPAN = timedelta(days=7)
"""From the first sample to the last: each day of it is a partition."""
EARLIEST, AHEAD = datetime(2000, 1, 1, tzinfo=UTC), timedelta(days=1)
"""When a recording may have begun, and how far its end may lie ahead of the import."""
APART = timedelta(seconds=1)
"""Between a session and an import that was moved beside it."""
MAX_REPETITION = 2**31 - 1
MAX_S = 60.0
"""Of the transaction: while it lasts, times of the profile's sessions are locked; its row is so at the end only."""


@dataclass(frozen=True, slots=True, kw_only=True)
class ImportedSession:
    """Result of an import."""

    session_id: int
    samples: int
    repetitions: int


def import_recording(
    tx: Transaction,
    user_id: int,
    recording: Recording,
    name: str,
    started_at: datetime | None = None,
    *,
    may_move: bool = False,
    max_s: float = MAX_S,
    clock: Callable[[], float] = time.monotonic,
) -> ImportedSession:
    """Store a recording as a completed session of a profile; gestures that its bank lacks are added.

    No session shares time with another one of its profile. An import waits for another that runs for the profile.

    Parameters
    ----------
    started_at
        Server time of the first sample. By default, the recording ends at the import's own moment, or before the
        sessions that lie there.
    may_move
        Whether it may start later than ``started_at``, after the sessions at that time.
    max_s, clock
        An import that takes longer than so many seconds of this clock is refused, and leaves nothing.

    Raises
    ------
    RecordingError
        The recording lies where another session is, does not fit the profile's device (other channel names or another
        rate), has more stretches, gaps or gestures than one session may have, is longer than ``MAX_SPAN``, or takes too
        long to store.
    StoreError
        One statement alone took longer than ``max_s``.
    """
    labelled = recording.labelled
    device = profiles_store.get_profile(tx, user_id).device
    _check_device(labelled, device)
    _check_size(recording)
    deadline = _Deadline(clock, max_s)
    limit_statements(tx, min(max_s, MAX_S))
    device_us = np.round(recording.device_ms * 1000).astype(np.int64)
    period_us = round(1e6 / labelled.rate_hz)
    length_us = int(device_us[-1] - device_us[0]) + period_us
    started_us = us_from_utc(_free_start(tx, user_id, started_at, length_us, may_move=may_move))
    offset_us = started_us - int(device_us[0])
    session_id = sessions_store.insert_session(
        tx,
        user_id,
        name,
        "import",
        utc_from_us(started_us),
        utc_from_us(started_us + length_us),
        status="completed",
        device=device,
    )
    made = _blocks(user_id, labelled, device_us, offset_us)
    while portion := list(islice(made, BLOCKS_AT_ONCE)):
        blocks_store.copy_blocks(tx, portion, session_id)
        deadline.check()
    # From here on others wait: a consent that was withdrawn meanwhile is seen, one that is withdrawn now waits.
    sessions_store.require_recording(tx, user_id, locked=True)
    n_repetitions = _insert_repetitions(tx, user_id, session_id, labelled, device_us + offset_us, period_us)
    deadline.check()
    return ImportedSession(session_id=session_id, samples=len(labelled.samples), repetitions=n_repetitions)


def _free_start(
    tx: Transaction, user_id: int, started_at: datetime | None, length_us: int, *, may_move: bool
) -> datetime:
    """Return when a recording of a length starts, so that it shares no time with another session of the profile."""
    sessions_store.lock_times(tx, user_id)
    length = timedelta(microseconds=length_us)
    at = datetime.now(UTC) - length if started_at is None else started_at
    while (other := sessions_store.find_overlapping(tx, user_id, at, at + length)) is not None:
        if started_at is None:
            at = other.started_at - APART - length
        elif may_move and other.ended_at is not None:
            at = other.ended_at + APART
        else:
            raise RecordingError(
                f"the recording (from {at:%Y-%m-%d %H:%M:%S} to {at + length:%H:%M:%S} UTC) would overlap the session "
                f"“{other.name}”. Enter when it was recorded, or delete that session"
            )
    if not EARLIEST <= at <= datetime.now(UTC) + AHEAD - length:
        raise RecordingError(
            f"enter when it was recorded: expected a time from {EARLIEST:%Y-%m-%d} to today (now {at:%Y-%m-%d})"
        )
    return at


def _check_device(labelled: LabelledSamples, device: Device) -> None:
    if labelled.channels != device.channels:
        raise RecordingError(
            f"the recording has channels {', '.join(labelled.channels)}, the profile's device "
            f"{', '.join(device.channels)}: change the device, or choose another profile"
        )
    if abs(labelled.rate_hz - device.rate_hz) > 0.02 * device.rate_hz:
        raise RecordingError(
            f"the recording has {labelled.rate_hz:g} samples a second, the profile's device {device.rate_hz:g}"
        )


def _blocks(user_id: int, labelled: LabelledSamples, device_us: NDArray[np.int64], offset_us: int) -> Iterator[Block]:
    """Cut a recording into blocks of about a second that do not reach over a gap."""
    longest = max(1, round(BLOCK_S * labelled.rate_hz))
    run_starts = np.union1d(np.flatnonzero(labelled.starts_run), [0])
    run_ends = np.append(run_starts[1:], len(labelled.samples))
    for run_start, run_end in zip(run_starts.tolist(), run_ends.tolist(), strict=True):
        for first in range(run_start, run_end, longest):
            chunk = slice(first, min(first + longest, run_end))
            yield Block(
                user_id=user_id,
                segment_id=int(device_us[0]) + offset_us,
                starts_run=first == run_start,
                late=False,
                clock_offset_us=offset_us,
                device_us=device_us[chunk],
                received_us=device_us[chunk] + offset_us,
                samples=labelled.samples[chunk],
            )


def _insert_repetitions(
    tx: Transaction,
    user_id: int,
    session_id: int,
    labelled: LabelledSamples,
    server_us: NDArray[np.int64],
    period_us: int,
) -> int:
    """Write every stretch as a repetition; it ends where the next sample begins."""
    if not labelled.stretches:
        return 0
    gesture_ids = gestures_store.ensure_gestures(tx, user_id, _gestures(labelled))
    ends_us = np.append(server_us[1:], server_us[-1] + period_us)
    # A stretch's samples are consecutive, and stretches are numbered in the order of time.
    firsts = np.unique(labelled.stretch, return_index=True)[1][-len(labelled.stretches) :]
    lasts = len(labelled.stretch) - 1 - np.unique(labelled.stretch[::-1], return_index=True)[1]
    lasts = lasts[-len(labelled.stretches) :]
    made = [
        repetition_sets.NewRepetition(
            gesture_ids[stretch.label], stretch.repetition, utc_from_us(int(first_us)), utc_from_us(int(end_us))
        )
        for stretch, first_us, end_us in zip(labelled.stretches, server_us[firsts], ends_us[lasts], strict=True)
    ]
    repetition_sets.insert_repetitions(tx, session_id, made)
    return len(made)


def _gestures(labelled: LabelledSamples) -> list[str]:
    return list(dict.fromkeys(stretch.label for stretch in labelled.stretches))


def _check_size(recording: Recording) -> None:
    labelled, span_ms = recording.labelled, float(recording.device_ms[-1] - recording.device_ms[0])
    n_gaps, n_gestures = int(labelled.starts_run[1:].sum()), len(_gestures(labelled))
    for what, n, most in (
        ("stretches of one gesture and repetition", len(labelled.stretches), UPLOAD.stretches),
        ("gaps", n_gaps, UPLOAD.gaps),
        ("different gestures", n_gestures, MAX_GESTURES),
    ):
        if n > most:
            raise RecordingError(f"the recording has {n:,} {what}; a session has at most {most:,}. Split it.")
    if span_ms > MAX_SPAN / timedelta(milliseconds=1):
        raise RecordingError(
            f"the recording goes over {span_ms / 86_400_000:,.1f} days; expected at most {MAX_SPAN.days}. Split it, "
            "or correct the times in millis."
        )
    numbers = [stretch.repetition for stretch in labelled.stretches]
    if numbers and not 0 <= min(numbers) <= max(numbers) <= MAX_REPETITION:
        raise RecordingError(
            f"the recording has repetitions from {min(numbers)} to {max(numbers)}; expected whole numbers from 0 on"
        )


class _Deadline:
    """Refuses to continue when a time is over."""

    def __init__(self, clock: Callable[[], float], longest_s: float) -> None:
        self._clock, self._longest_s, self._end = clock, longest_s, clock() + longest_s

    def check(self) -> None:
        if self._clock() > self._end:
            raise RecordingError(
                f"storing the recording took more than {self._longest_s:g} s, and nothing of it was kept: the database "
                "is busy. Try again later, or split the recording."
            )
