"""``semg export`` and ``semg import``: what leaves the store comes back into it, and only what may leave does."""

from __future__ import annotations

import gzip
import json
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from click.testing import CliRunner, Result
from scipy.io import savemat

from semg.command_line import entry, exporting
from semg.domain import Block, Decision, us_from_utc
from semg.formats import hdf5, registry, tab_separated
from semg.privacy.consent import TEST_PERSON
from semg.recordings.session_data import load_session
from semg.security.encrypted_files import Vault
from semg.security.keys import ring_of
from semg.settings import PROJECT_DIR, Settings
from semg.signals.dataset import LabelledSamples
from semg.store import audit, blocks, consents, gestures, profiles, repetitions, sessions
from semg.store.decisions import insert_decisions
from semg.store.pool import Pool, execute
from semg.video.files import files_of
from testing.kits.neutral_kit import outside, validated
from testing.kits.recording_kit import write_recording

Run = Callable[..., Result]
START = datetime(2026, 1, 5, 12, 0, 0, 123456, tzinfo=UTC)


@pytest.fixture
def run(pool: Pool, settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Run:
    @contextmanager
    def system() -> Iterator[tuple[Pool, Settings]]:
        yield pool, settings

    monkeypatch.setattr(entry, "_system", system)
    return lambda *arguments: CliRunner().invoke(entry.commands, [str(one) for one in arguments])


@pytest.fixture
def captured(pool: Pool) -> tuple[int, int]:
    """A person with a captured session: two runs with a gap, late samples in it, and a repetition that is left out."""
    rng = np.random.default_rng(0)
    with pool.transaction() as tx:
        user_id = profiles.insert_profile(tx, "Ada", channels=("a0", "a1"), rate_hz=200.0, consent=TEST_PERSON,
                                          handedness="left")  # fmt: skip
        device = profiles.get_profile(tx, user_id).device
        ends = START + timedelta(seconds=6)
        session_id = sessions.insert_session(
            tx, user_id, "Größe, “Monday”", "capture", START, ends, status="completed", device=device
        )
        start_us = us_from_utc(START)
        for first, n, late in (
            (0, 200, False),
            (200, 200, False),
            (500, 200, False),
            (420, 40, True),
            (700, 400, False),
        ):
            device_us = 5000 * np.arange(first, first + n)
            blocks.copy_blocks(
                tx,
                [Block(user_id, start_us, first in (0, 500), late, start_us, device_us, device_us + start_us,
                       rng.integers(0, 4096, (n, 2)).astype(np.float32))],
            )  # fmt: skip
        ids = gestures.ensure_gestures(tx, user_id, ["rest", "=fist", "Größe ☝"])
        for number, (name, since, until) in enumerate(
            [("rest", 0, 1), ("=fist", 1, 3), ("Größe ☝", 3, 4), ("=fist", 4, 5)]
        ):
            repetition_id = repetitions.insert_repetition(
                tx, session_id, ids[name], number, START + timedelta(seconds=since), START + timedelta(seconds=until)
            )
        repetitions.update_repetition(tx, repetition_id, excluded=True, reason="slipped")
    return user_id, session_id


def labelled(pool: Pool, session_id: int) -> LabelledSamples:
    with pool.transaction() as tx:
        return load_session(tx, sessions.get_session(tx, session_id), with_excluded=True)


def said(samples: LabelledSamples) -> list[tuple[str, int] | None]:
    names = [(one.label, one.repetition) for one in samples.stretches]
    return [names[index] if index >= 0 else None for index in samples.stretch.tolist()]


@pytest.mark.parametrize("kind", ["bdf", "bids", "xdf", "parquet", "hdf5"])
def test_a_session_comes_back_as_it_was(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path, kind: str
) -> None:
    outside("h5py") if kind == "hdf5" else None
    user_id, session_id = captured
    done = run("export", "--format", kind, "--userid", user_id, "--out", tmp_path / "out", "--json")
    assert done.exit_code == 0, done.output
    made = json.loads(done.stdout)
    assert [one["session_id"] for one in made["sessions"]] == [session_id]
    assert all((tmp_path / "out" / name).is_file() for one in made["sessions"] for name in one["files"])
    with pool.transaction() as tx:
        sessions.update_session(tx, session_id, name="before")
        other = profiles.insert_profile(tx, "Ben", channels=("a0", "a1"), rate_hz=200.0, consent=TEST_PERSON)
    folder = tmp_path / "out" if kind == "bids" else next((tmp_path / "out" / f"person-{user_id}").iterdir())
    back = run("import", folder, "--userid", other, "--yes", "--json")
    assert back.exit_code == 0, back.output
    plan = json.loads(back.stdout)
    assert plan["recordings"][0]["new_gestures"] == ["=fist", "Größe ☝"]
    (stored,) = plan["stored"]
    before, after = labelled(pool, session_id), labelled(pool, stored["session_id"])
    assert np.array_equal(after.samples, before.samples)
    assert np.array_equal(after.starts_run, before.starts_run)
    assert said(after) == said(before)
    with pool.transaction() as tx:
        again = repetitions.list_repetitions(tx, stored["session_id"])
        assert [(one.excluded, one.exclude_reason) for one in again][-1] == (True, "slipped")
        assert abs(sessions.get_session(tx, stored["session_id"]).started_at - START) < timedelta(microseconds=2)
        acts = {(one.action, one.who) for one in audit.list_entries(tx)}
    assert {("session.exported", "semg"), ("session.imported", "semg")} <= acts


def test_libemg_holds_the_repetitions_that_are_taken_into_training(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    user_id, session_id = captured
    done = run("export", "--format", "libemg", "--userid", user_id, "--out", tmp_path / "out")
    assert "1 repetitions that were left out of training" in done.output
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Ben", channels=("a0", "a1"), rate_hz=200.0, consent=TEST_PERSON)
    back = run("import", tmp_path / "out", "--userid", other, "--yes", "--json")
    assert back.exit_code == 0, back.output
    before, after = labelled(pool, session_id), labelled(pool, json.loads(back.stdout)["stored"][0]["session_id"])
    kept = np.array([row is not None and row[1] != 3 for row in said(before)])
    assert np.array_equal(after.samples, before.samples[kept])
    assert said(after) == [row for row in said(before) if row is not None and row[1] != 3]


def test_late_samples_leave_too_and_no_name_does(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    outside("h5py")
    run("export", "--format", "hdf5", "--userid", captured[0], "--out", tmp_path / "out")
    (path,) = (tmp_path / "out").rglob("*.h5")
    (got,) = hdf5.read(path)
    (portion,) = got.portions()
    assert int(portion.late.sum()) == 40
    assert (got.about.person, got.about.handedness) == (str(captured[0]), "left")
    run("export", "--format", "bids", "--userid", captured[0], "--out", tmp_path / "bids")
    assert [path for path in (tmp_path / "bids").rglob("*") if path.is_file() and b"Ada" in path.read_bytes()] == []


def test_who_has_not_agreed_to_share_is_left_out_and_the_export_says_so(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        other = profiles.insert_profile(tx, "Ben", channels=("a0",), rate_hz=200.0, consent=TEST_PERSON)
        consents.insert_consent(tx, captured[0], replace(TEST_PERSON, scopes=("recording", "shared_models")))
    done = run("export", "--format", "bdf", "--userid", captured[0], "--out", tmp_path / "out")
    assert done.exit_code == entry.EXIT_NOTHING
    assert f"Left out: profile {captured[0]}: this person has not agreed to share data with others" in done.output
    assert not (tmp_path / "out").exists()
    done = run("export", "--format", "bdf", "--all", "--internal", "--out", tmp_path / "out")
    assert done.exit_code == 0
    assert "for the group that recorded them only" in done.output
    manifest = json.loads((tmp_path / "out" / "export.json").read_text())
    assert manifest["use"].startswith("for the group that recorded only")
    assert {one["user_id"] for one in manifest["sessions"]} == {captured[0]}
    assert other not in {one["user_id"] for one in manifest["sessions"]}


def test_sessions_without_samples_are_left_out_and_said(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, captured[0]).device
        at = START + timedelta(days=1)
        empty = sessions.insert_session(tx, captured[0], "Empty", "capture", at, at + timedelta(seconds=5),
                                        status="completed", device=device)  # fmt: skip
    for kind in ("bids", "parquet", "xdf", "bdf", "libemg"):
        done = run("export", "--format", kind, "--userid", captured[0], "--out", tmp_path / kind)
        assert f"Left out: session {empty}: session “Empty” has no samples" in done.output, done.output
        assert not [one for one in (tmp_path / kind).rglob(f"*{empty}-*")]


def test_nothing_is_stored_before_it_is_confirmed(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    user_id, session_id = captured
    run("export", "--format", "bdf", "--userid", user_id, "--out", tmp_path / "out")
    dry = run("import", tmp_path / "out", "--userid", user_id, "--dry-run")
    assert (dry.exit_code, "Nothing was stored." in dry.output) == (0, True)
    asked = run("import", tmp_path / "out", "--userid", user_id)
    assert asked.exit_code == entry.EXIT_FAILED
    assert "nobody is there to confirm" in asked.output
    over = run("import", tmp_path / "out", "--userid", user_id, "--yes")
    assert over.exit_code == entry.EXIT_FAILED
    assert "would overlap the session" in over.output
    with pool.transaction() as tx:
        assert [one.session_id for one in sessions.list_sessions(tx, user_id)] == [session_id]


def test_a_study_makes_its_people_once_somebody_says_that_they_agreed(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    run("export", "--format", "bids", "--userid", captured[0], "--out", tmp_path / "set")
    refused = run("import", tmp_path / "set", "--study", "--yes")
    assert refused.exit_code == entry.EXIT_FAILED
    assert "--consented" in refused.output
    options = ("--name", "Study day", "--label", "=fist=closed", "--label", "Größe ☝=")
    done = run("import", tmp_path / "set", "--study", "--consented", "--yes", "--json", *options)
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["recordings"][0]["gestures"] == ["rest", "closed"]
    with pool.transaction() as tx:
        person = profiles.find_profile_by_name(tx, f"set {captured[0]}")
        assert person is not None
        assert person.consent is not None
        assert (person.consent.scopes, person.consent.text_version) == (("recording",), "imported study")
        assert [one.name for one in sessions.list_sessions(tx, person.user_id)] == ["Study day"]


def test_files_of_others_take_the_names_of_the_profiles_channels(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    for name in ("C_0_R_0.csv", "C_1_R_0.csv"):
        (tmp_path / name).write_text("1,2,3\n" * 300)
    run_it: Callable[..., Result] = lambda *more: run("import", tmp_path, "--userid", captured[0], *more)  # noqa: E731
    assert "--rate-hz" in run_it("--dry-run").output
    assert "has channels a0, a1, a2" in run_it("--rate-hz", 200, "--yes").output
    for path in tmp_path.iterdir():
        path.write_text("1,2\n" * 300)
    done = run_it("--rate-hz", 200, "--label", "class 0=rest", "--label", "class 1==fist", "--yes")
    assert done.exit_code == 0, done.output
    assert "Stored 1 sessions" in done.output


def test_a_folder_of_ninapro_is_a_study_of_its_subjects(run: Run, pool: Pool, tmp_path: Path) -> None:
    folder = tmp_path / "DB5"
    for subject in (1, 2):
        (folder / f"s{subject}").mkdir(parents=True)
        for exercise in (1, 2):
            labels = np.repeat([0, 1, 0, 2], 100)[:, None]
            content = {"emg": np.random.default_rng(0).standard_normal((400, 16)), "restimulus": labels,
                       "rerepetition": (labels > 0) * 1, "subject": subject, "exercise": exercise}  # fmt: skip
            savemat(folder / f"s{subject}" / f"S{subject}_E{exercise}_A1.mat", content)
    done = run("import", folder, "--study", "--consented", "--rate-hz", 200, "--yes", "--json")
    assert done.exit_code == 0, done.output
    assert json.loads(done.stdout)["people"] == ["DB5 1", "DB5 2"]
    with pool.transaction() as tx:
        for subject in (1, 2):
            person = profiles.find_profile_by_name(tx, f"DB5 {subject}")
            assert person is not None
            names = {one.name for one in sessions.list_sessions(tx, person.user_id)}
            assert names == {f"S{subject}_E1_A1", f"S{subject}_E2_A1"}
            bank = {one.name for one in gestures.list_gestures(tx, person.user_id)}
            assert bank == {"rest", "E1 movement 1", "E1 movement 2", "E2 movement 1", "E2 movement 2"}


def test_csv_comes_in_by_the_same_command_and_a_bomb_does_not(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    samples = np.arange(400).reshape(200, 2)
    path = tmp_path / "r.csv.gz"
    write_recording(path, samples, 5.0 * np.arange(200), ["rest"] * 100 + ["fist"] * 100, np.zeros(200, int))
    done = run("import", path, "--userid", captured[0], "--yes", "--json")
    assert done.exit_code == 0, done.output
    stored = labelled(pool, json.loads(done.stdout)["stored"][0]["session_id"])
    assert np.array_equal(stored.samples, samples)
    path.write_bytes(gzip.compress(b"millis,a0,a1,gesture,repetition\n" + bytes(300 << 20), 1))
    started = time.monotonic()
    done = run("import", path, "--userid", captured[0], "--dry-run")
    assert (done.exit_code, time.monotonic() - started < 10) == (1, True)
    assert "r.csv.gz" in done.output


@pytest.mark.parametrize(
    ("arguments", "code", "sentence"),
    [
        (["export", "--format", "bdf", "--out", "x"], 2, "choose people"),
        (["export", "--format", "bdf", "--userid", 999, "--out", "x"], 1, "there is no profile 999"),
        (["export", "--format", "gif", "--userid", 1, "--out", "x"], 2, "'gif' is not one of"),
        (["import", "nowhere.bdf", "--study", "--dry-run"], 1, "nowhere.bdf is not there"),
        (["import", "x", "--dry-run"], 2, "say whose recordings they are"),
        (["import", "x", "--study", "--json"], 2, "--json asks nothing"),
        (["import", "x", "--study", "--label", "a", "--dry-run"], 2, "OLD=NEW"),
    ],
)
def test_wrong_options_end_with_a_code_and_a_sentence(run: Run, arguments: list[Any], code: int, sentence: str) -> None:
    done = run(*arguments)
    assert done.exit_code == code
    assert sentence in done.output


def test_a_folder_that_is_there_is_not_written_into(run: Run, captured: tuple[int, int], tmp_path: Path) -> None:
    (tmp_path / "mine.txt").write_text("mine")
    done = run("export", "--format", "bdf", "--userid", captured[0], "--out", tmp_path)
    assert done.exit_code == 1
    assert "is there already" in done.output
    assert (tmp_path / "mine.txt").read_text() == "mine"


def test_what_was_recognised_stands_beside_the_samples(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    at_us = us_from_utc(START + timedelta(seconds=2))
    with pool.transaction() as tx:
        made = [
            Decision(captured[0], label, 0.5, 1, 0, at_us + k, at_us + k, at_us + k + 1000)
            for k, label in ((0, "=fist"), (50_000, None), (9_000_000, "rest"))
        ]
        insert_decisions(tx, made)
    for kind, name in (("bids", f"sourcedata/sub-{captured[0]}/ses-{captured[1]}/session-decisions.tsv"),
                       ("xdf", f"person-{captured[0]}/{captured[1]}-Gr__e___Monday_-decisions.tsv")):  # fmt: skip
        done = run("export", "--format", kind, "--userid", captured[0], "--out", tmp_path / kind, "--json")
        assert name in json.loads(done.stdout)["sessions"][0]["files"]
        rows = tab_separated.read(tmp_path / kind / name)
        assert [(one["label"], int(one["decided_us"]) - at_us) for one in rows] == [("=fist", 1000), ("n/a", 51_000)]
    back = run("import", tmp_path / "xdf", "--userid", captured[0], "--dry-run")
    assert back.exit_code == 0, back.output


def test_the_validator_finds_no_error_in_a_whole_export(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        at_us = us_from_utc(START + timedelta(seconds=2))
        insert_decisions(tx, [Decision(captured[0], "rest", 0.5, 1, 0, at_us, at_us, at_us)])
    run("export", "--format", "bids", "--userid", captured[0], "--out", tmp_path / "set")
    assert (tmp_path / "set" / "export.json").is_file()
    assert list((tmp_path / "set" / "sourcedata").rglob("*.tsv"))
    assert [one for one in validated(tmp_path / "set") if one["severity"] == "error"] == []


def test_a_withdrawal_while_it_is_written_ends_an_export(
    run: Run, pool: Pool, captured: tuple[int, int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write = exporting.registry.write

    def withdrawn(*given: Any) -> Any:
        with pool.transaction() as tx:
            consents.insert_consent(tx, captured[0], replace(TEST_PERSON, scopes=()))
        return write(*given)

    monkeypatch.setattr(exporting.registry, "write", withdrawn)
    done = run("export", "--format", "bdf", "--userid", captured[0], "--out", tmp_path / "out")
    assert done.exit_code == entry.EXIT_FAILED
    assert "no longer agrees to sharing the recordings with others" in done.output
    assert list(tmp_path.iterdir()) == []


def test_what_takes_too_much_memory_is_refused_in_a_sentence(tmp_path: Path) -> None:
    code = (
        "from semg.command_line.entry import _ending\n"
        "from semg.command_line.importing_files import bounded_memory\n"
        "import numpy as np\n"
        "with _ending(), bounded_memory(1 << 28):\n    np.ones(1 << 27)\n"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    assert done.returncode == entry.EXIT_FAILED
    assert "takes more memory than a recording may" in done.stderr


def test_videos_leave_only_for_the_group_that_recorded(
    run: Run, pool: Pool, settings: Settings, captured: tuple[int, int], tmp_path: Path
) -> None:
    files = files_of(settings.videos, captured[1], Vault(ring_of(settings)))
    files.video.parent.mkdir(parents=True)
    for path, content in ((files.video, b"an MP4"), (files.times, np.array([1, 2], "<i8").tobytes())):
        with files.create(path) as out:
            out.write(content)
    with pool.transaction() as tx:
        execute(tx, "INSERT INTO videos (session_id, status, started_at, ended_at, frames, width, height) "
                    "VALUES (%s, 'ready', now(), now(), 2, 64, 48)", (captured[1],))  # fmt: skip
    base = ("export", "--format", "bdf", "--userid", captured[0], "--out", tmp_path / "out", "--video")
    refused = run(*base)
    assert (refused.exit_code, "--video needs --internal" in refused.output) == (1, True)
    assert run(*base, "--internal").exit_code == 0
    (video,) = (tmp_path / "out").rglob("*-video.mp4")
    assert video.read_bytes() == b"an MP4"
    assert [one["server_us"] for one in tab_separated.read(video.with_name(video.name[:-4] + "_times.tsv"))] == [
        "1",
        "2",
    ]
    with pool.transaction() as tx:
        assert "video.seen" in {one.action for one in audit.list_entries(tx)}


def test_the_command_of_the_environment_finds_the_database_by_the_settings(
    settings: Settings, captured: tuple[int, int], tmp_path: Path
) -> None:
    environment = {
        "SEMG_ENV_FILE": str(tmp_path / "no.env"), "POSTGRES_HOST": "127.0.0.1", "POSTGRES_USER": "semg",
        "POSTGRES_PORT": str(settings.postgres_port), "POSTGRES_DB": settings.postgres_db, "OMP_NUM_THREADS": "1",
        "POSTGRES_PASSWORD": settings.postgres_password.get_secret_value(), "PYTHONPATH": str(PROJECT_DIR),
        "DATA_DIR": str(tmp_path / "data"),
    }  # fmt: skip
    command = [sys.executable, "-m", "semg", "export", "--format", "bdf", "--userid", str(captured[0])]
    done = subprocess.run(
        [*command, "--out", str(tmp_path / "out")], env=environment, cwd=tmp_path, capture_output=True, text=True,
        check=False,
    )  # fmt: skip
    assert (done.returncode, done.stderr) == (0, "")
    assert "Wrote 1 sessions of 1 people" in done.stdout


def test_files_are_recognised_by_what_they_begin_with(tmp_path: Path) -> None:
    for name, head, kind in (
        ("a.dat", b"\xffBIOSEMI", "bdf"), ("b.dat", b"XDF:", "xdf"), ("c.dat", b"PAR1", "parquet"),
        ("d.dat", b"MATLAB 5.0", "ninapro"), ("e.h5", b"\x89HDF\r\n\x1a\n", "hdf5"), ("f.csv", b"a,b", "csv"),
    ):  # fmt: skip
        (tmp_path / name).write_bytes(head)
        assert registry.find(tmp_path / name)[0].kind == kind


@pytest.mark.parametrize(
    "module", ["semg.ingest.server", "semg.inference.worker", "semg.jobs.runner", "semg.recordings.importing",
               "semg.privacy.file_exports"],
)  # fmt: skip
def test_no_service_loads_formats_of_other_tools(module: str) -> None:
    code = f"import sys, {module}; sys.exit(str([m for m in sys.modules if m.startswith('semg.formats')]) if "
    code += "any(m.startswith(('semg.formats', 'semg.command_line')) for m in sys.modules) else 0)"
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_the_command_starts_quickly_and_loads_no_reader(tmp_path: Path) -> None:
    code = (
        "import sys, semg.command_line.entry as e\n"
        "heavy = {'h5py', 'scipy', 'pandas', 'pyarrow', 'torch', 'psycopg2'} & set(sys.modules)\n"
        "sys.exit(' '.join(heavy) or 0)"
    )
    done = subprocess.run([sys.executable, "-c", code], cwd=PROJECT_DIR, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    shown = subprocess.run(
        [sys.executable, "-m", "semg", "--help"], cwd=PROJECT_DIR, capture_output=True, text=True, check=True
    ).stdout
    assert "export" in shown
    assert "import" in shown
    assert "start" in shown
