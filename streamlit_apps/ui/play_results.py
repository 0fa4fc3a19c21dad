"""Results of measured play: over versions and days, as a chart, a table and a file."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import plotly.graph_objects as go
import streamlit as st

from semg.domain import Profile
from semg.play.played import PlayKind
from semg.privacy import file_exports
from semg.store import play
from semg.store.play import PlayResult
from ui import download, palette, times
from ui.report_figures import QUIET
from ui.runtime import App
from ui.simulated_arm import SIMULATED
from ui.text import cells, chart, md

_MEASURE = {"fitts": ("throughput", "throughput (bits/s)"), "reaction": ("median_ms", "median reaction time (ms)")}


def show_results(app: App, profile: Profile, kind: PlayKind) -> None:
    """Show a profile's results of a kind; nothing where there is none."""
    with app.pool.transaction() as tx:
        stored = play.list_results(tx, profile.user_id)
    found = [one for one in stored if one.kind == kind]
    st.subheader("Results", anchor=False)
    if not found:
        st.caption(
            "No result yet. A test that is played to its end appears here." if app.may_work else "No result yet."
        )
        return
    st.markdown(_summary(found[0]))
    if len(found) > 1:
        st.plotly_chart(_figure(found, kind), config=QUIET, key=f"play-chart-{kind}")
    row = _fitts_row if kind == "fitts" else _reaction_row
    st.dataframe(cells([_of(one) | row(one.result) for one in found]), hide_index=True)
    download.link(
        app,
        "All results (CSV)",
        file_exports.play_file(profile.user_id),
        help_text="A line for each test of either kind; every selection is in the person's archive",
    )


def _summary(newest: PlayResult) -> Any:
    """Return the newest result in words, for everybody who does not read the chart."""
    figures = newest.result
    if newest.kind == "fitts":
        return md(
            "Newest, with model version {version}: throughput **{throughput:.2f} bits/s**, {errors:.0f} % errors, path "
            "efficiency {efficiency:.0f} %, {overshoots:.1f} overshoots for each target.",
            version=newest.model_version,
            throughput=figures["throughput"],
            errors=100 * figures["error_rate"],
            efficiency=100 * figures["path_efficiency"],
            overshoots=figures["overshoots"],
        )
    if figures["median_ms"] is None:
        return md("Newest, with model version {version}: no gesture was recognised in time.",
                  version=newest.model_version)  # fmt: skip
    return md(
        "Newest, with model version {version}: median **{median:.0f} ms** (middle half {q1:.0f} to {q3:.0f} ms), "
        "{wrong} of {trials} wrong at first, {missed} missed. The times include the platform’s latency.",
        version=newest.model_version,
        median=figures["median_ms"],
        q1=figures["q1_ms"],
        q3=figures["q3_ms"],
        wrong=figures["wrong_first"],
        trials=figures["trials"],
        missed=figures["missed"],
    )


def _of(one: PlayResult) -> dict[str, Any]:
    return {
        "When": times.shown(one.played_at),
        "Version": one.model_version,
        "Played by": SIMULATED if one.simulated else "the person",
    }


def _fitts_row(figures: dict[str, Any]) -> dict[str, Any]:
    indices = [one["effective_index"] for one in figures["sequences"]]
    return {
        "Throughput (bits/s)": round(figures["throughput"], 2),
        "Effective difficulty (bits)": f"{min(indices):.1f} to {max(indices):.1f}",
        "Movement time (s)": round(figures["movement_s"], 2),
        "Errors (%)": round(100 * figures["error_rate"], 1),
        "Path efficiency (%)": round(100 * figures["path_efficiency"]),
        "Overshoots": round(figures["overshoots"], 2),
        "Targets": figures["trials"],
    }


def _reaction_row(figures: dict[str, Any]) -> dict[str, Any]:
    return {
        "Median (ms)": _rounded(figures["median_ms"]),
        "Interquartile range (ms)": _rounded(figures["iqr_ms"]),
        "Wrong at first": figures["wrong_first"],
        "Missed": figures["missed"],
        "Too early": figures["early"],
        "Prompts": figures["trials"],
    }


def _rounded(value: float | None) -> int | None:
    return None if value is None else round(value)


def _figure(found: Sequence[PlayResult], kind: PlayKind) -> go.Figure:
    """Return the measure by time; versions differ by sign and colour, and a simulated arm's results are hollow."""
    name, title = _MEASURE[kind]
    figure, signs = go.Figure(), ("circle", "square", "diamond", "triangle-up", "cross", "star")
    for index, version in enumerate(sorted({one.model_version for one in found})):
        mine = [one for one in reversed(found) if one.model_version == version and one.result[name] is not None]
        sign = signs[index % len(signs)]
        figure.add_scatter(
            x=[one.played_at.astimezone(times.viewer_zone()) for one in mine],
            y=[one.result[name] for one in mine],
            mode="lines+markers",
            name=chart(f"version {version}"),
            line={"color": palette.CHANNELS[index % len(palette.CHANNELS)], "width": 1},
            marker={"size": 10, "symbol": [f"{sign}-open" if one.simulated else sign for one in mine]},
        )
    figure.update_layout(
        meta={"name": f"Chart of the results by time: {title}"},
        height=230,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={"title": None},
        yaxis={"title": title, "rangemode": "tozero"},
        showlegend=True,
        legend={"orientation": "h", "y": -0.2},
        font={"size": 13},
    )
    return figure
