"""A base: what other people's data say beforehand, without the person itself, stored and found again."""

import dataclasses
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from semg.errors import ArtifactError, TrainingError
from semg.jobs.evaluation import evaluate_recordings
from semg.priors.building import digest_of, load_base, make_base, newest_fitting, people_in, store_version
from semg.settings import PROJECT_DIR
from semg.signals.dataset import LabelledSamples, make_windows
from semg.signals.model.electrode_rotation import rotations_of
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.options import TrainingOptions
from semg.signals.training.population_prior import PopulationPrior
from semg.signals.training.train import fit, train
from testing.kits.recording_kit import labelled_session, write_recording

pytestmark = pytest.mark.slow
ROOT = PROJECT_DIR
GESTURES = ("rest", "fist", "open_hand", "flexion")
PLAN = make_plan(GESTURES, 3, 1.5)


def session(person: int, index: int = 1, repetitions: int = 3, **device) -> LabelledSamples:
    plan = make_plan(GESTURES, repetitions, 1.5)
    return labelled_session(SyntheticArm(person, gestures=GESTURES, **device), index, plan)


def turned(data: LabelledSamples, turn) -> LabelledSamples:
    return dataclasses.replace(data, samples=np.ascontiguousarray(data.samples[:, list(turn)]))


@pytest.fixture(scope="module")
def base() -> PopulationPrior:
    return make_base("test", {f"p{person}": [session(person, 1), session(person, 2)] for person in range(1, 6)})


def balanced(classifier, data: LabelledSamples) -> float:
    found = make_windows([data], classifier.channels, classifier.conditioning, classifier.window)
    found = found.select(found.into_stretch_ms > 500)
    named = np.array(classifier.classes)[classifier.predict_proba(found.windows).argmax(axis=1)]
    return float(np.mean([np.mean(named[found.labels == k] == k) for k in classifier.classes]))


def test_stored_base_equals_what_was_made_and_altered_bytes_are_refused(base):
    data = base.to_bytes()
    again = PopulationPrior.from_bytes(data)
    assert again.to_bytes() == data
    assert [person.name for person in again.people] == ["p1", "p2", "p3", "p4", "p5"]
    np.testing.assert_allclose(again.people[2].within, base.people[2].within, rtol=1e-4, atol=1e-6)
    for broken in (data[:-3], data[:-4] + b"\x00\x00\x80\x3f", b"nothing", b""):
        with pytest.raises(ArtifactError):
            PopulationPrior.from_bytes(broken)


def test_one_repetition_with_a_base_is_no_worse_than_without(base):
    """Over several people: a single arm may gain or lose."""
    gains = []
    for person in (11, 12, 13):
        learned, test = session(person, 1, 1), session(person, 1, 4)
        options = TrainingOptions(epochs=1)
        with_base, without = (balanced(fit([learned], "cnn", options=options, base=b), test) for b in (base, None))
        gains.append(with_base - without)
    assert np.mean(gains) >= 0.0


def test_prior_is_the_same_however_people_wear_their_bands(base):
    people = {f"p{person}": [session(person, 1), session(person, 2)] for person in range(1, 6)}
    for number, name in enumerate(people, 1):
        people[name] = [turned(each, rotations_of(8)[3 * number % 16]) for each in people[name]]
    other = make_base("turned", people)
    classes, model = base.people[0].classes, _turn_model(session(11))
    first, second = (each.prior(classes, 2.0, model, False) for each in (base, other))
    np.testing.assert_allclose(second.means, first.means, atol=0.05)
    np.testing.assert_allclose(second.covariance, first.covariance, atol=0.05)


def _turn_model(data: LabelledSamples):
    from semg.signals.model.electrode_rotation import RotationModel

    arrays = fit([data], "cnn", options=TrainingOptions(epochs=1)).arrays
    return RotationModel(arrays["turn_means"], arrays["turn_precision"], np.zeros(len(arrays["turn_means"])))


def test_many_repetitions_leave_next_to_nothing_of_the_base(base):
    prior = base.prior(base.people[0].classes, 1e7, _turn_model(session(11)), False)
    rng = np.random.default_rng(0)
    size = len(prior.covariance)
    own, means = np.eye(size), rng.normal(0, 1, (4, size))
    covariance, moved = prior.update(own, means)
    np.testing.assert_allclose(moved, means, atol=0.05)
    np.testing.assert_allclose(covariance, own, atol=0.05)


def test_what_is_foretold_scatters_less_the_more_is_known(base):
    classes, model = base.people[0].classes, _turn_model(session(11))
    rng = np.random.default_rng(0)
    few, many = (base.prior(classes, repetitions, model, False) for repetitions in (1.0, 1e7))
    means = rng.normal(0, 1, (4, len(few.covariance)))
    (moved, scatter), (stays, known) = few.predictive(means), many.predictive(means)
    assert np.linalg.eigvalsh(scatter).min() > 0
    assert np.trace(scatter) > np.trace(known)
    np.testing.assert_allclose(stays, means, atol=0.05)
    assert np.abs(moved - means).max() > 0.1


def test_person_is_left_out_by_name_or_by_recording(base):
    assert len(base.without(names=["p3"]).people) == 4
    assert [p.name for p in base.without(digests=[digest_of(session(2, 2))]).people] == ["p1", "p3", "p4", "p5"]


def test_base_of_another_device_is_not_used_and_the_training_says_so(base):
    lines = []
    options = TrainingOptions(epochs=1)
    data = [session(11, 1, channels=4), session(11, 2, channels=4)]
    made = train(data, "cnn", options=options, base=base, progress=lambda p: lines.append(p.line))
    assert made.report.base is None
    assert any("does not fit" in line and "from scratch" in line for line in lines)


def test_unknown_gestures_still_have_a_prior(base):
    prior = base.prior(("rest", "wave", "point"), 1.0, _turn_model(session(11)), False)
    assert np.isfinite(prior.means).all()
    assert np.linalg.eigvalsh(prior.between).min() > 0


def test_devices_that_differ_or_one_person_make_no_base():
    with pytest.raises(TrainingError, match="2 to"):
        make_base("one", {"a": [session(1)]})
    with pytest.raises(TrainingError, match="not like that of"):
        make_base("two", {"a": [session(1)], "b": [session(2, channels=4)]})


@pytest.mark.parametrize(("channels", "rate_hz", "sensor"), [(1, 50.0, "raw"), (5, 100.0, "envelope")])
def test_every_device_can_have_a_base(channels, rate_hz, sensor):
    device = {"channels": channels, "rate_hz": rate_hz, "sensor": sensor}
    made = make_base("any", {str(person): [session(person, **device)] for person in (1, 2, 3)})
    classifier = fit([session(4, 1, 1, **device)], "cnn", options=TrainingOptions(epochs=1), base=made)
    assert classifier.training["base"] == "any"
    assert np.isfinite(classifier.arrays["lda_coef"]).all()


def test_versions_count_up_and_old_ones_go(base, tmp_path):
    assert [store_version(tmp_path, [base]) for _ in range(5)] == [1, 2, 3, 4, 5]
    assert sorted(path.name.split("-")[1] for path in tmp_path.glob("*.safetensors")) == ["3", "4", "5"]
    assert newest_fitting(tmp_path, session(11), 8, TrainingOptions()) is not None
    assert newest_fitting(tmp_path, session(11), 4, TrainingOptions()) is None
    assert newest_fitting(tmp_path, session(11), 8, TrainingOptions(window_ms=200)) is None


def _folder(folder: Path) -> Path:
    for person in (1, 2, 3):
        for index in (1, 2):
            made = SyntheticArm(person, 4, gestures=GESTURES).session(index, PLAN)
            path = folder / f"arm_{person}-{index}.csv.gz"
            write_recording(path, made.samples, made.device_ms, list(made.gestures), made.repetitions)
    return folder


def test_command_makes_a_base_that_evaluate_starts_from(tmp_path):
    folder = _folder(tmp_path)
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run(*arguments: str) -> subprocess.CompletedProcess:
        return subprocess.run(
            [sys.executable, *arguments], cwd=ROOT, env=environment, capture_output=True, text=True, check=False
        )

    out = tmp_path / "base.safetensors"
    ended = run("ml_model/pretrain.py", "--recordings", str(folder), "--out", str(out), "--exclude", "3")
    assert ended.returncode == 0, ended.stderr
    assert [person.name for person in load_base(out).people] == ["arm_1", "arm_2"]
    assert set(people_in(folder)) == {"arm_1", "arm_2", "arm_3"}
    train_on, test = f"{folder}/arm_3-1.csv.gz", f"{folder}/arm_3-2.csv.gz"
    options = TrainingOptions(epochs=1)
    report = evaluate_recordings([Path(train_on)], [Path(test)], options=options, base=out)
    assert (report.base, report.extra["base_people"]) == ("base", 2)
    # A person whose recording is tested leaves the base; one person alone is none.
    report = evaluate_recordings([folder / "arm_1-1.csv.gz"], [folder / "arm_1-2.csv.gz"], options=options, base=out)
    assert (report.base, report.extra["base_people"]) == (None, 1)
    ended = run("ml_model/evaluate.py", "--train", train_on, "--test", test, "--base", train_on)
    assert ended.returncode == 2
    assert "no stored base" in ended.stderr
    ended = run("ml_model/pretrain.py", "--recordings", str(folder))
    assert ended.returncode == 2
    assert "--out" in ended.stderr
