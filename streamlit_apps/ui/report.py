"""The report of a training: what the model scored on data that it had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from ui.report_figures import QUIET, confusion_figure, reliability_figure

FIGURES = (
    ("Balanced", "balanced_accuracy", "Balanced accuracy: mean recall of the gestures. “Always rest” scores little."),
    ("Accuracy", "accuracy", "Share of windows that were right."),
    ("Macro F1", "macro_f1", "Mean F1 of the gestures."),
)


def percent(value: float | None) -> str:
    """Give a part of 1 as text."""
    return "—" if value is None else f"{100 * value:.1f} %"


def show_report(report: Mapping[str, Any], key: str) -> None:
    """Show the figures with what they were measured on, and the pictures; without figures, why there are none."""
    if report.get("pending"):
        st.info("This version decides already. Its report is still being made: it is tried on data held out.")
        return
    if report.get("incomplete"):
        st.warning(f"There is no report of this version: {report['incomplete']}")
        return
    _metrics(report)
    if report.get("advice"):
        st.markdown(f":material/lightbulb: {report['advice']}")
    st.caption(_measured_on(report))
    if report.get("confusion"):
        st.plotly_chart(confusion_figure(report), width="stretch", key=f"confusion-{key}", config=QUIET)
    with st.expander("More about it"):
        _previous(report.get("previous"))
        _calibration(report.get("calibration"))
        _decisions(report)
        _per_gesture(report)
        bins = report.get("reliability", {}).get("bins", [])
        if any(each["windows"] for each in bins):
            error = report["reliability"].get("calibration_error")
            st.markdown(
                f"**How true its confidence is**: on average {percent(error)} off. On the dashed line a confidence of "
                "80 % is right 8 times out of 10; larger points stand for more windows."
            )
            st.plotly_chart(reliability_figure(bins), width="stretch", key=f"reliability-{key}", config=QUIET)


def _metrics(report: Mapping[str, Any]) -> None:
    baseline = report.get("baseline", {})
    columns = st.columns(4)
    for column, (title, name, text) in zip(columns, FIGURES, strict=False):
        column.metric(title, percent(report.get(name)), help=text)
        column.caption(f"baseline {percent(baseline.get(name))}")
    columns[3].metric(
        "Chance", percent(report.get("chance")), help="Accuracy of always naming the most frequent gesture."
    )


def _measured_on(report: Mapping[str, Any]) -> str:
    split = report.get("split", {}).get("description", "")
    held_out = ", ".join(map(str, report.get("held_out", [])))
    return (
        f"Tested on {report.get('windows', 0):,} windows: {split}{f' ({held_out})' if held_out else ''}. "
        "Baseline: log-covariance + LDA on the same windows. "
        f"Trained on {report.get('train_windows', 0):,} windows in {report.get('train_s', 0):.0f} s, "
        f"seed {report.get('seed', 0)}; {report.get('model_bytes', 0) / 1024:.0f} KiB, "
        f"{report.get('us_per_window', 0):.0f} µs a window."
    )


def _previous(previous: Mapping[str, Any] | None) -> None:
    """Tell how the version before does on the same held-out windows."""
    if not previous:
        return
    if not previous.get("comparable"):
        st.markdown(f"**Against the version before**: cannot be compared, {previous.get('why', 'nothing is known')}.")
        return
    new, old = previous["new"]["balanced_accuracy"], previous["previous"]["balanced_accuracy"]
    word = "better" if new > old else "worse" if new < old else "equal"
    st.markdown(
        f"**Against the version before**, on the same {previous['windows']:,} windows that neither had seen: "
        f"{percent(new)} balanced, before {percent(old)} ({word})."
    )


def _calibration(calibration: Mapping[str, Any] | None) -> None:
    """Tell what calibrating changed."""
    if not calibration or "before" not in calibration or "after" not in calibration:
        return
    st.markdown(
        f"**Calibration**: {percent(calibration['before'].get('balanced_accuracy'))} balanced before it, "
        f"{percent(calibration['after'].get('balanced_accuracy'))} after, on {calibration.get('windows', 0):,} windows."
    )


def _decisions(report: Mapping[str, Any]) -> None:
    """Tell what voting and rejection make of the windows, and which rejection keeps rest quiet."""
    decided = report.get("decisions")
    if not decided:
        return
    false = decided.get("false_activations_per_min")
    st.markdown(
        f"**Decisions** (vote of {decided['vote_n']}, least confidence {percent(decided['min_confidence'])}"
        f"{_hysteresis(decided)}): "
        f"{percent(decided.get('accuracy'))} right, {percent(decided.get('rejected'))} unsure"
        + ("." if false is None else f", {false:.1f} false activations in a minute of rest.")
    )
    point = report.get("operating_point")
    settings = ("vote_n", "min_confidence", "hysteresis")
    if point and any(point.get(name) != decided.get(name) for name in settings):
        st.markdown(
            f"For a quiet rest: a vote of {point['vote_n']}, a least confidence of {percent(point['min_confidence'])}"
            f"{_hysteresis(point)} (page Live, *Use these*) has {point['false_activations_per_min']:.1f} false "
            f"activations in a minute, {percent(point.get('rejected'))} unsure."
        )


def _hysteresis(figures: Mapping[str, Any]) -> str:
    """Give the words for it; reports from before there was one have none."""
    return f", hysteresis {percent(figures['hysteresis'])}" if "hysteresis" in figures else ""


def _per_gesture(report: Mapping[str, Any]) -> None:
    found = report.get("per_gesture")
    if found:
        st.dataframe(
            [{"Gesture": name, **gesture_row(each)} for name, each in found.items()], hide_index=True, width="stretch"
        )


def gesture_row(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Give a gesture's figures as columns of a table."""
    row: dict[str, Any] = {"Recall": percent(figures.get("recall"))}
    for title, name in (("Precision", "precision"), ("F1", "f1")):
        if name in figures:
            row[title] = percent(figures[name])
    return row | {"Windows": figures.get("n", 0)}
