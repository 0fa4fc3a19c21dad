"""The largest body that is read."""

from __future__ import annotations

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from webapi.problems import problem


class BodyLimit:
    """ASGI middleware: answers 413 before more than ``API_MAX_BODY_BYTES`` of a body are in memory."""

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass a request on with its body, or refuse it."""
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD", "OPTIONS"):
            await self._app(scope, receive, send)
            return
        limit = scope["app"].state.services.settings.api_max_body_bytes
        body = await _read(receive, limit)
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
