"""A stored session as a recording of no format, read in portions; people stand as their numbers."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta

import numpy as np

from semg.block_table import LATE, STARTS_RUN, BlockTable
from semg.domain import Profile, Repetition, Session, us_from_utc
from semg.formats.neutral import About, Label, NeutralRecording, Portion
from semg.recordings.portions import iterate_portions
from semg.recordings.session_data import require_channels
from semg.store.pool import Pool

PORTION = timedelta(minutes=2)


def open_session(
    pool: Pool, session: Session, profile: Profile, repetitions: list[Repetition], *, step: timedelta = PORTION
) -> NeutralRecording:
    """Return a session; its samples are read when they are asked for, in transactions of their own.

    Parameters
    ----------
    repetitions
        All of the session, those left out of training too.
    """
    device = profile.device
    is_same = device.channels == session.channels
    about = About(
        channels=session.channels,
        rate_hz=session.rate_hz,
        name=session.name,
        person=str(session.user_id),
        sensor=session.sensor,
        mains_hz=session.mains_hz,
        value_min=device.adc_min if is_same else None,
        value_max=device.adc_max if is_same else None,
        handedness=profile.handedness or "",
        purposes=tuple(profile.channel_purposes.get(name, "") for name in session.channels),
        simulated=session.simulated,
    )
    labels = tuple(
        Label(
            gesture=one.gesture,
            number=one.number,
            start_us=us_from_utc(one.started_at),
            end_us=us_from_utc(one.ended_at),
            excluded=one.excluded,
            reason=one.exclude_reason,
            dynamic=one.dynamic,
        )
        for one in sorted(repetitions, key=lambda one: one.started_at)
    )
    return NeutralRecording(about, labels, lambda: _portions(pool, session, step))


def _portions(pool: Pool, session: Session, step: timedelta) -> Iterator[Portion]:
    last_us: int | None = None
    for table in iterate_portions(pool, session, step, with_late=True):
        made = _portion(table, session, last_us)
        if len(made.times_us):
            if last_us is None:
                made.starts_run[0] = True
            last_us = int(made.times_us[-1])
            yield made


def _portion(table: BlockTable, session: Session, last_us: int | None) -> Portion:
    """Return blocks as samples whose time grows from one to the next.

    The clock fit may step back by microseconds between two blocks: a sample that is not later than all before it is
    left out, and one that starts a run hands that on to the next. A late one goes between the live samples, where its
    time is free.
    """
    require_channels(session, table)
    counts = table.counts
    times_us = table.device_us + np.repeat(table.rows["clock_offset_us"], counts)
    late = np.repeat((table.rows["flags"] & LATE) != 0, counts)
    starts_run = np.zeros(len(times_us), bool)
    starts_run[np.cumsum(counts) - counts] = (table.rows["flags"] & STARTS_RUN) != 0
    before = -(1 << 62) if last_us is None else last_us
    live = np.flatnonzero(~late)
    run = np.cumsum(starts_run[live])
    grows = times_us[live] > np.maximum.accumulate(np.append(before, times_us[live]))[:-1]
    live, run = live[grows], run[grows]
    starts_run[live] = np.diff(run, prepend=0) > 0
    other = np.flatnonzero(late & (times_us > before) & ~np.isin(times_us, times_us[live]))
    other = other[np.unique(times_us[other], return_index=True)[1]]
    order = np.concatenate([live, other])
    order = order[np.argsort(times_us[order], kind="stable")]
    samples = table.values.reshape(len(times_us), len(session.channels))
    return Portion(times_us[order], samples[order], starts_run[order], late[order])
