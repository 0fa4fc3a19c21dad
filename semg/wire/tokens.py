"""Short-lived tokens: what a browser shows to the WebSocket and for a video, and what keeps a login over a reload.

Signed with ``SECRET_KEY`` (JWT, HS256). A token serves one purpose, its ``aud``; one made for the WebSocket of a
profile opens nothing else.
"""

from __future__ import annotations

import time

import jwt

from semg.errors import WireError

LIVE, LOGIN, VIDEO, EXPORT = "semg-live", "semg-login", "semg-video", "semg-export"
SUBPROTOCOL = "semg.v1"
TOKEN_PROTOCOL_PREFIX = "semg.token."  # noqa: S105 - a prefix, not a secret


def make_token(secret: str, purpose: str, subject: str, life_s: float, now_s: float | None = None) -> str:
    """Give a token for a purpose.

    Its subject is a userid, and behind a slash the account that watches (``LIVE``), a login (``LOGIN``), a session
    (``VIDEO``), or an archive's name (``EXPORT``).
    """
    now = time.time() if now_s is None else now_s
    return jwt.encode({"aud": purpose, "sub": subject, "iat": now, "exp": now + life_s}, _key(secret), "HS256")


def read_token(secret: str, purpose: str, token: str) -> tuple[str, float]:
    """Give the subject and the time of issue (epoch seconds) of a token.

    Raises
    ------
    WireError
        With reason ``token``: expired, forged, or made for another purpose.
    """
    try:
        claims = jwt.decode(
            token,
            _key(secret),
            ["HS256"],
            audience=purpose,
            options={"require": ["exp", "iat", "sub", "aud"]},
        )
        return str(claims["sub"]), float(claims["iat"])
    except jwt.InvalidTokenError as exc:
        raise WireError("token", f"expected a valid {purpose} token: {exc}") from exc


def _key(secret: str) -> bytes:
    """Refuse to sign with nothing."""
    if len(secret) < 32:
        raise WireError("token", "SECRET_KEY must have at least 32 characters; start_all.sh generates one in .env")
    return secret.encode()
