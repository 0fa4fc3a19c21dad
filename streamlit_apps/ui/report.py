"""The report of a training: what the model scored on data that it had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from ui import palette


def percent(value: float | None) -> str:
    """Give a part of 1 as text."""
    return "—" if value is None else f"{100 * value:.1f} %"


def show_report(report: Mapping[str, Any], key: str) -> None:
    """Show the figures with what they were measured on, and the confusion matrix."""
    baseline = report.get("baseline", {})
    columns = st.columns(4)
    rows = (
        (
            "Balanced",
            "balanced_accuracy",
            "Balanced accuracy: mean recall of the gestures. “Always rest” scores little.",
        ),
        ("Accuracy", "accuracy", "Share of windows that were right."),
        ("Macro F1", "macro_f1", "Mean F1 of the gestures."),
    )
    for column, (title, name, text) in zip(columns, rows, strict=False):
        column.metric(title, percent(report.get(name)), help=text)
        column.caption(f"baseline {percent(baseline.get(name))}")
    columns[3].metric(
        "Chance", percent(report.get("chance")), help="Accuracy of always naming the most frequent gesture."
    )
    split = report.get("split", {}).get("description", "")
    held_out = ", ".join(map(str, report.get("held_out", [])))
    st.caption(
        f"Tested on {report.get('windows', 0):,} windows: {split}{f' ({held_out})' if held_out else ''}. "
        "Baseline: log-covariance + LDA on the same windows. "
        f"Trained on {report.get('train_windows', 0):,} windows in {report.get('train_s', 0):.0f} s, "
        f"seed {report.get('seed', 0)}; {report.get('model_bytes', 0) / 1024:.0f} KiB, "
        f"{report.get('us_per_window', 0):.0f} µs a window."
    )
    if report.get("confusion"):
        st.plotly_chart(confusion_figure(report), width="stretch", key=key, config={"displayModeBar": False})


def confusion_figure(report: Mapping[str, Any]) -> go.Figure:
    """Give the confusion matrix as a heat map: rows are what was performed, columns what was recognised."""
    classes, counts = list(report["classes"]), report["confusion"]
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=classes,
            y=classes,
            text=[
                [f"{100 * share:.0f} %" if n else "" for share, n in zip(s, row, strict=True)]
                for s, row in zip(shares, counts, strict=True)
            ],  # fmt: skip
            customdata=counts,
            texttemplate="%{text}",
            hovertemplate="performed %{y}, recognised %{x}: %{customdata} windows<extra></extra>",
            colorscale=[list(stop) for stop in palette.HEAT],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_layout(
        height=90 + 42 * len(classes),
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        xaxis={"title": "recognised", "side": "top", "type": "category", "tickangle": -30},
        yaxis={"title": "performed", "autorange": "reversed", "type": "category"},
        font={"size": 13},
    )
    return figure
