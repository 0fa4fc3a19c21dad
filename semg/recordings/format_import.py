"""Recordings of any format on their way into the store: as what the import takes, with what it would add."""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from pathlib import Path

import numpy as np

from semg.domain import REST, Device, utc_from_us
from semg.errors import RecordingError
from semg.formats.labelling import index_of
from semg.formats.neutral import About, Label, NeutralRecording, Portion, in_memory
from semg.names import normal_form
from semg.recordings.columns import Limits
from semg.recordings.csv_format import Recording
from semg.recordings.importing import ImportedSession, import_recording
from semg.signals.dataset import LabelledSamples, Stretch
from semg.store import repetitions as repetitions_store
from semg.store.pool import Transaction

CHANGED_BY = "semg import"


@dataclass(frozen=True, slots=True)
class Prepared:
    """A recording that could be stored.

    Attributes
    ----------
    labels
        Those of the stretches, in their order.
    started_at
        When it began; None where the file does not say.
    """

    recording: Recording
    labels: tuple[Label, ...]
    name: str
    person: str
    started_at: datetime | None
    value_range: tuple[float, float]

    @property
    def seconds(self) -> float:
        """Length from the first sample to the last."""
        return float(self.recording.device_ms[-1] - self.recording.device_ms[0]) / 1000

    @property
    def gestures(self) -> tuple[str, ...]:
        """Gestures in the order in which they occur first."""
        return tuple(dict.fromkeys(one.label for one in self.recording.labelled.stretches))


def new_gestures(prepared: Prepared, bank: Collection[str]) -> tuple[str, ...]:
    """Return the gestures that an import would add to a bank."""
    return tuple(name for name in prepared.gestures if normal_form.find(name, bank) is None)


def prepare(given: NeutralRecording, path: Path, limits: Limits, renamed: Mapping[str, str] | None = None) -> Prepared:
    """Return a recording as the import takes it: without late samples, with each label as a stretch of samples.

    Parameters
    ----------
    renamed
        Other names for labels; an empty one leaves the label out.

    Raises
    ------
    RecordingError
        It has fewer than two samples or more than the limits allow, or its labels lie within each other.
    """
    about = given.about
    live = _live(given, path, limits)
    labels, owner = _labelled(given, live, path, renamed or {})
    name = about.name or path.name.split(".")[0]
    stretches = tuple(Stretch(one.gesture, one.number, name, one.dynamic) for one in labels)
    starts_run = live.starts_run.copy()
    starts_run[0] = True
    labelled = LabelledSamples(
        live.samples, starts_run, owner, stretches, about.channels, about.rate_hz, about.sensor, about.mains_hz
    )
    device_ms = (live.times_us - live.times_us[0]) / 1000.0
    low, high = float(live.samples.min()), float(live.samples.max())
    if about.value_min is not None and about.value_max is not None:
        low, high = min(low, about.value_min), max(high, about.value_max)
    started_at = utc_from_us(int(live.times_us[0])) if about.dated else None
    recording = Recording(labelled, device_ms, path, (*given.notes, *_rest_note(path, labels)))
    return Prepared(recording, labels, name, about.person, started_at, (low, high))


def from_csv(read: Recording) -> NeutralRecording:
    """Return a recording that ``csv_format`` has read as one of no format; its file says no date."""
    labelled = read.labelled
    times_us = np.rint(read.device_ms * 1000).astype(np.int64)
    ends_us = np.append(times_us[1:], times_us[-1] + round(1e6 / labelled.rate_hz))
    labels: tuple[Label, ...] = ()
    if labelled.stretches:  # of unlabelled samples, the index is the smallest
        _, firsts, counts = np.unique(labelled.stretch, return_index=True, return_counts=True)
        firsts, counts = firsts[-len(labelled.stretches) :], counts[-len(labelled.stretches) :]
        edges = zip(labelled.stretches, times_us[firsts], ends_us[firsts + counts - 1], strict=True)
        labels = tuple(
            Label(gesture=one.label, number=one.repetition, start_us=int(start_us), end_us=int(end_us))
            for one, start_us, end_us in edges
        )
    about = About(
        channels=labelled.channels,
        rate_hz=labelled.rate_hz,
        name=read.path.name.split(".")[0],
        sensor=labelled.sensor,
        mains_hz=labelled.mains_hz,
        dated=False,
    )
    return in_memory(about, labels, times_us, labelled.samples, labelled.starts_run, notes=read.notes)


def _rest_note(path: Path, labels: tuple[Label, ...]) -> tuple[str, ...]:
    """Return a question where no label is rest, and one may mean it."""
    names = dict.fromkeys(one.gesture for one in labels)
    alike = [name for name in names if normal_form.is_like_rest(name)]
    if REST in names or not alike:
        return ()
    return (f"{path.name} has no label “rest”; if “{alike[0]}” means it, add --label {alike[0]}={REST}.",)


def with_names_of(prepared: Prepared, device: Device) -> Prepared:
    """Return a recording whose channels have the names of a device that has as many, in their order; with a note.

    A file of somebody else's has the names of another device; what is which is what the person who imports it confirms.
    """
    labelled = prepared.recording.labelled
    if labelled.channels == device.channels or len(labelled.channels) != device.n_channels:
        return prepared
    note = f"Its channels {', '.join(labelled.channels)} are taken as {', '.join(device.channels)}, in this order."
    recording = replace(
        prepared.recording,
        labelled=replace(labelled, channels=device.channels),
        notes=(*prepared.recording.notes, note),
    )
    return replace(prepared, recording=recording)


def store(tx: Transaction, user_id: int, prepared: Prepared, *, name: str, max_s: float) -> ImportedSession:
    """Store a recording as a session of a profile; what was left out of training stays so.

    Raises
    ------
    RecordingError, StoreError
        As ``import_recording``.
    """
    made = import_recording(tx, user_id, prepared.recording, name, prepared.started_at, may_move=False, max_s=max_s)
    if any(one.excluded for one in prepared.labels):
        stored = sorted(repetitions_store.list_repetitions(tx, made.session_id), key=lambda one: one.started_at)
        for one, label in zip(stored, prepared.labels, strict=True):
            if label.excluded:
                repetitions_store.update_repetition(
                    tx, one.repetition_id, excluded=True, reason=label.reason, changed_by=CHANGED_BY
                )
    return made


def _live(given: NeutralRecording, path: Path, limits: Limits) -> Portion:
    """Return the samples that were part of the live signal."""
    parts: list[Portion] = []
    n = 0
    for portion in given.portions():
        live = ~portion.late
        parts.append(
            Portion(portion.times_us[live], portion.samples[live], portion.starts_run[live], portion.late[live])
        )
        n += int(live.sum())
        if n > limits.rows or n * len(given.about.channels) > limits.values:
            raise RecordingError(f"{path.name} has more than {limits.rows:,} samples. Split the recording.")
    if n < 2:
        raise RecordingError(f"{path.name} has {n} samples; a recording needs at least two.")
    return Portion(
        np.concatenate([one.times_us for one in parts]),
        np.concatenate([one.samples for one in parts]),
        np.concatenate([one.starts_run for one in parts]),
        np.concatenate([one.late for one in parts]),
    )


def _labelled(
    given: NeutralRecording, live: Portion, path: Path, renamed: Mapping[str, str]
) -> tuple[tuple[Label, ...], np.ndarray[tuple[int], np.dtype[np.int32]]]:
    """Return the labels that hold samples, and the label of each sample."""
    named = [replace(one, gesture=normal_form.label(renamed.get(one.gesture, one.gesture))) for one in given.labels]
    labels = sorted((one for one in named if one.gesture), key=lambda one: one.start_us)
    owner = index_of(live.times_us, labels)
    changes = np.flatnonzero(np.append(True, owner[1:] != owner[:-1]))
    order = [index for index in owner[changes].tolist() if index >= 0]
    if len(set(order)) != len(order):
        twice = next(labels[index] for index in order if order.count(index) > 1)
        raise RecordingError(
            f"{path.name}: another label lies within “{twice.gesture}” (repetition {twice.number}); expected one after "
            "the other. Correct the labels in the file."
        )
    number = np.full(len(labels) + 1, -1, np.int32)
    number[order] = np.arange(len(order))
    return tuple(labels[index] for index in order), number[owner]
