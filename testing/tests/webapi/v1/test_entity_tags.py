"""Two who change the same: one is told to read again."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from testing.kits.rest_kit import Rest

pytestmark = pytest.mark.servers


@pytest.fixture
def writable(rest: Rest, admin: str) -> dict[str, list[dict[str, Any]]]:
    """What two may change, and changes of it."""
    user_id = rest.profile()
    session = rest.get(admin, f"/profiles/{user_id}/sessions").json()["items"][0]["session_id"]
    label = rest.get(admin, f"/sessions/{session}/repetitions").json()["items"][0]["repetition_id"]
    return {
        f"/profiles/{user_id}": [{"notes": str(number)} for number in range(6)],
        f"/profiles/{user_id}/device": [{"rate_hz": 100 + number} for number in range(6)],
        f"/sessions/{session}": [{"name": str(number)} for number in range(6)],
        f"/repetitions/{label}": [{"excluded": True, "exclude_reason": str(number)} for number in range(6)],
        f"/profiles/{user_id}/active-model": [{"version": 1 + number % 2} for number in range(6)],
    }


def method_of(path: str) -> str:
    return "PUT" if path.endswith("active-model") else "PATCH"


def test_of_all_who_have_read_the_same_one_changes_it(rest: Rest, admin: str, writable) -> None:
    for path, bodies in writable.items():
        tag = rest.get(admin, path).headers["ETag"]

        def put(body: dict[str, Any], path: str = path, tag: str = tag) -> int:
            return rest.ask(admin, method_of(path), path, json=body, headers={"If-Match": tag}).status_code

        with ThreadPoolExecutor(6) as threads:
            statuses = sorted(threads.map(put, bodies))
        assert statuses == [200, *[412] * 5], path


def test_change_without_having_read_is_refused(rest: Rest, admin: str, writable) -> None:
    for path, (body, *_) in writable.items():
        method = method_of(path)
        missing = rest.ask(admin, method, path, json=body)
        assert (missing.status_code, missing.json()["title"]) == (428, "Precondition Required")
        for wrong in ('"x"', "x", 'W/"x"', "W/" + rest.get(admin, path).headers["ETag"]):
            stale = rest.ask(admin, method, path, json=body, headers={"If-Match": wrong})
            assert (stale.status_code, stale.headers["ETag"]) == (412, rest.get(admin, path).headers["ETag"])
        done = rest.ask(admin, method, path, json=body, headers={"If-Match": f'"x", {stale.headers["ETag"]}'})
        assert (done.status_code, done.headers["ETag"]) == (200, rest.get(admin, path).headers["ETag"])
        assert rest.ask(admin, method, path, json=body, headers={"If-Match": "*"}).status_code == 200


def test_what_is_known_is_not_sent_again(rest: Rest, admin: str, writable) -> None:
    user_id = next(iter(writable)).rsplit("/", 1)[1]
    session = list(writable)[2].rsplit("/", 1)[1]
    job = rest.ask(admin, "POST", f"/profiles/{user_id}/jobs", json={"session_ids": [int(session)]})
    place = f"/jobs/{job.json()['job_id']}"
    assert str(job.url.join(job.headers["Location"])).endswith(f"/v1{place}")
    for path in (*writable, place):
        tag = rest.get(admin, path).headers["ETag"]
        same = rest.get(admin, path, headers={"If-None-Match": f"W/{tag}"})
        assert (same.status_code, same.content, same.headers["ETag"]) == (304, b"", tag)
        assert rest.get(admin, path, headers={"If-None-Match": '"other"'}).status_code == 200
    tag = rest.get(admin, place).headers["ETag"]
    assert rest.ask(admin, "POST", f"{place}/cancel").json()["status"] == "canceled"
    assert rest.get(admin, place, headers={"If-None-Match": tag}).status_code == 200
