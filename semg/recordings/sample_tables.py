"""Samples of a session as Arrow batches: whole, in portions, or decimated for the screen.

All formats are made from the same batches, so that a sample is the same in each: ``server_at`` (UTC, microseconds), the
channels, and with whole samples ``gesture`` and ``repetition``, "" and 0 where nothing is labelled. Late samples are
left out, as they were not part of the live signal; excluded repetitions are unlabelled.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime, timedelta

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from semg.domain import Repetition, Session
from semg.errors import TrainingError
from semg.formats.sample_columns import TIME, batch_of, schema_of
from semg.recordings.portions import iterate_portions
from semg.recordings.session_data import label_table
from semg.signals.dataset import LabelledSamples
from semg.signals.display.decimation import DecimatedSignal
from semg.store import repetitions as repetitions_store
from semg.store.pool import Pool, Transaction

PORTION = timedelta(minutes=2)


@dataclass(frozen=True, slots=True)
class Portion:
    """Consecutive samples of a session; ``label`` is an index into the labels of the whole session, 0 for none."""

    server_us: NDArray[np.int64]
    millis: NDArray[np.float64]
    samples: NDArray[np.float32]
    label: NDArray[np.int32]
    repetitions: NDArray[np.int32]


@dataclass(frozen=True, slots=True)
class SampleTables:
    """Batches of one schema, read while they are taken."""

    schema: pa.Schema
    batches: Iterator[pa.RecordBatch]


def kept_repetitions(pool: Pool, session: Session) -> list[Repetition]:
    """Return a session's repetitions that are not excluded."""
    with pool.transaction() as tx:
        return [one for one in repetitions_store.list_repetitions(tx, session.session_id) if not one.excluded]


def labels_of(repetitions: Sequence[Repetition]) -> list[str]:
    """Return the labels that ``Portion.label`` is an index into."""
    return ["", *(one.gesture for one in repetitions)]


def whole_samples(
    pool: Pool,
    session: Session,
    since: datetime | None = None,
    until: datetime | None = None,
    look: Callable[[Transaction], None] | None = None,
) -> SampleTables:
    """Return a session's samples in ``[since, until)``, with their labels.

    Parameters
    ----------
    look
        Called in each transaction that reads; what it raises ends the reading.

    Raises
    ------
    TrainingError
        While batches are taken: samples of another number of channels.
    """
    kept = kept_repetitions(pool, session)
    schema = schema_of(session.channels, _metadata(session))
    part = replace(session, started_at=since or session.started_at, ended_at=until or session.ended_at)
    labels = labels_of(kept)
    names = list(dict.fromkeys(labels))
    index = np.array([names.index(label) for label in labels], np.int32)
    portions = iterate_samples(pool, part, kept, look)
    return SampleTables(schema, _whole(portions, schema, pa.array(names, pa.string()), index))


def _whole(
    portions: Iterator[Portion], schema: pa.Schema, names: pa.Array, index: NDArray[np.int32]
) -> Iterator[pa.RecordBatch]:
    for portion in portions:
        label, numbers = index[portion.label], portion.repetitions
        batch = batch_of(schema, portion.server_us, portion.samples, label, names, numbers)
        del portion, label, numbers
        yield batch
        del batch


def drawn_samples(session: Session, drawn: DecimatedSignal | None) -> SampleTables:
    """Return a decimated signal; a row of nulls stands in each gap."""
    schema = schema_of(session.channels, _metadata(session), is_labelled=False)
    if drawn is None:
        return SampleTables(schema, iter(()))
    columns = [
        pa.array(drawn.server_us).cast(schema.field(TIME).type),
        *(pa.array(np.ascontiguousarray(column), from_pandas=True) for column in drawn.values.T),
    ]
    return SampleTables(schema, iter([pa.RecordBatch.from_arrays(columns, schema=schema)]))


def iterate_samples(
    pool: Pool,
    session: Session,
    repetitions: Sequence[Repetition],
    look: Callable[[Transaction], None] | None = None,
) -> Iterator[Portion]:
    """Yield a session's samples in time order, two minutes at a time, labelled by repetitions.

    Raises
    ------
    TrainingError
        Samples of another number of channels.
    """
    first_us: int | None = None
    last_ms = -np.inf
    numbers = np.array([0, *(one.number for one in repetitions)], np.int32)
    for table in iterate_portions(pool, session, PORTION, look=look):
        labelled = label_table(session, table, repetitions)
        server_us = table.device_us + np.repeat(table.rows["clock_offset_us"], table.counts)
        first_us = int(server_us[0]) if first_us is None else first_us
        # The clock fit may step back by microseconds between two blocks; a recording's time grows from row to row.
        millis = np.round((server_us - first_us) / 1000, 3)
        growing = millis > np.maximum.accumulate(np.append(last_ms, millis))[:-1]
        last_ms = max(last_ms, float(millis.max()))
        made = _portion(labelled, server_us, millis, numbers, growing)
        del table, labelled, server_us, millis, growing
        yield made
        del made


def no_samples(session: Session) -> TrainingError:
    """Return the error of a session without samples."""
    return TrainingError(f"session “{session.name}” has no samples: was the device streaming during the capture?")


def _portion(
    labelled: LabelledSamples,
    server_us: NDArray[np.int64],
    millis: NDArray[np.float64],
    numbers: NDArray[np.int32],
    growing: NDArray[np.bool_],
) -> Portion:
    label = labelled.stretch + np.int32(1)
    if bool(growing.all()):  # as nearly always: nothing is copied
        return Portion(server_us, millis, labelled.samples, label, numbers[label])
    label = label[growing]
    return Portion(server_us[growing], millis[growing], labelled.samples[growing], label, numbers[label])


def _metadata(session: Session) -> dict[str, str]:
    about = {"session_id": str(session.session_id), "rate_hz": f"{session.rate_hz:g}"}
    return about | ({"simulated": "true"} if session.simulated else {})
