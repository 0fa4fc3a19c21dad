"""Every refusal below ``/v1`` is a problem of RFC 9457; what lies beside it answers as before."""

from __future__ import annotations

import httpx
import pytest

from semg.errors import StoreUnavailableError
from semg.store.pool import execute
from testing.kits.rest_kit import Rest
from webapi.v1 import profile_routes

pytestmark = pytest.mark.servers


def is_problem(answer: httpx.Response, status: int) -> bool:
    said = answer.json()
    assert (answer.status_code, said["status"], said["type"]) == (status, status, "about:blank"), answer.text
    assert said["detail"]
    assert said["title"]
    return answer.headers["content-type"] == "application/problem+json"


def test_refusals_of_the_service_itself_are_problems(rest: Rest, admin: str, person: int) -> None:
    assert is_problem(rest.get(admin, "/nothing"), 404)
    assert is_problem(rest.get(admin, "/profiles/0"), 422)
    assert is_problem(rest.get(admin, f"/profiles/{1 << 63}"), 422)
    assert is_problem(rest.ask(admin, "DELETE", f"/profiles/{person}"), 405)
    assert is_problem(rest.client.get("/v1/profiles"), 401)
    assert is_problem(rest.ask(admin, "PATCH", f"/profiles/{person}", content=b"{"), 428)
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    assert is_problem(rest.ask(admin, "PATCH", f"/profiles/{person}", content=b"{", headers=headers), 422)
    large = b" " * 100_000 + b"{}"
    assert is_problem(rest.ask(admin, "PATCH", f"/profiles/{person}", content=large, headers=headers), 413)
    plain = rest.client.post("/predict", json={})
    assert (plain.status_code, set(plain.json())) == (401, {"detail", "field"})
    assert plain.headers["content-type"] == "application/json"


def test_time_of_any_zone_is_a_time(rest: Rest, admin: str, person: int) -> None:
    path = f"/profiles/{person}/decisions"
    for zone in ("+23:59", "-23:59", "Z"):
        since, until = f"2026-03-02T09:00:00{zone}", f"2026-03-02T10:00:00{zone}"
        assert rest.get(admin, path, params={"since": since, "until": until}).status_code == 200
    assert is_problem(rest.get(admin, path, params={"since": "0001-01-01T00:00:00+23:59"}), 422)


def test_field_is_named_as_it_was_sent(rest: Rest, admin: str, person: int) -> None:
    for body, field in (
        ({"decision": {"vote_n": 0}}, "decision.vote_n"),
        ({"name": ""}, "name"),
        ({"language": "tlh"}, "language"),
        ({"channels_used": ["b7"]}, "channels_used"),
        ({"colour": "red"}, "colour"),
        ({"notes": "x" * 20_001}, "notes"),
    ):
        answer = rest.change(admin, "PATCH", f"/profiles/{person}", body)
        assert is_problem(answer, 422)
        assert answer.json()["field"] == field
    answer = rest.ask(admin, "POST", f"/profiles/{person}/jobs", json={"session_ids": [1 << 40]})
    assert (answer.status_code, answer.json()["field"]) == (422, "session_ids")
    options = {"session_ids": [1], "options": {"epochs": 10_000}}
    answer = rest.ask(admin, "POST", f"/profiles/{person}/jobs", json=options)
    assert (answer.status_code, answer.json()["field"]) == (422, "options")


def test_faults_and_a_database_that_is_away_are_problems_too(
    rest: Rest, admin: str, person: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    def broken(*_: object) -> None:
        raise RuntimeError("with a name of somebody in it")

    def away(*_: object) -> None:
        raise StoreUnavailableError("no server")

    monkeypatch.setattr(profile_routes, "_profile", broken)
    fault = rest.get(admin, f"/profiles/{person}")
    assert is_problem(fault, 500)
    assert "somebody" not in fault.text
    monkeypatch.setattr(profile_routes, "_profile", away)
    refused = rest.get(admin, f"/profiles/{person}")
    assert is_problem(refused, 503)
    assert refused.headers["retry-after"]


def test_text_that_is_no_unicode_and_values_of_odd_kinds_are_refused(rest: Rest, admin: str, person: int) -> None:
    headers = {"If-Match": "*", "Content-Type": "application/json"}
    for body in (
        rb'{"\ud800": 1}', rb'{"name": "\ud800"}', rb'{"name": "a\u0000b\u202e"}',
        rb'{"channel_purposes": {"\ud800": "x"}}',
        b"[]", b"null", b'"x"', b"[" * 10_000, b'{"decision": {"min_confidence": NaN}}', b'{"notes": 1e999}', b"\xff",
    ):  # fmt: skip
        answer = rest.ask(admin, "PATCH", f"/profiles/{person}", content=body, headers=headers)
        assert answer.status_code in (400, 422), (body[:40], answer.text)
        assert answer.headers["content-type"] == "application/problem+json"
    session = rest.get(admin, f"/profiles/{person}/sessions").json()["items"][0]["session_id"]
    for options in (
        b'{"channels": 5}', rb'{"\ud800": 1}', b'{"channels": [1]}', b'{"epochs": NaN}', b'{"epochs": {}}',
        b'{"seed": 1e400}',
        b'{"calibrate": 2}', rb'{"channels": ["\ud800"], "epochs": 0}', b"[]",
    ):  # fmt: skip
        body = b'{"session_ids": [%d], "options": %s}' % (session, options)
        answer = rest.ask(admin, "POST", f"/profiles/{person}/jobs", content=body, headers=headers)
        assert answer.status_code == 422, (options, answer.text)
        assert answer.json()["field"].split(".")[0] == "options"
    times = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "2026-03-02T09:00:00.0000001Z", "1e9", "NaN")
    for path in (f"/profiles/{person}/decisions", f"/sessions/{session}/samples"):
        for since in times:
            for until in times:
                answer = rest.get(admin, path, params={"since": since, "until": until})
                assert answer.status_code in (200, 422), (since, until, answer.text)
    for at in times[:2]:
        body = b'{"session_ids": [%d], "scheduled_at": "%s"}' % (session, at.encode())
        answer = rest.ask(admin, "POST", f"/profiles/{person}/jobs", content=body, headers=headers)
        assert answer.status_code in (201, 422), answer.text
        if answer.status_code == 201:
            rest.ask(admin, "POST", f"/jobs/{answer.json()['job_id']}/cancel")


def test_change_of_what_somebody_else_is_changing_waits_for_a_second(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    session = rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"][0]["session_id"]
    label = rest.get(admin, f"/sessions/{session}/repetitions").json()["items"][0]["repetition_id"]
    with rest.pool.transaction() as tx:
        execute(tx, "SELECT 1 FROM repetitions WHERE repetition_id = %s FOR UPDATE", (label,))
        answer = rest.ask(admin, "PATCH", f"/repetitions/{label}", json={"excluded": True}, headers={"If-Match": "*"})
    assert is_problem(answer, 503)
    assert "somebody else is changing this" in answer.json()["detail"]
