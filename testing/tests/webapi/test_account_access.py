"""Accounts' API tokens at the API and the WebSocket: exactly what the account may; limits for everybody else."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import Callable, Sequence
from pathlib import Path

import httpx
import pytest
from fastapi.routing import APIRoute
from websockets.asyncio.client import connect
from websockets.exceptions import ConnectionClosed, InvalidStatus
from websockets.sync.client import connect as connect_sync

from semg.errors import StoreUnavailableError
from semg.security import rate_limit, tokens
from semg.security.encrypted_files import Vault
from semg.settings import Settings
from semg.signals.windows import WindowStream
from semg.store import access, accounts, api_tokens, audit, logins, sessions
from semg.store.pool import Pool, execute
from semg.video.files import files_of
from semg.wire.windows import CONTENT_TYPE
from testing.kits.live_helpers import api_running, logged_in, samples_of, wait_for
from testing.kits.store_queries import set_shares
from testing.kits.window_bodies import WindowRequest, encode_request
from testing.tests.conftest import Servers
from webapi import lifespan, limits, live
from webapi.access import CallerFor
from webapi.app import create_app

pytestmark = pytest.mark.servers
MakeToken = Callable[..., str]


@pytest.fixture
def make_token(pool: Pool) -> MakeToken:
    """Makes an account of a role that sees the given profiles, and gives a token of it."""

    def make(login: str, role: str, *shared: int, scopes: Sequence[str] = api_tokens.SCOPES) -> str:
        with pool.transaction() as tx:
            account_id = accounts.insert_account(tx, login, "", role)
            for user_id in shared:
                set_shares(tx, user_id, [*access.list_shares(tx, user_id), account_id])
            return api_tokens.insert_token(tx, account_id, "test", scopes).text

    return make


def headers(token: str) -> dict[str, str]:
    return {"Authorization": f"Bearer {token}"}


def test_token_may_what_its_account_may(api: httpx.Client, make_wearer, make_token, classifier, recording) -> None:
    mine, other = make_wearer("A", classifier), make_wearer("B", classifier)
    admin, viewer = make_token("admin", "admin"), make_token("eve", "viewer", mine)
    researcher = make_token("ada", "researcher", mine)
    samples = samples_of(recording)
    windows, _ = WindowStream(classifier.conditioning, classifier.window, range(4)).push(samples, True)

    def statuses(token: str) -> dict[str, int]:
        def predict(user_id: int) -> int:
            body = {"userid": user_id, "data": samples.tolist()}
            return api.post("/predict", json=body, headers=headers(token)).status_code

        both = encode_request([WindowRequest(user_id, 1, windows[0]) for user_id in (mine, other)])
        return {
            "mine": predict(mine),
            "other": predict(other),
            "absent": predict(999_999),
            "windows": api.post(
                "/predict/windows", content=both, headers={**headers(token), "Content-Type": CONTENT_TYPE}
            ).status_code,
            "metrics": api.get("/metrics", headers=headers(token)).status_code,
        }

    assert statuses(admin) == {"mine": 200, "other": 200, "absent": 404, "windows": 200, "metrics": 200}
    assert statuses(researcher) == {"mine": 200, "other": 404, "absent": 404, "windows": 404, "metrics": 403}
    assert statuses(viewer) == {"mine": 403, "other": 404, "absent": 404, "windows": 403, "metrics": 403}


def test_token_may_only_what_it_was_made_for(
    api: httpx.Client, servers: Servers, make_wearer, make_token, classifier, recording
) -> None:
    user_id = make_wearer("A", classifier)
    body = {"userid": user_id, "data": samples_of(recording).tolist()}
    windows, _ = WindowStream(classifier.conditioning, classifier.window, range(4)).push(samples_of(recording), True)
    binary = encode_request([WindowRequest(user_id, 1, windows[0])])
    expected = {"read": (403, 403, 403, 404, True), "predict": (200, 200, 403, 403, False),
                "metrics": (403, 403, 200, 403, False)}  # fmt: skip
    for scope, wanted in expected.items():
        shown = headers(make_token(scope, "admin", scopes=[scope]))
        answers = (
            api.post("/predict", json=body, headers=shown),
            api.post("/predict/windows", content=binary, headers={**shown, "Content-Type": CONTENT_TYPE}),
            api.get("/metrics", headers=shown),
            api.get("/videos/999999", headers=shown),
        )
        url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{user_id}"
        with connect_sync(url, additional_headers=shown) as socket:
            try:
                socket.ping().wait(2)
                socket.recv(0.5)
            except TimeoutError:
                listens = True
            except ConnectionClosed as exc:
                assert exc.rcvd is not None
                assert exc.rcvd.code == live.NOT_LET_IN
                listens = False
        assert (*(one.status_code for one in answers), listens) == wanted, scope
        refused = next(one for one in answers if one.status_code == 403)
        assert f"this one is for {scope}" in refused.json()["detail"]


def test_expired_token_is_refused_and_ends_its_websocket(
    api: httpx.Client, servers: Servers, pool: Pool, make_wearer, make_token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_AGAIN_S", 0.2)
    user_id, token = make_wearer("A"), make_token("ada", "admin")
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{user_id}"
    with connect_sync(url, additional_headers=headers(token)) as socket:
        assert api.get("/metrics", headers=headers(token)).status_code == 200
        with pool.transaction() as tx:
            execute(tx, "UPDATE api_tokens SET expires_at = now()")
        with pytest.raises(ConnectionClosed):
            socket.recv(20)
    refused = api.get("/metrics", headers=headers(token))
    assert refused.status_code == 401
    assert "has not expired" in refused.json()["detail"]


def test_every_route_is_open_to_all_or_says_what_a_token_must_be_for() -> None:
    """Routes that take other proofs too (a browser's token) name the purpose in their own code."""
    asks = {"/predict": "predict", "/predict/windows": "predict", "/metrics": "metrics", "/replay/{session_id}": "read"}
    by_hand = {"/videos/{session_id}", "/exports/{name}", "/files/{name}"}
    open_to_all = {"/healthz", "/readyz", "/openapi.json", "/docs", "/docs/description.js", "/docs/{name}"}
    found = {}
    for route in create_app(Settings(_env_file=None)).routes:
        for one in getattr(getattr(route, "original_router", None), "routes", [route]):
            if isinstance(one, APIRoute):
                calls = [dependency.call for dependency in one.dependant.dependencies]
                purpose = next((call.purpose for call in calls if isinstance(call, CallerFor)), None)
                if one.path.startswith("/v1/"):
                    assert purpose == ("read" if one.methods == {"GET"} else "work"), one.path
                else:
                    found[one.path] = purpose
    assert found == asks | dict.fromkeys(by_hand | open_to_all)


def test_revoked_and_forged_tokens_are_refused_at_once(api: httpx.Client, pool: Pool, make_wearer, make_token) -> None:
    user_id = make_wearer("A")
    token = make_token("ada", "admin")
    body = {"userid": user_id, "data": [[0, 0, 0, 0]]}
    assert api.post("/predict", json=body, headers=headers(token)).status_code == 404  # let in; there is no model
    for wrong in (token + "x", "semg_", token.removeprefix("semg_")):
        assert api.post("/predict", json=body, headers=headers(wrong)).status_code == 401
    with pool.transaction() as tx:
        account = accounts.find_account(tx, "ada")
        assert account is not None
        (known,) = api_tokens.list_tokens(tx, account.account_id)
        assert known.last_used_at is not None
        api_tokens.delete_token(tx, account.account_id, known.token_id)
    assert api.post("/predict", json=body, headers=headers(token)).status_code == 401


async def closed_with(settings: Settings, user_id: int, **asked: object) -> int:
    url = f"ws://127.0.0.1:{settings.api_port}/ws/live/{user_id}"
    async with connect(url, **asked) as socket:
        await socket.wait_closed()
        return socket.close_code or 0


@pytest.mark.usefixtures("api")
async def test_websocket_is_for_those_who_see_the_profile_and_ends_with_the_share(
    servers: Servers, pool: Pool, make_wearer, make_token, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_AGAIN_S", 0.2)
    mine, other = make_wearer("A"), make_wearer("B")
    token = make_token("eve", "viewer", mine)
    assert await closed_with(servers.settings, other, additional_headers=headers(token)) == live.NOT_LET_IN
    for stranger in ({"additional_headers": headers(token + "x")}, {"subprotocols": ["semg.v1", "semg.token.x"]}, {}):
        with pytest.raises(InvalidStatus, match="403"):  # not opened: it would be read for as long as it closes
            await closed_with(servers.settings, mine, **stranger)
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{mine}"
    async with connect(url, additional_headers=headers(token)) as socket:
        assert await socket.ping()
        with pool.transaction() as tx:
            seen, used = audit.list_entries(tx)
            assert (used.who, used.action) == ("eve", "token.used")
            assert (seen.who, seen.action, seen.user_id) == ("eve", "live.seen", mine)
            set_shares(tx, mine, [])
        await socket.wait_closed()
        assert socket.close_code == live.NOT_LET_IN


@pytest.mark.usefixtures("api")
async def test_browsers_websocket_ends_when_its_account_is_logged_out(
    servers: Servers, pool: Pool, make_wearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_AGAIN_S", 0.2)
    user_id = make_wearer("A")
    login = logged_in(pool, "ada")
    secret = servers.settings.secret_key.get_secret_value()
    shown = tokens.make_token(secret, tokens.LIVE, str(user_id), 60, login=login)
    protocols = [tokens.SUBPROTOCOL, tokens.TOKEN_PROTOCOL_PREFIX + shown]
    url = f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{user_id}"
    async with connect(url, subprotocols=protocols) as socket:
        assert await socket.ping()
        with pool.transaction() as tx:
            logins.delete_logins(tx, login.account_id)
        await socket.wait_closed()
        assert socket.close_code == live.NOT_LET_IN
    assert await closed_with(servers.settings, user_id, subprotocols=protocols) == live.NOT_LET_IN


def test_video_is_for_those_who_see_its_profile(
    api: httpx.Client, servers: Servers, pool: Pool, make_wearer, make_token
) -> None:
    from semg.domain import utc_from_us

    mine, other = make_wearer("A"), make_wearer("B")
    token = make_token("eve", "viewer", mine)
    start = utc_from_us(1_800_000_000_000_000)
    numbers, vault = {}, Vault(servers.settings.secret_key.get_secret_value())
    for user_id in (mine, other):
        with pool.transaction() as tx:
            numbers[user_id] = sessions.insert_session(
                tx, user_id, "S", "capture", start, utc_from_us(1_800_000_001_000_000), status="completed",
                device=make_device(tx, user_id),
            )  # fmt: skip
        path: Path = files_of(servers.settings.videos, numbers[user_id], vault).video
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(b"video")
    assert api.get(f"/videos/{numbers[mine]}", headers=headers(token)).content == b"video"
    refused = api.get(f"/videos/{numbers[other]}", headers=headers(token))
    absent = api.get("/videos/999999", headers=headers(token))
    assert (refused.status_code, absent.status_code) == (404, 404)
    with pool.transaction() as tx:
        seen, _ = audit.list_entries(tx)
    assert (seen.who, seen.action, seen.user_id, seen.session_id) == ("eve", "video.seen", mine, numbers[mine])
    assert refused.json()["detail"].replace(str(numbers[other]), "N") == absent.json()["detail"].replace("999999", "N")


def make_device(tx, user_id: int):
    from semg.store import profiles

    return profiles.get_profile(tx, user_id).device


def test_caller_waits_when_it_asks_too_often() -> None:
    now = [0.0]
    bucket = rate_limit.RateLimiter(10.0, lambda: now[0])
    assert [bucket.wait_s("a") for _ in range(20)] == [0.0] * 20, "a burst of two seconds"
    assert bucket.wait_s("a") == pytest.approx(0.1)
    assert bucket.wait_s("b") == 0.0, "another caller has its own"
    now[0] += 0.1
    assert bucket.wait_s("a") == 0.0
    assert bucket.wait_s("a") > 0


def test_callers_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(rate_limit, "MAX_CALLERS", 5)
    bucket = rate_limit.RateLimiter(1.0, lambda: 0.0)
    for number in range(100):
        bucket.wait_s(str(number))
    assert len(bucket) == 5


def test_stranger_and_account_are_slowed_down_and_services_are_not(servers: Servers, make_token) -> None:
    settings = servers.settings.model_copy(update={"api_requests_per_s": 2.0})
    token = make_token("ada", "admin")
    with api_running(settings) as api:
        stranger = [api.post("/predict", headers=headers("wrong")) for _ in range(8)]
        account = [api.get("/metrics", headers=headers(token)) for _ in range(8)]
        service = [api.get("/metrics") for _ in range(8)]
        probes = [api.get("/healthz", headers=headers("wrong")) for _ in range(8)]
    assert [one.status_code for one in stranger][:4] == [401] * 4
    assert [one.status_code for one in account][:4] == [200] * 4
    refused = stranger[-1]
    assert (refused.status_code, account[-1].status_code) == (429, 429)
    assert int(refused.headers["retry-after"]) >= 1
    assert "API_REQUESTS_PER_S" in refused.json()["detail"]
    assert refused.headers["x-content-type-options"] == "nosniff"
    assert {one.status_code for one in (*service, *probes)} == {200}


@pytest.mark.parametrize(("trusted", "last"), [("", 429), ("127.0.0.1", 401), ("192.0.2.0/24", 429)])
def test_forwarded_address_counts_only_from_a_configured_proxy(servers: Servers, trusted: str, last: int) -> None:
    settings = servers.settings.model_copy(update={"api_requests_per_s": 2.0, "trusted_proxies": trusted})
    with api_running(settings) as api:
        answers = [
            api.get("/metrics", headers=headers("wrong") | {"X-Forwarded-For": f"203.0.113.{number}"})
            for number in range(12)
        ]
    assert (answers[0].status_code, answers[-1].status_code) == (401, last)


def test_stranger_cannot_fill_the_memory_with_a_body(api: httpx.Client) -> None:
    body = b"x" * (limits.STRANGERS_BODY_BYTES + 1)
    assert api.post("/predict", content=body, headers=headers("wrong")).status_code == 413

    def parts():
        yield body

    assert api.post("/predict", content=parts(), headers=headers("wrong")).status_code == 413
    assert api.post("/predict", content=json.dumps({"userid": 1}), headers=headers("wrong")).status_code == 401


def test_stranger_who_does_not_finish_a_body_is_let_go(
    api: httpx.Client, monkeypatch: pytest.MonkeyPatch, servers: Servers
) -> None:
    monkeypatch.setattr(limits, "STRANGERS_BODY_S", 0.2)
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Type: application/json\r\nContent-Length: 60000\r\n"
    with socket.create_connection(("127.0.0.1", servers.settings.api_port), 20) as slow:
        slow.sendall(f"{head}\r\n{{".encode())
        answer = b"".join(iter(lambda: slow.recv(4096), b""))
    assert answer.startswith(b"HTTP/1.1 408 ")
    assert b"expected the whole body within" in answer
    token = servers.settings.semg_api_token.get_secret_value()
    with socket.create_connection(("127.0.0.1", servers.settings.api_port), 20) as known:
        known.sendall(f"{head}Authorization: Bearer {token}\r\n\r\n{{".encode())
        known.settimeout(0.6)
        with pytest.raises(TimeoutError):
            known.recv(4096)


def test_large_bodies_are_for_tokens_that_predict_and_a_few_at_once(
    api: httpx.Client, make_token, servers: Servers, monkeypatch: pytest.MonkeyPatch
) -> None:
    body = b"x" * (limits.STRANGERS_BODY_BYTES + 1)
    looking = headers(make_token("bo", "viewer", scopes=("read",)))
    assert api.post("/predict", content=body, headers=looking).status_code == 413
    predicting = headers(make_token("ada", "researcher"))
    assert api.post("/metrics", content=body, headers=predicting).status_code == 413, "nothing else has a body"
    assert api.post("/predict", content=body, headers=predicting).status_code == 422
    head = "POST /predict HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\nAuthorization: "
    begun = [
        socket.create_connection(("127.0.0.1", servers.settings.api_port), 20) for _ in range(limits.BODIES_AT_ONCE)
    ]
    try:
        for one in begun:
            one.sendall(f"{head}{predicting['Authorization']}\r\n\r\n{{".encode())
        wait_for(lambda: api.post("/predict", content=b"{", headers=predicting).status_code == 429)
        token = servers.settings.semg_api_token.get_secret_value()
        assert api.post("/predict", content=b"{", headers=headers(token)).status_code == 422, "others go on"
    finally:
        for one in begun:
            one.close()
    wait_for(lambda: api.post("/predict", content=b"{", headers=predicting).status_code == 422)


def looked_up(monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """Return the tokens that are looked up from now on."""
    found, seen = api_tokens.find_grant, []

    def find(tx, token: str):
        seen.append(token)
        return found(tx, token)

    monkeypatch.setattr(api_tokens, "find_grant", find)
    return seen


def test_token_that_nobody_has_is_a_strangers(api: httpx.Client, make_token) -> None:
    body = b"x" * (limits.STRANGERS_BODY_BYTES + 1)
    wrong, right = headers("semg_" + "x" * 43), headers(make_token("ada", "admin"))
    assert api.post("/predict", content=body, headers=wrong).status_code == 413
    assert api.post("/predict", content=body, headers=right).status_code == 422, "read, and no JSON"


def test_many_guessed_tokens_are_one_caller_and_soon_not_looked_up(
    servers: Servers, make_token, monkeypatch: pytest.MonkeyPatch
) -> None:
    settings = servers.settings.model_copy(update={"api_requests_per_s": 2.0})
    token, seen = make_token("ada", "admin"), looked_up(monkeypatch)
    with api_running(settings) as api:
        assert api.get("/metrics", headers=headers(token)).status_code == 200
        guesses = [api.get("/metrics", headers=headers(f"semg_{number}")).status_code for number in range(40)]
        assert guesses[0] == 401
        assert guesses[-5:] == [429] * 5
        assert len(seen) < 40
        assert api.get("/metrics", headers=headers(token)).status_code == 200, "it is known, and has its own bucket"


def test_account_token_is_looked_up_once_for_a_request_and_a_websocket(
    api: httpx.Client, servers: Servers, make_wearer, make_token, monkeypatch: pytest.MonkeyPatch
) -> None:
    user_id, token = make_wearer("A"), make_token("ada", "admin")
    seen = looked_up(monkeypatch)
    assert api.get("/metrics", headers=headers(token)).status_code == 200
    assert seen == [token]
    assert api.get("/metrics").status_code == 200, "the services' own"
    assert seen == [token]
    with connect_sync(
        f"ws://127.0.0.1:{servers.settings.api_port}/ws/live/{user_id}", additional_headers=headers(token)
    ):
        assert seen == [token, token]


def test_request_with_a_token_waits_for_the_database_with_a_sentence(
    api: httpx.Client, make_token, monkeypatch: pytest.MonkeyPatch
) -> None:
    def away(tx, token: str):
        raise StoreUnavailableError("away")

    token = make_token("ada", "admin")
    monkeypatch.setattr(api_tokens, "find_grant", away)
    answer = api.get("/metrics", headers=headers(token))
    assert (answer.status_code, answer.headers["retry-after"]) == (503, "2")


async def test_readiness_asks_the_database_once_a_second() -> None:
    asked, now = [], [0.0]

    class Asked(lifespan.Database):
        def _ask(self) -> None:
            asked.append(now[0])
            if len(asked) == 2:
                raise StoreUnavailableError("away")

    database = Asked(None, lambda: now[0])  # type: ignore[arg-type]
    assert await asyncio.gather(*(database.answers() for _ in range(50))) == [True] * 50
    assert asked == [0.0]
    now[0] = lifespan.ASK_AGAIN_S
    assert [await database.answers(), await database.answers()] == [False, False]
    now[0] += lifespan.ASK_AGAIN_S
    assert await database.answers()
    assert len(asked) == 3


async def test_browsers_websocket_does_not_outlive_its_login(
    servers: Servers, pool: Pool, make_wearer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "LOOK_AGAIN_S", 0.2)
    settings = servers.settings
    user_id, login = make_wearer("A"), logged_in(pool, "ada")
    shown = tokens.make_token(settings.secret_key.get_secret_value(), tokens.LIVE, str(user_id), 60, login=login)
    protocols = [tokens.SUBPROTOCOL, tokens.TOKEN_PROTOCOL_PREFIX + shown]
    with api_running(settings):
        async with connect(f"ws://127.0.0.1:{settings.api_port}/ws/live/{user_id}", subprotocols=protocols) as socket:
            assert await socket.ping()
            with pool.transaction() as tx:
                execute(tx, "UPDATE logins SET expires_at = now()")
            await socket.wait_closed()
            assert socket.close_code == live.NOT_LET_IN
