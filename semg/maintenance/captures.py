"""Conduct the captures of all profiles, and publish the session edges for the live path."""

from __future__ import annotations

import logging
import threading
from functools import partial

from semg import clock
from semg.capture import CaptureConductor
from semg.domain import Session
from semg.maintenance.periodic import run_periodically
from semg.process.attempts import Attempts, Failures
from semg.process.threaded_publisher import ThreadedPublisher
from semg.store.pool import Pool
from semg.wire import messages

logger = logging.getLogger(__name__)
EVERY_S = 0.2


def conduct_captures(
    pool: Pool, announcer: ThreadedPublisher, stop: threading.Event, failures: Failures | None = None
) -> None:
    """Write performed repetitions periodically until stopped."""
    conductor, edges = CaptureConductor(failures), Attempts(logger, "edges of captures", failures)

    def work() -> None:
        for session in conductor.conduct(pool, clock.utc_now()):
            edges.attempt(session.session_id, partial(_announce, announcer, session), session_id=session.session_id)

    run_periodically(work, "captures", EVERY_S, stop, failures)


def _announce(announcer: ThreadedPublisher, session: Session) -> None:
    """Publish an edge: live conditioning is reset there, as it will be offline."""
    edge = session.started_at if session.ended_at is None else session.ended_at
    message = messages.SessionEdge(userid=session.user_id, session_id=session.session_id, at=edge)
    announcer.publish(messages.sessions_subject(session.user_id), message)
