"""One HTTPS port for app, API and WebSockets: ``./start_all.sh --lan``.

``/api/…`` goes to the API, without that prefix; everything else to the app. A webcam needs HTTPS on another machine
than this one, and a browser that accepts a certificate of our own accepts it for one address and port: hence one port.

A plain ASGI application under uvicorn; httpx and websockets speak to the services. The browser's ``Host`` and
``Origin`` are passed on, so that app and API check where a request comes from as they do without a gateway.
"""

from __future__ import annotations

import asyncio
import logging
import socket
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

import httpx
import uvicorn
from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed, InvalidHandshake
from websockets.typing import Origin, Subprotocol

from semg import log
from semg.platform.connections import MAX_CONNECTIONS, Connection, Server, raise_file_limit
from semg.rates import Rates
from semg.service import announce_ready
from semg.settings import API_PREFIX, Settings, get_settings

logger = logging.getLogger(__name__)

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
Header = tuple[bytes, bytes]

CONNECT_S = 5.0
APP_REQUESTS_PER_S, APP_BURST_S = 50.0, 20.0
"""Of the app, for one address; opening a page asks for some 100 files. Requests to the API are counted there."""
BODY_IDLE_S = 60.0
"""Without a byte of a body that has begun, the request is given up."""
MAX_MESSAGE_BYTES = 256 << 20
"""Of a WebSocket message from the app: a page with large tables is one message."""
_HOP_BY_HOP = {
    b"connection", b"keep-alive", b"proxy-authenticate", b"proxy-authorization", b"te", b"trailer",
    b"transfer-encoding", b"upgrade",
}  # fmt: skip
_FORWARDED = {b"forwarded", b"x-forwarded-for", b"x-forwarded-host", b"x-forwarded-proto", b"x-forwarded-prefix"}
_BY_THE_CLIENT = {b"host", b"origin", b"user-agent"}
"""WebSocket headers that the client library writes itself."""


HARDENED: tuple[Header, ...] = (
    (b"x-content-type-options", b"nosniff"),
    (b"x-frame-options", b"SAMEORIGIN"),
    (b"referrer-policy", b"same-origin"),
    (b"permissions-policy", b"camera=(self), microphone=(), geolocation=()"),
    (b"content-security-policy", b"frame-ancestors 'self'; object-src 'none'; base-uri 'self'"),
)
"""What Streamlit cannot be told to send. No HSTS: with it, no browser lets anybody accept our own certificate."""


class Gateway:
    """The ASGI application.

    Parameters
    ----------
    app_url, api_url
        Where the app and the API listen.
    """

    def __init__(self, app_url: str, api_url: str) -> None:
        self._app_url, self._api_url = app_url.rstrip("/"), api_url.rstrip("/")
        self._client: httpx.AsyncClient | None = None
        self._rates = Rates(APP_REQUESTS_PER_S, burst_s=APP_BURST_S)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a WebSocket on."""
        if scope["type"] == "lifespan":
            await self._live(receive, send)
        elif self._asks_too_much(scope):
            await _refuse_for_now(scope, receive, send)
        elif scope["type"] == "websocket":
            await self._websocket(scope, receive, send)
        else:
            await self._http(scope, receive, send)

    def _asks_too_much(self, scope: Scope) -> bool:
        """Count a request for the app."""
        if _is_for_api(scope["raw_path"].decode("ascii")):
            return False
        return self._rates.wait_s(str((scope.get("client") or ("unknown",))[0])) > 0

    async def _live(self, receive: Receive, send: Send) -> None:
        await receive()
        limits = httpx.Limits(max_connections=MAX_CONNECTIONS)
        timeout = httpx.Timeout(None, connect=CONNECT_S)
        async with httpx.AsyncClient(limits=limits, timeout=timeout, trust_env=False) as self._client:
            await send({"type": "lifespan.startup.complete"})
            await receive()
        await send({"type": "lifespan.shutdown.complete"})

    async def _http(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on, and its answer back, both as streams; a browser that leaves ends both."""
        assert self._client is not None
        has_body = any(name in (b"content-length", b"transfer-encoding") for name, _ in scope["headers"])
        gone = asyncio.Event()
        request = httpx.Request(
            scope["method"],
            self._target(scope),
            headers=_forwarded(scope),
            content=_body(receive, gone) if has_body else None,
        )
        relay = asyncio.create_task(self._relay(request, send))
        watch = asyncio.create_task(gone.wait() if has_body else _until_gone(receive))
        done, pending = await asyncio.wait({relay, watch}, return_when=asyncio.FIRST_COMPLETED)
        for task in pending:
            task.cancel()
        await asyncio.gather(*pending, return_exceptions=True)
        for task in done:
            task.result()

    async def _relay(self, request: httpx.Request, send: Send) -> None:
        assert self._client is not None
        try:
            response = await self._client.send(request, stream=True)
        except TimeoutError:
            await _say(send, 408, "The rest of the request did not come.", (b"connection", b"close"))
            return
        except httpx.TransportError as exc:
            logger.warning("%s does not answer: %s", request.url.copy_with(query=None), exc)
            await _say(send, 502, "The service does not answer at the moment. Try again in a few seconds.")
            return
        try:
            headers = [(name.lower(), value) for name, value in response.headers.raw]
            kept = [header for header in headers if header[0] not in _HOP_BY_HOP]
            there = {name for name, _ in kept}
            kept += [header for header in HARDENED if header[0] not in there]
            await send({"type": "http.response.start", "status": response.status_code, "headers": kept})
            async for chunk in response.aiter_raw():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
            await send({"type": "http.response.body", "body": b""})
        finally:
            await response.aclose()

    async def _websocket(self, scope: Scope, receive: Receive, send: Send) -> None:
        await receive()  # websocket.connect
        headers = dict(scope["headers"])
        target = urlsplit(self._target(scope))
        host = headers.get(b"host", target.netloc.encode()).decode("latin-1")
        path = f"{target.path}?{target.query}" if target.query else target.path
        origin = headers.get(b"origin")
        try:
            # The address is the browser's, for the Host header; the connection goes to the service.
            upstream = await connect(
                f"ws://{host}{path}",
                host=target.hostname,
                port=target.port,
                origin=None if origin is None else Origin(origin.decode("latin-1")),
                subprotocols=[Subprotocol(name) for name in scope.get("subprotocols", [])] or None,
                additional_headers=[
                    (name.decode("latin-1"), value.decode("latin-1"))
                    for name, value in _forwarded(scope)
                    if name not in _BY_THE_CLIENT and not name.startswith(b"sec-websocket-")
                ],
                user_agent_header=headers.get(b"user-agent", b"").decode("latin-1") or None,
                max_size=MAX_MESSAGE_BYTES,
                open_timeout=CONNECT_S,
                compression=None,
                ping_interval=None,
                proxy=None,
            )
        except (OSError, InvalidHandshake, TimeoutError) as exc:
            logger.warning("WebSocket refused by the service: %s", exc)
            await send({"type": "websocket.close", "code": 1011})
            return
        async with upstream:
            await send({"type": "websocket.accept", "subprotocol": upstream.subprotocol})
            down = asyncio.create_task(_down(upstream, send))
            up = asyncio.create_task(_up(upstream, receive))
            done, pending = await asyncio.wait({down, up}, return_when=asyncio.FIRST_COMPLETED)
            for task in pending:
                task.cancel()
            await asyncio.gather(*done, *pending, return_exceptions=True)

    def _target(self, scope: Scope) -> str:
        """Give the address of a request at its service."""
        path = scope["raw_path"].decode("ascii")
        base = self._app_url
        if _is_for_api(path):
            base, path = self._api_url, path.removeprefix(API_PREFIX) or "/"
        query = scope["query_string"].decode("ascii")
        return f"{base}{path}?{query}" if query else f"{base}{path}"


def _is_for_api(path: str) -> bool:
    return path == API_PREFIX or path.startswith(f"{API_PREFIX}/")


async def _down(upstream: ClientConnection, send: Send) -> None:
    """Pass a service's messages to the browser, and its reason for closing."""
    try:
        async for message in upstream:
            await send({"type": "websocket.send", "text" if isinstance(message, str) else "bytes": message})
    except ConnectionClosed:
        pass
    code = upstream.close_code or 1011
    # 1005 and 1006 are what a missing code reads as; they are never sent.
    await send({
        "type": "websocket.close",
        "code": 1011 if code in (1005, 1006) else code,
        "reason": upstream.close_reason or "",
    })  # fmt: skip


async def _up(upstream: ClientConnection, receive: Receive) -> None:
    """Pass a browser's messages to the service until it leaves."""
    while True:
        message = await receive()
        if message["type"] == "websocket.disconnect":
            return
        try:
            await upstream.send(message["text"] if message.get("text") is not None else message["bytes"])
        except ConnectionClosed:
            return


async def _body(receive: Receive, gone: asyncio.Event) -> AsyncIterator[bytes]:
    """Give the body of a request, and tell when the browser left; TimeoutError: it sends no more of it."""
    more = True
    while more:
        async with asyncio.timeout(BODY_IDLE_S):
            message = await receive()
        if message["type"] == "http.disconnect":
            gone.set()
            return
        yield message.get("body", b"")
        more = message.get("more_body", False)


async def _until_gone(receive: Receive) -> None:
    while (await receive())["type"] != "http.disconnect":
        pass


def _forwarded(scope: Scope) -> list[Header]:
    """Give a request's headers as they go on; where it came from is ours to say, not the browser's."""
    named = _named_by_connection(scope["headers"])
    kept = [
        (name, value)
        for name, value in scope["headers"]
        if name not in _HOP_BY_HOP and name not in _FORWARDED and name not in named
    ]
    client = scope.get("client")
    added = [(b"x-forwarded-proto", b"https")]
    return kept + added + ([] if client is None else [(b"x-forwarded-for", str(client[0]).encode("ascii"))])


def _named_by_connection(headers: Iterable[Header]) -> set[bytes]:
    """Give the headers that ``Connection`` names: they are meant for this hop."""
    return {part.strip().lower() for name, value in headers if name == b"connection" for part in value.split(b",")}


async def _refuse_for_now(scope: Scope, receive: Receive, send: Send) -> None:
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": 1013})
    else:
        await _say(send, 429, "Too many requests came from your address. Wait a few seconds.")


async def _say(send: Send, status: int, text: str, *more: Header) -> None:
    headers = [(b"content-type", b"text/plain; charset=utf-8"), (b"cache-control", b"no-store"), *more]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": text.encode()})


class _Server(Server):
    """Says that it is ready once it listens."""

    def __init__(self, config: uvicorn.Config, settings: Settings) -> None:
        super().__init__(config)
        self._settings = settings

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            announce_ready(self._settings)


def main() -> None:
    """Serve until SIGTERM or SIGINT."""
    raise_file_limit()
    settings = get_settings()
    log.configure("gateway", settings.log_level)
    cert, key = settings.lan_certificate
    config = uvicorn.Config(
        Gateway(settings.internal_app_url, settings.internal_api_url),
        host=settings.lan_host,
        port=settings.lan_port,
        ssl_certfile=str(cert),
        ssl_keyfile=str(key),
        access_log=False,
        log_config=None,
        proxy_headers=False,
        server_header=False,
        date_header=False,
        http=Connection,
        limit_concurrency=MAX_CONNECTIONS,
        timeout_graceful_shutdown=3,
        ws_ping_interval=20.0,
    )
    _Server(config, settings).run()


if __name__ == "__main__":
    main()
