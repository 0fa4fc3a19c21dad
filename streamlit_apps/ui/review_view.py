"""A recorded time in the browser: lanes, labels, decisions, gaps, and a cursor that the session's video follows."""

from __future__ import annotations

import base64
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import streamlit as st

from semg.domain import Repetition, us_from_utc
from semg.recordings.overview import Overview
from semg.store.decisions import DecisionRun
from ui import palette, times
from ui.scripts import joined

_FOLDER = Path(__file__).parent
_component = st.components.v2.component(
    "semg_review",
    html='<div class="semg-review"></div>',
    css=(_FOLDER / "review_view.css").read_text(encoding="utf-8"),
    js=joined(_FOLDER / "review_view.js"),
)
RIBBON_PX = 26
"""Height of a lane of decisions, as in ``review_view.js``."""
COLUMNS = 1200
"""Pixel columns of the widest picture."""


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn of the time from ``since`` until ``until``, which is a part of the whole."""

    since: datetime
    until: datetime
    whole_since: datetime
    whole_until: datetime
    channels: tuple[str, ...]
    overview: Overview
    repetitions: tuple[Repetition, ...] = ()
    decisions: tuple[DecisionRun, ...] = ()
    session_id: int = 0
    replayed: tuple[DecisionRun, ...] | None = None


@dataclass(frozen=True, slots=True)
class Wishes:
    """What a viewer does in the picture, each called before the page runs again with what the browser sent."""

    on_range: Callable[[dict[str, float]], None]
    on_moved: Callable[[dict[str, float]], None] | None = None
    on_chosen: Callable[[dict[str, float]], None] | None = None


def review_view(
    shown: Shown,
    gesture_names: Sequence[str],
    wishes: Wishes,
    *,
    key: str,
    keys: Mapping[str, str],
    chosen_id: int | None = None,
) -> None:
    """Draw a recorded time.

    Parameters
    ----------
    gesture_names
        In the order of the gesture bank; they get their colours by it.
    keys
        Of its buttons, as people write them (``shortcuts.written``).
    chosen_id
        The repetition that is framed, and whose edges can be dragged where that is wished for.
    """

    def tell(name: str, wish: Callable[[dict[str, float]], None] | None) -> Callable[[], None]:
        def told() -> None:
            sent = getattr(st.session_state.get(key), name, None)
            if wish is not None and isinstance(sent, dict):
                wish(sent)

        return told

    _component(
        key=key,
        data=_data(shown, gesture_names, chosen_id)
        | {"editable": wishes.on_moved is not None, "choosable": wishes.on_chosen is not None, "keys": dict(keys)},
        on_range_change=tell("range", wishes.on_range),
        on_moved_change=tell("moved", wishes.on_moved),
        on_chosen_change=tell("chosen", wishes.on_chosen),
    )


def _data(shown: Shown, gesture_names: Sequence[str], chosen_id: int | None) -> dict[str, Any]:
    drawn = shown.overview.drawn
    since_ms, until_ms = _ms(shown.since), _ms(shown.until)
    offset = shown.since.astimezone(times.viewer_zone()).utcoffset()
    inside = [one for one in shown.repetitions if one.ended_at > shown.since and one.started_at < shown.until]
    values = np.empty((0, len(shown.channels)), np.float32) if drawn is None else drawn.values
    return {
        "session_id": shown.session_id,
        "since_ms": since_ms,
        "until_ms": until_ms,
        "whole_since_ms": _ms(shown.whole_since),
        "whole_until_ms": _ms(shown.whole_until),
        "zone_ms": 0 if offset is None else offset.total_seconds() * 1000,
        "channels": list(shown.channels),
        "channel_colours": palette.channel_colours(len(shown.channels)),
        "gesture_colours": palette.gesture_colours(gesture_names),
        "gesture_inks": palette.gesture_inks(gesture_names),
        "times_ms": [] if drawn is None else (drawn.server_us / 1000).tolist(),
        "values": base64.b64encode(np.ascontiguousarray(values, "<f4").tobytes()).decode(),
        "gaps": [] if drawn is None else [[begin / 1000, end / 1000] for begin, end in drawn.gaps],
        "late_ms": [_ms(at) for at, _ in shown.overview.late],
        "labels": [
            {"id": one.repetition_id, "gesture": one.gesture, "number": one.number, "begin_ms": _ms(one.started_at),
             "end_ms": _ms(one.ended_at), "excluded": one.excluded}
            for one in inside
        ],
        "all_labels": [[one.gesture, _ms(one.started_at), _ms(one.ended_at)] for one in shown.repetitions],
        "decisions": [[one.label, one.begin_us / 1000, one.end_us / 1000] for one in shown.decisions],
        "replayed": None if shown.replayed is None else [
            [one.label, one.begin_us / 1000, one.end_us / 1000] for one in shown.replayed
        ],
        "chosen_id": chosen_id,
        "height": min(620, max(220, 90 + 46 * len(shown.channels))) + (0 if shown.replayed is None else RIBBON_PX),
    }  # fmt: skip


def _ms(at: datetime) -> float:
    return us_from_utc(at) / 1000
