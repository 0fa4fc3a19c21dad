"""Recordings that are sent in: the same samples and labels as were sent out, or nothing and a sentence."""

from __future__ import annotations

import gzip
import itertools
from datetime import timedelta
from typing import Any

import httpx
import pytest
from fastapi import HTTPException

from semg.privacy.consent import TEST_PERSON
from semg.recordings.session_data import load_session
from semg.recordings.session_export import iterate_csv, iterate_parquet
from semg.store import profiles, sessions
from semg.store.pool import execute
from semg.wire.file_layout import LayoutAnswers
from testing.kits.rest_kit import CHANNELS, RATE_HZ, START, Rest
from webapi import under_way
from webapi.acting_caller import ActingCaller
from webapi.v1 import import_process, recording_routes

pytestmark = pytest.mark.servers
NAMES = (f"Sent {number}" for number in itertools.count())


@pytest.fixture(scope="module")
def files(rest: Rest, person: int) -> dict[str, bytes]:
    """A session as files."""
    with rest.pool.transaction() as tx:
        session = sessions.list_sessions(tx, person)[0]
    packed = b"".join(iterate_csv(rest.pool, session))
    return {
        "csv.gz": packed, "csv": gzip.decompress(packed), "parquet": b"".join(iterate_parquet(rest.pool, session)),
    }  # fmt: skip


def send(api: Rest, token: str, user_id: int, content: bytes, **asked: Any) -> httpx.Response:
    asked = {"name": next(NAMES)} | asked
    return api.ask(token, "POST", f"/profiles/{user_id}/recordings", params=asked, content=content)


def make_empty(rest: Rest, *, consents: bool = True) -> int:
    with rest.pool.transaction() as tx:
        return profiles.insert_profile(
            tx, next(NAMES), channels=CHANNELS, rate_hz=RATE_HZ, consent=TEST_PERSON if consents else None
        )


def test_what_was_sent_out_comes_in_as_it_was(
    rest: Rest, person: int, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = make_empty(rest)
    token = rest.token("researcher", user_id)
    dry = send(rest, token, user_id, files["csv"], dry_run=True)
    assert (dry.status_code, dry.json()["session_id"]) == (200, None)  # by a process of its own
    monkeypatch.setattr(import_process, "take_apart", import_process.take)
    assert (dry.json()["known_gestures"], dry.json()["new_gestures"]) == (["rest"], ["fist"])
    assert rest.get(token, f"/profiles/{user_id}/sessions").json()["items"] == []
    with rest.pool.transaction() as tx:
        sent = load_session(tx, sessions.list_sessions(tx, person)[0])
    for index, content in enumerate(files.values()):
        start = START + timedelta(hours=index)
        answer = send(rest, token, user_id, content, started_at=start.isoformat())
        assert answer.status_code == 201, answer.text
        said = answer.json()
        assert (said["samples"], said["repetitions"], said["channels"]) == (2400, 2, list(CHANNELS))
        where = str(answer.url.join(answer.headers["Location"]))
        assert where.endswith(f"/v1/sessions/{said['session_id']}")
        with rest.pool.transaction() as tx:
            session = sessions.get_session(tx, said["session_id"])
            came = load_session(tx, session)
        assert (session.origin, session.started_at) == ("import", start)
        assert came.samples.tobytes() == sent.samples.tobytes()
        assert came.stretch.tolist() == sent.stretch.tolist()
        assert [(one.label, one.repetition) for one in came.stretches] == [
            (one.label, one.repetition) for one in sent.stretches
        ]
    actions = [one.action for one in rest.entries(user_id)]
    assert actions == ["session.imported"] * 3


@pytest.mark.usefixtures("here")
def test_who_may_not_and_what_does_not_fit_leaves_nothing(
    rest: Rest, admin: str, person: int, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, content = make_empty(rest), files["csv"]
    assert send(rest, rest.token("viewer", user_id), user_id, content).status_code == 403
    assert send(rest, rest.token("researcher"), user_id, content).status_code == 404
    assert send(rest, rest.token("admin", scopes=["read"]), user_id, content).status_code == 403
    assert rest.client.post(f"/v1/profiles/{user_id}/recordings?name=x", content=b"x").status_code == 401
    assert send(rest, admin, make_empty(rest, consents=False), content).status_code == 409
    for wrong, said in (
        (b"", "recording"), (b"\x00" * 1000, "recording"), (b"a,b\n1,2\n3,4\n", "lacks the column"),
        (b"PAR1" + bytes(1000) + b"PAR1", "recording"), (files["csv.gz"][:-50], "recording"),
        (content.replace(b"millis,a0", b"millis,b0"), "device"),
    ):  # fmt: skip
        answer = send(rest, admin, user_id, wrong)
        assert (answer.status_code, answer.headers["content-type"]) == (422, "application/problem+json"), answer.text
        assert said in answer.json()["detail"]
    assert send(rest, "semg_nobody", user_id, b"x" * 100_000).status_code == 413  # of a stranger, as elsewhere
    taken = rest.get(admin, f"/profiles/{person}/sessions").json()["items"][0]["name"]
    assert send(rest, admin, person, content, name=taken).status_code == 409
    assert send(rest, admin, user_id, content, name="").json()["field"] == "name"
    monkeypatch.setattr(recording_routes, "MAX_BYTES", 1000)
    assert send(rest, admin, user_id, content).status_code == 413
    assert rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"] == []
    assert rest.entries(user_id) == []
    assert list((rest.settings.data_dir / "tmp").iterdir()) == []


@pytest.mark.usefixtures("here")
def test_open_questions_are_answered_by_parameters(rest: Rest, admin: str) -> None:
    user_id = make_empty(rest)
    rows = "".join(f"{index * 0.005:.3f};{index};{-index};{index % 7};{'closed' if index > 300 else 'relaxed'}\n"
                   for index in range(800))  # fmt: skip
    content = ("t;a0;a1;a2;hand\n" + rows).encode()
    asked = send(rest, admin, user_id, content)
    assert asked.status_code == 422, asked.text
    wrong = send(rest, admin, user_id, content, separator=";;")
    assert (wrong.status_code, "one character" in wrong.text) == (422, True), wrong.text
    answered = send(rest, admin, user_id, content, time="t", time_unit="s", channels="a0,a1,a2", label="hand",
                    rest="relaxed", rate_hz=RATE_HZ)  # fmt: skip
    assert answered.status_code == 201, answered.text
    assert (answered.json()["samples"], answered.json()["new_gestures"]) == (800, ["closed"])


@pytest.mark.usefixtures("here")
def test_token_that_is_revoked_while_a_recording_is_read_stores_nothing(
    rest: Rest, files: dict[str, bytes], monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id = make_empty(rest)
    token = rest.token("researcher", user_id)
    received = recording_routes._receive

    async def revoking(*args: Any) -> None:
        await received(*args)
        with rest.pool.transaction() as tx:
            execute(tx, "DELETE FROM api_tokens WHERE account_id = (SELECT max(account_id) FROM accounts)")

    monkeypatch.setattr(recording_routes, "_receive", revoking)
    assert send(rest, token, user_id, files["csv"]).status_code == 403
    with rest.pool.transaction() as tx:
        assert sessions.list_sessions(tx, user_id) == []


def test_process_that_takes_too_long_is_ended(rest: Rest) -> None:
    order = import_process.Order(
        settings=rest.settings, who=ActingCaller(None), user_id=1, path=rest.settings.data_dir / "none", file_name="f",
        answers=LayoutAnswers(), name="n", started_at=None, is_dry=True,
    )  # fmt: skip
    late = import_process.take_apart(order, within_s=0.01)
    assert (late.status, "within" in late.detail) == (422, True)


def test_one_recording_of_an_account_is_taken_in_at_a_time() -> None:
    uploads = under_way.Uploads()
    with uploads.one_of(1), uploads.one_of(2):
        for account_id in (1, 3):
            with pytest.raises(HTTPException) as refused, uploads.one_of(account_id):
                pass
            assert refused.value.status_code == 429
    with uploads.one_of(1), uploads.one_of(3):
        pass
