"""A small OpenID Connect provider of the tests' own."""

from __future__ import annotations

import base64
import hashlib
import json
import secrets
import threading
import time
from collections.abc import Iterator
from urllib.parse import urlencode

import jwt
import pytest
import uvicorn
from cryptography.hazmat.primitives.asymmetric import rsa
from fastapi import FastAPI, Form, Request
from fastapi.responses import JSONResponse, RedirectResponse
from pydantic import SecretStr

from semg.platform.servers import embedded
from semg.settings import Settings
from testing.kits.live_helpers import wait_for

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


def settings_with(settings: Settings, provider: Provider) -> Settings:
    """Settings of an app that logs people in by the provider."""
    return settings.model_copy(
        update={
            "oidc_metadata_url": f"{provider.issuer}/.well-known/openid-configuration",
            "oidc_client_id": CLIENT_ID,
            "oidc_client_secret": SecretStr(CLIENT_SECRET),
            "oidc_name": "Lab",
        }
    )
