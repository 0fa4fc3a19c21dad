"""The recognition benchmark's sets, divisions and summaries."""

import gzip

import numpy as np
import pytest

from semg.signals.synthesis import SyntheticArm, make_plan
from testing.benchmarks.recognition import Kept
from testing.benchmarks.recognition_protocols import BASELINES, FOLLOWING, Row
from testing.benchmarks.recognition_sets import DATA_SETS, Person, first_repetitions, keep, named
from testing.benchmarks.recognition_tables import by_session, interval, losses, over_units, sign_flip_p, table
from testing.kits.recording_kit import labelled_session

JUDGED = ("balanced_accuracy", "macro_f1")
FIGURES = ("accuracy", "trimmed_accuracy", "trimmed_macro_f1", "trial_accuracy", "trial_balanced_accuracy")


def row(method: str, person: str, session: str, value: float) -> Row:
    names = (*JUDGED, *FIGURES, "trial_macro_f1", "chance", "windows", "trials")
    return Row(method, person, session, dict.fromkeys(names, value))


def test_calibration_and_test_share_no_sample_and_hold_every_gesture():
    session = labelled_session(SyntheticArm(1, 4), 1, make_plan(("rest", "fist"), 3, 1.0))
    first = first_repetitions(session, 1, skip=1)
    others = set(range(len(session.stretches))) - first
    calibration, test = keep(session, first), keep(session, others)
    assert len(calibration.samples) + len(test.samples) == int((session.stretch >= 0).sum())
    assert {session.stretches[i].label for i in first} == {session.stretches[i].label for i in others}
    assert test.starts_run[0]
    assert test.starts_run.sum() > 1  # what was cut out is a gap


def test_every_set_has_its_own_tuned_people_and_sessions():
    assert len({data_set.name for data_set in DATA_SETS}) == len(DATA_SETS)
    for data_set in DATA_SETS:
        assert data_set.tuned
        assert not set(data_set.learned) & set(data_set.new_days)


def test_only_people_with_every_session_are_found(tmp_path):
    band = DATA_SETS[0]
    for person, sessions in (("1", (*band.learned, *band.new_days)), ("2", band.new_days)):
        for session in sessions:
            band.path(tmp_path, person, session).write_bytes(b"")
    assert band.people(tmp_path) == ["1"]


def test_another_rate_than_the_sets_is_refused(tmp_path):
    band = DATA_SETS[0]
    lines = ["millis,a0,a1,gesture,repetition", *(f"{10 * i},1,{i % 3},rest,0" for i in range(300))]
    with gzip.open(band.path(tmp_path, "1", "1"), "wt") as file:
        file.write("\n".join(lines))
    with pytest.raises(Exception, match="expected 200 Hz, got 100 Hz"):
        Person("1", band, tmp_path).recording("1")


def test_unknown_names_are_refused_and_all_means_all():
    assert named("all", ["a", "b"], "--set") == ["a", "b"]
    assert named(("a",), ["a", "b"], "--set") == ["a"]
    with pytest.raises(SystemExit, match="there are a, b"):
        named("a,c", ["a", "b"], "--set")


def test_few_people_are_summarised_over_days_and_many_over_people():
    few = {("1", "6"): 1.0, ("1", "7"): 3.0, ("2", "6"): 5.0}
    assert over_units(few)[1] == "days"
    many = {(str(person), day): float(person) for person in range(6) for day in ("6", "7")}
    units, of = over_units(many)
    assert of == "people"
    np.testing.assert_allclose(units, range(6))


def test_interval_holds_the_mean_and_a_clear_difference_is_clear():
    values = np.array([4.0, 5.0, 6.0, 5.5, 4.5, 5.2])
    low, high = interval(values)
    assert low < values.mean() < high
    assert sign_flip_p(values) == pytest.approx(2 / 64)
    assert sign_flip_p(np.array([1.0, -1.0, 0.5, -0.5])) == 1.0


def test_losses_name_the_baseline_the_mean_and_the_days():
    rows = [row(FOLLOWING, "1", "6", 70.0), row(FOLLOWING, "1", "7", 60.0)]
    rows += [row(BASELINES[0], "1", "6", 60.0), row(BASELINES[0], "1", "7", 59.9)]
    rows += [row(BASELINES[1], "1", "6", 60.0), row(BASELINES[1], "1", "7", 75.0)]
    found = losses(rows, JUDGED)
    assert len(found) == 2
    assert all(line.startswith(BASELINES[1]) for line in found)
    assert "mean -2.5" in found[0]
    assert "1 of 2 sessions, most -15.0 (1 7)" in found[0]


def test_tables_have_as_many_cells_in_every_line():
    rows = [row(method, "1", day, 50.0) for method in (FOLLOWING, *BASELINES) for day in ("6", "7")]
    for lines in (table(rows, JUDGED), by_session(rows, JUDGED)):
        assert len({line.count("|") for line in lines}) == 1


def test_finished_figures_are_found_again(tmp_path):
    path = tmp_path / "rows.jsonl"
    Kept(path).add("a set, a person", [row(FOLLOWING, "1", "6", 70.0)])
    assert Kept(path).find("a set, a person") == [row(FOLLOWING, "1", "6", 70.0)]
    assert Kept(path).find("another") is None
    assert Kept(None).find("a set, a person") is None
