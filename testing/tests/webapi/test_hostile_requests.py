"""Requests that nobody would send on purpose: refused with a sentence, never answered 500.

The long version, with 100,000 requests, is ``testing/benchmarks/hostile.py``.
"""

from __future__ import annotations

import json
from typing import Any

import httpx
import pydantic
import pytest
import schemathesis
from fastapi.exceptions import RequestValidationError
from hypothesis import HealthCheck, given, settings

from semg.domain import utc_from_us
from semg.predictor.sample_prediction import InputError
from semg.security.encrypted_files import Vault
from semg.store import profiles, sessions
from semg.video.files import files_of
from semg.wire.http import PredictRequest
from webapi import lifespan
from webapi.reader_turns import ReaderTurns
from webapi.routes import MAX_ROWS_AT_ONCE, read_predict

pytestmark = pytest.mark.servers
EXAMPLES = 40


@schemathesis.serializer("application/x-semg-windows")
def as_bytes(_: object, value: object) -> bytes:
    """Send what was made up as it is; the body is no text."""
    return value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")


def test_no_request_that_the_openapi_allows_or_forbids_is_answered_500(api, make_wearer, classifier) -> None:
    make_wearer("A", classifier)
    schema = schemathesis.openapi.from_url(f"{api.base_url}/openapi.json")
    operations = [found.ok() for found in schema.get_all_operations()]
    operations = [one for one in operations if not one.path.startswith("/v1/")]  # webapi/v1/test_contract.py
    assert {"/predict", "/predict/windows", "/videos/{session_id}"} <= {one.path for one in operations}
    headers = {"Authorization": api.headers["Authorization"]}
    for operation in operations:

        @settings(max_examples=EXAMPLES, suppress_health_check=list(HealthCheck), database=None)
        @given(operation.as_strategy())
        def answers(case: schemathesis.Case) -> None:
            response = case.call(headers=headers)
            assert response.status_code < 500, (response.status_code, response.text)

        answers()


def test_numbers_ranges_and_bodies_that_mean_nothing_are_refused(api: httpx.Client, servers, pool, make_wearer) -> None:
    for userid in (1 << 63, 10**30, 10**4000):
        response = api.post("/predict", content=b'{"userid": %d, "data": [[1]]}' % userid)
        assert response.status_code in (404, 422), userid
    for session in ("9" * 18, "9" * 300, "9" * 5000, "-1", "0"):
        assert api.get(f"/videos/{session}").status_code in (404, 422), session
    bodies = (b"[" * 100_000, b'{"userid":21,"data":' + b"[" * 50_000, b'{"data":[[1e999]],"userid":21}', b"\xff\xfe{}")
    for body in bodies:
        response = api.post("/predict", content=body, headers={"Content-Type": "application/json"})
        assert response.status_code in (400, 422), body[:30]
    folder = servers.settings.videos
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "7.mp4").write_bytes(bytes(1000))
    sealed = files_of(folder, 8, Vault(servers.settings.secret_key.get_secret_value()))
    with sealed.create(sealed.video) as file:
        file.write(bytes(1000))
    start, end = utc_from_us(1_800_000_000_000_000), utc_from_us(1_800_000_001_000_000)
    user_id = make_wearer("A")
    with pool.transaction() as tx:
        device = profiles.get_profile(tx, user_id).device
        for _ in range(8):
            sessions.insert_session(tx, user_id, "S", "capture", start, end, status="completed", device=device)
    nines = "9" * 4400
    ranges = ("9-1", "-", "-0", "0-0," * 3000, "99999999999-", f"0-{nines}", f"{nines}-", f"-{nines}")
    for asked in (*(f"bytes={one}" for one in ranges), "lines=1-2"):
        for number in (7, 8):
            status = api.get(f"/videos/{number}", headers={"Range": asked}).status_code
            assert status in (200, 206, 400, 416), (number, asked[:30], status)


def test_first_error_of_a_body_ends_its_validation() -> None:
    for data in ([[]] * 50_000, [[None] * 16] * 50_000, [["x"]] * 50_000):
        with pytest.raises(pydantic.ValidationError) as refused:
            PredictRequest.model_validate({"userid": 1, "data": data})
        assert refused.value.error_count() == 1


def test_parts_of_a_body_are_counted_before_they_are_looked_at(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(PredictRequest, "model_validate", lambda *_: pytest.fail("validated"))
    for body, said in (
        ({f"{number:05}": 1 for number in range(100_000)}, "extra inputs are not permitted"),
        ({"userid": 1, "data": [[1]] * 11}, "expected at most 10 samples"),
    ):
        with pytest.raises(InputError, match=said):
            read_predict(json.dumps(body).encode(), 10)
    for body in (b"", b"{", b"[" * 100_000, b"\xff"):
        with pytest.raises(RequestValidationError):
            read_predict(body, 10)


def test_predictions_take_turns_by_the_windows_that_they_may_make(
    api: httpx.Client, make_wearer, classifier, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, taken, run = make_wearer("A", classifier), [], ReaderTurns.run

    async def told(turns: ReaderTurns, account_id: int, read: Any) -> Any:
        taken.append(turns._threads._max_workers)
        return await run(turns, account_id, read)

    monkeypatch.setattr(ReaderTurns, "run", told)
    for n, turns in ((MAX_ROWS_AT_ONCE, lifespan.QUESTIONS), (MAX_ROWS_AT_ONCE + 1, lifespan.REPLAYS)):
        answer = api.post("/predict", json={"userid": user_id, "data": [[1.0] * 4] * n})
        assert answer.status_code == 200
        assert taken.pop() == turns
    assert taken == []
