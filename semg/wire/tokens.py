"""Short-lived tokens: what a browser shows to the API, for the WebSocket, a video or an archive.

Signed with ``SECRET_KEY`` (JWT, HS256). A token serves one purpose, its ``aud``; one made for the WebSocket of a
profile opens nothing else. What a browser shows to the API names the login that it was made for, and ends with it.
"""

from __future__ import annotations

import time
from dataclasses import dataclass
from typing import Any

import jwt

from semg.errors import WireError

LIVE, VIDEO, EXPORT, FILE = "semg-live", "semg-video", "semg-export", "semg-file"
SUBPROTOCOL = "semg.v1"
TOKEN_PROTOCOL_PREFIX = "semg.token."  # noqa: S105 - a prefix, not a secret


@dataclass(frozen=True, slots=True)
class Login:
    """One login of an account in one browser, by its number in the table ``logins``."""

    account_id: int
    login_id: int


def make_token(
    secret: str, purpose: str, subject: str, life_s: float, login: Login, now_s: float | None = None
) -> str:
    """Return a token for a purpose.

    Its subject is a userid (``LIVE``), a session (``VIDEO``), an archive's name (``EXPORT``), or a file's (``FILE``).

    Parameters
    ----------
    login
        Whose token it is; it ends with this login.
    """
    now = time.time() if now_s is None else now_s
    claims: dict[str, Any] = {
        "aud": purpose,
        "sub": subject,
        "iat": now,
        "exp": now + life_s,
        "account": login.account_id,
        "login": login.login_id,
    }
    return jwt.encode(claims, _key(secret), "HS256")


def read_login_of(secret: str, purpose: str, token: str, subject: str) -> Login:
    """Give the login that a token of a subject was made for.

    Raises
    ------
    WireError
        With reason ``token``: expired, forged, or made for another purpose, for another subject, or for no login.
    """
    claims = _claims(secret, purpose, token)
    account_id, login_id = claims.get("account"), claims.get("login")
    if claims["sub"] != subject or type(account_id) is not int or type(login_id) is not int:
        raise WireError("token", f"expected a {purpose} token of a login for this one thing")
    return Login(account_id, login_id)


def _claims(secret: str, purpose: str, token: str) -> dict[str, Any]:
    try:
        claims: dict[str, Any] = jwt.decode(
            token,
            _key(secret),
            ["HS256"],
            audience=purpose,
            options={"require": ["exp", "iat", "sub", "aud"]},
        )
    except jwt.InvalidTokenError as exc:
        raise WireError("token", f"expected a valid {purpose} token: {exc}") from exc
    return claims


def _key(secret: str) -> bytes:
    """Refuse to sign with nothing."""
    if len(secret) < 32:
        raise WireError("token", "SECRET_KEY must have at least 32 characters; start_all.sh generates one in .env")
    return secret.encode()
