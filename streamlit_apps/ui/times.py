"""Times and lengths as a viewer reads them: in the viewer's zone."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, time, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

import streamlit as st

_STAMP = re.compile(r"^(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\dZ)", re.MULTILINE)


def viewer_zone() -> tzinfo:
    """Return the zone that the viewer's browser reports, UTC when it reports none that is known here."""
    name = st.context.timezone
    try:
        return ZoneInfo(name) if name else UTC
    except (ZoneInfoNotFoundError, ValueError):
        return UTC


def shown(at: datetime | None, *, seconds: bool = False) -> str:
    """Return a moment as text in the viewer's zone; a dash for none."""
    if at is None:
        return "—"
    local = at.astimezone(viewer_zone())
    return local.strftime("%-d %b %Y, %H:%M:%S" if seconds else "%-d %b %Y, %H:%M")


def clock(at: datetime) -> str:
    """Return the time of day in the viewer's zone."""
    return at.astimezone(viewer_zone()).strftime("%H:%M:%S")


def from_viewer(day: date, at: time) -> datetime:
    """Return the aware UTC moment of a day and a time in the viewer's zone."""
    return datetime.combine(day, at, tzinfo=viewer_zone()).astimezone(UTC)


def length(seconds: float) -> str:
    """Return a length of time as text."""
    if seconds < 60:
        return f"{seconds:.0f} s"
    minutes, rest_s = divmod(round(seconds), 60)
    if minutes < 60:
        return f"{minutes} min {rest_s} s" if rest_s else f"{minutes} min"
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min"


def ago(at: datetime, now: datetime) -> str:
    """Return how long ago something was."""
    seconds = max(0.0, (now - at).total_seconds())
    return "now" if seconds < 2 else f"{length(seconds)} ago"


def local_log(log: str) -> str:
    """Return lines that begin with a UTC time with the time of day in the viewer's zone in its place."""
    return _STAMP.sub(lambda found: clock(datetime.fromisoformat(found[1])), log)
