"""How much one caller may ask: the size of a body, and requests in a time."""

from __future__ import annotations

import asyncio
import hashlib
import math
import re
from collections import Counter, OrderedDict
from collections.abc import Sequence

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from semg.errors import StoreUnavailableError
from semg.security.client_address import Network, client_address, rate_key
from semg.security.rate_limit import MAX_CALLERS, RateLimiter
from semg.store.api_tokens import PREFIX
from webapi.access import bearer, is_api_token, known_grant, look_up
from webapi.problem_details import away, problem

STRANGERS_BODY_BYTES = 65_536
"""Of a request without a token that predicts: nothing else has a body, and it must not fill the memory."""
BODY_S = 120.0
"""Of a request with a token: 16 MB over a slow link."""
BODIES_AT_ONCE = 8
"""Of one account, being received: each may be as large as ``API_MAX_BODY_BYTES``."""
STRANGERS_BODY_S = 15.0
"""It must not hold a connection either."""
FIRST_LOOKS_PER_S = 1.0
"""Tokens that are looked up although others at their address have asked too much: one of them may be good."""
RECORDINGS = re.compile(r"/v1/profiles/\d+/recordings")
_UNLIMITED = ("/healthz", "/readyz")


class RateLimit:
    """ASGI middleware: answers 429 when a caller asks more often than ``API_REQUESTS_PER_S``.

    A caller is an account's token together with its address, or an address without one. An account's token is looked up
    here, once for the request, before anything of its body is read. One that was never found counts to its address,
    before it is looked up: whoever guesses tokens has one bucket for all guesses. Services with ``SEMG_API_TOKEN`` are
    not limited, nor are the supervisor's probes.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._rates: RateLimiter | None = None
        self._trusted: Sequence[Network] = ()
        self._first_looks = RateLimiter(FIRST_LOOKS_PER_S)
        self._found: OrderedDict[str, None] = OrderedDict()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request or a WebSocket on, or refuse it."""
        if scope["type"] not in ("http", "websocket") or scope["path"] in _UNLIMITED:
            await self._app(scope, receive, send)
            return
        settings = scope["app"].state.services.settings
        if self._rates is None:
            self._rates = RateLimiter(settings.api_requests_per_s)
            self._trusted = settings.trusted_networks
        header = Headers(scope=scope).get("authorization")
        if is_api_token(settings, header):
            await self._app(scope, receive, send)
            return
        try:
            wait_s = await self._wait_s(self._rates, scope, bearer(header))
        except StoreUnavailableError as exc:
            await _refuse(away(scope, exc), 1013, "the database is away", scope, receive, send)
            return
        if wait_s <= 0:
            await self._app(scope, receive, send)
            return
        limit = f"{settings.api_requests_per_s:g} requests a second (API_REQUESTS_PER_S)"
        after = {"Retry-After": str(math.ceil(wait_s))}
        refusal = problem(scope, 429, f"expected at most {limit}; wait {wait_s:.1f} s", headers=after)
        await _refuse(refusal, 1008, "too many connections in a short time", scope, receive, send)

    async def _wait_s(self, rates: RateLimiter, scope: Scope, token: str) -> float:
        """Count a request, look its token up unless it has to wait, and give how long it has to."""
        address = rate_key(client_address(scope, self._trusted))
        if not token.startswith(PREFIX):
            return rates.wait_s(address)
        digest = hashlib.sha256(token.encode()).hexdigest()
        own, is_known = f"{address} {digest}", digest in self._found
        wait_s = rates.wait_s(own if is_known else address)
        if wait_s > 0 and (is_known or self._first_looks.wait_s(address) > 0):
            return wait_s
        is_found = await look_up(scope, token) is not None
        self._note(digest, is_found=is_found)
        return rates.wait_s(own) if is_found and not is_known else wait_s

    def _note(self, digest: str, *, is_found: bool) -> None:
        """Remember which tokens there are: not to let them in, but to count them for themselves."""
        self._found.pop(digest, None)
        if is_found:
            self._found[digest] = None
            if len(self._found) > MAX_CALLERS:
                self._found.popitem(last=False)


async def _refuse(
    refusal: ASGIApp, close_code: int, reason: str, scope: Scope, receive: Receive, send: Send
) -> None:  # fmt: skip
    if scope["type"] == "websocket":
        await receive()
        await send({"type": "websocket.close", "code": close_code, "reason": reason})
    else:
        await refusal(scope, receive, send)


class BodyLimit:
    """ASGI middleware: answers 413 before more than ``API_MAX_BODY_BYTES`` of a body are in memory.

    Who shows no token that predicts may send less, and has to have sent it soon (408).
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app
        self._under_way: Counter[int] = Counter()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body, or refuse it."""
        path = scope["path"].removeprefix(scope.get("root_path", "")) if scope["type"] == "http" else ""
        # A recording is received by its route, into a file.
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS") or RECORDINGS.fullmatch(path):
            await self._app(scope, receive, send)
            return
        settings, headers = scope["app"].state.services.settings, Headers(scope=scope)
        limit, header, within_s = settings.api_max_body_bytes, headers.get("authorization"), BODY_S
        grant = known_grant(scope)
        may_predict = grant is not None and "predict" in grant.scopes and path.startswith("/predict")
        if not may_predict and not is_api_token(settings, header):
            limit, within_s = min(limit, STRANGERS_BODY_BYTES), STRANGERS_BODY_S
        announced = headers.get("content-length", "")
        too_large = announced.isdecimal() and (len(announced) > 18 or int(announced) > limit)
        whose = grant.account.account_id if may_predict and grant is not None else None
        if whose is not None and self._under_way[whose] >= BODIES_AT_ONCE:
            refusal = problem(
                scope, 429, f"expected at most {BODIES_AT_ONCE} bodies at once", headers={"Retry-After": "1"}
            )
            await refusal(scope, receive, send)
            return
        self._under_way[whose or 0] += 1
        try:
            async with asyncio.timeout(within_s):
                body = None if too_large else await _read(receive, limit)
        except TimeoutError:
            late = problem(
                scope, 408, f"expected the whole body within {within_s:.0f} s", headers={"Connection": "close"}
            )
            await late(scope, receive, send)
            return
        finally:
            self._under_way[whose or 0] -= 1
            self._under_way += Counter()  # forgets those with nothing under way
        if body is None:
            await problem(scope, 413, f"expected a body of at most {limit} bytes (API_MAX_BODY_BYTES)")(
                scope, receive, send
            )
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
    """Return the whole body, or None when it is longer than the limit."""
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
