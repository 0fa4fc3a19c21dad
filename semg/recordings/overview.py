"""Prepare recorded samples of any duration for display: from summaries of minutes, or from samples if short."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np
from numpy.typing import NDArray

from semg import clock
from semg.domain import Block, Profile, Session, us_from_utc
from semg.signals.display import summary
from semg.signals.display.decimation import GAP_PERIODS, DecimatedSignal, decimate
from semg.signals.display.spectrum import Spectrum, spectrum
from semg.store import blocks, summaries
from semg.store.pool import Pool, Transaction
from semg.store.summaries import MINUTE, Minute, SummaryKey

SETTLED_S = 5.0
"""A minute is summarised this long after its end: what was received is stored in batches."""
SPECTRUM_PIECES, SPECTRUM_PIECE_S = 8, 4.0


@dataclass(frozen=True, slots=True)
class Recorded:
    """Selects samples: the live ones of a profile, or those of an imported session."""

    user_id: int
    channels: tuple[str, ...]
    rate_hz: float
    session_id: int = 0

    @property
    def key(self) -> SummaryKey:
        """Key of their summaries."""
        return SummaryKey(
            user_id=self.user_id, session_id=self.session_id, n_channels=len(self.channels), rate_hz=self.rate_hz
        )


@dataclass(frozen=True, slots=True)
class Overview:
    """A decimated signal of a time range; ``late`` are the times and numbers of late samples."""

    drawn: DecimatedSignal | None
    late: tuple[tuple[datetime, int], ...]


def recorded(profile: Profile, session: Session | None) -> Recorded:
    """Return the selection of a session's samples, or of a profile's live samples."""
    if session is None:
        return Recorded(profile.user_id, profile.device.channels, profile.device.rate_hz)
    return recorded_session(session)


def recorded_session(session: Session) -> Recorded:
    """Return the selection of a session's samples."""
    number = session.session_id if session.origin == "import" else 0
    return Recorded(session.user_id, session.channels, session.rate_hz, number)


def needs_summaries(since: datetime, until: datetime, n_columns: int) -> bool:
    """Return whether a time range is long enough to be displayed from summaries."""
    return us_from_utc(until) - us_from_utc(since) > n_columns * summary.BIN_US


def stale_minutes(
    tx: Transaction, source: Recorded, since: datetime, until: datetime, now: datetime | None = None
) -> list[Minute]:
    """Return the minutes of a time range with samples but no summary, without unfinished ones."""
    settled = (now or clock.utc_now()) - timedelta(seconds=SETTLED_S)
    fresh = summaries.list_fresh(tx, source.key, since, until)
    there = summaries.list_minutes(tx, source.key, since, until)
    return [one for one in there if one not in fresh and one.started_at + MINUTE < settled]


def summarise_minute(pool: Pool, source: Recorded, minute: Minute) -> None:
    """Compute and store the summary of a minute."""
    with pool.transaction() as tx:
        made = _summary(tx, source, minute)
        if made is not None:
            content = summary.to_bytes(made, us_from_utc(minute.started_at))
            summaries.save_summary(tx, source.key, minute, content)
        else:  # samples of another number of channels: known to be nothing
            summaries.save_summary(tx, source.key, minute, b"")


def look(tx: Transaction, source: Recorded, since: datetime, until: datetime, n_columns: int) -> Overview:
    """Decimate a time range to at most ``2 · n_columns`` points.

    What of a long time has no summary is read as samples, which is right and slow: ``summarise_minute`` first.
    """
    late = tuple(summaries.list_late(tx, source.key, since, until))
    since_us, until_us = us_from_utc(since), us_from_utc(until)
    if not needs_summaries(since, until, n_columns):
        found = [one for one in read_recorded(tx, source, since, until) if not one.late]
        usual = [one for one in found if one.samples.shape[1] == len(source.channels)]
        return Overview(decimate(usual, source.rate_hz, since_us, until_us, n_columns), late)
    stored = summaries.list_contents(tx, source.key, since, until)
    chunks = []
    for minute in summaries.list_minutes(tx, source.key, since, until):
        content = stored.get(minute)
        if content == b"":
            continue
        summarised = _read(content) or _summary(tx, source, minute)
        if summarised is not None:
            chunks.append(summarised)
    whole = summary.join(chunks, source.rate_hz)
    return Overview(None if whole is None else summary.draw(whole, since_us, until_us, n_columns), late)


def look_at_spectrum(tx: Transaction, source: Recorded, since: datetime, until: datetime) -> Spectrum | None:
    """Return the spectrum of a time range; of a long one, from segments spread evenly over it."""
    length_s = (until - since).total_seconds()
    if length_s <= SPECTRUM_PIECES * SPECTRUM_PIECE_S:
        chunks = [(since, until)]
    else:
        step_s = (length_s - SPECTRUM_PIECE_S) / (SPECTRUM_PIECES - 1)
        starts = [since + timedelta(seconds=index * step_s) for index in range(SPECTRUM_PIECES)]
        chunks = [(start, start + timedelta(seconds=SPECTRUM_PIECE_S)) for start in starts]
    runs: list[NDArray[np.float32]] = []
    for begin, end in chunks:
        runs += _runs(read_recorded(tx, source, begin, end), len(source.channels), source.rate_hz)
    return spectrum(runs, source.rate_hz)


def _read(content: bytes | None) -> summary.Summary | None:
    """Return a stored summary, or None when it is missing or damaged and must be computed from samples."""
    try:
        return None if content is None else summary.from_bytes(content)
    except ValueError:
        return None


def _summary(tx: Transaction, source: Recorded, minute: Minute) -> summary.Summary | None:
    found = read_recorded(tx, source, minute.started_at, minute.started_at + MINUTE)
    return summary.summarise(found, len(source.channels), source.rate_hz)


def read_recorded(tx: Transaction, source: Recorded, since: datetime, until: datetime) -> list[Block]:
    """Return the recorded samples of a time range, including late ones."""
    if source.session_id:
        return blocks.read_imported(tx, source.user_id, source.session_id, since, until).blocks()
    return blocks.read_blocks(tx, source.user_id, since, until).blocks()


def _runs(found: Sequence[Block], n_channels: int, rate_hz: float) -> list[NDArray[np.float32]]:
    """Return the runs without gaps of blocks in time order."""
    usual = [block for block in found if not block.late and block.samples.shape[1] == n_channels]
    if not usual:
        return []
    times = np.concatenate([block.server_us for block in usual])
    breaks = np.flatnonzero(np.diff(times) > GAP_PERIODS * 1e6 / rate_hz) + 1
    return np.split(np.concatenate([block.samples for block in usual]), breaks)
