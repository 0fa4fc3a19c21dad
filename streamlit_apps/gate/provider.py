"""Logging in by an OpenID Connect provider, beside passwords (Authlib; code flow with PKCE).

What the provider's answer must fit stays on the server, under a handle that the page keeps in its origin's storage
while the browser is away: a cookie would be shared with every port of the host, and a page there could slip in an
answer to a login of its own. The provider sends the browser back to a page that shows the handle in its request.
"""

from __future__ import annotations

import json
import logging
import time
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import parse_qs

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from gate import documents
from gate.answers import answered
from gate.entering import let_in, next_page, note_confirmed
from gate.requests import Visit, body_of, bound_login, text_of, visit_of
from gate.steps import Flows, Step
from gate.turns import Turns
from semg.errors import LoginError
from semg.settings import Settings
from semg.store import accounts, identities
from semg.store.accounts import Account
from semg.store.audit import Actor, record

logger = logging.getLogger(__name__)

PATH = "/oauth2callback"
FRESH_S = 300.0
"""Who proves again who it is, does it at the provider, not longer ago than this."""
REFUSED = "The provider did not let you in, or does not answer. Try again."
SOMEBODY_ELSE = "The provider identifies you as someone other than the person logged in here."
_FAILURES = (httpx.HTTPError, AuthlibBaseError, JoseError, ValueError, RuntimeError, TypeError, KeyError)
"""What asking a provider, and reading what it says, may raise."""


@dataclass(frozen=True, slots=True)
class _Expected:
    """What the provider's answer must fit, and what for it was asked."""

    state: str
    nonce: str
    code_verifier: str
    confirms: bool
    next: str


def routes(flows: Flows, turns: Turns, pages: frozenset[str]) -> list[Route]:
    """Return the routes to the provider and back."""
    made = _Provider(flows, turns, pages)
    return [
        Route("/login/provider", answered(made.leave), methods=["POST"]),
        Route(PATH, made.come_back, methods=["GET"]),
        Route("/login/provider/finish", answered(made.finish), methods=["POST"]),
    ]


class _Provider:
    def __init__(self, flows: Flows, turns: Turns, pages: frozenset[str]) -> None:
        self._steps, self._turns, self._pages = flows.of_strangers, turns, pages
        self._client: tuple[tuple[str, str], Any] | None = None

    def _of(self, settings: Settings) -> Any:
        if not settings.oidc_metadata_url:
            raise LoginError("No provider is set up here.")
        wanted = (settings.oidc_metadata_url, settings.oidc_client_id)
        if self._client is None or self._client[0] != wanted:
            client = OAuth().register(
                "provider",
                client_id=settings.oidc_client_id,
                client_secret=settings.oidc_client_secret.get_secret_value(),
                server_metadata_url=settings.oidc_metadata_url,
                client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256"},
            )
            self._client = (wanted, client)
        return self._client[1]

    async def leave(self, request: Request) -> Response:
        """Return the provider's address to go to, and the handle to keep meanwhile."""
        body, visit = await body_of(request), visit_of(request)
        self._turns.start(visit.key)
        client, confirms = self._of(visit.settings), body.get("confirms") is True
        asked = {"prompt": "login", "max_age": 0} if confirms else {}
        try:
            made = await client.create_authorization_url(visit.address.origin + PATH, **asked)
        except _FAILURES as exc:
            logger.warning("the provider cannot be asked: %s", exc)
            raise LoginError(REFUSED) from exc
        expected = {
            "state": made["state"],
            "nonce": made["nonce"],
            "code_verifier": made["code_verifier"],
            "confirms": confirms,
            "next": next_page(text_of(body, "next"), self._pages),
        }
        step = Step("provider", visit.address.origin, secret=json.dumps(expected).encode())
        return JSONResponse({"handle": self._steps.begin(step), "url": made["url"]})

    async def come_back(self, _: Request) -> Response:
        """Show the page that finishes the login; it reads the provider's answer from its address."""
        return documents.form_response("arrived.html", {})

    async def finish(self, request: Request) -> Response:
        """Let in whom the provider names, or note that it is still the same person."""
        body, visit = await body_of(request), visit_of(request)
        step = self._steps.take(text_of(body, "handle"), "provider", visit.address.origin)
        expected = _Expected(**json.loads(step.secret))
        said = await self._claims(visit, parse_qs(text_of(body, "query").lstrip("?")), expected)
        name = str(said.get("preferred_username") or said.get("email") or said["sub"])
        account = await visit.in_thread(
            _account_of, visit, str(said["iss"]), str(said["sub"]), None if expected.confirms else name
        )
        if account is None:
            raise LoginError(SOMEBODY_ELSE)
        if account.disabled_at is not None:
            raise LoginError("Your account is disabled. Ask an admin.")
        if not expected.confirms:
            return await let_in(request, account, "provider", is_proof=_was_just_asked(said), next=expected.next)
        login = await bound_login(request)
        if login is None or login.account_id != account.account_id:
            raise LoginError(SOMEBODY_ELSE)
        if not _was_just_asked(said):
            raise LoginError("The provider did not ask you again who you are. Try again, or ask an admin.")
        await visit.in_thread(note_confirmed, visit.pool, account, login.login_id)
        return JSONResponse({"next": expected.next})

    async def _claims(self, visit: Visit, query: Mapping[str, list[str]], expected: _Expected) -> dict[str, Any]:
        """Return what the provider says of who has logged in there, once it fits what was asked.

        Raises
        ------
        LoginError
            It does not, or the provider refuses.
        """
        if query.get("state") != [expected.state] or len(query.get("code", [])) != 1:
            raise LoginError(REFUSED)
        client = self._of(visit.settings)
        try:
            token = await client.fetch_access_token(
                redirect_uri=visit.address.origin + PATH, code=query["code"][0], code_verifier=expected.code_verifier
            )
            said = dict(await client.parse_id_token(token, nonce=expected.nonce))
        except _FAILURES as exc:
            logger.warning("a login by the provider failed: %s", exc)
            raise LoginError(REFUSED) from exc
        if not said.get("iss") or not said.get("sub"):
            raise LoginError(REFUSED)
        return said


def _was_just_asked(said: Mapping[str, Any]) -> bool:
    """Return whether the provider says that it has just asked the person, and not gone by a session of its own."""
    asked_at = said.get("auth_time")
    return isinstance(asked_at, int | float) and time.time() - asked_at <= FRESH_S


def _account_of(visit: Visit, issuer: str, subject: str, name: str | None) -> Account | None:
    """Return the account of an identity; one that has none gets one with this name, or without a name None."""
    with visit.pool.transaction() as tx:
        account = identities.find_account(tx, issuer, subject)
        if account is None and name is not None:
            account = identities.insert_account(tx, issuer, subject, name)
            made = {"account": account.account_id, "role": accounts.ROLES.index(account.role)}
            record(tx, Actor(account.login), "account.created", **made)
        return account
