"""Who reaches Streamlit: with a login, at an address of the app, from a page of exactly that origin."""

from __future__ import annotations

import json
from contextlib import ExitStack
from dataclasses import replace

import httpx
import pytest
from streamlit.proto.BackMsg_pb2 import BackMsg
from websockets.exceptions import InvalidStatus
from websockets.sync.client import connect

from gate import page_messages, page_runs, sockets, uploads
from gate.sockets import SESSIONS
from semg.security.login import NewLogin, end_login
from semg.security.rate_limit import RateLimiter
from semg.security.tokens import Login
from semg.store import accounts
from semg.store.pool import execute, one
from testing.kits.live_helpers import wait_for
from testing.kits.new_logins import new_login
from testing.tests.gate.conftest import LOGIN, PASSWORD, Door

pytestmark = pytest.mark.servers


def _click() -> bytes:
    message = BackMsg()
    message.rerun_script.query_string = ""
    return message.SerializeToString()


CLICK = _click()
"""What a page sends when its person does something."""


def stream(door: Door, login: NewLogin | None, *, origin: str | None = None, session: str = "", **more: str):
    """Open the page's WebSocket as the app's own page would."""
    protocols = ["streamlit", "xsrf", *([session] if session else [])]
    headers = dict(more)
    if login is not None:
        headers["Cookie"] = f"semg_login={login.token}"
        protocols.append(f"semg.binding.{login.binding}")
    return connect(
        f"{door.url.replace('http', 'ws')}/_stcore/stream",
        origin=origin or door.url,
        subprotocols=protocols,
        additional_headers=headers,
    )


def another_account(door: Door) -> int:
    with door.pool.transaction() as tx:
        return accounts.insert_account(tx, "grace", "", "viewer")


def is_refused(door: Door, *args, **kwargs) -> bool:
    before = len(door.inner.seen)
    try:
        with stream(door, *args, **kwargs):
            return False
    except InvalidStatus as refused:
        assert refused.response.status_code == 403
    return len(door.inner.seen) == before


def test_page_without_a_login_goes_to_the_form_and_nothing_reaches_streamlit(door: Door) -> None:
    with door.client() as client:
        answer = client.get("/User_Management?profile=3")
        assert (answer.status_code, answer.headers["location"]) == (303, "/login?next=%2FUser_Management%3Fprofile%3D3")
        for path in ("/media/x.csv", "/_stcore/host-config", "/_stcore/bidi-components/x"):
            assert client.get(path).status_code == 401, path
        assert client.put("/_stcore/upload_file/a/b", content=b"x", headers={"Origin": door.url}).status_code == 403
    assert is_refused(door, None)
    assert door.inner.seen == []


def test_login_opens_pages_with_the_document_of_the_app(door: Door) -> None:
    with door.client(door.login()) as client:
        page = client.get("/")
        assert page.text.index("/gate/binding.js") < page.text.index("static/js/index")
        policy = page.headers["content-security-policy"]
        assert f"img-src 'self' data: blob: {door.settings.api_url};" in policy, "and the API's pictures"
        assert "unsafe-eval" not in policy
        assert "script-src 'self' blob: 'sha256-" in policy
        assert client.get("/_stcore/host-config").text == "inner"
        assert client.get("/static/js/index.js").text == "inner"
        assert client.get("/static/js/index.js").headers["x-content-type-options"] == "nosniff"


@pytest.mark.parametrize(
    "path",
    [
        "/_stcore/metrics", "/_stcore/agent/mcp", "/_stcore/agent/openapi.json", "/_stcore/script-health-check",
        "/auth/login", "/app/static/x", "/component/a/b.html", "/nothing", "/User_Management/_stcore/health",
        "//evil.example/x",
    ],
)  # fmt: skip
def test_what_pages_do_not_need_is_not_there(door: Door, path: str) -> None:
    with door.client(door.login()) as client:
        assert client.get(door.url + path).status_code == 404
    assert door.inner.seen == []


@pytest.mark.parametrize("host", ["evil.example", "127.0.0.1:1", "127.0.0.1", "localhost.evil.example", ""])
def test_other_hosts_are_not_served(door: Door, host: str) -> None:
    with door.client(door.login(), Host=host) as client:
        assert client.get("/").status_code == 421
        assert client.get("/login").status_code == 421
    assert door.inner.seen == []


def test_name_of_loopback_is_an_address_of_the_app(door: Door) -> None:
    login = door.login()
    there = replace(door, url=door.url.replace("127.0.0.1", "localhost"))
    with there.client(login) as client:
        assert client.get("/").status_code == 200
    with stream(there, login):
        pass
    assert is_refused(there, login, origin=door.url), "its pages have another origin"


@pytest.mark.parametrize(
    "origin", ["http://127.0.0.1:1", "http://127.0.0.1", "https://127.0.0.1:{port}", "http://evil.example", "null", ""]
)
def test_websocket_and_changes_from_another_origin_are_refused(door: Door, origin: str) -> None:
    login, said = door.login(), origin.format(port=door.settings.streamlit_port)
    if said:
        assert is_refused(door, login, origin=said)
    with door.client(login) as client:
        for method, path in (("POST", "/login"), ("PUT", "/_stcore/upload_file/a/b"), ("POST", "/login/confirm")):
            headers = {"Origin": said} if said else {}
            answer = client.request(method, path, headers=headers, json={"login": LOGIN, "password": PASSWORD})
            assert answer.status_code == 403
            assert "another origin" in answer.text
        if said:
            assert client.get("/", headers={"Origin": said}).status_code == 403
    assert door.inner.seen == []


def test_page_of_another_port_may_link_here_but_load_nothing(door: Door) -> None:
    with door.client(door.login()) as client:
        inside = {"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "no-cors"}
        assert client.get("/media/x.png", headers=inside).status_code == 403
        assert client.get("/", headers={"Sec-Fetch-Site": "same-site", "Sec-Fetch-Mode": "navigate"}).status_code == 200
        assert client.get("/").headers["x-frame-options"] == "SAMEORIGIN"
        assert "frame-ancestors 'self'" in client.get("/").headers["content-security-policy"]


def test_cookie_alone_opens_no_websocket(door: Door) -> None:
    """What another port of this host is sent by the browser is the cookie, and no more."""
    login, other = door.login(), door.login()
    stolen = NewLogin(login.login, login.token, "none")
    assert is_refused(door, stolen)
    assert is_refused(door, NewLogin(login.login, login.token, other.binding)), "the binding of another login"
    assert is_refused(door, NewLogin(login.login, "none", login.binding)), "the binding alone"
    with stream(door, login):
        pass
    with door.client(stolen) as client:
        assert client.get("/login/state").status_code == 401
        answer = client.post("/login/factors/list", json={}, headers={"Origin": door.url})
        assert (answer.status_code, "ended" in answer.text) == (401, True)


def test_streamlit_sees_the_login_and_not_its_secrets(door: Door) -> None:
    login = door.login()
    with stream(door, login, **{"X-Semg-Login": "1", "X-SEMG-LOGIN": "2"}) as socket:
        assert socket.subprotocol == "streamlit"
    (scope,) = door.inner.seen
    headers = [(name.decode(), value.decode()) for name, value in scope["headers"]]
    assert [value for name, value in headers if name.lower() == "x-semg-login"] == [str(login.login.login_id)]
    assert scope["subprotocols"] == ["streamlit", "xsrf"]
    assert dict(headers)["sec-websocket-protocol"] == "streamlit, xsrf"
    assert login.binding not in str(headers)


def test_session_is_resumed_in_the_login_that_it_ran_in_only(door: Door) -> None:
    ada, eve = door.login(), door.login()
    SESSIONS.let("session-of-ada", ada.login)
    for login, session in ((ada, "session-of-ada"), (eve, "session-of-ada"), (ada, "of-nobody")):
        with stream(door, login, session=session):
            pass
    assert [scope["subprotocols"][2:] for scope in door.inner.seen] == [["session-of-ada"], [], []]


def test_page_is_closed_when_its_login_ends(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "LOOK_AGAIN_S", 0.1)
    here, elsewhere = door.login(), door.login()
    with stream(door, here) as first, stream(door, elsewhere) as second:
        first.send(CLICK)
        assert first.recv(10) == "heard"
        SESSIONS.end(here.login.login_id)  # by this process, at once
        with pytest.raises(Exception, match="4401"):
            first.recv(10)
        second.send(CLICK)
        assert second.recv(10) == "heard"
        with door.pool.transaction() as tx:  # by another process
            end_login(tx, elsewhere.login)
        with pytest.raises(Exception, match="4401"):
            second.recv(10)
    wait_for(lambda: [one.get("code") for one in door.inner.messages if "code" in one] == [sockets.ENDED] * 2)


def test_account_has_a_bounded_number_of_pages(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MAX_OPEN", 1)
    login, other = door.login(), new_login(door.pool, another_account(door))
    with stream(door, login):
        assert is_refused(door, login)
        assert is_refused(door, door.login()), "another login of the same account"
        with stream(door, other):
            pass
    wait_for(lambda: not is_refused(door, login))


def test_pages_of_an_account_run_few_at_a_time_and_hold_up_nobody_else(door: Door) -> None:
    """Streamlit stands behind a page here that says nothing of its run, so that it goes on."""
    logins_of_one = [door.login() for _ in range(2)]
    other = new_login(door.pool, another_account(door))
    with ExitStack() as opened:
        pages = [opened.enter_context(stream(door, logins_of_one[n % 2])) for n in range(page_runs.RUNS_AT_ONCE + 2)]
        for page in pages:
            page.send(CLICK)
        wait_for(lambda: len(door.inner.messages) == page_runs.RUNS_AT_ONCE)
        elsewhere = opened.enter_context(stream(door, other))
        for _ in range(5):
            elsewhere.send(CLICK)
            assert elsewhere.recv(10) == "heard"
        assert len(door.inner.messages) == page_runs.RUNS_AT_ONCE + 5, "the others wait"
        for login in logins_of_one:
            SESSIONS.end(login.login.login_id)
        wait_for(lambda: [one.get("code") for one in door.inner.messages].count(sockets.ENDED) == len(pages))


def test_page_whose_message_holds_too_much_is_not_passed_on(door: Door) -> None:
    message = BackMsg()
    for number in range(page_messages.MAX_WIDGETS + 1):
        message.rerun_script.widget_states.widgets.add(id=str(number))
    with stream(door, door.login()) as socket:
        socket.send(message.SerializeToString())
        socket.send(CLICK)
        assert socket.recv(10) == "heard"
    assert [one["bytes"] for one in door.inner.messages if one.get("bytes")] == [CLICK]


def test_what_a_person_does_keeps_the_login_from_idling_and_a_redraw_does_not(
    door: Door, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sockets, "SEEN_EVERY_S", 0.0)
    login = door.login()

    def idle_at():
        with door.pool.transaction() as tx:
            return one(tx, "SELECT idle_at FROM logins WHERE login_id = %s", (login.login.login_id,)).idle_at

    before = idle_at()
    redraw = BackMsg()
    redraw.rerun_script.is_auto_rerun = True
    with stream(door, login) as socket:
        socket.send(redraw.SerializeToString())
        assert socket.recv(10) == "heard"
        assert idle_at() == before
        socket.send(CLICK)
        assert socket.recv(10) == "heard"
        wait_for(lambda: idle_at() > before)


def test_page_sends_what_pages_send_and_nothing_else(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """Streamlit would empty the caches of everybody, or install files, for whoever has a page open."""
    monkeypatch.setattr(sockets, "MAX_DROPPED", 6)
    cache, install, chunk, stop = BackMsg(), BackMsg(), BackMsg(), BackMsg()
    cache.clear_cache = True
    install.backend_operation_request.install_skills.SetInParent()
    chunk.backend_operation_request.dataframe_chunk.SetInParent()
    stop.stop_script = True
    with stream(door, door.login()) as socket:
        for dropped in (cache.SerializeToString(), install.SerializeToString(), b"\xff\xff", "text"):
            socket.send(dropped)
        for passed in (chunk, stop):
            socket.send(passed.SerializeToString())
            assert socket.recv(10) == "heard"
        seen = [BackMsg.FromString(one["bytes"]).WhichOneof("type") for one in door.inner.messages if "bytes" in one]
        assert seen == ["backend_operation_request", "stop_script"]
        for _ in range(3):
            socket.send("text")
        with pytest.raises(Exception, match="1008"):
            socket.recv(10)


def test_two_cookies_of_the_name_are_none(door: Door) -> None:
    login, other = door.login(), door.login()
    for shown in (f"semg_login={other.token}; semg_login={login.token}", f"semg_login={login.token}; semg_login="):
        with door.client(None, Cookie=shown) as client:
            assert client.get("/").status_code == 303
    with door.client(None, Cookie=f"other=1; semg_login={login.token}; x=y") as client:
        assert client.get("/").status_code == 200


def test_cookie_of_https_is_host_bound(door: Door) -> None:
    public = door.settings.model_copy(update={"public_app_url": "https://emg.lab.example"})
    door.settings.__dict__.update(public.__dict__)
    headers = {"Host": "emg.lab.example", "Origin": "https://emg.lab.example"}
    with door.client(None, **headers) as client:
        made = client.post("/login", json={"login": LOGIN, "password": PASSWORD})
        assert made.status_code == 200
        cookie = made.headers["set-cookie"]
        token = cookie.partition("=")[2].partition(";")[0]
        assert client.get("/", headers={"Cookie": f"__Host-semg_login={token}"}).status_code == 200
        assert client.get("/", headers={"Cookie": f"semg_login={token}"}).status_code == 303
    assert cookie.startswith("__Host-semg_login=")
    said = {part.strip().lower() for part in cookie.split(";")[1:]}
    assert {"secure", "httponly", "samesite=strict", "path=/"} <= said
    assert not any(part.startswith("domain") for part in said)


def test_database_that_is_away_lets_nobody_in(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    from semg.errors import StoreUnavailableError
    from semg.store import logins

    def away(*args: object) -> None:
        raise StoreUnavailableError("away")

    login = door.login()
    monkeypatch.setattr(logins, "find_by_secrets", away)
    with door.client(login) as client:
        assert client.get("/").status_code == 503
        assert client.get("/_stcore/health").status_code == 200
    assert is_refused(door, login)


def test_requests_of_one_address_are_bounded(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(door.gate, "_rates", RateLimiter(5.0, lambda: 0.0, burst_s=2.0))
    with door.client() as client:
        codes = [client.get("/nothing").status_code for _ in range(12)]
        assert client.get("/_stcore/health").status_code == 200
    assert codes == [404] * 10 + [429] * 2


# Uploads


def upload(door: Door, login: NewLogin | None, session_id: str, **headers: str) -> httpx.Response:
    with door.client(login, Origin=door.url, **headers) as client:
        return client.put(f"{uploads.PATH}{SESSIONS.alias(session_id)}/file-1", content=b"x")


def test_file_goes_to_a_page_of_the_login_that_sends_it(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(uploads, "HELD", uploads.Held())
    monkeypatch.setattr(uploads.st, "get_option", lambda name: 64)
    ada, eve = door.login(), door.login()
    SESSIONS.let("page-of-ada", ada.login)
    assert upload(door, ada, "page-of-ada").status_code == 404, "the page was given no such address"
    uploads.HELD.give("page-of-ada", ["file-1"])
    assert upload(door, ada, "page-of-ada").status_code == 200
    assert door.inner.paths == [f"{uploads.PATH}page-of-ada/file-1"], "Streamlit gets the page's own id"
    assert upload(door, eve, "page-of-ada").status_code == 403
    assert upload(door, NewLogin(ada.login, ada.token, "none"), "page-of-ada").status_code == 403
    assert upload(door, None, "page-of-ada").status_code == 403
    with door.client(ada, Origin=door.url) as client:
        assert client.put(f"{uploads.PATH}page-of-ada/file-1", content=b"x").status_code == 403, "its id is no alias"
    with door.pool.transaction() as tx:
        end_login(tx, ada.login)
    assert upload(door, ada, "page-of-ada").status_code == 403
    assert len(door.inner.seen) == 1


def test_sessions_are_forgotten_before_they_fill_the_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sockets, "MAX_SESSIONS", 4)
    monkeypatch.setattr(sockets, "MAX_SESSIONS_EACH", 3)
    kept = sockets.Sessions()
    kept.let("kept", Login(1, 1))
    for number in range(10):
        kept.let(str(number), Login(2, number))
    assert kept.find("kept") == Login(1, 1), "whoever opens many pages forgets its own"
    assert kept.find_by_alias(kept.alias("kept")) == "kept"
    assert [kept.find(str(number)) is None for number in range(10)] == [True] * 7 + [False] * 3
    assert kept.find_by_alias(kept.alias("1")) is None
    kept.let("7", Login(2, 7))  # runs again
    kept.let("more", Login(3, 3))
    assert [kept.find(name) is None for name in ("kept", "7", "8", "9", "more")] == [False, False, True, False, False]
    kept.let("9", Login(1, 2))
    kept.refuse("kept")
    assert (kept.find("kept"), kept.find_by_alias(kept.alias("kept")), kept.find("9")) == (None, None, Login(1, 2))


def test_disabled_account_passes_no_more(door: Door) -> None:
    login = door.login()
    with door.pool.transaction() as tx:
        accounts.insert_account(tx, "another", "", "admin")
        execute(tx, "UPDATE accounts SET disabled_at = now() WHERE login = %s", (LOGIN,))
    with door.client(login) as client:
        assert client.get("/").status_code == 303
    assert is_refused(door, login)
    assert json.dumps(door.inner.paths) == "[]"
    assert new_login(door.pool, door.account_id).login.account_id == door.account_id


def test_whoever_connects_cannot_choose_its_address_by_an_endless_header(door: Door) -> None:
    door.settings.__dict__["trusted_proxies"] = "127.0.0.1"
    for header in ("x," * 2100 + "203.0.113.9", "203.0.113.9" + " " * 4100 + ",x", "127.0.0.1," * 16 + "203.0.113.9"):
        with door.client(None, **{"X-Forwarded-For": header}) as client:
            assert client.get("/login").status_code == 431
    with door.client(None, **{"X-Forwarded-For": "203.0.113.9"}) as client:
        assert client.get("/login").status_code == 200


@pytest.mark.parametrize(
    ("method", "path", "status"),
    [("GET", "/login/x", 404), ("GET", "/loginfoo", 404), ("GET", "/gate/..%2fapp.py", 404), ("GET", "/gate/x/y", 404),
     ("POST", "/login/state", 405), ("PUT", "/login", 405), ("GET", "/oauth2callback/x", 404), ("GET", "/gate/", 404)],
)  # fmt: skip
def test_what_the_gate_has_not_is_refused_without_a_traceback(
    door: Door, caplog: pytest.LogCaptureFixture, method: str, path: str, status: int
) -> None:
    with door.client(None, Origin=door.url) as client:
        answer = client.request(method, path)
    assert answer.status_code == status
    assert answer.headers["x-content-type-options"] == "nosniff"
    assert not [one for one in caplog.records if one.exc_info]


@pytest.mark.parametrize("method", ["TRACE", "OPTIONS", "PATCH", "DELETE", "POST"])
def test_pages_are_read_only(door: Door, method: str) -> None:
    with door.client(door.login(), Origin=door.url) as client:
        assert client.request(method, "/").status_code == 405
        assert client.request(method, "/media/x").status_code == 405
    assert door.inner.seen == []
