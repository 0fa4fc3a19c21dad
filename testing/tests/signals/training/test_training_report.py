"""A report is one dataclass, and its JSON is what was stored, whichever version wrote it."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from semg.domain import ClassifierKind
from semg.settings import PROJECT_DIR
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit, train
from semg.signals.training.training_report import (
    FIGURES,
    FINISHED,
    HELD_OUT,
    Activation,
    DecisionFigures,
    SummaryFigures,
    TrainingReport,
)
from testing.kits.page_data import REPORT
from testing.kits.recording_kit import labelled_session

GESTURES = ("rest", "fist", "open_hand")
ARM = SyntheticArm(1, 4, gestures=GESTURES)
QUICK = TrainingOptions(epochs=2)

OLD: dict[str, dict[str, Any]] = {
    "before there were verdicts, operating points and hysteresis": REPORT,
    "before baselines were two and points were many": REPORT | {
        "baseline": {"classifier": "logcov_lda", "accuracy": 0.5},
        "decisions": {"vote_n": 3, "min_confidence": 0.4, "rejected": None},
        "operating_point": None,
        "operating_points": [
            {"vote_n": 1, "min_confidence": 0.2, "accuracy": 0.9, "rejected": 0.1, "false_activations_per_min": None}
        ],
        "previous": None,
        "reliability": {"bins": [], "calibration_error": 0.0},
    },
    "still tested": {"pending": True, "classifier": "cnn"},
    "canceled": {"pending": False, "incomplete": "the job was canceled before its report", "classifier": "cnn"},
    "nothing": {},
    "nothing but nulls": dict.fromkeys(sorted(FIGURES | HELD_OUT | FINISHED)),
    "of a version to come": REPORT | {"entropy": {"of": ["fist"]}, "split": {"by": "session", "blocks": 4}},
}  # fmt: skip


def stored(report: TrainingReport) -> dict[str, Any]:
    """The report as the table of models gives it back."""
    found: dict[str, Any] = json.loads(json.dumps(report.as_json(), allow_nan=False))
    return found


def made(kind: ClassifierKind, *, calibrated: bool, sessions: int, compared: bool) -> TrainingReport:
    """The report of a small training."""
    data = [labelled_session(ARM, index, make_plan(GESTURES, 3, 2.0)) for index in range(1, sessions + 1)]
    return train(
        data,
        kind,
        options=QUICK,
        calibration=labelled_session(ARM, 9, make_plan(GESTURES, 1, 2.0)) if calibrated else None,
        previous=fit(data[:1], "logcov_lda") if compared else None,
    ).report


@pytest.mark.parametrize(
    ("kind", "calibrated", "sessions", "compared"),
    [
        ("logcov_lda", False, 1, False),
        ("logcov_lda", False, 2, True),
        ("td_lda", True, 2, True),
        ("logcov_lda", True, 1, False),
        ("cnn", False, 2, False),
    ],
)
def test_report_of_a_training_comes_back_as_it_was_stored(
    kind: ClassifierKind, calibrated: bool, sessions: int, compared: bool
) -> None:
    report = made(kind, calibrated=calibrated, sessions=sessions, compared=compared)
    found = stored(report)
    held_out = sessions > 1 or not calibrated
    keys = FIGURES | FINISHED | {"verdict"} | (HELD_OUT if held_out else set())
    assert set(found) == (keys | {"calibration"} if calibrated else keys)
    again = TrainingReport.from_json(found)
    assert again.as_json() == found
    assert again == replace(report, written=again.written)
    assert again.extra == {}
    if held_out:
        assert set(found["baselines"]["td_lda"]) == {"accuracy", "balanced_accuracy", "macro_f1", "trimmed"}
        assert set(found["baseline"]) == {"classifier", *found["baselines"]["td_lda"]}
        assert (report.previous is not None) == compared
    assert np.array(report.confusion).sum() == report.windows


@pytest.mark.parametrize("shape", OLD)
def test_report_of_another_version_is_read_and_given_back(shape: str) -> None:
    old = json.loads(json.dumps(OLD[shape]))
    report = TrainingReport.from_json(old)
    assert report.as_json() == old
    assert TrainingReport.from_json(report.as_json()) == report


def test_missing_keys_are_none_or_empty() -> None:
    report = TrainingReport.from_json({"windows": 5, "baseline": {"accuracy": 0.5}, "decisions": {"vote_n": 3}})
    assert (report.accuracy, report.verdict, report.split, report.held_out) == (None, None, None, ())
    assert report.baseline is not None
    assert (report.baseline.accuracy, report.baseline.macro_f1) == (0.5, None)
    assert report.decisions == DecisionFigures(vote_n=3)
    assert not report.scored
    assert report.level is None


def test_activation_is_added_to_what_is_stored() -> None:
    report = replace(
        TrainingReport.from_json(OLD["nothing but nulls"]), activation=Activation(activated=False, why="x")
    )
    assert report.as_json() == OLD["nothing but nulls"] | {"activation": {"activated": False, "why": "x"}}


numbers = st.none() | st.floats(0, 1) | st.just(0)
summaries = st.dictionaries(st.sampled_from(["accuracy", "balanced_accuracy", "macro_f1", "odd"]), numbers)
gestures = st.dictionaries(st.sampled_from(["recall", "n", "f1"]), numbers)
values: dict[str, st.SearchStrategy[Any]] = {
    "pending": st.booleans(),
    "accuracy": numbers,
    "windows": st.none() | st.integers(0, 9),
    "seed": st.integers(0, 9),
    "advice": st.text(max_size=5),
    "classes": st.none() | st.lists(st.text(max_size=3)),
    "confusion": st.lists(st.lists(st.integers(0, 9))),
    "held_out": st.lists(st.text(max_size=3)),
    "baseline": st.none() | summaries,
    "per_gesture": st.dictionaries(st.text(max_size=3), gestures),
    "previous": st.none() | st.fixed_dictionaries(
        {"comparable": st.booleans()}, optional={"why": st.text(max_size=3), "new": summaries, "windows": st.just(4)}
    ),
    "decisions": st.none() | st.dictionaries(st.sampled_from(["vote_n", "min_confidence", "recognised"]), numbers),
    "verdict": st.none() | st.fixed_dictionaries(
        {"level": st.sampled_from(["good", "bad"])}, optional={"sentence": st.text(max_size=3), "chance": numbers}
    ),
    "unknown": st.recursive(numbers, lambda inner: st.lists(inner) | st.dictionaries(st.text(max_size=2), inner)),
}  # fmt: skip


@given(st.fixed_dictionaries({}, optional=values))
def test_whatever_keys_a_report_has_it_comes_back(found: dict[str, Any]) -> None:
    report = TrainingReport.from_json(found)
    assert report.as_json() == found
    assert TrainingReport.from_json(report.as_json()) == report


def test_parts_of_a_comparison_are_read() -> None:
    report = TrainingReport.from_json(REPORT)
    assert report.previous is not None
    assert report.previous.new == SummaryFigures(balanced_accuracy=0.85)


def test_report_is_read_without_numpy_torch_or_scikit_learn() -> None:
    """The app reads reports; what a training needs is not for it to load."""
    said = "import sys, semg.signals.training.training_report; print(*{n.partition('.')[0] for n in sys.modules})"
    ended = subprocess.run([sys.executable, "-c", said], cwd=PROJECT_DIR, capture_output=True, text=True, check=True)
    assert not {"numpy", "torch", "sklearn", "scipy"} & set(ended.stdout.split())
