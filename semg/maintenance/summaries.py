"""Compute the summaries of recorded sessions soon after they end, so that the first display of an hour is fast too."""

from __future__ import annotations

import threading
from datetime import datetime, timedelta

from semg import clock
from semg.domain import Session
from semg.maintenance.periodic import run_periodically
from semg.recordings.overview import Recorded, recorded, stale_minutes, summarise_minute
from semg.store import profiles, sessions
from semg.store.pool import Pool

EVERY_S = 5.0
LOOK_BACK = timedelta(hours=1)
SHORTEST = timedelta(minutes=2)
"""Shorter sessions are displayed from their samples anyway."""
PAUSE_S = 0.05
"""After every minute's summary: trainings and captures run in the same service."""


def keep_summaries(pool: Pool, stop: threading.Event) -> None:
    """Summarise recent sessions until stopped; an unreachable store is retried."""
    run_periodically(lambda: summarise_sessions(pool, stop, clock.utc_now()), "summaries", EVERY_S, stop)


def summarise_sessions(pool: Pool, stop: threading.Event, now: datetime) -> int:
    """Compute the missing summaries of the last hour's sessions, and return the number of minutes."""
    made = 0
    for source, session in _recent(pool, now):
        with pool.transaction() as tx:
            missing = stale_minutes(tx, source, session.started_at, session.ended_at or now, now)
        for minute in missing:
            if stop.is_set():
                return made
            summarise_minute(pool, source, minute)
            made += 1
            stop.wait(PAUSE_S)
    return made


def _recent(pool: Pool, now: datetime) -> list[tuple[Recorded, Session]]:
    with pool.transaction() as tx:
        found = sessions.list_recent_sessions(tx, now - LOOK_BACK)
        people = {one.user_id: one for one in profiles.list_profiles(tx)} if found else {}
    return [
        (recorded(people[one.user_id], one), one)
        for one in found
        if one.user_id in people and (one.ended_at or now) - one.started_at >= SHORTEST
    ]
