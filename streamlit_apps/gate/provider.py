"""Logging in by an OpenID Connect provider, as an option beside passwords (Authlib; code flow with PKCE)."""

from __future__ import annotations

import asyncio
import logging
import time
from collections import OrderedDict
from typing import Any
from urllib.parse import quote

import httpx
from authlib.common.errors import AuthlibBaseError
from authlib.integrations.starlette_client import OAuth
from joserfc.errors import JoseError
from starlette.middleware import Middleware
from starlette.middleware.sessions import SessionMiddleware
from starlette.requests import Request
from starlette.responses import RedirectResponse, Response
from starlette.routing import Route
from starlette.types import ASGIApp, Receive, Scope, Send

from gate import documents
from gate.entering import next_page, note_confirmed, open_here
from gate.requests import Visit, find_login, keep_cookie, visit_of
from gate.turns import TOO_MANY, Turns
from semg.errors import LoginError
from semg.security.keys import derive, ring_of
from semg.settings import Settings
from semg.store import accounts, identities
from semg.store.accounts import Account
from semg.store.audit import Actor, record

logger = logging.getLogger(__name__)

PATH = "/oauth2callback"
FLOW_S = 600.0
MAX_FLOWS = 1000
FRESH_S = 300.0
"""Who proves again who it is, does it at the provider, not longer ago than this."""
PROBLEMS = {
    "provider": "The provider did not let you in, or took too long. Try again.",
    "busy": TOO_MANY,
    "disabled": "Your account is disabled. Ask an admin.",
    "not-fresh": "The provider did not ask you again who you are. Try again, or ask an admin.",
    "other": "The provider knows you as somebody else. Log out first.",
}


class _Flows:
    """Keeps what belongs to a login under way on the server; its cookie only says that this browser began it."""

    def __init__(self) -> None:
        self._kept: OrderedDict[str, tuple[str, float]] = OrderedDict()

    async def get(self, key: str) -> str | None:
        value, until = self._kept.get(key, (None, 0.0))
        return value if time.monotonic() < until else None

    async def set(self, key: str, value: str, expires: int | None = None) -> None:
        self._kept[key] = (value, time.monotonic() + FLOW_S)
        if len(self._kept) > MAX_FLOWS:
            self._kept.popitem(last=False)

    async def delete(self, key: str) -> None:
        self._kept.pop(key, None)


class _FlowCookie:
    """Starlette's signed cookie, made when a request comes: its key and its address are not known before."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        visit: Visit = visit_of(Request(scope))
        secure = visit.address.is_secure
        inner = SessionMiddleware(
            self._app,
            secret_key=_cookie_key(visit.settings),
            session_cookie="__Host-semg_provider" if secure else "semg_provider",
            max_age=int(FLOW_S),
            same_site="lax",  # the provider sends the browser back
            https_only=secure,
        )
        await inner(scope, receive, send)


def routes(turns: Turns, pages: frozenset[str]) -> list[Route]:
    """Return the routes to the provider and back."""
    made = _Provider(turns, pages)
    cookie = [Middleware(_FlowCookie)]
    return [
        Route("/login/provider", made.leave, methods=["GET"], middleware=cookie),
        Route(PATH, made.come_back, methods=["GET"], middleware=cookie),
    ]


class _Provider:
    def __init__(self, turns: Turns, pages: frozenset[str]) -> None:
        self._turns, self._pages = turns, pages
        self._flows = _Flows()
        self._client: tuple[tuple[str, str], Any] | None = None

    def _of(self, settings: Settings) -> Any:
        wanted = (settings.oidc_metadata_url, settings.oidc_client_id)
        if self._client is None or self._client[0] != wanted:
            client = OAuth(cache=self._flows).register(
                "provider",
                client_id=settings.oidc_client_id,
                client_secret=settings.oidc_client_secret.get_secret_value(),
                server_metadata_url=settings.oidc_metadata_url,
                client_kwargs={"scope": "openid profile email", "code_challenge_method": "S256", "trust_env": False},
            )
            self._client = (wanted, client)
        return self._client[1]

    async def leave(self, request: Request) -> Response:
        """Send the browser to the provider."""
        visit = visit_of(request)
        if not visit.settings.oidc_metadata_url:
            return _back("provider")
        try:
            self._turns.start(visit.client)
        except LoginError:
            return _back("busy")
        confirms = request.query_params.get("confirm") == "1"
        request.session["confirms"] = confirms
        request.session["next"] = request.query_params.get("next", "/")[:500]
        asked = {"prompt": "login", "max_age": 0} if confirms else {}
        try:
            response: Response = await self._of(visit.settings).authorize_redirect(
                request, visit.address.origin + PATH, **asked
            )
        except (httpx.HTTPError, AuthlibBaseError, JoseError, ValueError, RuntimeError) as exc:
            logger.warning("the provider cannot be asked: %s", exc)
            return _back("provider")
        return response

    async def come_back(self, request: Request) -> Response:
        """Take what the provider says of who has logged in there."""
        visit = visit_of(request)
        wanted = next_page(str(request.session.pop("next", "/")), self._pages)
        confirms = bool(request.session.pop("confirms", False))
        if not visit.settings.oidc_metadata_url:
            return _back("provider")
        try:
            token = await self._of(visit.settings).authorize_access_token(request)
        except (httpx.HTTPError, AuthlibBaseError, JoseError, ValueError, RuntimeError, TypeError, KeyError) as exc:
            logger.warning("a login by the provider failed: %s", exc)
            return _back("provider")
        said = dict(token.get("userinfo") or {})
        issuer, subject = str(said.get("iss", "")), str(said.get("sub", ""))
        if not issuer or not subject:
            return _back("provider")
        name = str(said.get("preferred_username") or said.get("email") or subject)
        account = await asyncio.to_thread(_account_of, visit, issuer, subject, name)
        if account.disabled_at is not None:
            return _back("disabled")
        if confirms:
            before = await find_login(request.headers, visit, None)
            if before is None or before.account_id != account.account_id:
                return _back("other")
            if not isinstance(said.get("auth_time"), int | float) or time.time() - said["auth_time"] > FRESH_S:
                return _back("not-fresh")
            await asyncio.to_thread(note_confirmed, visit.pool, account, before.login_id)
            return documents.form_response("arrived.html", {"binding": "", "next": wanted})
        made = await open_here(request, account, "provider")
        response = documents.form_response("arrived.html", {"binding": made.binding, "next": wanted})
        keep_cookie(response, visit, made.token)
        return response


def _cookie_key(settings: Settings) -> str:
    """Return the key of the flow's cookie, which is not the key of anything else."""
    return derive(ring_of(settings).current, b"semg provider login").hex()


def _back(problem: str) -> Response:
    return RedirectResponse(f"/login?problem={quote(problem)}", 303, {"Cache-Control": "no-store"})


def _account_of(visit: Visit, issuer: str, subject: str, name: str) -> Account:
    """Return the account of an identity, made at the first time."""
    with visit.pool.transaction() as tx:
        account = identities.find_account(tx, issuer, subject)
        if account is None:
            account = identities.insert_account(tx, issuer, subject, name)
            made = {"account": account.account_id, "role": accounts.ROLES.index(account.role)}
            record(tx, Actor(account.login), "account.created", **made)
        return account
