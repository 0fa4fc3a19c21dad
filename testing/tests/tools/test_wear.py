"""The benchmarks of days and of a band put on: which files are whose, days as streams, and what is printed."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from semg.block_table import STARTS_RUN
from semg.domain import DecisionSpec
from semg.event_types import EventSpec
from semg.signals.model.electrode_rotation import rotations_of
from semg.signals.model.event_scores import EventScore
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.train import fit
from testing.benchmarks.donning import near
from testing.benchmarks.wear import GAP_US, day_of, figures, main, people_in, wear
from testing.kits.recording_kit import labelled_session, write_recording

GESTURES = ("rest", "fist", "open_hand", "flexion")
ARM = SyntheticArm(1, 4, gestures=GESTURES)
PLAN = make_plan(GESTURES, 3, 2.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    made = tmp_path_factory.mktemp("days")
    for day in (1, 2, 10):
        session = labelled_session(ARM, day, PLAN)
        names = np.array(["", *(one.label for one in session.stretches)])[session.stretch + 1]
        numbers = np.array([0, *(one.repetition for one in session.stretches)])[session.stretch + 1]
        for name in (f"arm_7-{day}", *([f"arm_7-{day}.short", f"arm_7-{day}p3"] if day == 1 else [])):
            millis = np.arange(len(session.samples)) * 1000 / session.rate_hz
            write_recording(made / f"{name}.csv.gz", session.samples, millis, names, numbers)
    (made / "arm_8-1.csv.gz").write_bytes(b"one day only")
    return made


def test_days_are_in_order_and_parts_of_days_are_left_out(folder: Path) -> None:
    found = people_in(folder)
    assert {person: [path.name for path in paths] for person, paths in found.items()} == {
        ("arm", "7"): ["arm_7-1.csv.gz", "arm_7-2.csv.gz", "arm_7-10.csv.gz"]
    }


def test_rotations_within_one_electrode_are_near() -> None:
    rolls = rotations_of(8)
    assert [near(one, rolls[0]) for one in rolls[:8]] == [True, True, *[False] * 5, True]
    assert not any(near(one, rolls[0]) for one in rolls[8:])
    assert near(rolls[8], rolls[9])
    assert near(rolls[8], rolls[15])


def test_a_day_is_a_stream_with_its_gaps_and_labels() -> None:
    session = labelled_session(ARM, 2, PLAN)
    session.starts_run[1000] = True
    day = day_of(session, 5_000_000)
    assert day.table.values.tobytes() == session.samples.tobytes()
    assert day.table.device_us[0] == day.begin_us == 5_000_000
    assert int((day.table.rows["flags"] & STARTS_RUN != 0).sum()) == 2
    steps = np.diff(day.table.device_us)
    assert steps.max() == steps[999] == GAP_US + 5000
    assert [one.label for one in day.spans] == [
        session.stretches[i].label for i in dict.fromkeys(session.stretch) if i >= 0
    ]
    labelled_us = sum(one.end_us - one.begin_us for one in day.spans)
    assert labelled_us == pytest.approx(int((session.stretch >= 0).sum()) * 5000, abs=GAP_US + 10_000)


def test_following_begins_anew_each_day_and_worn_on_does_not() -> None:
    classifier = fit([labelled_session(ARM, 1, PLAN)], "cnn", options=TrainingOptions(epochs=1))
    first = day_of(labelled_session(ARM, 2, PLAN), 0)
    second = day_of(labelled_session(ARM, 3, PLAN), first.end_us + 60 * GAP_US)

    def score(way: str, *days: object) -> EventScore:
        return wear(classifier, days, way, DecisionSpec(), EventSpec())  # type: ignore[arg-type]

    apart = score("following", first) + score("following", second)
    assert score("following", first, second) == apart
    assert score("fixed", first, second) == score("fixed", first) + score("fixed", second)
    assert score("worn on", first, second) != apart
    assert apart.prompts == 18
    assert apart.hits > 9


def test_worst_person_and_sums_are_those_of_the_people() -> None:
    good, bad = EventScore(10, 10, 0, 3600.0, (300.0,) * 10), EventScore(10, 5, 6, 3600.0, (500.0,) * 5)
    assert figures({"a": good, "b": bad}) == {
        "people": 2, "rest_h": 2.0, "false_per_hour": 3.0, "prompts": 20, "missed": 0.25, "latency_ms": 300.0,
        "worst_false": ["b", 6.0], "worst_missed": ["b", 0.5],
    }  # fmt: skip


def test_table_and_json_say_the_same(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    given = ["--recordings", str(folder), "--classifier", "logcov_lda"]
    main(given)
    table = capsys.readouterr().out
    main([*given, "--json"])
    made = json.loads(capsys.readouterr().out)
    assert set(made) == {"arm, fixed", "arm, following", "arm, worn on"}
    found = made["arm, fixed"]
    assert found == made["arm, following"], "this kind follows nothing"
    assert (found["people"], found["prompts"]) == (1, 18)
    assert f"| arm | fixed | 1 | {found['false_per_hour']} | {found['missed']:.1%} of 18 |" in table
    with pytest.raises(SystemExit, match="nobody with more than 3 days"):
        main([*given, "--first", "3"])
