"""How much one caller may ask: the size of a body, and requests in a time."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict
from collections.abc import Callable

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semg.store.api_tokens import PREFIX
from webapi.access import bearer, is_api_token
from webapi.problems import problem

MAX_CALLERS = 10_000
"""Of so many callers it is remembered how much they asked; the one who was silent longest is forgotten first."""
BURST_S = 2.0
"""A caller that was silent may at once ask what it may ask in this time."""
STRANGERS_BODY_BYTES = 65_536
"""Of a request without a token: it will be refused, and must not fill the memory before."""
_UNLIMITED = ("/healthz", "/readyz")


class Rates:
    """A token bucket for each caller.

    Parameters
    ----------
    per_s
        Requests that a caller may make in a second, on average.
    clock
        Seconds, rising.
    """

    def __init__(self, per_s: float, clock: Callable[[], float] = time.monotonic) -> None:
        self._per_s, self._most, self._clock = per_s, max(1.0, per_s * BURST_S), clock
        self._left: OrderedDict[str, tuple[float, float]] = OrderedDict()

    def __len__(self) -> int:
        """Give how many callers are remembered."""
        return len(self._left)

    def wait_s(self, caller: str) -> float:
        """Count a request, and give how long the caller has to wait with it; 0: not at all."""
        now = self._clock()
        left, at = self._left.pop(caller, (self._most, now))
        left = min(self._most, left + (now - at) * self._per_s)
        allowed = left >= 1.0
        self._left[caller] = (left - allowed, now)
        if len(self._left) > MAX_CALLERS:
            self._left.popitem(last=False)
        return 0.0 if allowed else (1.0 - left) / self._per_s


class RateLimit:
    """ASGI middleware: answers 429 when a caller asks more often than ``API_REQUESTS_PER_S``.

    A caller is an account's token together with its address, or an address without one: whoever guesses tokens has one
    bucket for all guesses. Services with ``SEMG_API_TOKEN`` are not limited, nor are the supervisor's probes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._rates: Rates | None = None

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a WebSocket on, or refuse it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in _UNLIMITED:
            await self._app(scope, receive, send)
            return
        services = scope["app"].state.services
        if self._rates is None:
            self._rates = Rates(services.settings.api_requests_per_s)
        header = Headers(scope=scope).get("authorization")
        wait_s = 0.0 if is_api_token(services.settings, header) else self._rates.wait_s(_caller(scope, header))
        if wait_s <= 0:
            await self._app(scope, receive, send)
            return
        limit = f"{services.settings.api_requests_per_s:g} requests a second (API_REQUESTS_PER_S)"
        refusal = problem(
            429, f"expected at most {limit}; wait {wait_s:.1f} s", headers={"Retry-After": str(math.ceil(wait_s))}
        )
        if scope["type"] == "websocket":
            await receive()
            await send({"type": "websocket.close", "code": 1008, "reason": "too many connections in a short time"})
        else:
            await refusal(scope, receive, send)


def _caller(scope: Scope, header: str | None) -> str:
    address = str((scope.get("client") or ("unknown",))[0])
    token = bearer(header)
    if not token.startswith(PREFIX):
        return address
    return f"{address} {hashlib.sha256(token.encode()).hexdigest()}"


class BodyLimit:
    """ASGI middleware: answers 413 before more than ``API_MAX_BODY_BYTES`` of a body are in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body, or refuse it."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        settings, headers = scope["app"].state.services.settings, Headers(scope=scope)
        limit, header = settings.api_max_body_bytes, headers.get("authorization")
        if not (is_api_token(settings, header) or bearer(header).startswith(PREFIX)):
            limit = min(limit, STRANGERS_BODY_BYTES)
        announced = headers.get("content-length", "")
        body = None if announced.isdecimal() and int(announced) > limit else await _read(receive, limit)
        if body is None:
            await problem(413, f"expected a body of at most {limit} bytes (API_MAX_BODY_BYTES)")(scope, receive, send)
            return
        sent = False

        async def replay() -> Message:
            nonlocal sent
            if sent:
                return await receive()
            sent = True
            return {"type": "http.request", "body": body, "more_body": False}

        await self._app(scope, replay, send)


async def _read(receive: Receive, limit: int) -> bytes | None:
    """Give the whole body, or None when it is longer than the limit."""
    parts, size, more = [], 0, True
    while more:
        message = await receive()
        if message["type"] != "http.request":
            break
        part = message.get("body", b"")
        size += len(part)
        if size > limit:
            return None
        parts.append(part)
        more = message.get("more_body", False)
    return b"".join(parts)
