"""The command that trains on some recordings and reports on others."""

import json
import os
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

from semg.jobs.evaluation import evaluate_recordings, paths_from_argument
from semg.recordings.csv_format import read_recording
from semg.signals.dataset import grid_windows
from semg.signals.synthesis import SyntheticArm, make_plan
from semg.signals.training.train import fit
from testing.kits.recording_kit import RECORDINGS, write_recording

pytestmark = pytest.mark.slow
ROOT = Path(__file__).resolve().parents[3]
KEYS = {
    "accuracy", "balanced_accuracy", "macro_f1", "trimmed", "per_gesture", "confusion", "classes", "windows",
    "chance", "model_bytes", "train_s", "us_per_window", "seed", "held_out",
}  # fmt: skip


def write_session(path: Path, index: int, gestures=("rest", "fist", "pinch"), channels: int = 4) -> Path:
    arm = SyntheticArm(0, channels, gestures=gestures)
    made = arm.session(index, make_plan(gestures, repetitions=3, seconds=2.0))
    write_recording(path, made.samples, made.device_ms, list(made.gestures), made.repetitions)
    return path


@pytest.fixture(scope="module")
def folder(tmp_path_factory) -> Path:
    folder = tmp_path_factory.mktemp("recordings")
    for index in (1, 2, 3):
        write_session(folder / f"s{index}.csv.gz", index)
    write_session(folder / "more.csv.gz", 3, gestures=("rest", "fist", "wave"))
    write_session(folder / "wide.csv.gz", 3, channels=6)
    return folder


def run(cwd: Path, script: str, *arguments: str) -> subprocess.CompletedProcess:
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}
    return subprocess.run(
        [sys.executable, script, *arguments], cwd=cwd, env=environment, capture_output=True, text=True, check=False
    )


@pytest.mark.parametrize(("cwd", "script"), [(ROOT, "ml_model/evaluate.py"), (ROOT / "ml_model", "evaluate.py")])
def test_command_works_from_the_root_and_from_its_folder(folder, tmp_path, cwd, script):
    out = tmp_path / "report.json"
    train = f"{folder}/s1.csv.gz,{folder}/s2.csv.gz"
    ended = run(
        cwd, script, "--train", train, "--test", f"{folder}/s3.csv.gz", "--out", str(out), "--classifier", "logcov_lda"
    )
    assert ended.returncode == 0, ended.stderr
    report = json.loads(out.read_text())
    assert set(report) >= KEYS
    assert json.loads(ended.stdout) == report
    assert report["held_out"] == ["s3.csv.gz"]
    assert report["windows"] == sum(map(sum, report["confusion"]))
    assert set(report["trimmed"]) == {"accuracy", "macro_f1"}
    assert report["balanced_accuracy"] > report["chance"] + 0.2


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--train", "{f}/s1.csv.gz", "--test", "{f}/more.csv.gz"), "gesture wave"),
        (("--train", "{f}/s1.csv.gz", "--test", "{f}/wide.csv.gz"), "channels"),
        (("--train", "{f}/s1.csv.gz", "--test", "{f}/s1.csv.gz"), "for training and for testing"),
        (("--train", "{f}/gone.csv.gz", "--test", "{f}/s1.csv.gz"), "cannot be read"),
        (("--train", "{f}/s1.csv.gz", "--test", "{f}/s2.csv.gz", "--classifier", "svm"), "--classifier"),
        (("--train", "{f}/s1.csv.gz", "--test", "{f}/s2.csv.gz", "--sensor", "eeg"), "--sensor"),
        (("--train", "{f}/s1.csv.gz", "--test", "{f}/s2.csv.gz", "--seed", "x"), "--seed"),
        (("--train", "{f}/s1.csv.gz", "--test", "{f}/s2.csv.gz", "--rate_hz", "fast"), "--rate_hz"),
    ],
)
def test_misuse_gives_one_sentence_and_exit_code_two(folder, arguments, said):
    ended = run(ROOT, "ml_model/evaluate.py", *(each.format(f=folder) for each in arguments))
    assert ended.returncode == 2
    assert said in ended.stderr
    assert "Traceback" not in ended.stderr
    assert ended.stdout == ""


@pytest.mark.parametrize("value", ["a.gz,b.gz", ("a.gz", "b.gz"), ["a.gz", " b.gz"]])
def test_comma_lists_are_understood_however_they_arrive(value):
    assert paths_from_argument(value, "--train") == [Path("a.gz"), Path("b.gz")]


def test_evaluated_windows_lie_on_the_grid_of_the_live_stream(folder):
    labelled = read_recording(folder / "s3.csv.gz")
    classifier = fit([read_recording(folder / "s1.csv.gz")], "logcov_lda")
    windows, ends = grid_windows(labelled, classifier.channels, classifier.conditioning, classifier.window)
    report = evaluate_recordings([folder / "s1.csv.gz"], [folder / "s3.csv.gz"], kind="logcov_lda")
    inside = labelled.stretch[ends] == labelled.stretch[ends - classifier.window.window_samples + 1]
    named = np.array(classifier.classes)[classifier.predict_proba(windows[inside]).argmax(axis=1)]
    truth = np.array([labelled.stretches[i].label for i in labelled.stretch[ends[inside]]])
    assert report.windows == inside.sum()
    assert report.accuracy == pytest.approx(np.mean(named == truth), abs=1e-6)


@pytest.mark.recordings
@pytest.mark.skipif(not (RECORDINGS / "myo_10000-1.csv.gz").exists(), reason="no real recordings beside the project")
def test_network_beats_the_baseline_on_a_persons_next_session():
    figures = {}
    for kind in ("cnn", "logcov_lda"):
        report = evaluate_recordings(
            [RECORDINGS / "myo_10000-1.csv.gz", RECORDINGS / "myo_10000-2.csv.gz"],
            [RECORDINGS / "myo_10000-3.short.csv.gz"],
            kind=kind,
        )
        figures[kind] = np.array([report.accuracy, report.balanced_accuracy, report.macro_f1])
    assert (figures["cnn"] >= figures["logcov_lda"] - 0.005).all()
    assert figures["cnn"][1] > 0.9
