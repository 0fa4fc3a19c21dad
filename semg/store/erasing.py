"""Erase a session, and everything derived from it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from semg.block_table import BlockTable
from semg.domain import Session, us_from_utc
from semg.errors import ConflictError
from semg.store.block_cuts import trimmed
from semg.store.captured import delete_captured
from semg.store.pool import Transaction, execute, one, rows
from semg.store.summaries import delete_summaries

_FIRST_US, _LAST_US = -(1 << 62), 1 << 62
_JOBS = "user_id = %(user)s AND %(session)s = ANY(session_ids)"
# A calibration adapts the sessions of the model before it: the model's own description names them all.
_MODELS = f"""
    m.user_id = %(user)s AND (m.metadata @> jsonb_build_object('training', jsonb_build_object('session_ids',
        jsonb_build_array(%(session)s::bigint))) OR m.job_id IN (SELECT job_id FROM jobs WHERE {_JOBS}))
"""  # noqa: S608 - the conditions of this module


@dataclass(frozen=True, slots=True, kw_only=True)
class ErasedSession:
    """What is erased with a session.

    Attributes
    ----------
    models
        Versions that were trained with it.
    active
        Whether one of them decides now.
    """

    samples: int
    repetitions: int
    models: tuple[int, ...]
    active: bool
    jobs: int
    decisions: int


def count_made(tx: Transaction, session: Session) -> ErasedSession:
    """Return what would be erased with a session; samples are not counted."""
    values = {
        "user": session.user_id,
        "session": session.session_id,
        "since": session.started_at,
        "until": session.ended_at,
        "live": session.origin != "import",
    }
    trained = rows(
        tx,
        f"""
        SELECT m.version, a.model_id IS NOT NULL AS active
        FROM models m LEFT JOIN active_models a USING (user_id, model_id) WHERE {_MODELS} ORDER BY m.version
        """,  # noqa: S608 - the conditions of this module
        values,
    )
    counts = one(
        tx,
        f"""
        SELECT (SELECT count(*) FROM repetitions WHERE session_id = %(session)s) AS repetitions,
               (SELECT count(*) FROM jobs WHERE {_JOBS}) AS jobs,
               (SELECT count(*) FROM api_responses
                WHERE %(live)s AND user_id = %(user)s AND decided_at >= %(since)s AND window_end_at >= %(since)s
                  AND window_end_at <= %(until)s) AS decisions
        """,  # noqa: S608
        values,
    )
    assert counts is not None
    versions = tuple(row.version for row in trained)
    active = any(row.active for row in trained)
    return ErasedSession(
        samples=0,
        repetitions=counts.repetitions,
        models=versions,
        active=active,
        jobs=counts.jobs,
        decisions=counts.decisions,
    )


def erase(tx: Transaction, session: Session) -> ErasedSession:
    """Remove a session that has ended, its samples, and the models, jobs and decisions that were made of it.

    Raises
    ------
    ConflictError
        A job that runs needs it.
    """
    # Waits for writers of the profile's samples, which see the erased time afterwards.
    execute(tx, "SELECT 1 FROM profiles WHERE user_id = %s FOR UPDATE", (session.user_id,))
    values = {"user": session.user_id, "session": session.session_id}
    running = one(tx, f"SELECT job_id FROM jobs WHERE {_JOBS} AND status = 'in-progress' LIMIT 1", values)  # noqa: S608
    if running is not None:
        raise ConflictError(
            f"job {running.job_id} trains on session {session.session_id}; cancel it, or wait for its end"
        )
    made = count_made(tx, session)
    execute(tx, f"DELETE FROM models m WHERE {_MODELS}", values)  # noqa: S608
    execute(tx, f"DELETE FROM jobs WHERE {_JOBS}", values)  # noqa: S608
    n_samples = _delete_samples(tx, session)
    execute(tx, "DELETE FROM sessions WHERE session_id = %s", (session.session_id,))
    note_in_bases(tx, session.user_id)
    return ErasedSession(
        samples=n_samples,
        repetitions=made.repetitions,
        models=made.models,
        active=made.active,
        jobs=made.jobs,
        decisions=made.decisions,
    )


def note_in_bases(tx: Transaction, user_id: int) -> None:
    """Mark a person for removal from the stored population priors."""
    execute(
        tx,
        "INSERT INTO erased_from_bases (user_id) VALUES (%s) ON CONFLICT (user_id) DO UPDATE SET erased_at = now()",
        (user_id,),
    )


def list_in_bases(tx: Transaction) -> list[int]:
    """Return the people to be removed from the stored population priors."""
    return [row.user_id for row in rows(tx, "SELECT user_id FROM erased_from_bases ORDER BY user_id")]


def forget_in_bases(tx: Transaction, before: datetime) -> None:
    """Forget those that were noted before a time."""
    execute(tx, "DELETE FROM erased_from_bases WHERE erased_at < %s", (before,))


def without_erased(tx: Transaction, table: BlockTable, user_ids: set[int]) -> BlockTable:
    """Return a table of blocks without the times of erased captures; ``user_ids`` are its profiles."""
    found = rows(
        tx,
        "SELECT user_id, started_at, ended_at FROM erased_spans WHERE user_id = ANY(%s::bigint[])",
        (list(user_ids),),
    )
    for span in found:
        mine = table.rows["user_id"] == span.user_id
        own = table.where(mine)
        before = trimmed(own, _FIRST_US, us_from_utc(span.started_at))
        after = trimmed(own, us_from_utc(span.ended_at), _LAST_US)
        if before.n_samples + after.n_samples < own.n_samples:
            table = BlockTable.joined([table.where(~mine), before, after])
    return table


def forget_spans(tx: Transaction, before: datetime) -> None:
    """Forget erased times of captures that the journal has nothing of any more."""
    execute(tx, "DELETE FROM erased_spans WHERE erased_at < %s", (before,))


def _delete_samples(tx: Transaction, session: Session) -> int:
    if session.origin == "import":
        removed = rows(tx, "DELETE FROM sample_blocks WHERE session_id = %s RETURNING n_samples", (session.session_id,))
        delete_summaries(tx, session.user_id, session_id=session.session_id)
        return sum(int(row.n_samples) for row in removed)
    assert session.ended_at is not None
    interval = {"user": session.user_id, "since": session.started_at, "until": session.ended_at}
    execute(
        tx,
        "INSERT INTO erased_spans (user_id, started_at, ended_at) VALUES (%(user)s, %(since)s, %(until)s)",
        interval,
    )
    execute(
        tx,
        """
        DELETE FROM api_responses WHERE user_id = %(user)s AND decided_at >= %(since)s AND window_end_at >= %(since)s
                                    AND window_end_at <= %(until)s
        """,
        interval,
    )
    execute(tx, "DELETE FROM gesture_events WHERE user_id = %(user)s AND at >= %(since)s AND at <= %(until)s", interval)
    n_removed = delete_captured(tx, session.user_id, session.started_at, session.ended_at)
    delete_summaries(tx, session.user_id, session.started_at, session.ended_at)
    return n_removed
