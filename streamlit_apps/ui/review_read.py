"""Reading a time for a picture: summaries first, with a bar while they are made."""

from __future__ import annotations

from datetime import datetime, timedelta

import streamlit as st

from semg.domain import Profile, Repetition, Session, us_from_utc, utc_from_us
from semg.recordings.overview import (
    Recorded,
    look,
    needs_summaries,
    recorded,
    stale_minutes,
    summarise_minute,
)
from semg.store import decisions, sessions
from ui.review_view import COLUMNS, Shown
from ui.runtime import App
from ui.text import md

FEW_MINUTES = 3
"""So many summaries are made without a word."""


def read(
    app: App,
    profile: Profile,
    session: Session | None,
    whole: tuple[datetime, datetime],
    part: tuple[datetime, datetime],
) -> Shown:
    """Return what is to be drawn of a part of a session's time, or of any time without a session."""
    source = recorded(profile, session)
    since, until = part
    prepare(app, source, since, until)
    labels: list[Repetition] = []
    runs: list[decisions.DecisionRun] = []
    with app.pool.transaction() as tx:
        overview = look(tx, source, since, until, COLUMNS)
        if session is not None:
            labels = sessions.list_repetitions(tx, session.session_id)
        if source.session_id == 0:
            runs = decisions.list_runs(tx, profile.user_id, since, until)
    number = 0 if session is None else session.session_id
    return Shown(since, until, *whole, source.channels, overview, tuple(labels), tuple(runs), number)


def prepare(app: App, source: Recorded, since: datetime, until: datetime) -> None:
    """Make the summaries that a long time lacks, with a bar where that takes a while."""
    if not needs_summaries(since, until, COLUMNS):
        return
    with app.pool.transaction() as tx:
        missing = stale_minutes(tx, source, since, until)
    bar = st.progress(0.0, "Reading for the first time …") if len(missing) > FEW_MINUTES else None
    for index, minute in enumerate(missing):
        summarise_minute(app.pool, source, minute)
        if bar is not None:
            text = md("Reading for the first time: {n} of {all} min", n=index + 1, all=len(missing))
            bar.progress((index + 1) / len(missing), text)
    if bar is not None:
        bar.empty()


def part_of(whole: tuple[datetime, datetime], key: str) -> tuple[datetime, datetime]:
    """Return the part of a time that the viewer last asked for; at first, all of it."""
    kept = st.session_state.get(key)
    if kept is None:
        return whole
    since = min(max(utc_from_us(kept[0]), whole[0]), whole[1] - timedelta(milliseconds=200))
    return since, min(max(utc_from_us(kept[1]), since + timedelta(milliseconds=200)), whole[1])


def keep_part(key: str, sent: dict[str, float]) -> None:
    """Remember which part the viewer asked for."""
    st.session_state[key] = (round(sent["since_ms"] * 1000), round(sent["until_ms"] * 1000))


def whole_of(session: Session, now: datetime) -> tuple[datetime, datetime]:
    """Return a session's time; of a running one, until now."""
    ended_at = session.ended_at or now
    if us_from_utc(ended_at) - us_from_utc(session.started_at) < 1_000_000:
        ended_at = session.started_at + timedelta(seconds=1)
    return session.started_at, ended_at
