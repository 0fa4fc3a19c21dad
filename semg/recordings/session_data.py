"""Convert stored blocks and repetitions of sessions into labelled samples, for training and review."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

import numpy as np
from numpy.typing import NDArray

from semg.block_table import LATE, STARTS_RUN, BlockTable
from semg.domain import Repetition, Session, us_from_utc
from semg.errors import TrainingError
from semg.signals.dataset import LabelledSamples, Stretch
from semg.store import blocks as blocks_store
from semg.store import repetitions as repetitions_store
from semg.store.pool import Transaction


def load_session(tx: Transaction, session: Session, *, with_excluded: bool = False) -> LabelledSamples:
    """Return a session's samples, labelled by its repetitions.

    Late samples are excluded, because they were not part of the live signal either.

    Raises
    ------
    TrainingError
        The session has no samples, or samples of another number of channels.
    """
    stored = blocks_store.read_session_blocks(tx, session)
    repetitions = repetitions_store.list_repetitions(tx, session.session_id)
    chosen = [repetition for repetition in repetitions if with_excluded or not repetition.excluded]
    return label_table(session, stored.where((stored.rows["flags"] & LATE) == 0), chosen)


def load_repetition(
    tx: Transaction, session: Session, repetition: Repetition, repetitions: Sequence[Repetition], longest: timedelta
) -> NDArray[np.float32]:
    """Return the samples of one repetition, as ``load_session`` labels them, reading no others.

    Parameters
    ----------
    repetitions
        All of the session: a sample that several claim belongs to the one that started last.
    longest
        Of a longer repetition, only so much is read, from its start.

    Returns
    -------
    Float32 ``(n, C)``; empty where none are stored.

    Raises
    ------
    TrainingError
        They have another number of channels than the session.
    """
    since, until = repetition.started_at, min(repetition.ended_at, repetition.started_at + longest)
    if session.origin == "import":
        table = blocks_store.read_imported(tx, session.user_id, session.session_id, since, until)
    else:
        table = blocks_store.read_blocks(tx, session.user_id, since, until)
    table = table.where((table.rows["flags"] & LATE) == 0)
    if not len(table):
        return np.zeros((0, len(session.channels)), np.float32)
    sharing = [one for one in repetitions if one.started_at < until and one.ended_at > since]
    labelled = label_table(session, table, sharing)
    mine = [one.repetition_id for one in sharing].index(repetition.repetition_id)
    return np.asarray(labelled.samples[labelled.stretch == mine], np.float32)


def label_table(session: Session, table: BlockTable, repetitions: Sequence[Repetition]) -> LabelledSamples:
    """Return blocks in time order as labelled samples; a repetition holds those in [start, end).

    A sample that several repetitions claim belongs to the one that started last.

    Raises
    ------
    TrainingError
        There are no samples, or they have another number of channels than the session.
    """
    if not len(table):
        raise TrainingError(f"session “{session.name}” has no samples: was the device streaming during the capture?")
    require_channels(session, table)
    counts = table.counts
    server_us = table.device_us + np.repeat(table.rows["clock_offset_us"], counts)
    starts_run = np.zeros(len(server_us), bool)
    starts_run[np.cumsum(counts) - counts] = (table.rows["flags"] & STARTS_RUN) != 0
    starts_run[0] = True
    return LabelledSamples(
        samples=table.values.reshape(len(server_us), len(session.channels)),
        starts_run=starts_run,
        stretch=_stretch_of(server_us, repetitions),
        stretches=tuple(Stretch(r.gesture, r.number, session.name, r.dynamic) for r in repetitions),
        channels=session.channels,
        rate_hz=session.rate_hz,
        sensor=session.sensor,
        mains_hz=session.mains_hz,
    )


def require_channels(session: Session, table: BlockTable) -> None:
    """Refuse blocks of another number of channels than their session's.

    Raises
    ------
    TrainingError
        The message names the session.
    """
    widths = set(table.rows["n_channels"].tolist())
    if widths != {len(session.channels)}:
        raise TrainingError(
            f"session “{session.name}” has samples of {sorted(widths)} channels, expected {len(session.channels)}: "
            "the device was changed during the capture; leave this session out"
        )


def _stretch_of(server_us: NDArray[np.int64], repetitions: Sequence[Repetition]) -> NDArray[np.int32]:
    order = sorted(range(len(repetitions)), key=lambda i: repetitions[i].started_at)
    starts = np.array([us_from_utc(repetitions[i].started_at) for i in order], np.int64)
    ends = np.array([us_from_utc(repetitions[i].ended_at) for i in order], np.int64)
    stretch = np.full(len(server_us), -1, np.int32)
    if (starts[1:] >= ends[:-1]).all():
        # The one that started last, found at once for all samples: labels are many, and so are the samples.
        before = np.searchsorted(starts, server_us, "right") - 1
        inside = (before >= 0) & (server_us < np.append(ends, 0)[before])
        stretch[inside] = np.array(order, np.int32)[before[inside]]
        return stretch
    for index, started, ended in zip(order, starts, ends, strict=True):
        stretch[(server_us >= started) & (server_us < ended)] = index
    return stretch
