"""Results of measured play (``semg.play``), each with what it was computed from."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from psycopg2.extras import Json

from semg.store.pool import Pool, Transaction, one, rows

_COLUMNS = "result_id, user_id, kind, model_version, played_at, simulated, settings, result"


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
    """Store a test, with its selections or prompts as ``raw``, and return its number."""
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
