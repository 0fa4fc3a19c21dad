"""Which classifier is trained, with which options, and when."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import streamlit as st

from semg.domain import ClassifierKind
from semg.signals.training.options import TrainingOptions
from ui import times

KINDS: dict[ClassifierKind, str] = {
    "cnn": "Convolutional network (recommended)",
    "logcov_lda": "Log-covariance + LDA: seconds to train, the baseline",
    "td_lda": "Time-domain features + LDA: the classic method",
}


def options_fields(kind: ClassifierKind) -> dict[str, Any]:
    """Show the options, and give those that differ from the defaults."""
    default = TrainingOptions()
    values: dict[str, Any] = {
        "calibrate": st.checkbox(
            "The newest session is a calibration of the placement worn now",
            default.calibrate,
            key="calibrate",
            help="Ten seconds of rest and each gesture once (on the Capture page, Calibration): it adapts the sessions "
            "before it or, on its own, the active version.",
        )
    }
    with st.expander("More options"):
        window, hop, skip = st.columns(3)
        values |= {
            "window_ms": window.number_input("Window (ms)", 50.0, 1000.0, default.window_ms, 10.0, format="%g"),
            "hop_ms": hop.number_input("Hop (ms)", 5.0, 1000.0, default.hop_ms, 5.0, format="%g"),
            "skip_start_ms": skip.number_input(
                "Skipped at each start (ms)", 0.0, 5000.0, default.skip_start_ms, 50.0, format="%g",
                help="The hand follows the prompt with a delay.",
            ),
        }  # fmt: skip
        votes, confidence, most = st.columns(3)
        values |= {
            "vote_n": int(votes.number_input("Votes (windows)", 1, 50, default.vote_n, help="Used in the report")),
            "min_confidence": confidence.number_input(
                "Minimum confidence", 0.0, 1.0, default.min_confidence, 0.05, format="%g", help="Used in the report"
            ),
            "false_per_min": most.number_input(
                "False activations per minute",
                0.0,
                600.0,
                default.false_per_min,
                0.5,
                format="%g",
                help="The report suggests the settings that recognise most with at most this many per minute of rest.",
            ),
        }
        seed, epochs, base = st.columns([1, 1, 2], vertical_alignment="bottom")
        values["seed"] = int(seed.number_input("Seed", 0, 2**31 - 1, default.seed))
        if kind == "cnn":
            values["epochs"] = int(epochs.number_input("Epochs", 1, 200, default.epochs))
            values["use_base"] = base.checkbox(
                "Start from a population prior learned from other people, if one fits", default.use_base, key="use-base"
            )
    return {name: value for name, value in values.items() if value != getattr(default, name)}


def when_fields() -> datetime | None:
    """Show when to start, and give the moment; None for now."""
    if st.radio("Start", ["Now", "Later"], horizontal=True, key="when") == "Now":
        return None
    local = datetime.now(UTC).astimezone(times.viewer_zone())
    day_column, time_column = st.columns(2)
    day = day_column.date_input("Day", local.date(), key="day")
    at = time_column.time_input("Time", local.time().replace(second=0, microsecond=0), key="time")
    moment = times.from_viewer(day, at)
    if moment < datetime.now(UTC):
        st.caption("This time has passed: training will start immediately.")
    return moment
