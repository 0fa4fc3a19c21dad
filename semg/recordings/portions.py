"""Read a session in portions of time, in order, however long it is and whatever is missing in it."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta

from semg.block_table import LATE, BlockTable
from semg.domain import Session
from semg.store import blocks
from semg.store.pool import Pool, Transaction, limit_statements

READ_S = 20.0
"""Longest query of a portion: who reads one keeps others waiting."""


def iterate_portions(
    pool: Pool,
    session: Session,
    step: timedelta,
    *,
    with_late: bool = False,
    look: Callable[[Transaction], None] | None = None,
) -> Iterator[BlockTable]:
    """Yield a session's samples, of at most ``step`` of time each, none of them empty.

    A time without samples is jumped over: what is yielded next costs two short queries, also after a hole of days.

    Parameters
    ----------
    with_late
        With late samples, which were not part of the live signal.
    look
        Called in each transaction that reads; what it raises ends the reading.
    """
    at, end = session.started_at, session.ended_at or datetime.now(UTC)
    while at < end:
        until = min(at + step, end)
        following: datetime | None = until
        with pool.transaction() as tx:
            limit_statements(tx, READ_S)
            if look is not None:
                look(tx)
            if session.origin == "import":
                table = blocks.read_imported(tx, session.user_id, session.session_id, at, until)
            else:
                table = blocks.read_blocks(tx, session.user_id, at, until)
            if not with_late:
                table = table.where((table.rows["flags"] & LATE) == 0)
            if not len(table):
                following = blocks.find_next_start(tx, session, until, end, with_late=with_late)
        if len(table):
            yield table
            del table
        if following is None:
            return
        at = following
