"""Erase live samples by time."""

from __future__ import annotations

from datetime import datetime

from semg.block_table import STARTS_RUN, BlockTable
from semg.domain import us_from_utc
from semg.store.block_cuts import trimmed
from semg.store.blocks import copy_blocks, take_blocks
from semg.store.pool import Transaction

_FIRST_US, _LAST_US = -(1 << 62), 1 << 62


def delete_captured(tx: Transaction, user_id: int, started_at: datetime, ended_at: datetime) -> int:
    """Remove the live samples of an interval; what lies outside it in a block at its edge is stored again."""
    touched = take_blocks(tx, user_id, started_at, ended_at)
    before = trimmed(touched, _FIRST_US, us_from_utc(started_at))
    after = trimmed(touched, us_from_utc(ended_at), _LAST_US)
    rows = after.rows.copy()
    rows["flags"] |= STARTS_RUN
    after = BlockTable(rows, after.device_us, after.received_us, after.values)
    copy_blocks(tx, BlockTable.joined([before, after]))
    return touched.n_samples - before.n_samples - after.n_samples
