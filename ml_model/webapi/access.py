"""Who may call: bearer tokens for programs, short-lived tokens and an origin check for browsers."""

from __future__ import annotations

import secrets
from urllib.parse import urlsplit

from fastapi import HTTPException, Request, WebSocket

from semg.errors import WireError
from semg.settings import Settings
from semg.wire import tokens
from webapi.services import services_of

_LOOPBACK = {"localhost", "127.0.0.1", "[::1]"}


async def require_token(request: Request) -> None:
    """Refuse a request without ``Authorization: Bearer <SEMG_API_TOKEN>``."""
    if not is_api_token(services_of(request).settings, request.headers.get("authorization")):
        raise HTTPException(
            401, "expected the header Authorization: Bearer <SEMG_API_TOKEN>", headers={"WWW-Authenticate": "Bearer"}
        )


def may_watch(websocket: WebSocket, user_id: int) -> bool:
    """Tell whether a WebSocket may watch a profile: the API token, or a browser's token for this profile."""
    settings = services_of(websocket).settings
    origin = websocket.headers.get("origin")
    if origin is not None and not _is_app(origin, settings.app_url):
        return False
    if is_api_token(settings, websocket.headers.get("authorization")):
        return True
    for protocol in websocket.scope.get("subprotocols", []):
        if protocol.startswith(tokens.TOKEN_PROTOCOL_PREFIX):
            return _is_live_token(settings, protocol.removeprefix(tokens.TOKEN_PROTOCOL_PREFIX), user_id)
    return False


def is_api_token(settings: Settings, header: str | None) -> bool:
    """Tell whether an ``Authorization`` header carries the API token."""
    expected = settings.semg_api_token.get_secret_value()
    scheme, _, token = (header or "").partition(" ")
    return bool(expected) and scheme.lower() == "bearer" and secrets.compare_digest(token.encode(), expected.encode())


def _is_live_token(settings: Settings, token: str, user_id: int) -> bool:
    try:
        subject, _ = tokens.read_token(settings.secret_key.get_secret_value(), tokens.LIVE, token)
    except WireError:
        return False
    return subject == str(user_id)


def _is_app(origin: str, app_url: str) -> bool:
    """Tell whether a browser's origin is the app; on loopback, its other names are the app too."""
    ours, theirs = urlsplit(app_url), urlsplit(origin)
    if (ours.scheme, ours.netloc) == (theirs.scheme, theirs.netloc):
        return True
    both_loopback = {ours.hostname, theirs.hostname} <= _LOOPBACK
    return both_loopback and (ours.scheme, ours.port) == (theirs.scheme, theirs.port)
