"""Assess whether a version of a classifier is good enough for use: one sentence with the reason and the next step."""

from __future__ import annotations

from math import sqrt

from semg import verdicts
from semg.signals.training.label_alignment import LabelAlignment
from semg.signals.training.training_report import TrainingReport, Verdict, VerdictLevel
from semg.verdicts import Figure
from semg.words import counted

GOOD_BALANCED = 0.85
GOOD_RECALL = 0.6
"""Of the gesture that is recognised least."""
ABOVE_CHANCE = 1.645
"""Standard errors that balanced accuracy must lie above chance (one-sided, 5 %)."""
NEAR_CHANCE = 1.3
"""Balanced accuracy below this multiple of chance counts as near it, whatever the number of trials."""
MIN_WINDOWS = 10
"""Minimum held-out windows of each gesture."""
BELOW_BASELINE = 0.03
WORSE = 0.02
"""Differences of balanced accuracy below these are noise of the training."""
SHIFTED_MS, SHIFTED_GAIN = 700, 0.15
"""Shift of labels that is reported, and gain in correlation with the amplitude; a reaction takes 200 to 500 ms."""
UNRELATED = 0.1
"""Correlation of labels and amplitude below which they count as unrelated."""


def judge_version(report: TrainingReport, alignment: LabelAlignment | None = None) -> Verdict:
    """Assess a version by its report.

    Parameters
    ----------
    report
        Of ``semg.signals.training.train``: figures on windows that were held out.
    alignment
        How the labels fit the signal they were trained with.
    """
    balanced, gestures = report.balanced_accuracy, report.per_gesture
    chance = 1.0 / max(2, len(report.classes))
    few, fewest = _fewest(report)
    if balanced is None or fewest < MIN_WINDOWS:
        return Verdict(
            level="do not use",
            code="few",
            sentence="Record each gesture at least five times, for several seconds each: "
            f"{_too_few(fewest, few)} to tell whether it is recognised.",
            chance=chance,
        )
    trials = max(1, report.trials or sum(1 for one in gestures.values() if one.n))
    error = sqrt(max(balanced * (1 - balanced), 0.25 / trials) / trials)
    shown = f"balanced accuracy {100 * balanced:.0f} %, chance {100 * chance:.0f} %"

    def said(level: VerdictLevel, code: str, sentence: str) -> Verdict:
        return Verdict(
            level=level, code=code, sentence=sentence, chance=round(chance, 6), standard_error=round(error, 6)
        )

    is_poor = balanced < GOOD_BALANCED
    # A calibration holds out one trial of each gesture: so few bound nothing, and only the figure itself can speak.
    bound = chance + ABOVE_CHANCE * error if trials >= 2 * len(report.classes) else 0.0
    near_chance = balanced < max(NEAR_CHANCE * chance, bound)
    if alignment is not None and is_poor:
        mismatch = _mismatch(alignment)
        if mismatch:
            return said("do not use", "labels", f"The labels do not match the signal ({shown}): {mismatch}")
    if near_chance:
        return said(
            "do not use", "chance",
            f"It recognises gestures hardly better than chance ({shown}). Check that each gesture was performed while "
            "it was prompted, and record again.",
        )  # fmt: skip
    baseline = None if report.baseline is None else report.baseline.balanced_accuracy
    if baseline is not None and report.classifier not in ("logcov_lda", "td_lda"):
        below = baseline - balanced
        if below > max(BELOW_BASELINE, error / 2):
            return said(
                "do not use", "baseline",
                f"It is worse than the simple baseline on the same windows ({100 * balanced:.0f} %, baseline "
                f"{100 * baseline:.0f} %). Train the classifier “log-covariance + LDA”, or record more repetitions.",
            )  # fmt: skip
    worst, recall = _worst(report)
    if is_poor:
        advice = report.advice or "Record more repetitions."
        return said("usable", "accuracy", f"It is often wrong ({shown}). {advice}")
    if recall is not None and recall < GOOD_RECALL:
        return said(
            "usable", "gesture",
            f"“{worst}” is recognised in only {100 * recall:.0f} % of its windows ({shown}). Record more repetitions "
            "of it, or perform it more clearly.",
        )  # fmt: skip
    return said("good", "good", f"It recognises the gestures well on data it was not trained on ({shown}).")


def plain_verdict(report: TrainingReport) -> verdicts.Verdict:
    """Return a stored verdict as every page shows it: the reason and the next step apart, with the figures."""
    if report.pending:
        return verdicts.Verdict(
            "unknown",
            "It is being tested on held-out data, and is not active yet; its report will appear here.",
            code="pending",
        )
    if report.incomplete:
        return verdicts.Verdict("unknown", f"This version has no report: {report.incomplete}", code="incomplete")
    stored = report.verdict
    if stored is None:
        return verdicts.Verdict(
            "unknown", "This version was trained before versions were judged.", "Train again for a verdict.",
            _plain_figures(report), "unjudged",
        )  # fmt: skip
    reason, step = _reason_and_step(stored)
    return verdicts.Verdict(stored.level, reason, step, _plain_figures(report), stored.code)


def _reason_and_step(stored: Verdict) -> tuple[str, str]:
    """Return the two parts of a stored sentence."""
    if stored.code == "few":
        step, found, reason = stored.sentence.partition(": ")
        return (f"{reason[:1].upper()}{reason[1:]}", f"{step}.") if found else (stored.sentence, "")
    if stored.code == "good":
        return stored.sentence, "Try it on the Live page."
    # The figures in parentheses end the reason; a gesture's name may hold a full stop.
    for end in ("). ", ". "):
        reason, found, step = stored.sentence.partition(end)
        if found:
            return f"{reason}{end.strip()}", step
    return stored.sentence, ""


def _plain_figures(report: TrainingReport) -> tuple[Figure, ...]:
    def percent(value: float | None) -> str:
        return "—" if value is None else f"{100 * value:.1f} %"

    stored, baseline = report.verdict, report.baseline
    chance = report.chance_balanced if stored is None or stored.chance is None else stored.chance
    worst, recall = _worst(report)
    figures = [
        Figure("Balanced accuracy", percent(report.balanced_accuracy), f"mean recall of the gestures; good from "
               f"{percent(GOOD_BALANCED)}"),
        Figure("Chance", percent(chance), "balanced accuracy of guessing"),
        Figure("Baseline", percent(None if baseline is None else baseline.balanced_accuracy),
               "log-covariance + LDA on the same windows"),
        Figure("Least recognised", f"{worst}, {percent(recall)}" if worst else "—",
               f"recall of that gesture; good from {percent(GOOD_RECALL)}"),
        Figure("Held-out windows", f"{report.windows:,}", "none of them was trained on"),
    ]  # fmt: skip
    if report.trials:
        figures.append(Figure("Held-out trials", f"{report.trials:,}", "windows of one trial are alike"))
    if stored is not None and stored.standard_error is not None:
        figures.append(
            Figure("Standard error", percent(stored.standard_error), "of balanced accuracy, from the trials")
        )
    return tuple(figures)


def compare_with_active(report: TrainingReport, active: TrainingReport | None) -> str:
    """Return why a version must not replace the active one automatically; empty when it may.

    Both are compared on the same held-out windows: those of sessions that the active version has never seen
    (``previous`` in the report), or, when it was trained on all of these sessions, by its own report, if that held out
    the same windows.
    """
    mine, theirs, windows = report.balanced_accuracy, None, report.windows
    before = report.previous
    if before is not None and before.new is not None and before.previous is not None:
        mine, theirs, windows = before.new.balanced_accuracy, before.previous.balanced_accuracy, before.windows
    elif active is not None and _tested_on(active) == _tested_on(report):
        theirs = active.balanced_accuracy
    if mine is None or theirs is None or mine >= theirs - WORSE:
        return ""
    return (
        f"On the same {windows:,} held-out windows it is worse than the active version (balanced accuracy "
        f"{100 * mine:.0f} %; active version {100 * theirs:.0f} %)."
    )


def _tested_on(report: TrainingReport) -> tuple[object, ...]:
    return report.held_out, report.classes, report.windows, report.split


def _mismatch(alignment: LabelAlignment) -> str:
    """Return how the labels mismatch the signal, as the end of a sentence; empty when they match."""
    if abs(alignment.lag_ms) >= SHIFTED_MS and alignment.best - alignment.correlation >= SHIFTED_GAIN:
        word = "before" if alignment.lag_ms > 0 else "after"
        return (
            f"they lie {abs(alignment.lag_ms) / 1000:.1f} s {word} the muscle activity. Move the labels on the Review "
            "page, or record again."
        )
    if max(alignment.correlation, alignment.best) < UNRELATED:
        return (
            "the muscles are no more active during the gestures than at rest. Check the electrodes, and that the "
            "labels belong to this recording."
        )
    return ""


def _fewest(report: TrainingReport) -> tuple[str, int]:
    """Return the gesture with the fewest held-out windows, and how many these are."""
    gestures = report.per_gesture
    found = [(gestures[name].n if name in gestures else 0, name) for name in report.classes]
    fewest, name = min(found, default=(0, "any gesture"))
    return name, fewest


def _too_few(windows: int, gesture: str) -> str:
    held_out = f"{counted(windows, 'held-out window')} of {gesture}, too few"
    return f"only {held_out}" if windows else f"no held-out windows of {gesture}"


def _worst(report: TrainingReport) -> tuple[str, float | None]:
    found = [(one.recall, name) for name, one in report.per_gesture.items() if one.recall is not None]
    if not found:
        return "", None
    recall, name = min(found)
    return name, recall
