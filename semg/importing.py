"""Recordings from files into the store, as labelled sessions."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from itertools import groupby
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from semg.domain import Block, Device, us_from_utc, utc_from_us
from semg.errors import RecordingError
from semg.recordings import Recording
from semg.signals.dataset import LabelledSamples, Stretch
from semg.signals.synthesis import SyntheticArm, SyntheticSession
from semg.store import blocks as blocks_store
from semg.store import gestures as gestures_store
from semg.store import profiles as profiles_store
from semg.store import repetitions as repetitions_store
from semg.store import sessions as sessions_store
from semg.store.pool import Transaction

BLOCK_S = 1.0


@dataclass(frozen=True, slots=True)
class ImportedSession:
    """What an import made."""

    session_id: int
    samples: int
    repetitions: int


def import_recording(
    tx: Transaction, user_id: int, recording: Recording, name: str, started_at: datetime | None = None
) -> ImportedSession:
    """Store a recording as a completed session of a profile; gestures that its bank lacks are added.

    Parameters
    ----------
    started_at
        Server time of the first sample; the import's own moment less the recording's length when not given.

    Raises
    ------
    RecordingError
        The recording does not fit the profile's device: other channel names or another rate.
    """
    labelled = recording.labelled
    device = profiles_store.get_profile(tx, user_id).device
    _check_device(labelled, device)
    device_us = np.round(recording.device_ms * 1000).astype(np.int64)
    period_us = round(1e6 / labelled.rate_hz)
    length_us = int(device_us[-1] - device_us[0]) + period_us
    started_us = us_from_utc(datetime.now(UTC)) - length_us if started_at is None else us_from_utc(started_at)
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
    blocks_store.copy_blocks(tx, list(_blocks(user_id, labelled, device_us, offset_us)), session_id)
    n_repetitions = _insert_repetitions(tx, user_id, session_id, labelled, device_us + offset_us, period_us)
    return ImportedSession(session_id, len(labelled.samples), n_repetitions)


def synthetic_recording(arm: SyntheticArm, session: SyntheticSession, name: str) -> Recording:
    """Give a synthetic session as a recording; channels are called ``a0``, ``a1`` and so on."""
    stretch = np.full(len(session.samples), -1, np.int32)
    stretches: list[Stretch] = []
    first = 0
    prompts = zip(session.gestures.tolist(), session.repetitions.tolist(), strict=True)
    for (gesture, number), members in groupby(prompts):
        last = first + len(list(members))
        if gesture:
            stretch[first:last] = len(stretches)
            stretches.append(Stretch(gesture, number, name))
        first = last
    starts_run = np.zeros(len(stretch), bool)
    starts_run[0] = True
    channels = tuple(f"a{index}" for index in range(arm.channels))
    labelled = LabelledSamples(
        session.samples, starts_run, stretch, tuple(stretches), channels, arm.rate_hz, arm.sensor, arm.mains_hz
    )
    return Recording(labelled, session.device_ms.astype(np.float64), Path(name))


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
            part = slice(first, min(first + longest, run_end))
            yield Block(
                user_id=user_id,
                segment_id=int(device_us[0]) + offset_us,
                starts_run=first == run_start,
                late=False,
                clock_offset_us=offset_us,
                device_us=device_us[part],
                received_us=device_us[part] + offset_us,
                samples=labelled.samples[part],
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
    names = list(dict.fromkeys(stretch.label for stretch in labelled.stretches))
    gesture_ids = gestures_store.ensure_gestures(tx, user_id, names)
    ends_us = np.append(server_us[1:], server_us[-1] + period_us)
    for index, stretch in enumerate(labelled.stretches):
        inside = np.flatnonzero(labelled.stretch == index)
        repetitions_store.insert_repetition(
            tx,
            session_id,
            gesture_ids[stretch.label],
            stretch.repetition,
            utc_from_us(int(server_us[inside[0]])),
            utc_from_us(int(ends_us[inside[-1]])),
        )
    return len(labelled.stretches)
