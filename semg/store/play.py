"""Results of measured play (``semg.play``), each with what it was computed from."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extras import Json

from semg.store.pool import Pool, Transaction, execute, one, rows

KEPT_EACH = 1000
"""Tests of one kind that are kept of a profile, those of simulated arms apart; with one more, the oldest leaves."""
AT_ONCE = 200
_COLUMNS = "result_id, user_id, kind, model_version, played_at, simulated, settings, result"


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayFigures:
    """Figures of a test that was played, and nothing more of it; ``simulated``: a simulated arm played."""

    kind: str
    model_version: int
    played_at: datetime
    simulated: bool
    figures: dict[str, Any]


@dataclass(frozen=True, slots=True, kw_only=True)
class PlayResult:
    """One test that was played.

    Attributes
    ----------
    kind
        ``fitts`` or ``reaction``.
    simulated
        Whether a simulated arm played.
    """

    result_id: int
    user_id: int
    kind: str
    model_version: int
    played_at: datetime
    simulated: bool
    settings: dict[str, Any]
    result: dict[str, Any]


def insert_result(
    tx: Transaction,
    user_id: int,
    kind: str,
    model_version: int,
    *,
    simulated: bool,
    settings: dict[str, Any],
    result: dict[str, Any],
    raw: dict[str, Any],
) -> int:
    """Store a test, with its selections or prompts as ``raw``, and return its number.

    Of ``KEPT_EACH`` tests of this kind, by the person or by simulated arms, the oldest is removed.
    """
    execute(tx, "SELECT pg_advisory_xact_lock(hashtextextended('play_results', %s))", (user_id,))
    execute(
        tx,
        """
        DELETE FROM play_results WHERE result_id IN (
            SELECT result_id FROM play_results WHERE user_id = %s AND kind = %s AND simulated = %s
            ORDER BY result_id DESC OFFSET %s)
        """,
        (user_id, kind, simulated, KEPT_EACH - 1),
    )
    row = one(
        tx,
        """
        INSERT INTO play_results (user_id, kind, model_version, simulated, settings, result, raw)
        VALUES (%s, %s, %s, %s, %s, %s, %s) RETURNING result_id
        """,
        (user_id, kind, model_version, simulated, Json(settings), Json(result), Json(raw)),
    )
    assert row is not None
    return int(row.result_id)


def list_results(tx: Transaction, user_id: int, limit: int = 200) -> list[PlayResult]:
    """Return a profile's tests without what they were computed from, the newest first."""
    found = rows(
        tx,
        f"SELECT {_COLUMNS} FROM play_results WHERE user_id = %s "  # noqa: S608 - the columns of this module
        "ORDER BY played_at DESC, result_id DESC LIMIT %s",
        (user_id, limit),
    )
    return [PlayResult(**row._asdict()) for row in found]


def iterate_figures(pool: Pool, user_id: int, names: Sequence[str]) -> Iterator[list[PlayFigures]]:
    """Yield a profile's tests, the newest first, with these of their figures, in portions of a transaction each."""
    before: int | None = None
    while True:
        with pool.transaction() as tx:
            found = rows(
                tx,
                """
                SELECT result_id, kind, model_version, played_at, simulated,
                       (SELECT jsonb_object_agg(key, value) FROM jsonb_each(result) WHERE key = ANY(%(names)s))
                       AS figures
                FROM play_results WHERE user_id = %(user)s AND (%(before)s::bigint IS NULL OR result_id < %(before)s)
                ORDER BY result_id DESC LIMIT %(n)s
                """,
                {"user": user_id, "names": list(names), "before": before, "n": AT_ONCE},
            )
        if not found:
            return
        before = int(found[-1].result_id)
        yield [
            PlayFigures(
                kind=row.kind,
                model_version=row.model_version,
                played_at=row.played_at,
                simulated=row.simulated,
                figures=row.figures or {},
            )
            for row in found
        ]


def iterate_full(pool: Pool, user_id: int) -> Iterator[tuple[PlayResult, dict[str, Any]]]:
    """Yield a profile's tests with what each was computed from, the oldest first, each in a separate transaction."""
    behind = 0
    while True:
        with pool.transaction() as tx:
            row = one(
                tx,
                f"SELECT {_COLUMNS}, raw FROM play_results WHERE user_id = %s AND result_id > %s "  # noqa: S608
                "ORDER BY result_id LIMIT 1",
                (user_id, behind),
            )
        if row is None:
            return
        fields = row._asdict()
        raw = fields.pop("raw")
        yield PlayResult(**fields), raw
        behind = int(row.result_id)
