"""The report of a training: what the model scored on data that it had not seen."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import streamlit as st

from ui.report_figures import QUIET, confusion_figure, reliability_figure
from ui.text import Markdown, cells, md, plain

FIGURES = (
    (
        "Balanced",
        "balanced_accuracy",
        "Balanced accuracy: the mean recall of the gestures. “Always rest” scores poorly.",
    ),
    ("Accuracy", "accuracy", "Share of windows that were correct."),
    ("Macro F1", "macro_f1", "Mean F1 of the gestures."),
)

_VERDICTS = {
    "good": (st.success, ":material/thumb_up:"),
    "usable": (st.warning, ":material/info:"),
    "do not use": (st.error, ":material/block:"),
}


def percent(value: float | None) -> str:
    """Return a part of 1 as text."""
    return "—" if value is None else f"{100 * value:.1f} %"


def show_report(report: Mapping[str, Any], key: str) -> None:
    """Show the figures with what they were measured on, and the pictures; without figures, why there are none."""
    if report.get("pending"):
        st.info("This version is not active yet. It is being tested on held-out data; its report will appear here.")
        return
    if report.get("incomplete"):
        st.warning(md("This version has no report: {why}", why=report["incomplete"]))
        return
    show_verdict(report)
    _metrics(report)
    if report.get("advice"):
        st.markdown(md(":material/lightbulb: {advice}", advice=report["advice"]))
    st.caption(_measured_on(report))
    if report.get("confusion"):
        st.plotly_chart(confusion_figure(report), width="stretch", key=f"confusion-{key}", config=QUIET)
    with st.expander("Details"):
        _previous(report.get("previous"))
        _calibration(report.get("calibration"))
        _decisions(report)
        _per_gesture(report)
        bins = report.get("reliability", {}).get("bins", [])
        if any(each["windows"] for each in bins):
            error = report["reliability"].get("calibration_error")
            st.markdown(
                md(
                    "**Calibration error**: {error} on average. On the dashed line, a confidence of "
                    "80 % is correct 8 times out of 10; larger points represent more windows.",
                    error=percent(error),
                )
            )
            st.plotly_chart(reliability_figure(bins), width="stretch", key=f"reliability-{key}", config=QUIET)


def show_verdict(report: Mapping[str, Any]) -> None:
    """Show whether the version is any good, and why it was not activated where it was not."""
    verdict = report.get("verdict")
    if not verdict:
        return
    draw, icon = _VERDICTS.get(verdict.get("level", ""), _VERDICTS["usable"])
    level = str(verdict["level"]).capitalize()
    draw(md("**{level}.** {sentence}", level=level, sentence=verdict["sentence"]), icon=icon)
    activation = report.get("activation") or {}
    if not activation.get("activated", True) and activation.get("why") != verdict["sentence"]:
        st.warning(md("It was not activated. {why}", why=activation.get("why", "")), icon=":material/pause_circle:")


def _metrics(report: Mapping[str, Any]) -> None:
    baseline, n_classes = report.get("baseline", {}), len(report.get("classes", []))
    guessing = report.get("chance_balanced") or (1 / n_classes if n_classes else None)
    chances = {
        "balanced_accuracy": md(", chance {value}", value=percent(guessing)),
        "accuracy": md(", always predicting the most frequent gesture: {value}", value=percent(report.get("chance"))),
    }
    for column, (title, name, text) in zip(st.columns(3), FIGURES, strict=True):
        column.metric(title, plain(percent(report.get(name))), help=text)
        column.caption(
            md("baseline {value}{chance}", value=percent(baseline.get(name)), chance=chances.get(name, md("")))
        )


def _measured_on(report: Mapping[str, Any]) -> Markdown:
    split = report.get("split", {}).get("description", "")
    held_out = ", ".join(map(str, report.get("held_out", [])))
    return md(
        "Tested on {windows:,} windows: {split}{held_out}. Baseline: log-covariance + LDA on the same windows. "
        "Trained on {train_windows:,} windows in {train_s:.0f} s, seed {seed}; {kib:.0f} KiB, {us:.0f} µs per window.",
        windows=report.get("windows", 0),
        split=split,
        held_out=f" ({held_out})" if held_out else "",
        train_windows=report.get("train_windows", 0),
        train_s=report.get("train_s", 0),
        seed=report.get("seed", 0),
        kib=report.get("model_bytes", 0) / 1024,
        us=report.get("us_per_window", 0),
    )


def _previous(previous: Mapping[str, Any] | None) -> None:
    """Show how the version before does on the same held-out windows."""
    if not previous:
        return
    if not previous.get("comparable"):
        why = previous.get("why", "the reason is unknown")
        st.markdown(md("**Compared with the previous version**: not possible, {why}.", why=why))
        return
    new, old = previous["new"]["balanced_accuracy"], previous["previous"]["balanced_accuracy"]
    word = "better" if new > old else "worse" if new < old else "equal"
    st.markdown(
        md(
            "**Compared with the previous version**, on the same {windows:,} windows that neither had seen: {new} "
            "balanced, previously {old} ({word}).",
            windows=previous["windows"],
            new=percent(new),
            old=percent(old),
            word=word,
        )
    )


def _calibration(calibration: Mapping[str, Any] | None) -> None:
    """Show what calibrating changed."""
    if not calibration or "before" not in calibration or "after" not in calibration:
        return
    st.markdown(
        md(
            "**Calibration**: {before} balanced before, {after} after, on {windows:,} windows.",
            before=percent(calibration["before"].get("balanced_accuracy")),
            after=percent(calibration["after"].get("balanced_accuracy")),
            windows=calibration.get("windows", 0),
        )
    )


def _decisions(report: Mapping[str, Any]) -> None:
    """Show what voting and rejection make of the windows, and which rejection keeps rest quiet."""
    decided = report.get("decisions")
    if not decided:
        return
    false = decided.get("false_activations_per_min")
    st.markdown(
        md(
            "**Decisions** (vote of {vote_n}, minimum confidence {least}{hysteresis}): {right} correct, {unsure} unsure"
            "{false}.",
            vote_n=decided["vote_n"],
            least=percent(decided["min_confidence"]),
            hysteresis=_hysteresis(decided),
            right=percent(decided.get("accuracy")),
            unsure=percent(decided.get("rejected")),
            false="" if false is None else f", {false:.1f} false activations per minute of rest",
        )
    )
    point = report.get("operating_point")
    settings = ("vote_n", "min_confidence", "hysteresis")
    if point and any(point.get(name) != decided.get(name) for name in settings):
        st.markdown(
            md(
                "For a quiet rest: a vote of {vote_n}, a minimum confidence of {least}{hysteresis} (on the Live page, "
                "*Use these*) gives {false:.1f} false activations per minute, {unsure} unsure.",
                vote_n=point["vote_n"],
                least=percent(point["min_confidence"]),
                hysteresis=_hysteresis(point),
                false=point["false_activations_per_min"],
                unsure=percent(point.get("rejected")),
            )
        )


def _hysteresis(figures: Mapping[str, Any]) -> str:
    """Return the words for it; reports from before there was one have none."""
    return f", hysteresis {percent(figures['hysteresis'])}" if "hysteresis" in figures else ""


def _per_gesture(report: Mapping[str, Any]) -> None:
    found = report.get("per_gesture")
    if found:
        st.dataframe(
            cells({"Gesture": name, **gesture_row(each)} for name, each in found.items()),
            hide_index=True,
            width="stretch",
        )


def gesture_row(figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return a gesture's figures as columns of a table."""
    row: dict[str, Any] = {"Recall": percent(figures.get("recall"))}
    for title, name in (("Precision", "precision"), ("F1", "f1")):
        if name in figures:
            row[title] = percent(figures[name])
    return row | {"Windows": figures.get("n", 0)}
