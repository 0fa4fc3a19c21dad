"""The picture of the review: one lane a channel, labels behind, decisions below, gaps and late samples marked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime

import numpy as np
import plotly.graph_objects as go
from numpy.typing import NDArray

from semg.domain import Block, Decision, Repetition, us_from_utc
from semg.signals.decimation import Drawn
from ui import palette, times

DECISION_GAP_US = 500_000
DECISION_HOP_US = 50_000
LETTER_PX, WIDTH_PX = 6.4, 880
"""Of the small font, and of the picture on a screen of 1280 pixels."""


@dataclass(frozen=True, slots=True)
class ReviewData:
    """What is to be drawn of the time from ``since`` until ``until``."""

    since: datetime
    until: datetime
    channels: tuple[str, ...]
    drawn: Drawn | None
    late: tuple[Block, ...]
    repetitions: tuple[Repetition, ...]
    decisions: tuple[Decision, ...]


def figure(data: ReviewData, gesture_names: Sequence[str]) -> go.Figure:
    """Give the picture; times in the viewer's zone."""
    colours = palette.gesture_colours(gesture_names)
    n_channels = len(data.channels)
    made = go.Figure()
    offset_us = _zone_offset_us(data.since)
    ribbon = 0.07
    lane = (1 - ribbon - 0.02) / n_channels
    for index, name in enumerate(data.channels):
        axis = "y" if index == 0 else f"y{index + 1}"
        top = 1 - index * lane
        made.update_layout({
            ("yaxis" if index == 0 else f"yaxis{index + 1}"): {
                "domain": [top - lane * 0.96, top], "title": {"text": name, "standoff": 4}, "zeroline": False,
                "tickfont": {"size": 10}, "nticks": 3, "gridcolor": "#eef1f4", "fixedrange": True,
            }
        })  # fmt: skip
        if data.drawn is not None:
            made.add_scatter(
                x=_local(data.drawn.server_us, offset_us),
                y=data.drawn.values[:, index],
                yaxis=axis,
                mode="lines",
                line={"width": 1, "color": palette.channel_colours(n_channels)[index]},
                name=name,
                hoverinfo="skip",
                connectgaps=False,
                showlegend=False,
            )
        for block in data.late:
            if block.samples.shape[1] == n_channels:
                made.add_scatter(
                    x=_local(block.server_us, offset_us), y=block.samples[:, index], yaxis=axis, mode="markers",
                    marker={"size": 4, "color": palette.BAD, "symbol": "x"}, showlegend=False, name="late",
                    hovertemplate="arrived late<extra></extra>",
                )  # fmt: skip
    _labels(made, data, colours, offset_us)
    _gaps(made, data, offset_us)
    _decisions(made, data, colours, offset_us, ribbon)
    edges = _local(np.array([us_from_utc(data.since), us_from_utc(data.until)], np.int64), offset_us)
    made.update_layout(
        height=max(320, 110 + 62 * n_channels),
        margin={"l": 10, "r": 10, "t": 26, "b": 10},
        paper_bgcolor="#ffffff",
        plot_bgcolor="#ffffff",
        hovermode="closest",
        dragmode="zoom",
        # The shared axis hangs on the lowest lane.
        xaxis={"range": list(edges), "type": "date", "gridcolor": "#eef1f4", "anchor": "free", "position": 0,
               "tickformat": "%H:%M:%S"},
    )  # fmt: skip
    return made


def _labels(made: go.Figure, data: ReviewData, colours: dict[str, str], offset_us: int) -> None:
    edges = (us_from_utc(data.since), us_from_utc(data.until))
    span_us = edges[1] - edges[0]
    for one in data.repetitions:
        begin, end = max(us_from_utc(one.started_at), edges[0]), min(us_from_utc(one.ended_at), edges[1])
        if begin >= end:
            continue
        x0, x1 = _local(np.array([begin, end], np.int64), offset_us)
        made.add_shape(
            type="rect", x0=x0, x1=x1, y0=0.08, y1=1, yref="paper", layer="below", line={"width": 0},
            fillcolor=colours.get(one.gesture, "#7f7f7f"), opacity=0.1 if one.excluded else 0.28,
        )  # fmt: skip
        text = _fitting((f"{one.gesture} {one.number}", one.gesture), (end - begin) / span_us)
        if text:
            made.add_annotation(
                x=x0, y=1, yref="paper", yanchor="bottom", xanchor="left", showarrow=False, font={"size": 11},
                text=f"<s>{_escaped(text)}</s>" if one.excluded else _escaped(text),
            )  # fmt: skip


def _gaps(made: go.Figure, data: ReviewData, offset_us: int) -> None:
    for begin, end in data.drawn.gaps if data.drawn else ():
        x0, x1 = _local(np.array([begin, end], np.int64), offset_us)
        made.add_shape(
            type="rect", x0=x0, x1=x1, y0=0.08, y1=1, yref="paper", layer="above", fillcolor=palette.BAD, opacity=0.35,
            line={"width": 1, "color": palette.BAD},
        )  # fmt: skip


def _decisions(made: go.Figure, data: ReviewData, colours: dict[str, str], offset_us: int, ribbon: float) -> None:
    for label, begin, end in merged_decisions(data.decisions):
        x0, x1 = _local(np.array([begin, end], np.int64), offset_us)
        made.add_shape(
            type="rect", x0=x0, x1=x1, y0=0, y1=ribbon * 0.85, yref="paper", line={"width": 0},
            fillcolor=palette.UNSURE if label is None else colours.get(label, "#7f7f7f"),
        )  # fmt: skip
        text = _fitting((label or "unsure",), (end - begin) / max(1, us_from_utc(data.until) - us_from_utc(data.since)))
        if text:
            made.add_annotation(
                x=x0 + (x1 - x0) / 2, y=ribbon * 0.42, yref="paper", yanchor="middle", showarrow=False,
                text=_escaped(text), font={"size": 11},
            )  # fmt: skip


def merged_decisions(decisions: Sequence[Decision]) -> list[tuple[str | None, int, int]]:
    """Give runs of equal decisions as ``(label, begin_us, end_us)``; a pause of half a second ends a run."""
    runs: list[tuple[str | None, int, int]] = []
    for one in decisions:
        end = one.window_end_us
        if runs and end - runs[-1][2] < DECISION_GAP_US:
            label, begin, before = runs[-1]
            if label == one.label:
                runs[-1] = (label, begin, end)
            else:
                runs.append((one.label, before, end))
        else:
            runs.append((one.label, end - DECISION_HOP_US, end))
    return runs


def _fitting(texts: Sequence[str], part: float) -> str:
    """Give the first text that fits a part of the picture's width, or an empty one."""
    return next((text for text in texts if len(text) * LETTER_PX < part * WIDTH_PX), "")


def _zone_offset_us(at: datetime) -> int:
    offset = at.astimezone(times.viewer_zone()).utcoffset()
    return 0 if offset is None else round(offset.total_seconds() * 1e6)


def _local(server_us: NDArray[np.int64], offset_us: int) -> NDArray[np.datetime64]:
    return (server_us + offset_us).astype("datetime64[us]")


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")
