"""How far a profile is on the way from a person to live recognition, read in one statement."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from semg.domain import REST
from semg.store.pool import Transaction, one

FIRST_LOOKED_AT, LAST_LOOKED_AT = 3000, 400
"""Decisions of the active version that are searched for a gesture: those after its activation, and the newest.

At 20 a second, a person who rests for a day leaves 1.7 million, and the answer is wanted on every page.
"""


@dataclass(frozen=True, slots=True)
class PathFacts:
    """What is stored of a profile.

    Attributes
    ----------
    gestures
        In the bank, without rest.
    labelled
        Whether a finished session has a repetition of a gesture to train on.
    recording, paused
        Whether a capture runs, and whether it is paused.
    job_status, job_progress
        Of the newest training job; empty and 0 without one. Percent.
    newest, version, active_at
        The newest version of a model, and the active one with the moment of its activation.
    level, newest_level
        Their verdicts; empty where the report has none.
    recognised
        Whether the active version has decided for a gesture other than rest.
    """

    gestures: int = 0
    labelled: bool = False
    recording: bool = False
    paused: bool = False
    job_status: str = ""
    job_progress: float = 0.0
    newest: int | None = None
    newest_level: str = ""
    version: int | None = None
    active_at: datetime | None = None
    level: str = ""
    recognised: bool = False


def read_path_facts(tx: Transaction, user_id: int) -> PathFacts:
    """Return how far a profile is; one that does not exist has nothing."""
    found = one(
        tx,
        """
        WITH active AS (
            SELECT m.version, a.activated_at, m.report -> 'verdict' ->> 'level' AS level
            FROM active_models a JOIN models m USING (user_id, model_id) WHERE a.user_id = %(user)s
        ), job AS (
            SELECT status, progress FROM jobs WHERE user_id = %(user)s ORDER BY created_at DESC, job_id DESC LIMIT 1
        ), newest AS (
            SELECT version, report -> 'verdict' ->> 'level' AS level FROM models
            WHERE user_id = %(user)s ORDER BY version DESC LIMIT 1
        )
        SELECT
            (SELECT count(*) FROM gestures WHERE user_id = %(user)s AND name <> %(rest)s) AS gestures,
            EXISTS (
                SELECT 1 FROM sessions s JOIN repetitions r USING (session_id) JOIN gestures g USING (gesture_id)
                WHERE s.user_id = %(user)s AND s.status <> 'recording' AND NOT r.excluded AND g.name <> %(rest)s
            ) AS labelled,
            EXISTS (SELECT 1 FROM sessions WHERE user_id = %(user)s AND status = 'recording') AS recording,
            EXISTS (
                SELECT 1 FROM sessions
                WHERE user_id = %(user)s AND status = 'recording' AND plan ->> 'paused_s' IS NOT NULL
            ) AS paused,
            coalesce((SELECT status FROM job), '') AS job_status,
            coalesce((SELECT progress FROM job), 0) AS job_progress,
            (SELECT version FROM newest) AS newest,
            coalesce((SELECT level FROM newest), '') AS newest_level,
            (SELECT version FROM active) AS version,
            (SELECT activated_at FROM active) AS active_at,
            coalesce((SELECT level FROM active), '') AS level,
            EXISTS (
                SELECT 1 FROM active, LATERAL (
                    (SELECT label FROM api_responses
                     WHERE user_id = %(user)s AND decided_at >= active.activated_at ORDER BY decided_at LIMIT %(first)s)
                    UNION ALL
                    (SELECT label FROM api_responses
                     WHERE user_id = %(user)s AND decided_at >= active.activated_at
                     ORDER BY decided_at DESC LIMIT %(last)s)
                ) AS decided WHERE label IS NOT NULL AND label <> %(rest)s
            ) AS recognised
        """,
        {"user": user_id, "rest": REST, "first": FIRST_LOOKED_AT, "last": LAST_LOOKED_AT},
    )
    assert found is not None
    return PathFacts(
        gestures=int(found.gestures),
        labelled=found.labelled,
        recording=found.recording,
        paused=found.paused,
        job_status=found.job_status,
        job_progress=float(found.job_progress),
        newest=found.newest,
        newest_level=found.newest_level,
        version=found.version,
        active_at=found.active_at,
        level=found.level,
        recognised=found.recognised,
    )
