"""Pictures of a training: its epochs, its confusions, and how true its confidences are."""

from __future__ import annotations

from collections.abc import Sequence

import plotly.graph_objects as go

from semg.signals.training.progress import EpochPoint
from semg.signals.training.training_report import DynamicFigures, ReliabilityBin, TrainingReport
from ui import palette
from ui.text import chart

QUIET = {"displayModeBar": False}
"""Of a picture that is looked at and not worked with."""
_FONT = {"size": 13}


def epoch_figure(points: Sequence[EpochPoint]) -> go.Figure:
    """Return the loss by epoch, one line a network; the one that is trained now, or was last, stands out."""
    figure, epochs = go.Figure(), max(point.epochs for point in points)
    networks = list(dict.fromkeys(point.what for point in points))
    for index, what in enumerate(networks):
        mine = [point for point in points if point.what == what]
        last = what == networks[-1]
        figure.add_scatter(
            x=[point.epoch for point in mine],
            y=[point.loss for point in mine],
            mode="lines+markers" if last else "lines",
            name=chart(what),
            line={"width": 3 if last else 1.2, "color": palette.CHANNELS[index % len(palette.CHANNELS)]},
            customdata=[_held_out_error(point) for point in mine],
            hovertemplate="%{fullData.name}: epoch %{x}, loss %{y:.3f}%{customdata}<extra></extra>",
        )
    figure.update_layout(
        meta={"name": "Chart of the loss by epoch"},
        height=230,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={"title": "epoch", "range": [0.5, epochs + 0.5], "dtick": 1 if epochs <= 10 else 5, "tick0": 0},
        yaxis={"title": "loss", "rangemode": "tozero"},
        legend={"orientation": "h", "y": -0.35},
        font=_FONT,
    )
    return figure


def _held_out_error(point: EpochPoint) -> str:
    return "" if point.held_out_error is None else f", wrong in {100 * point.held_out_error:.1f} % of what was left out"


def confusion_figure(report: TrainingReport) -> go.Figure:
    """Return the confusion matrix as a heat map: rows are what was performed, columns what was recognised."""
    return _confusions([chart(name) for name in report.classes], report.confusion, "windows")


def dynamic_figure(figures: DynamicFigures) -> go.Figure:
    """Return the confusion matrix of performances of short gestures; what was none of them stands last."""
    names = [chart(name) if name else "none of them" for name in figures.classes]
    return _confusions(names, figures.confusion, "performances")


def _confusions(classes: list[str], counts: Sequence[Sequence[int]], of: str) -> go.Figure:
    shares = [[n / max(1, sum(row)) for n in row] for row in counts]
    texts = [
        [f"{100 * share:.0f} %" if n else "" for share, n in zip(s, row, strict=True)]
        for s, row in zip(shares, counts, strict=True)
    ]
    figure = go.Figure(
        go.Heatmap(
            z=shares,
            x=classes,
            y=classes,
            text=texts,
            customdata=counts,
            texttemplate="%{text}",
            hovertemplate="performed %{y}, recognised %{x}: %{customdata} %{fullData.name}<extra></extra>",
            name=chart(of),
            colorscale=[list(stop) for stop in palette.HEAT],
            zmin=0,
            zmax=1,
            showscale=False,
            xgap=1,
            ygap=1,
        )
    )
    figure.update_layout(
        meta={"name": "Chart of what was recognised, by the gesture that was performed"},
        height=90 + 42 * len(classes),
        margin={"l": 10, "r": 10, "t": 30, "b": 10},
        xaxis={"title": "recognised", "side": "top", "type": "category", "tickangle": -30},
        yaxis={"title": "performed", "autorange": "reversed", "type": "category"},
        font=_FONT,
    )
    return figure


def reliability_figure(bins: Sequence[ReliabilityBin]) -> go.Figure:
    """Return how often predictions of each confidence were right; on the diagonal, confidence means what it says."""
    used = [each for each in bins if each.windows]
    most = max((each.windows for each in used), default=1)
    figure = go.Figure()
    figure.add_scatter(
        x=[0, 1], y=[0, 1], mode="lines", line={"color": "#8896a1", "dash": "dash", "width": 1}, hoverinfo="skip"
    )
    figure.add_scatter(
        x=[each.confidence for each in used],
        y=[each.accuracy for each in used],
        mode="lines+markers",
        line={"color": palette.CHANNELS[0], "width": 2},
        marker={"size": [7 + 15 * (each.windows / most) ** 0.5 for each in used]},
        customdata=[each.windows for each in used],
        hovertemplate="confidence %{x:.0%}: correct in %{y:.0%} of %{customdata} windows<extra></extra>",
    )
    figure.update_layout(
        meta={"name": "Chart of how often decisions were right, by their confidence"},
        height=280,
        margin={"l": 10, "r": 10, "t": 10, "b": 10},
        xaxis={"title": "confidence", "range": [0, 1.03], "tickformat": ".0%"},
        yaxis={"title": "right", "range": [0, 1.03], "tickformat": ".0%"},
        showlegend=False,
        font=_FONT,
    )
    return figure
