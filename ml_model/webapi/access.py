"""Who may call: bearer tokens for programs, short-lived tokens and an origin check for browsers.

``SEMG_API_TOKEN`` is the services' own and may do everything. An account's API token may what the account may
(``semg/store/access.py``) and the token was made for: whoever asks who calls says what for (``find_caller``). It is
looked up once for every request (``webapi/limits.py``), so that a revoked or expired one stops at once. A browser's
token names the login that it was made for, and ends with it.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from typing import Annotated, ClassVar

from fastapi import Depends, HTTPException, Request, WebSocket
from fastapi.openapi.models import HTTPBearer
from fastapi.security.base import SecurityBase
from starlette.requests import HTTPConnection
from starlette.types import Scope

from semg.errors import AccessError, NotFoundError, WireError
from semg.security import tokens
from semg.security.keys import ring_of
from semg.security.login import find_logged_in
from semg.security.origins import origins_of
from semg.security.tokens import Login
from semg.settings import Settings
from semg.store import access, api_tokens
from semg.store.accounts import Account
from semg.store.api_tokens import Grant
from semg.store.audit import Actor
from semg.store.pool import Transaction
from webapi.acting_caller import AccountOrService, ActingCaller
from webapi.audit_entries import SERVICE
from webapi.lifespan import Services, services_of

_GRANT = "semg.grant"
"""Entry of a connection's scope: what its API token allows; None for a token that nobody has."""


@dataclass(frozen=True, slots=True)
class Caller(AccountOrService):
    """Who calls, with the services that answer."""

    services: Services
    account: Account | None
    token: str = field(default="", repr=False)

    @property
    def acting(self) -> ActingCaller:
        """Who calls, for what is done in a transaction (``semg.commands``)."""
        return ActingCaller(self.account, self.token)

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


@dataclass(frozen=True)
class CallerFor(SecurityBase):
    """A dependency that returns who calls, for a purpose; refuses a request without a valid ``Authorization``.

    OpenAPI says so of each route that has one, because it is FastAPI's kind of security.
    """

    purpose: api_tokens.Scope
    model: ClassVar[HTTPBearer] = HTTPBearer(  # type: ignore[misc]
        description="SEMG_API_TOKEN, or an account's API token that was made for this and has not expired"
    )
    scheme_name: ClassVar[str] = "token"  # type: ignore[misc]

    async def __call__(self, request: Request) -> Caller:
        """Return who calls.

        Raises
        ------
        HTTPException
            401: no token, or none that holds.
        AccessError
            The token was not made for this.
        """
        caller = find_caller(request, self.purpose)
        if caller is None:
            raise HTTPException(
                401,
                "expected the header Authorization: Bearer <SEMG_API_TOKEN, or an account's API token that has not "
                "expired>",
                headers={"WWW-Authenticate": "Bearer"},
            )
        return caller


PredictCaller = Annotated[Caller, Depends(CallerFor("predict"))]
ReadCaller = Annotated[Caller, Depends(CallerFor("read"))]
MetricsCaller = Annotated[Caller, Depends(CallerFor("metrics"))]
WorkCaller = Annotated[Caller, Depends(CallerFor("work"))]


def find_caller(connection: HTTPConnection, purpose: api_tokens.Scope) -> Caller | None:
    """Return who calls by the ``Authorization`` header, or None.

    Parameters
    ----------
    purpose
        What for: an account's token must have been made for it. The one place where scopes are enforced.

    Raises
    ------
    AccessError
        The token was made for something else.
    """
    services, header = services_of(connection), connection.headers.get("authorization")
    if is_api_token(services.settings, header):
        return Caller(services, None)
    grant = known_grant(connection.scope)
    if grant is None:
        return None
    if purpose not in grant.scopes:
        made_for = ", ".join(sorted(grant.scopes))
        raise AccessError(f"expected an API token for {purpose}, this one is for {made_for}; make another in the app")
    return Caller(services, grant.account, bearer(header))


async def look_up(scope: Scope, token: str) -> Grant | None:
    """Look an account's API token up, and keep for the rest of this request what it allows.

    Raises
    ------
    StoreError
        It cannot be looked up now.
    """
    grant = await asyncio.to_thread(_find_grant, scope["app"].state.services, token)
    scope[_GRANT] = grant
    return grant


def known_grant(scope: Scope) -> Grant | None:
    """Return what the account's API token of this request allows; None: it shows none, or one that does not hold."""
    grant: Grant | None = scope.get(_GRANT)
    return grant


@dataclass(frozen=True, slots=True)
class Viewer:
    """What lets somebody watch a profile; looked at again while the WebSocket is open.

    Attributes
    ----------
    token, account
        An account's API token, and whose it was when the WebSocket was opened; none for a browser or a service.
    login
        Of a browser: the login there. Neither this nor a token: a service.
    """

    token: str = ""
    account: Account | None = None
    login: Login | None = None

    @property
    def account_id(self) -> int:
        """The account that watches; 0 for a service."""
        if self.login is not None:
            return self.login.account_id
        return 0 if self.account is None else self.account.account_id

    async def note(self, services: Services, user_id: int) -> None:
        """Write down that a program watches a profile; what browsers see, the app writes down.

        Raises
        ------
        StoreError
            It cannot be written down.
        """
        if self.account is not None:
            await services.trail.seen(Actor(self.account.login), "live.seen", user_id)
        elif self.login is None:
            await services.trail.seen(SERVICE, "live.seen", user_id)

    def may_watch(self, services: Services, user_id: int, *, again: bool = True) -> bool:
        """Return whether the profile may be watched now. Asks the database: not for the event loop.

        Parameters
        ----------
        again
            The WebSocket has been open for a while: whose the token is, is looked up anew.
        """
        if not self.token and self.login is None:
            return True
        with services.pool.transaction() as tx:
            if self.login is not None:
                account = find_logged_in(tx, self.login)
            else:
                grant = api_tokens.find_grant(tx, self.token, is_use=False) if again else None
                account = self.account if not again else None if grant is None else grant.account
            return account is not None and _sees(tx, account, user_id)


def find_viewer(websocket: WebSocket, user_id: int) -> Viewer | None:
    """Return what a WebSocket shows to be let in: an API token, or a browser's for this profile; None: nothing."""
    settings = services_of(websocket).settings
    origin = websocket.headers.get("origin")
    if origin is not None and origin not in origins_of(settings):
        return None
    header = websocket.headers.get("authorization")
    if is_api_token(settings, header) or bearer(header).startswith(api_tokens.PREFIX):
        try:
            caller = find_caller(websocket, "read")
        except AccessError:
            caller = None
        if caller is None:
            return None
        return Viewer() if caller.account is None else Viewer(token=bearer(header), account=caller.account)
    token = _browser_token(websocket)
    if not token:
        return None
    try:
        return Viewer(login=tokens.read_login_of(ring_of(settings), tokens.LIVE, token, str(user_id)))
    except WireError:
        return None


def is_of_ours(websocket: WebSocket) -> bool:
    """Return whether a WebSocket that is not let in shows a token of this installation, be it old or for other things.

    Such a one is told why it is closed; a stranger's is not opened, because it would be read for as long as it closes.
    """
    if known_grant(websocket.scope) is not None:
        return True
    token = _browser_token(websocket)
    return bool(token) and tokens.is_ours(ring_of(services_of(websocket).settings), tokens.LIVE, token)


async def require_browser(
    services: Services,
    purpose: str,
    token: str,
    subject: str,
    whose: Callable[[Transaction], int | None],
    note: Callable[[Transaction, Account], None] = lambda tx, account: None,
) -> int | None:
    """Refuse a browser whose token is not for this subject, or whose login has ended; return its account.

    Parameters
    ----------
    whose
        Gives the profile that the subject belongs to, None for what is for admins, or raises NotFoundError.
    note
        Writes down what the account gets, in the transaction that found that it may.

    Returns
    -------
    The account, where it may see that profile; else None.

    Raises
    ------
    HTTPException
        401.
    StoreError
        The database is away.
    """
    settings = services.settings
    try:
        login = tokens.read_login_of(ring_of(settings), purpose, token, subject)
    except WireError:
        login = None
    seen = None if login is None else await asyncio.to_thread(_browser_sees, services, login, whose, note)
    if seen is None:
        raise HTTPException(401, "expected the token for this that the app gives, of a login that has not ended")
    return login.account_id if seen and login is not None else None


def is_api_token(settings: Settings, header: str | None) -> bool:
    """Return whether an ``Authorization`` header carries the services' API token."""
    expected, token = settings.semg_api_token.get_secret_value(), bearer(header)
    return bool(expected) and secrets.compare_digest(token.encode(), expected.encode())


def bearer(header: str | None) -> str:
    """Return the token of an ``Authorization: Bearer`` header; empty for any other."""
    scheme, _, token = (header or "").partition(" ")
    return token if scheme.lower() == "bearer" else ""


def _browser_token(websocket: WebSocket) -> str:
    """Return the first token among the subprotocols that a browser offers; empty for none."""
    for protocol in websocket.scope.get("subprotocols", []):
        if protocol.startswith(tokens.TOKEN_PROTOCOL_PREFIX):
            token: str = protocol.removeprefix(tokens.TOKEN_PROTOCOL_PREFIX)
            return token
    return ""


def _browser_sees(
    services: Services,
    login: Login,
    whose: Callable[[Transaction], int | None],
    note: Callable[[Transaction, Account], None],
) -> bool | None:
    """Return whether a login may see what belongs to a profile; None: it has ended."""
    with services.pool.transaction() as tx:
        account = find_logged_in(tx, login)
        if account is None:
            return None
        try:
            if not _sees(tx, account, whose(tx)):
                return False
        except NotFoundError:
            return False
        note(tx, account)
        return True


def _sees(tx: Transaction, account: Account, user_id: int | None) -> bool:
    if user_id is None:
        return account.role == "admin"
    try:
        access.require(tx, account, user_id)
    except NotFoundError:
        return False
    return True


def _find_grant(services: Services, token: str) -> Grant | None:
    with services.pool.transaction() as tx:
        return api_tokens.find_grant(tx, token)


def _require(services: Services, account: Account, user_ids: set[int], right: access.Right) -> None:
    with services.pool.transaction() as tx:
        for user_id in sorted(user_ids):
            access.require(tx, account, user_id, right)
