"""The plan of a capture that runs."""

from __future__ import annotations

from dataclasses import asdict

from semg.domain import CapturePlan
from semg.store import checks
from semg.store.pool import Transaction, execute


def update_plan(tx: Transaction, session_id: int, plan: CapturePlan) -> None:
    """Change the plan of a session that is being recorded; the caller holds the session's lock."""
    statement = "UPDATE sessions SET plan = %s WHERE session_id = %s AND status = 'recording'"
    execute(tx, statement, (checks.as_json(asdict(plan)), session_id))
