"""Repetitions as a table in which they are taken into training or left out."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pandas as pd
import streamlit as st

from semg.domain import Repetition
from semg.store import sessions
from semg.store.pool import Transaction
from ui import times

USE, REASON = "Use", "Why not"
DEFAULT_REASON = "left out by hand"


def table(repetitions: Sequence[Repetition]) -> pd.DataFrame:
    """Give the repetitions as a table, one row each, in their order."""
    return pd.DataFrame(
        {
            USE: [not one.excluded for one in repetitions],
            "Gesture": [one.gesture for one in repetitions],
            "No.": [one.number for one in repetitions],
            "Start": [times.clock(one.started_at) for one in repetitions],
            "Seconds": [(one.ended_at - one.started_at).total_seconds() for one in repetitions],
            REASON: [one.exclude_reason for one in repetitions],
        }
    )


def edit(repetitions: Sequence[Repetition], key: str) -> pd.DataFrame:
    """Show the table; only use and reason can be changed."""
    return st.data_editor(
        table(repetitions),
        hide_index=True,
        width="stretch",
        height=min(36 * (len(repetitions) + 1) + 4, 330),
        disabled=["Gesture", "No.", "Start", "Seconds"],
        column_config={
            USE: st.column_config.CheckboxColumn(width="small"),
            "Seconds": st.column_config.NumberColumn(format="%.1f", width="small"),
            "No.": st.column_config.NumberColumn(width="small"),
        },
        key=key,
    )


def changes(repetitions: Sequence[Repetition], edited: pd.DataFrame) -> list[dict[str, Any]]:
    """Give what ``update_repetition`` is to be told, for the rows that differ."""
    found = []
    for one, use, reason in zip(repetitions, edited[USE], edited[REASON], strict=True):
        excluded = not bool(use)
        text = str(reason or "").strip() or DEFAULT_REASON
        if excluded != one.excluded or (excluded and text != one.exclude_reason):
            found.append({"repetition_id": one.repetition_id, "excluded": excluded, "reason": text if excluded else ""})
    return found


def save(tx: Transaction, wanted: Sequence[dict[str, Any]]) -> None:
    """Write what ``changes`` gave."""
    for change in wanted:
        sessions.update_repetition(tx, change["repetition_id"], excluded=change["excluded"], reason=change["reason"])
