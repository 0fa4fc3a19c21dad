"""Captures: the plan of one that runs, and erasing live samples by time."""

from __future__ import annotations

from dataclasses import asdict
from datetime import datetime

from semg.domain import CapturePlan
from semg.store import checks
from semg.store.blocks import MAX_ROW_US
from semg.store.pool import Transaction, execute, one


def update_plan(tx: Transaction, session_id: int, plan: CapturePlan) -> None:
    """Change the plan of a session that is being recorded; the caller holds the session's lock."""
    statement = "UPDATE sessions SET plan = %s WHERE session_id = %s AND status = 'recording'"
    execute(tx, statement, (checks.as_json(asdict(plan)), session_id))


def delete_captured(tx: Transaction, user_id: int, started_at: datetime, ended_at: datetime) -> int:
    """Remove the live samples of an interval; what lies outside it in a block at its edge is stored again."""
    window = {"user": user_id, "start": started_at, "end": ended_at, "reach_us": MAX_ROW_US}
    removed = one(
        tx,
        """
        WITH touched AS (
            DELETE FROM sample_blocks
            WHERE user_id = %(user)s AND session_id IS NULL
              AND started_at >= %(start)s - %(reach_us)s * interval '1 microsecond' AND started_at < %(end)s
              AND timestamptz 'epoch' + (device_us[n_samples] + clock_offset_us) * interval '1 microsecond' >= %(start)s
            RETURNING *
        ), counted AS (
            SELECT t.*, c.head, c.tail FROM touched t CROSS JOIN LATERAL (
                SELECT count(*) FILTER (WHERE s.at < %(start)s)::int AS head,
                       count(*) FILTER (WHERE s.at >= %(end)s)::int AS tail
                FROM unnest(t.device_us) AS d(us), LATERAL (
                    SELECT timestamptz 'epoch' + (d.us + t.clock_offset_us) * interval '1 microsecond' AS at
                ) s
            ) c
        ), kept AS (
            SELECT user_id, segment_id, starts_run, late, clock_offset_us, 1 AS first, head AS last,
                   device_us, received_us, samples
            FROM counted WHERE head > 0
            UNION ALL
            SELECT user_id, segment_id, true, late, clock_offset_us, n_samples - tail + 1, n_samples,
                   device_us, received_us, samples
            FROM counted WHERE tail > 0
        ), stored AS (
            INSERT INTO sample_blocks (user_id, started_at, segment_id, starts_run, late, clock_offset_us, device_us,
                                       received_us, samples)
            SELECT user_id,
                   timestamptz 'epoch' + (device_us[first] + clock_offset_us) * interval '1 microsecond',
                   segment_id, starts_run, late, clock_offset_us, device_us[first:last], received_us[first:last],
                   samples[first:last][:]
            FROM kept RETURNING n_samples
        )
        SELECT coalesce((SELECT sum(n_samples) FROM touched), 0) - coalesce((SELECT sum(n_samples) FROM stored), 0) AS n
        """,
        window,
    )
    assert removed is not None
    return int(removed.n)
