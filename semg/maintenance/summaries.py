"""Compute the summaries of recorded sessions soon after they end, so that the first display of an hour is fast too."""

from __future__ import annotations

import logging
import threading
from datetime import datetime, timedelta
from functools import partial

from semg import clock
from semg.domain import Session
from semg.maintenance.periodic import run_periodically
from semg.process.attempts import LOCK_S, Attempts, Failures
from semg.recordings.overview import Recorded, recorded, stale_minutes, summarise_minute
from semg.store import profiles, sessions
from semg.store.pool import Pool

logger = logging.getLogger(__name__)
WHAT = "summaries"
EVERY_S = 5.0
LOOK_BACK = timedelta(hours=1)
SHORTEST = timedelta(minutes=2)
"""Shorter sessions are displayed from their samples anyway."""
PAUSE_S = 0.05
"""After every minute's summary: trainings and captures run in the same service."""


def keep_summaries(pool: Pool, stop: threading.Event, failures: Failures | None = None) -> None:
    """Summarise recent sessions until stopped; an unreachable store is retried."""
    attempts = Attempts(logger, WHAT, failures)
    run_periodically(lambda: summarise_sessions(pool, stop, clock.utc_now(), attempts), WHAT, EVERY_S, stop, failures)


def summarise_sessions(pool: Pool, stop: threading.Event, now: datetime, attempts: Attempts | None = None) -> int:
    """Compute the missing summaries of the last hour's sessions, and return the number of minutes.

    What goes wrong with one session is noted in the attempts, and the next one's turn comes.
    """
    attempts = Attempts(logger, WHAT) if attempts is None else attempts
    pool, made = pool.waiting_at_most(LOCK_S), 0

    def summarise(source: Recorded, session: Session) -> None:
        nonlocal made
        with pool.transaction() as tx:
            missing = stale_minutes(tx, source, session.started_at, session.ended_at or now, now)
        for minute in missing:
            if stop.is_set():
                return
            summarise_minute(pool, source, minute)
            made += 1
            stop.wait(PAUSE_S)

    for source, session in _recent(pool, now):
        number = session.session_id
        attempts.attempt(number, partial(summarise, source, session), session_id=number)
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
