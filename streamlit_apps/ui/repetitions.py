"""Repetitions as a table in which they are taken into training or left out."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import pandas as pd
import streamlit as st

from semg.commands.label_changes import LabelChange
from semg.domain import Repetition
from ui import palette, times

USE, REASON = "Use", "Reason"
DEFAULT_REASON = "left out manually"
Qualities = Mapping[int, tuple[str, str]]


def table(repetitions: Sequence[Repetition], qualities: Qualities) -> pd.DataFrame:
    """Return the repetitions as a table, one row each, in their order."""
    return pd.DataFrame(
        {
            USE: [not one.excluded for one in repetitions],
            "Gesture": [one.gesture for one in repetitions],
            "No.": [one.number for one in repetitions],
            "Start": [times.clock(one.started_at) for one in repetitions],
            "Seconds": [(one.ended_at - one.started_at).total_seconds() for one in repetitions],
            "Signal": [_said(qualities.get(one.repetition_id)) for one in repetitions],
            REASON: [one.exclude_reason for one in repetitions],
        }
    )


def edit(repetitions: Sequence[Repetition], key: str, qualities: Qualities, *, read_only: bool) -> pd.DataFrame:
    """Show the table; only use and reason can be changed, or nothing."""
    return st.data_editor(
        table(repetitions, qualities),
        hide_index=True,
        width="stretch",
        height=min(36 * (len(repetitions) + 1) + 4, 330),
        disabled=True if read_only else ["Gesture", "No.", "Start", "Seconds", "Signal"],
        column_config={  # widths that fit on a tablet together; on a wider screen the columns share what is left
            USE: st.column_config.CheckboxColumn(width=50),
            "Gesture": st.column_config.TextColumn(width=115),
            "No.": st.column_config.NumberColumn(width=45),
            "Start": st.column_config.TextColumn(width=85),
            "Seconds": st.column_config.NumberColumn(format="%.1f", width=70),
            "Signal": st.column_config.TextColumn(help="Assessed shortly after the session ends", width=80),
            REASON: st.column_config.TextColumn(width=110),
        },
        key=key,
    )


def changes(repetitions: Sequence[Repetition], edited: pd.DataFrame) -> list[LabelChange]:
    """Return what is to be changed: the rows that differ."""
    found = []
    for one, use, reason in zip(repetitions, edited[USE], edited[REASON], strict=True):
        excluded = not bool(use)
        text = str(reason or "").strip() or DEFAULT_REASON
        if excluded != one.excluded or (excluded and text != one.exclude_reason):
            found.append(_change(one, excluded=excluded, reason=text if excluded else ""))
    return found


def all_changes(repetitions: Sequence[Repetition], *, excluded: bool) -> list[LabelChange]:
    """Return what leaves all out, or takes all in again; those that are so already keep their reason."""
    reason = "the session was left out" if excluded else ""
    return [_change(one, excluded=excluded, reason=reason) for one in repetitions if one.excluded != excluded]


def _change(one: Repetition, *, excluded: bool, reason: str) -> LabelChange:
    return LabelChange(repetition_id=one.repetition_id, excluded=excluded, reason=reason)


def _said(quality: tuple[str, str] | None) -> str:
    return "" if quality is None else f"{palette.LEVEL_SIGNS[quality[0]]} {quality[1]}"
