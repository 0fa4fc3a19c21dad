"""Logging in by an OpenID Connect provider: a small one of the tests' own, and the real app in a real browser."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlencode

import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse
from playwright.sync_api import Page, expect
from pydantic import SecretStr

from semg.platform.servers import embedded
from semg.settings import Settings
from semg.store import access, accounts, identities, profiles
from semg.store.pool import Pool, one
from testing.kits.live_helpers import wait_for
from testing.running_system import running

pytestmark = [pytest.mark.browser, pytest.mark.servers]
CLIENT_ID, CLIENT_SECRET = "semg", "client-secret"


class Provider:
    """Lets everybody in as the person that stands in ``person``, and signs what it says with a key of its own."""

    def __init__(self, port: int) -> None:
        self.issuer = f"http://127.0.0.1:{port}"
        self.person = {"sub": "subject-1", "preferred_username": "ada", "email": "ada@lab.example"}
        self.asked: list[dict[str, str]] = []
        self._key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
        self._codes: dict[str, dict[str, str]] = {}
        self.app = FastAPI()
        self.app.get("/.well-known/openid-configuration")(self._metadata)
        self.app.get("/authorize")(self._authorize)
        self.app.post("/token")(self._token)
        self.app.get("/jwks")(self._jwks)

    async def _metadata(self) -> dict[str, object]:
        return {
            "issuer": self.issuer,
            "authorization_endpoint": f"{self.issuer}/authorize",
            "token_endpoint": f"{self.issuer}/token",
            "jwks_uri": f"{self.issuer}/jwks",
            "response_types_supported": ["code"],
            "subject_types_supported": ["public"],
            "id_token_signing_alg_values_supported": ["RS256"],
        }

    async def _authorize(self, request: Request) -> RedirectResponse:
        asked = dict(request.query_params)
        self.asked.append(asked)
        code = secrets.token_urlsafe(16)
        self._codes[code] = asked
        return RedirectResponse(f"{asked['redirect_uri']}?{urlencode({'code': code, 'state': asked['state']})}")

    async def _token(
        self, request: Request, code: str = Form(), redirect_uri: str = Form(), code_verifier: str = Form("")
    ) -> JSONResponse:
        expected = "Basic " + base64.b64encode(f"{CLIENT_ID}:{CLIENT_SECRET}".encode()).decode()
        asked = self._codes.pop(code, None)
        if asked is None or request.headers.get("authorization") != expected or asked["redirect_uri"] != redirect_uri:
            return JSONResponse({"error": "invalid_grant"}, 400)
        if "code_challenge" in asked:
            digest = hashlib.sha256(code_verifier.encode()).digest()
            assert base64.urlsafe_b64encode(digest).rstrip(b"=").decode() == asked["code_challenge"]
        now = int(time.time())
        said = {"iss": self.issuer, "aud": CLIENT_ID, "iat": now, "exp": now + 300, **self.person}
        if "nonce" in asked:
            said["nonce"] = asked["nonce"]
        token = jwt.encode(said, self._key, "RS256", {"kid": "1"})
        return JSONResponse({"access_token": "x", "token_type": "Bearer", "expires_in": 300, "id_token": token})

    async def _jwks(self) -> dict[str, object]:
        key = json.loads(jwt.algorithms.RSAAlgorithm.to_jwk(self._key.public_key()))
        return {"keys": [{**key, "kid": "1", "use": "sig", "alg": "RS256"}]}


@pytest.fixture
def provider() -> Iterator[Provider]:
    port = embedded.free_port()
    made = Provider(port)
    server = uvicorn.Server(uvicorn.Config(made.app, "127.0.0.1", port, log_level="warning"))
    thread = threading.Thread(target=server.run)
    thread.start()
    wait_for(lambda: server.started)
    yield made
    server.should_exit = True
    thread.join(20)


@pytest.fixture
def with_provider(live_settings: Settings, provider: Provider) -> Settings:
    return live_settings.model_copy(
        update={
            "oidc_metadata_url": f"{provider.issuer}/.well-known/openid-configuration",
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(CLIENT_SECRET),
            "oidc_name": "Lab",
        }
    )


def test_person_of_the_provider_is_a_viewer_until_an_admin_says_more(
    page: Page, with_provider: Settings, provider: Provider, pool: Pool, tmp_path: Path
) -> None:
    with pool.transaction() as tx:
        accounts.insert_account(tx, "ada", "", "admin")  # of the same name, and somebody else
        user_id = profiles.insert_profile(tx, "Shared Bo", channels=("a0",), rate_hz=200)
    with running(with_provider, tmp_path, ("streamlit",)):
        page.goto(with_provider.app_url)
        page.get_by_role("button", name="Log in with Lab").click()
        expect(page.get_by_text("Logged in as ada-2").first).to_be_visible()
        assert provider.asked[0]["client_id"] == CLIENT_ID
        with pool.transaction() as tx:
            account = identities.find_account(tx, provider.issuer, "subject-1")
            assert account is not None
            assert (account.login, account.role) == ("ada-2", "viewer")
            assert access.list_visible(tx, account) == []
            access.set_shares(tx, user_id, [account.account_id])
            accounts.update_account(tx, account.account_id, role="researcher", disabled=False)
        page.reload()
        page.get_by_role("link", name="Profiles").click()
        expect(page.get_by_role("tab", name="New profile")).to_be_visible()

        # The subject says who it is; the name may change.
        provider.person = {**provider.person, "preferred_username": "renamed"}
        page.get_by_role("button", name="Log out").click()
        page.get_by_role("button", name="Log in with Lab").click()
        expect(page.get_by_text("Logged in as ada-2").first).to_be_visible()

        with pool.transaction() as tx:
            accounts.update_account(tx, account.account_id, role="researcher", disabled=True)
        page.reload()
        page.get_by_role("button", name="Log in with Lab").click()
        expect(page.get_by_text("Your account is disabled")).to_be_visible()
        with pool.transaction() as tx:
            assert one(tx, "SELECT count(*) AS n FROM account_identities").n == 1
