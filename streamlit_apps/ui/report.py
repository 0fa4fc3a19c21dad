"""The report of a training: what the model scored on data that it had not seen."""

from __future__ import annotations

import streamlit as st

from semg.signals.training.training_report import (
    BaselineFigures,
    CalibrationFigures,
    Comparison,
    DecisionFigures,
    DynamicFigures,
    TrainingReport,
)
from semg.signals.training.verdict import plain_verdict
from ui import verdict
from ui.gesture_pictures import drawn_uri
from ui.report_figures import QUIET, confusion_figure, dynamic_figure, reliability_figure
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


def percent(value: float | None) -> str:
    """Return a part of 1 as text."""
    return "—" if value is None else f"{100 * value:.1f} %"


def show_report(report: TrainingReport, key: str) -> None:
    """Show the verdict, the figures with what they were measured on, and the pictures."""
    show_verdict(report)
    if report.pending or report.incomplete:
        return
    _metrics(report)
    if report.advice:
        st.markdown(md(":material/lightbulb: {advice}", advice=report.advice))
    st.caption(_measured_on(report))
    if report.confusion:
        st.plotly_chart(confusion_figure(report), width="stretch", key=f"confusion-{key}", config=QUIET)
    if report.dynamic is not None:
        _dynamic(report.dynamic, key)
    with st.expander("Details"):
        _previous(report.previous)
        _calibration(report.calibration)
        _decisions(report)
        _per_gesture(report)
        found = report.reliability
        if found is not None and any(each.windows for each in found.bins):
            st.markdown(
                md(
                    "**Calibration error**: {error} on average. On the dashed line, a confidence of "
                    "80 % is correct 8 times out of 10; larger points represent more windows.",
                    error=percent(found.calibration_error),
                )
            )
            st.plotly_chart(reliability_figure(found.bins), width="stretch", key=f"reliability-{key}", config=QUIET)


def show_verdict(report: TrainingReport) -> None:
    """Show whether the version is any good, and why it was not activated where it was not."""
    verdict.show(plain_verdict(report))
    judged, activation = report.verdict, report.activation
    if judged and activation and not activation.activated and activation.why != judged.sentence:
        st.warning(md("It was not activated. {why}", why=activation.why), icon=":material/pause_circle:")


def _metrics(report: TrainingReport) -> None:
    baseline, n_classes = report.baseline or BaselineFigures(), len(report.classes)
    guessing = report.chance_balanced or (1 / n_classes if n_classes else None)
    chances = {
        "balanced_accuracy": md(", chance {value}", value=percent(guessing)),
        "accuracy": md(", always predicting the most frequent gesture: {value}", value=percent(report.chance)),
    }
    for column, (title, name, text) in zip(st.columns(3), FIGURES, strict=True):
        column.metric(title, plain(percent(getattr(report, name))), help=text)
        column.caption(
            md("baseline {value}{chance}", value=percent(getattr(baseline, name)), chance=chances.get(name, md("")))
        )


def _dynamic(figures: DynamicFigures, key: str) -> None:
    """Show what was made of the performances of short gestures: one decision each."""
    false = [
        f"{value:.1f} a minute of {what}"
        for what, value in (("rest", figures.false_per_min_rest), ("held gestures", figures.false_per_min_held))
        if value is not None
    ]
    held_out = "each session" if figures.by == "session" else "a part of the repetitions"
    st.markdown(
        md(
            "**Short gestures**: {balanced} balanced over {n} performances, {held_out} held out in turn (chance "
            "{chance}). {missed} with no onset found, {doubled} decided twice; decided where none was performed: "
            "{false}.",
            balanced=percent(figures.balanced_accuracy),
            n=figures.performances,
            held_out=held_out,
            chance=percent(1 / max(1, len(figures.per_gesture))),
            missed=figures.missed_onsets,
            doubled=figures.doubled,
            false=", ".join(false) or "not measured",
        )
    )
    st.plotly_chart(dynamic_figure(figures), width="stretch", key=f"dynamic-{key}", config=QUIET)


def _measured_on(report: TrainingReport) -> Markdown:
    held_out = ", ".join(report.held_out)
    return md(
        "Tested on {windows:,} windows: {split}{held_out}. Baseline: log-covariance + LDA on the same windows. "
        "Trained on {train_windows:,} windows in {train_s:.0f} s, seed {seed}; {kib:.0f} KiB, {us:.0f} µs per window.",
        windows=report.windows,
        split="" if report.split is None else report.split.description,
        held_out=f" ({held_out})" if held_out else "",
        train_windows=report.train_windows,
        train_s=report.train_s,
        seed=report.seed,
        kib=report.model_bytes / 1024,
        us=report.us_per_window,
    )


def _previous(before: Comparison | None) -> None:
    """Show how the version before does on the same held-out windows."""
    if before is None:
        return
    new, old = (None if each is None else each.balanced_accuracy for each in (before.new, before.previous))
    if new is None or old is None:
        why = before.why or "the reason is unknown"
        st.markdown(md("**Compared with the previous version**: not possible, {why}.", why=why))
        return
    word = "better" if new > old else "worse" if new < old else "equal"
    st.markdown(
        md(
            "**Compared with the previous version**, on the same {windows:,} windows that neither had seen: {new} "
            "balanced, previously {old} ({word}).",
            windows=before.windows,
            new=percent(new),
            old=percent(old),
            word=word,
        )
    )


def _calibration(calibration: CalibrationFigures | None) -> None:
    """Show what calibrating changed."""
    if calibration is None or calibration.before is None or calibration.after is None:
        return
    st.markdown(
        md(
            "**Calibration**: {before} balanced before, {after} after, on {windows:,} windows.",
            before=percent(calibration.before.balanced_accuracy),
            after=percent(calibration.after.balanced_accuracy),
            windows=calibration.windows,
        )
    )


def _decisions(report: TrainingReport) -> None:
    """Show what voting and rejection make of the windows, and which rejection keeps rest quiet."""
    decided, point = report.decisions, report.operating_point
    if decided is None:
        return
    false = decided.false_activations_per_min
    st.markdown(
        md(
            "**Decisions** (vote of {vote_n}, minimum confidence {least}{hysteresis}): {right} correct, {unsure} unsure"
            "{false}.",
            vote_n=decided.vote_n,
            least=percent(decided.min_confidence),
            hysteresis=_hysteresis(decided),
            right=percent(decided.accuracy),
            unsure=percent(decided.rejected),
            false="" if false is None else f", {false:.1f} false activations per minute of rest",
        )
    )
    _events(report)
    if point is not None and _settings(point) != _settings(decided):
        st.markdown(
            md(
                "For a quiet rest: a vote of {vote_n}, a minimum confidence of {least}{hysteresis} (on the Live page, "
                "*Use these*) gives {false:.1f} false activations per minute, {unsure} unsure.",
                vote_n=point.vote_n,
                least=percent(point.min_confidence),
                hysteresis=_hysteresis(point),
                false=point.false_activations_per_min or 0.0,
                unsure=percent(point.rejected),
            )
        )


def _events(report: TrainingReport) -> None:
    """Show what a program that acts on gestures would have been told."""
    events = report.events
    if events is None or not events.performances:
        return
    false, latency = events.false_per_hour, events.median_latency_ms
    st.markdown(
        md(
            "**Gesture events** (pressed is what stays decided for {dwell} ms): {right} of {all} performances "
            "recognised, {other} as another gesture, {missed} missed{false}{latency}.",
            dwell=events.dwell_ms,
            right=events.recognised,
            all=events.performances,
            other=events.other,
            missed=events.performances - events.recognised - events.other,
            false=""
            if false is None
            else f"; {false:.0f} false per hour of rest ({events.false_on_rest} in {events.rest_s:.0f} s)",
            latency="" if latency is None else f"; {latency / 1000:.1f} s after the prompt",
        )
    )


def _settings(figures: DecisionFigures) -> tuple[float | None, ...]:
    return figures.vote_n, figures.min_confidence, figures.hysteresis


def _hysteresis(figures: DecisionFigures) -> str:
    """Return the words for it; reports from before there was one have none."""
    return "" if figures.hysteresis is None else f", hysteresis {percent(figures.hysteresis)}"


def _per_gesture(report: TrainingReport) -> None:
    if report.per_gesture:
        st.dataframe(
            cells(
                {
                    "Hand": drawn_uri(name) or "",
                    "Gesture": name,
                    "Recall": percent(each.recall),
                    "Windows": each.n,
                }
                for name, each in report.per_gesture.items()
            ),
            hide_index=True,
            width="stretch",
            row_height=52,
            column_config={"Hand": st.column_config.ImageColumn("", width="small")},
        )
