"""Who may call: bearer tokens for programs, short-lived tokens and an origin check for browsers.

``SEMG_API_TOKEN`` is the services' own and may do everything. An account's API token may what the account may
(``semg/store/access.py``); it is looked up at every request, so that a revoked one stops at once.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Annotated
from urllib.parse import urlsplit

from fastapi import Depends, HTTPException, Request, WebSocket
from starlette.requests import HTTPConnection

from semg.accounts import login_holds
from semg.errors import NotFoundError, WireError
from semg.settings import Settings
from semg.store import access, accounts, api_tokens
from semg.store.accounts import Account
from semg.store.audit import Actor
from semg.wire import tokens
from webapi.services import Services, services_of
from webapi.trail import SERVICE

_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


@dataclass(frozen=True, slots=True)
class Caller:
    """Who calls: an account, or (None) a service with ``SEMG_API_TOKEN``, which may do everything."""

    services: Services
    account: Account | None

    @property
    def actor(self) -> Actor:
        """Who it is for the audit log."""
        return SERVICE if self.account is None else Actor(self.account.login)

    async def require(self, user_ids: Iterable[int], right: access.Right) -> None:
        """Refuse what the caller may not do with one of these profiles.

        Raises
        ------
        NotFoundError
            A profile is not there, or not for this caller to see.
        AccessError
            The role does not allow it.
        """
        account = self.account
        if account is not None:
            await asyncio.to_thread(_require, self.services, account, set(user_ids), right)

    def require_admin(self) -> None:
        """Refuse accounts that are no admin.

        Raises
        ------
        AccessError
            The caller is none.
        """
        if self.account is not None:
            access.require_admin(self.account)


async def require_token(request: Request) -> Caller:
    """Give who calls; refuse a request without a valid ``Authorization: Bearer …``."""
    caller = await find_caller(request)
    if caller is None:
        raise HTTPException(
            401,
            "expected the header Authorization: Bearer <SEMG_API_TOKEN or an account's API token>",
            headers={"WWW-Authenticate": "Bearer"},
        )
    return caller


CallerOf = Annotated[Caller, Depends(require_token)]


async def find_caller(connection: HTTPConnection) -> Caller | None:
    """Give who calls by the ``Authorization`` header, or None."""
    services, header = services_of(connection), connection.headers.get("authorization")
    if is_api_token(services.settings, header):
        return Caller(services, None)
    token = bearer(header)
    if not token.startswith(api_tokens.PREFIX):
        return None
    account = await asyncio.to_thread(_account_of, services, token)
    return None if account is None else Caller(services, account)


@dataclass(frozen=True, slots=True)
class Viewer:
    """What lets somebody watch a profile; looked at again while the WebSocket is open.

    Attributes
    ----------
    token
        An account's API token; empty for a browser.
    account_id, issued_s
        Of a browser: the account that is logged in there, and when its token was made. No account: a service.
    """

    token: str = ""
    account_id: int | None = None
    issued_s: float = 0.0

    async def note(self, services: Services, user_id: int) -> None:
        """Write down that a program watches a profile; what browsers see, the app writes down.

        Raises
        ------
        StoreError
            It cannot be written down.
        """
        if self.token:
            account = await asyncio.to_thread(_account_of, services, self.token)
            if account is not None:  # otherwise revoked in this moment: the connection is about to be closed
                await services.trail.seen(Actor(account.login), "live.seen", user_id)
        elif self.account_id is None:
            await services.trail.seen(SERVICE, "live.seen", user_id)

    def may_watch(self, services: Services, user_id: int) -> bool:
        """Tell whether the profile may be watched now. Asks the database: not for the event loop."""
        if not self.token and self.account_id is None:
            return True
        with services.pool.transaction() as tx:
            if self.token:
                account = api_tokens.find_account(tx, self.token)
            else:
                account = accounts.find_account_by_id(tx, self.account_id or 0)
                if account is not None and not login_holds(account, self.issued_s):
                    account = None
            if account is None:
                return False
            try:
                access.require(tx, account, user_id)
            except NotFoundError:
                return False
        return True


def find_viewer(websocket: WebSocket, user_id: int) -> Viewer | None:
    """Give what a WebSocket shows to be let in: an API token, or a browser's token for this profile; None: nothing."""
    settings = services_of(websocket).settings
    origin = websocket.headers.get("origin")
    if origin is not None and not _is_app(origin, settings.app_url):
        return None
    header = websocket.headers.get("authorization")
    if is_api_token(settings, header):
        return Viewer()
    if bearer(header).startswith(api_tokens.PREFIX):
        return Viewer(token=bearer(header))
    for protocol in websocket.scope.get("subprotocols", []):
        if protocol.startswith(tokens.TOKEN_PROTOCOL_PREFIX):
            return _browser(settings, protocol.removeprefix(tokens.TOKEN_PROTOCOL_PREFIX), user_id)
    return None


def is_api_token(settings: Settings, header: str | None) -> bool:
    """Tell whether an ``Authorization`` header carries the services' API token."""
    expected, token = settings.semg_api_token.get_secret_value(), bearer(header)
    return bool(expected) and secrets.compare_digest(token.encode(), expected.encode())


def bearer(header: str | None) -> str:
    """Give the token of an ``Authorization: Bearer`` header; empty for any other."""
    scheme, _, token = (header or "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _browser(settings: Settings, token: str, user_id: int) -> Viewer | None:
    try:
        subject, issued_s = tokens.read_token(settings.secret_key.get_secret_value(), tokens.LIVE, token)
    except WireError:
        return None
    profile, _, account = subject.partition("/")
    if profile != str(user_id):
        return None
    return Viewer(account_id=int(account) if account else None, issued_s=issued_s)


def _account_of(services: Services, token: str) -> Account | None:
    with services.pool.transaction() as tx:
        return api_tokens.find_account(tx, token)


def _require(services: Services, account: Account, user_ids: set[int], right: access.Right) -> None:
    with services.pool.transaction() as tx:
        for user_id in sorted(user_ids):
            access.require(tx, account, user_id, right)


def _is_app(origin: str, app_url: str) -> bool:
    """Tell whether a browser's origin is the app; on loopback, its other names are the app too."""
    ours, theirs = urlsplit(app_url), urlsplit(origin)
    if (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc):
        return True
    both_loopback = {ours.hostname, theirs.hostname} <= _LOOPBACK
    return both_loopback and (ours.scheme, ours.port) == (theirs.scheme, theirs.port)
