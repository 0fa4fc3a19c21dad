"""Sessions with what they hold, for lists: without their plans."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from semg.domain import Session
from semg.store.pool import Transaction, rows
from semg.store.repetitions import GestureCount, count_gestures
from semg.store.sessions import list_sessions


@dataclass(frozen=True, slots=True)
class SessionSummary:
    """A session with its figures for a list.

    Attributes
    ----------
    gestures
        In the order of the gesture bank; gestures without a repetition are omitted.
    n_samples
        Samples stored for the session, blocks counted by their start: at an edge it may be off by a block.
    """

    session: Session
    gestures: tuple[GestureCount, ...]
    n_samples: int

    @property
    def repetitions(self) -> int:
        """Number of repetitions available for training."""
        return sum(count.repetitions for count in self.gestures)

    @property
    def labelled_s(self) -> float:
        """Duration available for training, s."""
        return sum(count.seconds for count in self.gestures)

    def trains_with(self, newest: Session) -> bool:
        """Return whether there is something prompted to train on, from the device and the arm of another session.

        What was taught on Live has to be chosen; a simulated arm's muscles are not the person's.
        """
        session = self.session
        return (
            session.status != "recording"
            and session.origin != "taught"
            and session.simulated == newest.simulated
            and self.repetitions > 0
            and (session.channels, session.rate_hz, session.sensor) == (newest.channels, newest.rate_hz, newest.sensor)
        )


def newest_prompted(summaries: Sequence[SessionSummary]) -> Session | None:
    """Return the newest session that was not taught on Live, whose device a training is for; None without one.

    Parameters
    ----------
    summaries
        Newest first.
    """
    return next((one.session for one in summaries if one.session.origin != "taught"), None)


def list_summaries(tx: Transaction, user_id: int, limit: int = 1000) -> list[SessionSummary]:
    """Return a profile's sessions with what they hold, newest first."""
    return summarise(tx, list_sessions(tx, user_id, limit))


def summarise(tx: Transaction, found: Sequence[Session]) -> list[SessionSummary]:
    """Return sessions with what they hold."""
    ids = [session.session_id for session in found]
    counts = count_gestures(tx, ids)
    stored = {
        row.session_id: int(row.n)
        for row in rows(
            tx,
            """
            SELECT s.session_id, CASE s.origin
                WHEN 'import' THEN (SELECT sum(b.n_samples) FROM sample_blocks b WHERE b.session_id = s.session_id)
                ELSE (SELECT sum(b.n_samples) FROM sample_blocks b
                      WHERE b.user_id = s.user_id AND b.session_id IS NULL
                        AND b.started_at >= s.started_at AND b.started_at < coalesce(s.ended_at, 'infinity'))
                END AS n
            FROM sessions s WHERE s.session_id = ANY(%s::bigint[])
            """,
            (ids,),
        )
        if row.n is not None
    }
    return [
        SessionSummary(session, counts.get(session.session_id, ()), stored.get(session.session_id, 0))
        for session in found
    ]
