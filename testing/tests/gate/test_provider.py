"""Logging in by an identity provider: what its answers must show, and how it is asked."""

from __future__ import annotations

import socket
import threading
import time
from typing import Any

import httpx
import pytest

from semg.store import logins
from semg.store.pool import one
from testing.kits.identity_provider import Provider, settings_with
from testing.tests.gate.conftest import Door

pytestmark = pytest.mark.servers


def test_answers_of_a_provider_that_this_page_did_not_ask_are_refused(door: Door) -> None:
    """Also those of a login that another port of the host has begun, and whose address it opens here."""
    named = door.settings.model_copy(update={"oidc_metadata_url": "http://127.0.0.1:1/x", "oidc_client_id": "semg"})
    door.settings.__dict__.update(named.__dict__)
    with door.client(None, Origin=door.url) as client:
        begun = client.post("/login/provider", json={"next": "/"})
        assert (begun.status_code, "does not answer" in begun.json()["detail"]) == (401, True)
        for handle in ("", "guessed"):
            for query in ("", "?state=x&code=y", "?error=access_denied&state=x", "?state=x&state=y"):
                answer = client.post("/login/provider/finish", json={"handle": handle, "query": query})
                assert answer.status_code == 401
                assert "set-cookie" not in answer.headers
    with door.client() as client:
        page = client.get("/oauth2callback?state=x&code=y")
        assert (page.status_code, "set-cookie" in page.headers) == (200, False), "the page itself lets nobody in"


@pytest.mark.parametrize(
    ("auth_time", "is_fresh"), [(None, False), (-5 * 3600, False), (0, True), (float("nan"), False)]
)
def test_login_by_a_session_of_the_provider_is_no_fresh_proof(
    door: Door, provider: Provider, auth_time: Any, is_fresh: bool
) -> None:
    """Else whoever sits at an open browser would confirm who it is by logging out and in."""
    door.settings.__dict__.update(settings_with(door.settings, provider).__dict__)
    if auth_time is not None:
        provider.person = provider.person | {"auth_time": time.time() + auth_time}  # type: ignore[dict-item]
    with door.client(None, Origin=door.url) as client:
        begun = client.post("/login/provider", json={"next": "/"}).json()
        gone = httpx.get(begun["url"], trust_env=False)
        query = "?" + gone.headers["location"].partition("?")[2]
        done = client.post("/login/provider/finish", json={"handle": begun["handle"], "query": query})
    assert done.status_code == 200
    with door.pool.transaction() as tx:
        (login,) = logins.list_logins(tx, one(tx, "SELECT account_id FROM account_identities").account_id)
        assert login.method == "provider"
        assert logins.is_confirmed(tx, login.login_id, 600.0) == is_fresh


def test_provider_is_asked_through_the_proxy_of_the_environment(door: Door, monkeypatch: pytest.MonkeyPatch) -> None:
    """It alone lies outside: where everything goes through a proxy, a login by it must, too."""
    settings = {"oidc_metadata_url": "http://id.example/.well-known/openid-configuration", "oidc_client_id": "semg"}
    door.settings.__dict__.update(settings)
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        proxy.settimeout(20)
        for name in ("http_proxy", "HTTP_PROXY"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.getsockname()[1]}")
        asked: list[bytes] = []

        def answer() -> None:
            sending, _ = proxy.accept()
            with sending:
                asked.append(sending.recv(4096))
                sending.sendall(b"HTTP/1.1 502 Bad Gateway\r\nContent-Length: 0\r\n\r\n")

        proxying = threading.Thread(target=answer)
        proxying.start()
        with door.client(None, Origin=door.url) as client:
            assert client.post("/login/provider", json={"next": "/"}).status_code == 401
        proxying.join(20)
    assert asked[0].startswith(b"GET http://id.example/.well-known/openid-configuration HTTP/1.1\r\n")


def test_without_a_provider_there_is_no_way_to_one(door: Door) -> None:
    with door.client(None, Origin=door.url) as client:
        assert "Log in with" not in client.get("/login").text
        assert "No provider" in client.post("/login/provider", json={}).json()["detail"]
