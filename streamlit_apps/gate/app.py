"""The ASGI middleware before Streamlit.

A request is looked at in this order: is its ``Host`` one of the app's addresses, does it come from a page of exactly
that origin, does its path belong to what pages need, is somebody logged in. Only then Streamlit sees it: it compares
origins by host name alone, and for a foreign one asks a service on the internet.
"""

from __future__ import annotations

import logging
from collections.abc import AsyncIterator, Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import quote

from starlette.datastructures import Headers, MutableHeaders
from starlette.exceptions import HTTPException
from starlette.middleware.exceptions import ExceptionMiddleware
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, RedirectResponse, Response
from starlette.routing import Router
from starlette.types import ASGIApp, Message, Receive, Scope, Send
from streamlit.runtime import Runtime
from streamlit.runtime.memory_uploaded_file_manager import MemoryUploadedFileManager

from gate import documents, factors, forms, provider, sockets, uploads
from gate.page_runs import Runs
from gate.requests import Visit, enter, find_login
from gate.steps import Flows
from gate.turns import Turns
from gate.uploads import Uploads
from semg.errors import StoreBusyError, StoreUnavailableError
from semg.security.client_address import as_connected, client_address, is_forwarded_too_long, rate_key
from semg.security.origins import find_address
from semg.security.rate_limit import RateLimiter
from semg.settings import Settings
from semg.store.pool import Pool

logger = logging.getLogger(__name__)

REQUESTS_PER_S, BURST_S = 50.0, 20.0
"""Of one address; opening a page asks for some 100 files."""
THREADS = 8
_OWN = ("/login", "/oauth2callback")
HEALTH = "/_stcore/health"
_OPEN = ("/static/js/", "/static/css/", "/static/media/")
_OPEN_FILES = ("/favicon.png", "/manifest.json")
"""Streamlit's own files: the same for everybody."""
_SHOWN = ("/media/", "/_stcore/bidi-components/", "/_stcore/host-config")
_READS = ("GET", "HEAD")
Found = Callable[[], tuple[Settings, Pool]]


class Gate:
    """The middleware.

    Parameters
    ----------
    found
        Gives the settings and the pool, once the app runs.
    pages
        The paths of the app's pages.
    """

    def __init__(self, app: ASGIApp, found: Found, pages: frozenset[str]) -> None:
        self._app, self._found, self._pages = app, found, pages
        self._uploads = Uploads(app)
        self._threads = ThreadPoolExecutor(THREADS, "gate")
        self._runs = Runs()
        self._rates = RateLimiter(REQUESTS_PER_S, burst_s=BURST_S)
        steps, turns = Flows(), Turns()
        own = [*forms.routes(steps, turns, pages), *factors.routes(steps), *provider.routes(steps, turns, pages)]
        self._own = ExceptionMiddleware(Router(own), {HTTPException: _not_there})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Look at a request, and pass it on or refuse it."""
        if scope["type"] not in ("http", "websocket"):
            await self._app(scope, receive, send)
            return
        if scope["type"] == "http" and scope["path"] == HEALTH and scope["method"] in _READS:
            await self._app(scope, receive, send)
            return
        if is_forwarded_too_long(scope):
            await _refuse(scope, receive, send, 431, "X-Forwarded-For is longer than any chain of proxies makes it.")
            return
        settings, pool = self._found()
        client = client_address({**scope, "client": as_connected(scope)}, settings.trusted_networks)
        if self._rates.wait_s(rate_key(client)) > 0:
            await _refuse(scope, receive, send, 429, "Too many requests came from your address. Wait a few seconds.")
            return
        headers = Headers(scope=scope)
        hosts = headers.getlist("host")
        address = find_address(settings, hosts[0]) if len(hosts) == 1 else None
        if address is None:
            text = f"Open this app at {settings.app_url} (setting PUBLIC_APP_URL)."
            await _refuse(scope, receive, send, 421, text)
            return
        visit = Visit(settings, pool, address, client, self._threads)
        enter(scope, visit)
        if not _is_from_here(scope, headers, address.origin):
            said = headers.get("origin")
            logger.warning("refused: origin %.200r is not %s; a proxy must pass the Host on", said, address.origin)
            await _refuse(scope, receive, send, 403, "This request comes from another origin.")
            return
        try:
            await self._pass(visit, scope, receive, send)
        except ClientDisconnect:
            return  # nobody waits for an answer
        except StoreUnavailableError as exc:
            logger.warning("the database is away: %s", exc)
            busy = isinstance(exc, StoreBusyError)
            what = "Somebody else is changing this" if busy else "The database cannot be reached"
            await _refuse(scope, receive, send, 503, f"{what}. Try again in a few seconds.")

    async def _pass(self, visit: Visit, scope: Scope, receive: Receive, send: Send) -> None:
        path: str = scope["path"]
        if scope["type"] == "websocket":
            if path == "/_stcore/stream":
                await sockets.serve(self._app, visit, self._runs, scope, receive, send)
            else:
                await sockets.refuse(receive, send, 1008)
        elif path in _OWN or path.startswith(("/login/", "/gate/")):
            await self._own(scope, receive, _hardened(documents.FORM_POLICY, send, "DENY"))
        elif path.startswith(uploads.PATH):
            await self._uploads(visit, scope, receive, send)
        elif scope["method"] not in _READS:
            await _refuse(scope, receive, send, 405, "This request is not allowed here.")
        elif path in _OPEN_FILES or path.startswith(_OPEN):
            await self._app(scope, receive, _hardened(documents.policy_of(visit.settings, visit.address), send))
        elif path not in self._pages and not path.startswith(_SHOWN):
            await _refuse(scope, receive, send, 404, "There is no such page.")
        elif await find_login(Headers(scope=scope), visit, None) is None:
            await _ask_for_login(path in self._pages, scope, receive, send)
        elif path in self._pages:
            await documents.app_response(visit)(scope, receive, send)
        else:
            await self._app(scope, receive, _hardened(documents.policy_of(visit.settings, visit.address), send))


@asynccontextmanager
async def lifespan(_: Any) -> AsyncIterator[None]:
    """Prepare Streamlit when it has started."""
    manager = Runtime.instance().uploaded_file_mgr
    if isinstance(manager, MemoryUploadedFileManager):
        uploads.watch(manager)
    yield


def _not_there(_: Request, exc: Exception) -> Response:
    """Return the answer to what the gate's own pages have not."""
    status = exc.status_code if isinstance(exc, HTTPException) else 404
    text = "This request is not allowed here." if status == 405 else "There is no such page."
    return PlainTextResponse(text, status, {"Cache-Control": "no-store"})


def _is_from_here(scope: Scope, headers: Headers, origin: str) -> bool:
    """Return whether a request comes from a page of this origin, or from no page.

    Browsers say with every WebSocket and every change what the origin is, and with every request of a page since 2023
    whether it is the same. Other programs say neither, and have no cookie of anybody.
    """
    said = headers.get("origin")
    if said is not None:
        return said == origin
    if scope["type"] == "websocket" or scope["method"] not in (*_READS, "OPTIONS"):
        return False
    site = headers.get("sec-fetch-site", "none")
    return site in ("none", "same-origin") or headers.get("sec-fetch-mode") == "navigate"


async def _ask_for_login(is_page: bool, scope: Scope, receive: Receive, send: Send) -> None:
    if not is_page:
        await _refuse(scope, receive, send, 401, "Log in first.")
        return
    query = scope["query_string"].decode("latin-1")
    wanted = quote(f"{scope['path']}?{query}" if query else scope["path"], safe="")
    response = RedirectResponse(f"/login?next={wanted}", 303, {"Cache-Control": "no-store"})
    await response(scope, receive, send)


def _hardened(policy: str, send: Send, frames: str = "SAMEORIGIN") -> Send:
    """Return a ``send`` that adds the headers that every answer gets."""

    async def send_hardened(message: Message) -> None:
        if message["type"] == "http.response.start":
            documents.harden(MutableHeaders(scope=message), policy, frames)
        await send(message)

    return send_hardened


async def _refuse(scope: Scope, receive: Receive, send: Send, status: int, sentence: str) -> None:
    if scope["type"] == "websocket":
        await sockets.refuse(receive, send, 1013 if status in (429, 503) else 1008)
        return
    more = {"Retry-After": "5"} if status in (429, 503) else {}
    response: Response = PlainTextResponse(sentence, status, {"Cache-Control": "no-store", **more})
    documents.harden(response.headers, documents.FORM_POLICY)
    await response(scope, receive, send)
