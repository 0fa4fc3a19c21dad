"""Assess whether a version of a classifier is good enough for use: one sentence with the reason and the next step."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from math import sqrt
from typing import Any, Literal

from semg.signals.training.label_alignment import LabelAlignment
from semg.words import counted

VerdictLevel = Literal["good", "usable", "do not use"]

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


@dataclass(frozen=True, slots=True)
class Verdict:
    """The assessment of a version.

    Attributes
    ----------
    code
        The deciding criterion: ``good``, ``gesture``, ``accuracy``, ``few``, ``chance``, ``baseline``, ``labels``.
    sentence
        The reason and the next step.
    chance
        Balanced accuracy of guessing: one over the number of gestures.
    standard_error
        Of balanced accuracy, from the number of held-out trials: windows of one trial are correlated.
    """

    level: VerdictLevel
    code: str
    sentence: str
    chance: float
    standard_error: float | None

    def as_json(self) -> dict[str, Any]:
        """Return the verdict as JSON-ready values."""
        return asdict(self)


def judge_version(report: Mapping[str, Any], alignment: LabelAlignment | None = None) -> Verdict:
    """Assess a version by its report.

    Parameters
    ----------
    report
        Of ``semg.signals.training.train``: figures on windows that were held out.
    alignment
        How the labels fit the signal they were trained with.
    """
    classes = list(report.get("classes", []))
    balanced, gestures = report.get("balanced_accuracy"), report.get("per_gesture", {})
    chance = 1.0 / max(2, len(classes))
    few, fewest = _fewest(report)
    if balanced is None or fewest < MIN_WINDOWS:
        return Verdict(
            "do not use", "few",
            f"Record each gesture at least five times, for several seconds each: {_too_few(fewest, few)} to tell "
            "whether it is recognised.",
            chance, None,
        )  # fmt: skip
    trials = max(1, int(report.get("trials") or sum(1 for one in gestures.values() if one.get("n"))))
    error = sqrt(max(balanced * (1 - balanced), 0.25 / trials) / trials)
    shown = f"balanced accuracy {100 * balanced:.0f} %, chance {100 * chance:.0f} %"

    def said(level: VerdictLevel, code: str, sentence: str) -> Verdict:
        return Verdict(level, code, sentence, round(chance, 6), round(error, 6))

    is_poor = balanced < GOOD_BALANCED
    # A calibration holds out one trial of each gesture: so few bound nothing, and only the figure itself can speak.
    bound = chance + ABOVE_CHANCE * error if trials >= 2 * len(classes) else 0.0
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
    baseline = (report.get("baseline") or {}).get("balanced_accuracy")
    if baseline is not None and report.get("classifier") not in ("logcov_lda", "td_lda"):
        below = baseline - balanced
        if below > max(BELOW_BASELINE, error / 2):
            return said(
                "do not use", "baseline",
                f"It is worse than the simple baseline on the same windows ({100 * balanced:.0f} %, baseline "
                f"{100 * baseline:.0f} %). Train the classifier “log-covariance + LDA”, or record more repetitions.",
            )  # fmt: skip
    worst, recall = _worst(report)
    if is_poor:
        advice = report.get("advice") or "Record more repetitions."
        return said("usable", "accuracy", f"It is often wrong ({shown}). {advice}")
    if recall is not None and recall < GOOD_RECALL:
        return said(
            "usable", "gesture",
            f"“{worst}” is recognised in only {100 * recall:.0f} % of its windows ({shown}). Record more repetitions "
            "of it, or perform it more clearly.",
        )  # fmt: skip
    return said("good", "good", f"It recognises the gestures well on data it was not trained on ({shown}).")


def compare_with_active(report: Mapping[str, Any], active: Mapping[str, Any] | None) -> str:
    """Return why a version must not replace the active one automatically; empty when it may.

    Both are compared on the same held-out windows: those of sessions that the active version has never seen
    (``previous`` in the report), or, when it was trained on all of these sessions, by its own report, if that held out
    the same windows.
    """
    mine, theirs, windows = report.get("balanced_accuracy"), None, int(report.get("windows") or 0)
    previous = report.get("previous") or {}
    if previous.get("comparable"):
        mine, theirs = previous["new"]["balanced_accuracy"], previous["previous"]["balanced_accuracy"]
        windows = int(previous["windows"])
    elif active and all(active.get(name) == report.get(name) for name in ("held_out", "classes", "windows", "split")):
        theirs = active.get("balanced_accuracy")
    if mine is None or theirs is None or mine >= theirs - WORSE:
        return ""
    return (
        f"On the same {windows:,} held-out windows it is worse than the active version (balanced accuracy "
        f"{100 * mine:.0f} %; active version {100 * theirs:.0f} %)."
    )


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


def _fewest(report: Mapping[str, Any]) -> tuple[str, int]:
    """Return the gesture with the fewest held-out windows, and how many these are."""
    gestures = report.get("per_gesture", {})
    found = [(int((gestures.get(name) or {}).get("n") or 0), name) for name in report.get("classes", [])]
    fewest, name = min(found, default=(0, "any gesture"))
    return name, fewest


def _too_few(windows: int, gesture: str) -> str:
    held_out = f"{counted(windows, 'held-out window')} of {gesture}, too few"
    return f"only {held_out}" if windows else f"no held-out windows of {gesture}"


def _worst(report: Mapping[str, Any]) -> tuple[str, float | None]:
    gestures = report.get("per_gesture", {})
    found = [(one["recall"], name) for name, one in gestures.items() if one.get("recall") is not None]
    if not found:
        return "", None
    recall, name = min(found)
    return name, float(recall)
