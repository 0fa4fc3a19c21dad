"""Published decisions (table ``api_responses``)."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

from semg.domain import Decision, us_from_utc
from semg.errors import StoreUnavailableError
from semg.store import checks
from semg.store.pool import Transaction, execute, rows, savepoint

logger = logging.getLogger(__name__)


def insert_decisions(tx: Transaction, decisions: Sequence[Decision]) -> int:
    """Store decisions in one statement, and return how many; those of profiles that are gone are left out.

    ``confidence`` is stored as a 32-bit number.
    """
    if not decisions:
        return 0
    user_ids = [decision.user_id for decision in decisions]
    columns = [
        _array(user_ids),
        _array([decision.decided_us for decision in decisions]),
        [decision.label for decision in decisions],
        _array([decision.confidence for decision in decisions]),
        _array([decision.model_version for decision in decisions]),
        _array([decision.window_end_device_us for decision in decisions]),
        _array([decision.window_end_us for decision in decisions]),
        _array([decision.received_us for decision in decisions]),
    ]
    return execute(
        tx,
        """
        INSERT INTO api_responses (user_id, decided_at, label, confidence, model_version, window_end_device_ms,
                                   window_end_at, received_at)
        SELECT d.user_id, timestamptz 'epoch' + d.decided_us * interval '1 microsecond', d.label, d.confidence,
               d.model_version, d.device_us / 1000.0, timestamptz 'epoch' + d.end_us * interval '1 microsecond',
               timestamptz 'epoch' + d.received_us * interval '1 microsecond'
        FROM unnest(%s::bigint[], %s::bigint[], %s::text[], %s::real[], %s::integer[], %s::bigint[], %s::bigint[],
                    %s::bigint[])
             AS d(user_id, decided_us, label, confidence, model_version, device_us, end_us, received_us)
        JOIN (SELECT user_id FROM profiles WHERE user_id = ANY(%s::bigint[]) ORDER BY user_id FOR KEY SHARE) p
             USING (user_id)
        """,
        (*columns, _array(sorted(set(user_ids)))),
    )


def _array(numbers: Sequence[float]) -> str:
    """Return numbers as PostgreSQL writes an array: psycopg2 takes three times as long for a list of them."""
    return "{" + ",".join(map(str, numbers)) + "}"


@dataclass(frozen=True, slots=True)
class DecisionRun:
    """A run of consecutive equal decisions, in microseconds of the server's clock; no label: rejected."""

    label: str | None
    begin_us: int
    end_us: int


@dataclass(frozen=True, slots=True, kw_only=True)
class StoredDecision:
    """A decision as it was published; no label: the vote was rejected."""

    decided_at: datetime
    window_end_at: datetime
    received_at: datetime
    label: str | None
    confidence: float
    model_version: int


def list_decisions(
    tx: Transaction, user_id: int, since: datetime, until: datetime, after_us: int | None, limit: int
) -> list[StoredDecision]:
    """Return the first decisions of ``[since, until)`` by the time of decision, all of the last one's moment with it.

    Parameters
    ----------
    after_us
        Microseconds of the last moment that is known already; None at the beginning.
    """
    found = rows(
        tx,
        """
        SELECT decided_at, window_end_at, received_at, label, confidence, model_version FROM api_responses
        WHERE user_id = %(user)s AND decided_at >= %(since)s AND decided_at < %(until)s
          AND (%(after)s::bigint IS NULL
               OR decided_at > timestamptz 'epoch' + %(after)s::bigint * interval '1 microsecond')
        ORDER BY decided_at FETCH FIRST %(n)s ROWS WITH TIES
        """,
        {"user": user_id, "since": checks.aware("since", since), "until": checks.aware("until", until),
         "after": after_us, "n": limit},
    )  # fmt: skip
    return [StoredDecision(**row._asdict()) for row in found]


def insert_possible(tx: Transaction, decisions: Sequence[Decision]) -> list[Decision]:
    """Write decisions, and return those that cannot be stored: these keep no others from it, and the first is logged.

    Raises
    ------
    StoreUnavailableError
        The database is away.
    """
    try:
        with savepoint(tx):
            insert_decisions(tx, decisions)
        return []
    except StoreUnavailableError:
        raise
    except Exception as exc:  # whatever it is: the decisions of all profiles are in here
        if len(decisions) == 1:
            return list(decisions)
        logger.warning("%d decisions are stored one by one: %s", len(decisions), exc, exc_info=exc)
    return [decision for decision in decisions if insert_possible(tx, [decision])]


def list_runs(tx: Transaction, user_id: int, since: datetime, until: datetime, limit: int = 5000) -> list[DecisionRun]:
    """Return the newest ``limit`` runs of equal decisions of a time, in time order; a pause of half a second ends one.

    A run begins where the one before it ended, or a usual hop before its first decision.
    """
    found = rows(
        tx,
        """
        WITH decided AS (
            SELECT label, window_end_at AS at, lag(label) OVER w AS label_before, lag(window_end_at) OVER w AS before
            FROM api_responses
            WHERE user_id = %(user)s AND decided_at >= %(since)s AND decided_at < %(until)s + interval '1 second'
            WINDOW w AS (ORDER BY window_end_at, decided_at)
        ), numbered AS (
            SELECT label, at, CASE WHEN at - before < interval '0.5 s' THEN before END AS before,
                   count(*) FILTER (WHERE label IS DISTINCT FROM label_before OR before IS NULL
                                          OR at - before >= interval '0.5 s') OVER (ORDER BY at) AS run
            FROM decided
        )
        SELECT label, coalesce(min(before), min(at) - interval '0.05 s') AS began, max(at) AS ended
        FROM numbered GROUP BY run, label ORDER BY ended DESC LIMIT %(limit)s
        """,
        {"user": user_id, "since": checks.aware("since", since), "until": checks.aware("until", until), "limit": limit},
    )
    return [DecisionRun(row.label, us_from_utc(row.began), us_from_utc(row.ended)) for row in reversed(found)]
