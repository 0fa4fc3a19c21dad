"""Who may do what by ``/v1``: as on the pages, in the same words, and written down."""

from __future__ import annotations

import re
from typing import Any

import pytest

from semg.store import repetitions
from semg.store.pool import execute
from testing.kits.rest_kit import Rest

pytestmark = pytest.mark.servers
READS = (
    "/profiles/{user}", "/profiles/{user}/device", "/profiles/{user}/gestures", "/profiles/{user}/stream",
    "/profiles/{user}/sessions", "/profiles/{user}/jobs", "/profiles/{user}/models", "/profiles/{user}/models/1",
    "/profiles/{user}/models/1/report", "/profiles/{user}/models/1/artifact", "/profiles/{user}/active-model",
    "/profiles/{user}/decisions", "/sessions/{session}", "/sessions/{session}/quality",
    "/sessions/{session}/repetitions", "/sessions/{session}/samples", "/repetitions/{repetition}", "/jobs/{job}",
    "/jobs/{job}/log",
)  # fmt: skip
CHANGES: tuple[tuple[str, str, dict[str, Any]], ...] = (
    ("PATCH", "/profiles/{user}", {"notes": "left arm"}),
    ("PATCH", "/profiles/{user}/device", {"rate_hz": 500}),
    ("PATCH", "/sessions/{session}", {"name": "Monday"}),
    ("PATCH", "/repetitions/{repetition}", {"excluded": True, "exclude_reason": "coughed"}),
    ("POST", "/profiles/{user}/jobs", {"session_ids": [1]}),
    ("POST", "/jobs/{job}/cancel", {}),
    ("POST", "/jobs/{job}/retry", {}),
    ("PUT", "/profiles/{user}/active-model", {"version": 1}),
)


def places_of(rest: Rest, admin: str, user_id: int) -> dict[str, int]:
    """The numbers that a profile's addresses are made of."""
    session = rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"][0]["session_id"]
    repetition = rest.get(admin, f"/sessions/{session}/repetitions").json()["items"][0]["repetition_id"]
    job = rest.ask(admin, "POST", f"/profiles/{user_id}/jobs", json={"session_ids": [session]}).json()["job_id"]
    return {"user": user_id, "session": session, "repetition": repetition, "job": job}


def test_what_may_not_be_seen_is_answered_as_if_it_were_not_there(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    places = places_of(rest, admin, user_id)
    stranger = rest.token("researcher")
    absent = {name: 1 << 40 for name in places}
    for method, path, body in (*(("GET", one, None) for one in READS), *CHANGES):
        kept = {"headers": {"If-Match": "*"}} | ({} if body is None else {"json": body})
        said = []
        for token, numbers in ((stranger, places), (stranger, absent), (admin, absent)):
            answer = rest.ask(token, method, path.format(**numbers), **kept)
            assert answer.status_code == 404, (method, path, answer.text)
            assert answer.headers["content-type"] == "application/problem+json"
            body_said = answer.json()
            assert (body_said["status"], body_said["title"]) == (404, "Not Found")
            body_said["detail"] = re.sub(r"\d+", "N", body_said["detail"])
            said.append(body_said)
        assert said[0] == said[1] == said[2], (method, path)
    assert rest.get(stranger, "/profiles").json() == {"items": [], "next_cursor": None}


def test_viewer_reads_and_changes_nothing_and_researcher_does_both(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    places = places_of(rest, admin, user_id)
    viewer, researcher = rest.token("viewer", user_id), rest.token("researcher", user_id)
    for path in READS:
        for token in (viewer, researcher):
            assert rest.get(token, path.format(**places)).status_code == 200, path
    for method, path, body in CHANGES:
        wanted = body | ({"session_ids": [places["session"]]} if "session_ids" in body else {})
        refused = rest.ask(viewer, method, path.format(**places), json=wanted, headers={"If-Match": "*"})
        assert (refused.status_code, "read-only access" in refused.json()["detail"]) == (403, True), path
        done = rest.ask(researcher, method, path.format(**places), json=wanted, headers={"If-Match": "*"})
        assert done.status_code in (200, 201), (path, done.text)
    assert [one["userid"] for one in rest.get(viewer, "/profiles").json()["items"]] == [user_id]


def test_token_changes_nothing_unless_it_was_made_for_work(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    places = places_of(rest, admin, user_id)
    reads, works = rest.token("admin", scopes=["read"]), rest.token("admin", scopes=["work"])
    for method, path, body in CHANGES:
        refused = rest.ask(reads, method, path.format(**places), json=body, headers={"If-Match": "*"})
        assert (refused.status_code, "for work" in refused.json()["detail"]) == (403, True)
    for path in READS:
        assert rest.get(works, path.format(**places)).status_code == 403
    nobody = rest.client.get(f"/v1/profiles/{user_id}")
    assert (nobody.status_code, nobody.headers["content-type"]) == (401, "application/problem+json")


def test_audit_log_says_what_pages_would_say(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    session = rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"][0]["session_id"]
    who = rest.token("researcher", user_id)
    samples, version = f"/sessions/{session}/samples", f"/profiles/{user_id}/models/1"
    looks = (f"{samples}?max_points=20", f"{samples}?max_points=40")
    for path in (samples, *looks, f"{version}/report", f"{version}/artifact"):
        assert rest.get(who, path).status_code == 200
    places = places_of(rest, who, user_id)
    for method, path, body in CHANGES:
        if "jobs" in path and "{job}" not in path:
            continue
        assert rest.ask(who, method, path.format(**places), json=body, headers={"If-Match": "*"}).status_code < 300
    found = rest.entries(user_id)
    assert len({one.who for one in found}) == 1
    assert [(one.action, one.session_id) for one in found] == [
        ("session.exported", session), ("samples.seen", session), ("report.exported", None), ("model.exported", None),
        ("job.created", None), ("profile.changed", None), ("profile.changed", None), ("session.changed", session),
        ("session.changed", session), ("job.canceled", None), ("job.created", None), ("model.activated", None),
    ]  # fmt: skip


def test_refused_change_leaves_nothing(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    places = places_of(rest, admin, user_id)
    before = len(rest.entries(user_id))
    path = f"/repetitions/{places['repetition']}"
    for body, status in (
        ({"ended_at": "2026-03-02T08:00:00Z"}, 422),
        ({"ended_at": "2026-03-02T09:00:07Z"}, 409),
        ({"gesture": "nothing of the bank"}, 422),
        ({"number": 3}, 422),
        ({"started_at": "2026-03-02T09:00:00"}, 422),
    ):
        answer = rest.change(admin, "PATCH", path, body)
        assert (answer.status_code, answer.headers["content-type"]) == (status, "application/problem+json"), answer.text
        if status == 422:
            assert answer.json()["field"] in (*body, "started_at", "ended_at")
    assert len(rest.entries(user_id)) == before


def test_training_needs_consent_and_a_version_that_is_doubted_a_word(rest: Rest, admin: str) -> None:
    user_id = rest.profile()
    session = rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"][0]["session_id"]
    with rest.pool.transaction() as tx:
        execute(tx, "UPDATE models SET report = %s WHERE user_id = %s AND version = 1", ('{"pending": true}', user_id))
        execute(tx, "DELETE FROM consents WHERE user_id = %s", (user_id,))
    refused = rest.ask(admin, "POST", f"/profiles/{user_id}/jobs", json={"session_ids": [session]})
    assert (refused.status_code, "agreed" in refused.json()["detail"]) == (409, True)
    assert rest.get(admin, f"/sessions/{session}/samples").status_code == 200  # what is stored stays until it is erased
    path = f"/profiles/{user_id}/active-model"
    doubted = rest.change(admin, "PUT", path, {"version": 1})
    assert (doubted.status_code, "not been tested" in doubted.json()["detail"]) == (409, True)
    assert rest.change(admin, "PUT", path, {"version": 1, "despite_doubts": True}).json()["version"] == 1
    assert rest.change(admin, "PUT", path, {"version": 7}).status_code == 404


def test_services_own_token_may_everything_and_is_named(rest: Rest) -> None:
    user_id = rest.profile()
    token = rest.settings.semg_api_token.get_secret_value()
    places = places_of(rest, token, user_id)
    for path in READS:
        assert rest.get(token, path.format(**places)).status_code == 200, path
    label = f"/repetitions/{places['repetition']}"
    assert rest.change(token, "PATCH", label, {"excluded": True, "exclude_reason": "coughed"}).status_code == 200
    assert {one.who for one in rest.entries(user_id)} == {"SEMG_API_TOKEN"}
    with rest.pool.transaction() as tx:
        (changed,) = repetitions.list_changes(tx, places["session"])
    assert (changed.changed_by, changed.after and changed.after.exclude_reason) == ("SEMG_API_TOKEN", "coughed")
