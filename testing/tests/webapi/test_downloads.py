"""Files over the API: they are what is stored, only for who may have them now, and written down."""

from __future__ import annotations

import gzip
import io
import json
import tracemalloc
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import numpy as np
import pandas as pd
import pytest

from semg.domain import Block, us_from_utc
from semg.errors import NotFoundError
from semg.privacy import file_exports
from semg.privacy.consent import TEST_PERSON
from semg.recordings import session_export
from semg.recordings.csv_format import UPLOAD, load_recording
from semg.recordings.importing import import_recording
from semg.recordings.session_data import load_session
from semg.security import tokens
from semg.security.tokens import Login
from semg.store import accounts, audit, blocks, gestures, logins, profiles, sessions
from semg.store.pool import Pool
from testing.kits.live_helpers import logged_in
from testing.kits.page_data import insert_models, make_session
from testing.kits.store_queries import set_shares
from testing.tests.conftest import Servers

pytestmark = pytest.mark.servers
START = datetime(2026, 3, 2, 9, tzinfo=UTC)
PNG = b"\x89PNG\r\n\x1a\n" + b"picture of Ada" * 9


@pytest.fixture
def user_id(pool: Pool) -> int:
    """A profile with a session, a model and a picture of a gesture."""
    with pool.transaction() as tx:
        made = profiles.insert_profile(tx, "Ada", channels=["a0", "a1", "a2", "a3"], rate_hz=200.0, consent=TEST_PERSON)
    make_session(pool, made, START, "Monday, 9 o’clock")
    insert_models(pool, made, 1)
    with pool.transaction() as tx:
        gestures.set_prompt(tx, gestures.list_gestures(tx, made)[1].gesture_id, PNG)
    return made


@pytest.fixture
def names(pool: Pool, user_id: int) -> list[str]:
    """What can be fetched of that profile."""
    with pool.transaction() as tx:
        (session,) = sessions.list_sessions(tx, user_id)
        gesture = gestures.list_gestures(tx, user_id)[1]
    return [
        file_exports.session_file(session.session_id, "csv.gz"),
        file_exports.session_file(session.session_id, "parquet"),
        file_exports.model_file(user_id, 1, "safetensors"),
        file_exports.model_file(user_id, 1, "json"),
        file_exports.prompt_file(gesture.gesture_id),
    ]


@pytest.fixture
def ask(servers: Servers, api: httpx.Client) -> Callable[..., httpx.Response]:
    """Fetches a file as a browser does, with a token of a login."""
    del api.headers["Authorization"]

    def asked(name: str, login: Login | None, purpose: str = tokens.FILE, subject: str = "") -> httpx.Response:
        secret = servers.settings.secret_key.get_secret_value()
        token = tokens.make_token(secret, purpose, subject or name, 60, login=login)
        return api.get(f"/files/{name}", params={"token": token})

    return asked


def test_files_are_what_is_stored(ask, pool: Pool, names: list[str], tmp_path: Path) -> None:
    login = logged_in(pool)
    csv, parquet, model, report, prompt = (ask(name, login) for name in names)
    path = tmp_path / "session.csv.gz"
    path.write_bytes(csv.content)
    with pool.transaction() as tx:
        session = sessions.get_session(tx, 1)
        stored = load_session(tx, session)
    read = load_recording(path, limits=UPLOAD).labelled
    assert read.samples.tobytes() == stored.samples.tobytes()
    assert read.stretch.tolist() == stored.stretch.tolist()
    assert [(one.label, one.repetition) for one in read.stretches] == [
        (one.label, one.repetition) for one in stored.stretches
    ]
    table = pd.read_parquet(io.BytesIO(parquet.content))
    assert list(table.columns) == ["server_at", "a0", "a1", "a2", "a3", "gesture", "repetition"]
    assert table[["a0", "a1", "a2", "a3"]].to_numpy().tobytes() == stored.samples.tobytes()
    assert table["server_at"].iloc[0] == pd.Timestamp(START)
    assert table["gesture"].astype(str).value_counts().to_dict() == {"rest": 1200, "fist": 600, "open hand": 600}
    assert model.content == b"weights"
    assert "balanced_accuracy" in json.loads(report.content)["report"]
    assert (prompt.content, prompt.headers["content-type"]) == (PNG, "image/png")
    assert "content-disposition" not in prompt.headers
    assert csv.headers["content-disposition"] == 'attachment; filename="Monday__9_o_clock.csv.gz"'
    assert {answer.headers["cache-control"] for answer in (csv, parquet, model, report, prompt)} == {"no-store"}
    with pool.transaction() as tx:
        found = audit.list_entries(tx)
    assert [(one.who, one.action) for one in found[::-1]] == [
        ("watcher", "session.exported"), ("watcher", "session.exported"), ("watcher", "model.exported"),
        ("watcher", "report.exported"),
    ]  # fmt: skip


ENDS = {
    "disabled": (
        lambda tx, login, user: accounts.update_account(tx, login.account_id, role="viewer", disabled=True),
        401,
    ),
    "logged out everywhere": (lambda tx, login, user: logins.delete_logins(tx, login.account_id), 401),
    "deleted": (lambda tx, login, user: accounts.delete_account(tx, login.account_id), 401),
    "no longer shared": (lambda tx, login, user: set_shares(tx, user, []), 404),
}


@pytest.mark.parametrize("how", ENDS)
def test_address_ends_with_the_login_and_the_share(ask, pool: Pool, user_id: int, names: list[str], how: str) -> None:
    login = logged_in(pool, "eve", "viewer", user_id)
    assert [ask(name, login).status_code for name in names] == [200] * 5
    end, status = ENDS[how]
    with pool.transaction() as tx:
        before = len(audit.list_entries(tx))
        end(tx, login, user_id)
    assert [ask(name, login).status_code for name in names] == [status] * 5
    with pool.transaction() as tx:
        assert len(audit.list_entries(tx)) == before


def test_token_is_for_one_file(ask, api: httpx.Client, pool: Pool, names: list[str]) -> None:
    login = logged_in(pool)
    for name, other in zip(names, [*names[1:], names[0]], strict=True):
        assert ask(name, login, subject=other).status_code == 401
        assert ask(name, login, tokens.VIDEO).status_code == 401
        assert api.get(f"/files/{name}").status_code == 401


@pytest.mark.parametrize(
    "name", ["session-99.csv.gz", "model-1-99.json", "prompt-99", "session-1.zip", "session-0.csv.gz", "..%2F.env", "x"]
)
def test_what_is_not_there_is_not_found(ask, pool: Pool, user_id: int, name: str) -> None:
    assert ask(name, logged_in(pool)).status_code == 404


def test_program_fetches_with_its_token(api: httpx.Client, pool: Pool, names: list[str]) -> None:
    assert [api.get(f"/files/{name}").status_code for name in names] == [200] * 5
    with pool.transaction() as tx:
        assert {one.who for one in audit.list_entries(tx)} == {"SEMG_API_TOKEN"}


def test_session_without_samples_says_so(ask, pool: Pool, user_id: int) -> None:
    with pool.transaction() as tx:
        device, ended = profiles.get_profile(tx, user_id).device, START + timedelta(days=1, seconds=5)
        number = sessions.insert_session(
            tx, user_id, "E", "capture", ended - timedelta(seconds=5), ended, status="completed", device=device
        )
    for kind in ("csv.gz", "parquet"):
        answer = ask(file_exports.session_file(number, kind), logged_in(pool, f"of {kind}"))
        assert (answer.status_code, "has no samples" in answer.json()["detail"]) == (409, True)


def test_session_of_many_portions_is_one_recording(pool: Pool, user_id: int, tmp_path: Path) -> None:
    start, n = START + timedelta(days=2), 200 * 60 * 5
    start_us = us_from_utc(start)
    samples = np.random.default_rng(0).standard_normal((n, 4)).astype(np.float32)
    samples[: n // 2] = np.rint(samples[: n // 2])
    device_us = np.arange(n) * 5000
    made = [
        Block(user_id, start_us, first == 0, False, start_us, part, part + start_us, samples[first : first + 150])
        for first in range(0, n, 150)
        for part in (device_us[first : first + 150],)
    ]
    with pool.transaction() as tx:
        blocks.copy_blocks(tx, made)
        device = profiles.get_profile(tx, user_id).device
        ended = start + timedelta(minutes=5)
        number = sessions.insert_session(tx, user_id, "L", "capture", start, ended, status="completed", device=device)
        fist = gestures.ensure_gestures(tx, user_id, ["=fist, “a”"])["=fist, “a”"]
        for index, (begin, end) in enumerate([(0, 1), (119, 121), (239.9, 300)]):
            times = (start + timedelta(seconds=begin), start + timedelta(seconds=end))
            sessions.insert_repetition(tx, number, fist, index + 1, *times)
        session = sessions.get_session(tx, number)
        stored = load_session(tx, session)
    path = tmp_path / "long.csv.gz"
    tracemalloc.start()
    path.write_bytes(b"".join(session_export.iterate_csv(pool, session)))
    _, most = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert gzip.decompress(path.read_bytes()).startswith(b"millis,a0,a1,a2,a3,gesture,repetition\n0,")
    recording = load_recording(path, limits=UPLOAD)
    assert recording.device_ms.tolist() == (np.arange(n) * 5.0).tolist()
    assert recording.labelled.samples.tobytes() == samples.tobytes()
    assert np.array_equal(recording.labelled.stretch, stored.stretch)
    assert {one.label for one in recording.labelled.stretches} == {"=fist, “a”"}
    table = pd.read_parquet(io.BytesIO(b"".join(session_export.iterate_parquet(pool, session))))
    assert table[["a0", "a1", "a2", "a3"]].to_numpy().tobytes() == samples.tobytes()
    assert set(table["gesture"]) == {"", "=fist, “a”"}
    parquet = tmp_path / "long.parquet"
    parquet.write_bytes(b"".join(session_export.iterate_parquet(pool, session)))
    same = load_recording(parquet, limits=UPLOAD)
    assert same.device_ms.tolist() == recording.device_ms.tolist()
    assert same.labelled.samples.tobytes() == samples.tobytes()
    assert np.array_equal(same.labelled.stretch, recording.labelled.stretch)
    assert [(one.label, one.repetition) for one in same.labelled.stretches] == [
        (one.label, one.repetition) for one in recording.labelled.stretches
    ]
    with pool.transaction() as tx:
        again = import_recording(tx, user_id, recording, "Again", START + timedelta(days=9))
        imported = sessions.get_session(tx, again.session_id)
        assert load_session(tx, imported).samples.tobytes() == samples.tobytes()
    second = b"".join(session_export.iterate_csv(pool, imported))
    assert gzip.decompress(second) == gzip.decompress(path.read_bytes())
    assert most < 40_000_000


def test_file_that_ends_while_it_is_sent_is_cut_off(ask, pool: Pool, names: list[str], monkeypatch) -> None:
    def broken(*_: object):
        yield gzip.compress(b"millis,a0")
        raise NotFoundError("it was erased meanwhile")

    monkeypatch.setattr(session_export, "iterate_csv", broken)
    with pytest.raises(httpx.RemoteProtocolError):
        ask(names[0], logged_in(pool))


def test_audit_log_is_fetched_by_admins_only(ask, pool: Pool, user_id: int) -> None:
    admin, researcher = logged_in(pool, "boss"), logged_in(pool, "eve", "researcher", user_id)
    for kind in ("csv", "jsonl"):
        name = file_exports.audit_file(kind)
        assert ask(name, researcher).status_code == 404
        taken = ask(name, admin)
        assert taken.status_code == 200
        assert taken.headers["content-disposition"] == f'attachment; filename="audit.{kind}"'
        assert "audit.exported" in taken.text
    with pool.transaction() as tx:
        exported = [one.who for one in audit.list_entries(tx) if one.action == "audit.exported"]
    assert exported == ["boss", "boss"]
