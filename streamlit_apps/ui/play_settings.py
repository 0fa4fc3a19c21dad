"""Settings of the measured tests, as widgets of the page Play."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import streamlit as st

from semg.domain import REST, Profile
from semg.play.played import DIRECTIONS, MAX_TARGETS, MIN_TARGETS
from semg.signals.training.training_report import TrainingReport
from ui.page import split
from ui.text import line, plain

AMPLITUDES = {"short": 400, "long": 800}
WIDTHS = {"wide": 160, "narrow": 90}
"""In units of the field, which is 1000 wide; on the narrowest screen, 320 px, the smallest target is 28 px wide."""
FOREPERIOD_S = (1.5, 4.0)
_SPEEDS = {"slow": 150, "normal": 300, "fast": 500}


def playable(names: Sequence[str], report: TrainingReport) -> list[str]:
    """Return the gestures that the model can recognise, without rest, in the order of the bank."""
    return [name for name in names if name != REST and name in report.classes]


def fitts_settings(profile: Profile, names: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Show the settings of the tapping task; return them, and what is wrong with them (empty: nothing)."""
    user_id = profile.user_id
    with st.expander("Settings", icon=":material/tune:"):
        left, right = split("fitts", (1, 1))
        with left:
            st.caption("A gesture for each direction. Without up and down the targets lie side by side.")
            chosen = _directions(user_id, names)
            select = st.selectbox(
                "Select by", [None, *names], key=f"play-select-{user_id}",
                format_func=lambda one: "staying inside" if one is None else line("{name}", name=one),
            )  # fmt: skip
            dwell_ms = st.slider(
                "Stay for (ms)", 200, 2000, 600, step=100, key=f"play-dwell-{user_id}", disabled=select is not None
            )
        with right:
            amplitudes = st.pills(
                "Distances", list(AMPLITUDES), selection_mode="multi", default=list(AMPLITUDES),
                key=f"play-amplitudes-{user_id}",
            )  # fmt: skip
            widths = st.pills(
                "Targets", list(WIDTHS), selection_mode="multi", default=list(WIDTHS), key=f"play-widths-{user_id}"
            )
            targets = st.slider(
                "Targets in a round", MIN_TARGETS, MAX_TARGETS, 13, step=2, key=f"play-targets-{user_id}"
            )
            speed = st.select_slider("Speed of the cursor", list(_SPEEDS), "normal", key=f"play-speed-{user_id}")
            limit_s = st.slider("Time for each target (s)", 5, 60, 20, step=5, key=f"play-limit-{user_id}")
    steering = chosen if select is None else chosen | {"select": select}
    settings = {
        "gestures": steering,
        "dwell_ms": dwell_ms,
        "amplitudes": [AMPLITUDES[one] for one in amplitudes],
        "widths": [WIDTHS[one] for one in widths],
        "targets": targets,
        "speed": _SPEEDS[speed],
        "limit_s": limit_s,
    }
    return settings, _problem(steering, has_rounds=bool(amplitudes and widths))


def reaction_settings(profile: Profile, names: Sequence[str]) -> tuple[dict[str, Any], str]:
    """Show the settings of the reaction test; return them, and what is wrong with them (empty: nothing)."""
    user_id = profile.user_id
    with st.expander("Settings", icon=":material/tune:"):
        left, right = split("reaction", (1, 1))
        gestures = left.multiselect(
            "Gestures", names, default=names, key=f"play-prompted-{user_id}",
            format_func=lambda one: line("{name}", name=one),
        )  # fmt: skip
        trials = right.slider("Prompts", 5, 60, 12, key=f"play-prompts-{user_id}")
        limit_s = right.slider("Time for each (s)", 1, 10, 4, key=f"play-answer-{user_id}")
    settings = {"gestures": gestures, "trials": trials, "limit_s": limit_s, "foreperiod_s": list(FOREPERIOD_S)}
    return settings, "" if gestures else "Choose at least one gesture in the settings."


def _directions(user_id: int, names: Sequence[str]) -> dict[str, str]:
    """Show a choice for each direction, right and left first, and return those that have a gesture."""
    chosen: dict[str, str] = {}
    columns = st.columns(2)
    for index, direction in enumerate(("left", "right", "up", "down")):
        suggested = index + 1 if index < 2 or len(names) >= len(DIRECTIONS) else 0
        one = columns[index % 2].selectbox(
            plain(direction.capitalize()),
            [None, *names],
            index=min(suggested, len(names)),
            key=f"play-{direction}-{user_id}",
            format_func=lambda name: "none" if name is None else line("{name}", name=name),
        )
        if one is not None:
            chosen[direction] = one
    return chosen


def _problem(steering: dict[str, str], *, has_rounds: bool) -> str:
    if "left" not in steering or "right" not in steering:
        return "Choose gestures for left and right in the settings."
    if ("up" in steering) != ("down" in steering):
        return "Choose gestures for both up and down in the settings, or for neither."
    if len(set(steering.values())) < len(steering):
        return "Choose a different gesture for each direction in the settings, and another one to select by."
    return "" if has_rounds else "Choose at least one distance and one size of targets in the settings."
