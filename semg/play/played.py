"""A played test as a browser reports it: checked, bounded and measured, ready to be stored."""

from __future__ import annotations

import math
from collections.abc import Collection
from dataclasses import asdict, dataclass
from typing import Any, Literal

from semg.play import reading
from semg.play.fitts import Trial, fitts_figures
from semg.play.reaction import Reaction, reaction_figures

PlayKind = Literal["fitts", "reaction"]
DIRECTIONS = ("left", "right", "up", "down")
MIN_TARGETS, MAX_TARGETS = 5, 15
"""Of a ring; the page offers odd numbers, so that each movement crosses it."""
MAX_SEQUENCES = 9
MAX_PROMPTS = 60
MAX_MS = 120_000.0
_ROUNDING = 1.0
"""Points are rounded by the browser; a way may seem shorter than its straight line by this."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Played:
    """A test: what was set, what came out, and what it was computed from, as JSON."""

    kind: PlayKind
    model_version: int
    settings: dict[str, Any]
    result: dict[str, Any]
    raw: dict[str, Any]


def measure(sent: object, gestures: Collection[str]) -> Played:
    """Check a browser's report and compute its figures.

    Parameters
    ----------
    sent
        ``kind``, ``model_version``, ``settings`` and ``raw``; nothing else of it is kept.
    gestures
        Names in the profile's bank.

    Raises
    ------
    InvalidValueError
        It is not what a page sends, or too little to be measured.
    """
    report = reading.table(sent, "a report")
    version = reading.whole(report.get("model_version"), "the model's version", 1, 2**31 - 1)
    settings, raw = reading.table(report.get("settings"), "settings"), reading.table(report.get("raw"), "selections")
    if report.get("kind") == "fitts":
        return _fitts(version, settings, raw, gestures)
    if report.get("kind") == "reaction":
        return _reaction(version, settings, raw, gestures)
    raise reading.refused("a kind of test that does not exist")


def _fitts(version: int, settings: dict[str, Any], raw: dict[str, Any], gestures: Collection[str]) -> Played:
    steering = {
        what: reading.gesture(name, gestures)
        for what, name in reading.table(settings.get("gestures"), "gestures").items()
        if what in (*DIRECTIONS, "select")
    }
    dwell_ms = 0.0 if "select" in steering else reading.number(settings.get("dwell_ms"), "the dwell time", 100, 5000)
    targets = reading.whole(settings.get("targets"), "the number of targets", MIN_TARGETS, MAX_TARGETS)
    kept = {
        "targets": targets,
        "dwell_ms": dwell_ms,
        "speed": reading.number(settings.get("speed"), "the speed", 20, 2000),
        "limit_s": reading.number(settings.get("limit_s"), "the time limit", 1, 120),
        "gestures": steering,
    }
    sequences = []
    for one in reading.items(raw.get("sequences"), "sequences", 1, MAX_SEQUENCES):
        sequence = reading.table(one, "a sequence")
        trials = reading.items(sequence.get("trials"), "trials", 1, targets)
        sequences.append(
            (
                reading.number(sequence.get("amplitude"), "an amplitude", 50, 1000),
                reading.number(sequence.get("width"), "a width", 10, 500),
                [_trial(reading.table(trial, "a trial"), dwell_ms) for trial in trials],
            )
        )
    stored = [
        {"amplitude": amplitude, "width": width, "trials": [asdict(trial) for trial in trials]}
        for amplitude, width, trials in sequences
    ]
    return Played(
        kind="fitts",
        model_version=version,
        settings=kept,
        result=asdict(fitts_figures(sequences)),
        raw={"sequences": stored},
    )


def _trial(sent: dict[str, Any], dwell_ms: float) -> Trial:
    selected = reading.truth(sent.get("selected"), "whether a target was selected")
    ms = reading.number(sent.get("ms"), "a time", 0, MAX_MS + dwell_ms)
    start, end = reading.point(sent.get("start"), "a start"), reading.point(sent.get("end"), "an end")
    travelled = reading.number(sent.get("travelled"), "a way", 0, 1e6)
    if travelled < math.dist(start, end) - _ROUNDING:
        raise reading.refused("a way that is shorter than the straight line")
    return Trial(
        origin=reading.point(sent.get("origin"), "a target"),
        target=reading.point(sent.get("target"), "a target"),
        start=start,
        end=end,
        ms=max(0.0, ms - dwell_ms) if selected else ms,
        travelled=travelled,
        overshoots=reading.whole(sent.get("overshoots"), "overshoots", 0, 10_000),
        selected=selected,
    )


def _reaction(version: int, settings: dict[str, Any], raw: dict[str, Any], gestures: Collection[str]) -> Played:
    prompted = [
        reading.gesture(one, gestures) for one in reading.items(settings.get("gestures"), "gestures", 1, MAX_PROMPTS)
    ]
    trials = []
    for one in reading.items(raw.get("trials"), "prompts", 1, MAX_PROMPTS):
        trial = reading.table(one, "a prompt")
        ms, first = trial.get("ms"), trial.get("first")
        trials.append(
            Reaction(
                gesture=reading.gesture(trial.get("gesture"), prompted),
                foreperiod_ms=reading.number(trial.get("foreperiod_ms"), "a foreperiod", 0, MAX_MS),
                ms=None if ms is None else reading.number(ms, "a time", 0, MAX_MS),
                first=None if first is None else reading.gesture(first, gestures),
                early=reading.whole(trial.get("early"), "early gestures", 0, 10_000),
            )
        )
    return Played(
        kind="reaction",
        model_version=version,
        settings={
            "gestures": prompted,
            "limit_s": reading.number(settings.get("limit_s"), "the time limit", 0.5, 60),
        },
        result=asdict(reaction_figures(trials)),
        raw={"trials": [asdict(one) for one in trials]},
    )
