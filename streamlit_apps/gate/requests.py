"""What is read of a request: its address, its cookie, its body; and the plain answers."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Executor
from dataclasses import dataclass
from typing import Any, ParamSpec, TypeVar

import orjson
from starlette.datastructures import Headers
from starlette.requests import HTTPConnection, Request
from starlette.responses import JSONResponse, Response
from starlette.types import Scope

from semg.security.client_address import rate_key
from semg.security.login import Browser
from semg.security.origins import Address
from semg.settings import Settings
from semg.store import logins
from semg.store.logins import LoginRecord
from semg.store.pool import Pool

P = ParamSpec("P")
T = TypeVar("T")
BINDING_HEADER = "x-semg-binding"
BINDING_PROTOCOL = "semg.binding."
COOKIE = "semg_login"
MAX_BODY_BYTES = 64 << 10
BODY_S = 15.0
"""A form is small: whoever sends it more slowly is not one."""
_ENTRY = "semg.gate"


@dataclass(frozen=True, slots=True)
class Visit:
    """What the gate knows of a request before anything looks at it.

    Attributes
    ----------
    address
        The app's address that was asked; the page's origin is this one's, or the request is refused.
    client
        Where it comes from, as the configured proxies say.
    threads
        Of the gate alone, as ``pool`` is: pages that run take neither.
    """

    settings: Settings
    pool: Pool
    address: Address
    client: str
    threads: Executor

    async def in_thread(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run something that waits, in the gate's own threads: everything else of the app shares others."""
        return await asyncio.get_running_loop().run_in_executor(self.threads, lambda: work(*args, **kwargs))

    @property
    def key(self) -> str:
        """What requests of this client are counted by."""
        return rate_key(self.client)

    @property
    def cookie(self) -> str:
        """The name of the login's cookie at this address."""
        return f"__Host-{COOKIE}" if self.address.is_secure else COOKIE


def enter(scope: Scope, visit: Visit) -> None:
    """Keep what is known of a request for whoever answers it."""
    scope[_ENTRY] = visit


def visit_of(connection: HTTPConnection) -> Visit:
    """Return what the gate knows of a request."""
    visit: Visit = connection.scope[_ENTRY]
    return visit


def browser_of(connection: HTTPConnection) -> Browser:
    """Return where a login is made."""
    return Browser(address=visit_of(connection).client, agent=connection.headers.get("user-agent", ""))


def token_of(headers: Headers, visit: Visit) -> str:
    """Return the login's cookie; empty without one, and with two of the name, of which one was slipped in.

    As it stands there: what we set has no quotes, and reading quotes is slow in some versions of Python.
    """
    found = [
        part.strip().removeprefix(f"{visit.cookie}=")
        for header in headers.getlist("cookie")
        for part in header.split(";")
        if part.strip().startswith(f"{visit.cookie}=")
    ]
    return found[0] if len(found) == 1 else ""


async def find_login(headers: Headers, visit: Visit, binding: str | None) -> LoginRecord | None:
    """Return the login that a request shows and that holds, or None.

    Parameters
    ----------
    binding
        What else it shows; None where the cookie alone decides: nothing of anybody is shown there.

    Raises
    ------
    StoreUnavailableError
        The database is away.
    """
    token = token_of(headers, visit)
    return None if not token else await visit.in_thread(_find, visit.pool, token, binding)


async def bound_login(request: Request) -> LoginRecord | None:
    """Return the login that a request proves with both of its secrets, or None."""
    return await find_login(request.headers, visit_of(request), request.headers.get(BINDING_HEADER, ""))


def _find(pool: Pool, token: str, binding: str | None) -> LoginRecord | None:
    with pool.transaction() as tx:
        return logins.find_by_secrets(tx, token, binding)


async def body_of(request: Request) -> Mapping[str, Any]:
    """Return the JSON object that a request brings.

    Raises
    ------
    ValueError
        It is none, or too long. Only ``application/json`` is taken: no other site's form can send it.
    """
    kind = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if kind != "application/json":
        raise ValueError("expected a JSON body")
    parts, size = [], 0
    async with asyncio.timeout(BODY_S):
        async for part in request.stream():
            size += len(part)
            if size > MAX_BODY_BYTES:
                raise ValueError(f"expected at most {MAX_BODY_BYTES} bytes")
            parts.append(part)
    body = orjson.loads(b"".join(parts))  # it bounds how deep a body is nested
    if not isinstance(body, dict):
        raise ValueError("expected a JSON object")
    return body


def text_of(body: Mapping[str, Any], name: str) -> str:
    """Return a text of a body; empty for anything else."""
    value = body.get(name)
    return value if isinstance(value, str) else ""


def refusal(status: int, sentence: str, **more: Any) -> Response:
    """Return a refusal that a page of the gate shows."""
    return JSONResponse({"detail": sentence, **more}, status)


def keep_cookie(response: Response, visit: Visit, token: str) -> None:
    """Let the browser keep a login: no script reads it, no other site sends it."""
    response.set_cookie(
        visit.cookie,
        token,
        max_age=round(visit.settings.login_s),
        path="/",
        secure=visit.address.is_secure,
        httponly=True,
        samesite="strict",
    )


def forget_cookie(response: Response, visit: Visit) -> None:
    """Let the browser forget a login."""
    response.delete_cookie(visit.cookie, path="/", secure=visit.address.is_secure, httponly=True, samesite="strict")
